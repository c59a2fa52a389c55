package transport

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"openclaw-mcp/internal/fleet"
)

// A stream can be read on at any process while the one that has it lives: that one is
// asked for the rest, byte for byte.

func streamName(s *session, stream string) string { return "stream/" + s.id + "/" + stream }

// offer has other processes read a stream of this one.
func (h *HTTP) offer(s *session, rp *replay) {
	f := h.peers.get(s.principal)
	if f == nil {
		return
	}
	stop, err := f.Serve(streamName(s, rp.id), func(ctx context.Context, body []byte, part func([]byte) error) ([]byte, error) {
		after, err := strconv.ParseInt(string(body), 10, 64)
		if err != nil {
			return nil, err
		}
		return nil, h.readOn(ctx, rp, after, h.readAgain(&relayWriter{part: part}))
	})
	if err != nil { // then its cursor has to do
		return
	}
	rp.mu.Lock()
	defer rp.mu.Unlock()
	if rp.freed {
		stop()
		return
	}
	rp.stop = stop
}

// relayWriter is an answer that goes to another process, an event or comment a part.
type relayWriter struct {
	part   func([]byte) error
	header http.Header
	event  bytes.Buffer
}

// Header implements [http.ResponseWriter].
func (w *relayWriter) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

// WriteHeader implements [http.ResponseWriter].
func (w *relayWriter) WriteHeader(int) {}

// Write implements [http.ResponseWriter].
func (w *relayWriter) Write(b []byte) (int, error) { return w.event.Write(b) }

// FlushError implements what [http.ResponseController.Flush] looks for.
func (w *relayWriter) FlushError() error {
	b := bytes.Clone(w.event.Bytes())
	w.event.Reset()
	return w.part(b)
}

// resumeAt reads a stream on that this process does not have: from the process that
// has it, else by going on with its call.
func (h *HTTP) resumeAt(w http.ResponseWriter, r *http.Request, s *session, last eventRef, out *postStream) {
	if f := h.peers.get(s.principal); f != nil && last.sealed != "" {
		var over bool
		if last, over = h.relay(r, f, s, last, out); over {
			out.ended()
			return
		}
	}
	h.takeOver(w, r, s, last, out)
}

// relay passes on what the process that has a stream gives. It tells how far that came,
// and whether nothing is left to do: the stream or its client is gone.
func (h *HTTP) relay(r *http.Request, f fleet.Fleet, s *session, last eventRef, out *postStream) (behind eventRef, over bool) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(h.base, cancel)()
	after := strconv.FormatInt(last.seq, 10)
	for part, err := range f.Ask(ctx, streamName(s, last.stream), []byte(after)) {
		if h.base.Err() != nil {
			_ = out.retry(restartPause)
			return last, true
		}
		if err != nil {
			return last, ctx.Err() != nil
		}
		if out.pass(part) != nil {
			return last, true
		}
		if line, _, _ := bytes.Cut(part, []byte("\n")); bytes.HasPrefix(line, []byte("id: ")) {
			if ref, ok := parseEventID(string(line[len("id: "):])); ok {
				last = ref
			}
		}
	}
	return last, true
}
