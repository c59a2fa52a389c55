package transport

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/mark3labs/mcp-go/mcp"
)

// Batches of messages are of MCP 2025-03-26 alone (transports; JSON-RPC 2.0, section
// 6). Clients of that version get one answer: an array of what each request was
// answered.
const (
	batchVersion = mcp.ProtocolVersion20250326
	maxBatch     = 100 // messages
)

// splitBatch gives the messages of a batch; false for what is none, or too large.
func splitBatch(raw []byte) (messages []json.RawMessage, ok bool) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || raw[0] != '[' || countValues(raw) > maxValues {
		return nil, false
	}
	d := newDecoder(raw, loneSurrogates, jsontext.AllowDuplicateNames(true))
	defer putBack(d)
	if _, err := d.ReadToken(); err != nil {
		return nil, false
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil || len(messages) == maxBatch {
			return nil, false
		}
		end := d.InputOffset()
		messages = append(messages, raw[end-int64(len(value)):end:end])
	}
	return messages, len(messages) > 0
}

// joinBatch is the answer to a batch; nil where nothing in it is answered.
func joinBatch(answers [][]byte) []byte {
	var out []byte
	for _, a := range answers {
		if a = bytes.TrimSpace(a); len(a) == 0 {
			continue
		}
		if out == nil {
			out = []byte{'['}
		} else {
			out = append(out, ',')
		}
		out = append(out, a...)
	}
	if out == nil {
		return nil
	}
	return append(out, ']')
}

// batch serves a batch that a session of its version POSTed, and reports whether it
// was one.
func (h *HTTP) batch(w http.ResponseWriter, r *http.Request, caller Principal, raw []byte) bool {
	messages, ok := splitBatch(raw)
	if !ok {
		return false
	}
	s := h.known(r.Context(), caller, r.Header.Get(headerSession))
	if s == nil || s.protocol() != batchVersion {
		return false
	}
	answers := make([][]byte, len(messages))
	var wg sync.WaitGroup
	for i, m := range messages {
		wg.Go(func() {
			// Each is served as if it had come alone, from a client that takes no stream.
			one := r.Clone(r.Context())
			one.Header.Set("Accept", "application/json")
			one.Body = http.NoBody
			a := &answerWriter{header: make(http.Header)}
			if in := h.receiveMessage(a, one, caller, m); in != nil {
				leave, wait := func() {}, time.Duration(0)
				if i > 0 && in.Method != "" && !in.isCancel() { // the first was let in with the batch
					leave, wait = h.enter(caller, ShareFrom(r.Context()))
				}
				if leave == nil {
					if in.isRequest() {
						answers[i] = h.tooMany(in.ID, wait)
					}
					return
				}
				defer leave()
				h.serveMessage(a, one, in)
			}
			if a.header.Get("Content-Type") == "application/json" {
				answers[i] = a.body.Bytes()
			}
		})
	}
	wg.Wait()
	if out := joinBatch(answers); out != nil {
		jsonAnswer(w, http.StatusOK, out)
	} else {
		w.WriteHeader(http.StatusAccepted)
	}
	return true
}

// answerWriter keeps the answer to one message of a batch.
type answerWriter struct {
	header http.Header
	body   bytes.Buffer
}

func (w *answerWriter) Header() http.Header         { return w.header }
func (w *answerWriter) Write(b []byte) (int, error) { return w.body.Write(b) }
func (w *answerWriter) WriteHeader(int)             {}
