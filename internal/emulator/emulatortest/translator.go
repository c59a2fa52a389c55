package emulatortest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"strings"
)

// object is a JSON object whose keys depend on the dialect.
type object = map[string]any

// raw is an answer that is not JSON.
type raw []byte

// encode gives v as JSON without a line end and without escaping <, > and &,
// which a service written in JavaScript or Python does not do either.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(fmt.Sprintf("emulatortest: %v in JSON", err)) // all of it was JSON
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// translator changes an answer of the emulator on its way. It holds back a JSON
// answer until it is whole. Of a stream, each write is one event or one comment,
// since that is how the emulator writes it.
type translator struct {
	http.ResponseWriter
	json        func(status int, body any) (int, any)
	event       func(id, name string, data []byte) // of a stream
	comment     func()                             // in place of a comment; nil = as it is
	contentType string                             // of a stream; "" = as it is
	hold        bool                               // send nothing of a stream, not even its header

	status int
	stream bool
	body   bytes.Buffer
}

func (t *translator) WriteHeader(status int) {
	if t.status != 0 {
		return
	}
	t.status = status
	if isStream(t.Header()) {
		t.stream = true
		if t.hold {
			return
		}
		if t.contentType != "" {
			t.Header().Set("Content-Type", t.contentType)
		}
		t.ResponseWriter.WriteHeader(status)
	}
}

func isStream(h http.Header) bool {
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return kind == "text/event-stream" || kind == "application/x-ndjson"
}

func (t *translator) Write(p []byte) (int, error) {
	t.WriteHeader(http.StatusOK)
	switch {
	case !t.stream:
		return t.body.Write(p)
	case p[0] == ':' && t.hold:
	case p[0] == ':' && t.comment != nil:
		t.comment()
	case p[0] == ':' || t.event == nil:
		return t.ResponseWriter.Write(p)
	default:
		t.event(parseEvent(p))
	}
	return len(p), nil
}

// FlushError does nothing before the header is out.
func (t *translator) FlushError() error {
	if !t.stream || t.hold {
		return nil
	}
	return http.NewResponseController(t.ResponseWriter).Flush()
}

// finish sends a JSON answer.
func (t *translator) finish() {
	if t.stream {
		return
	}
	var body any
	if t.body.Len() > 0 {
		if err := json.Unmarshal(t.body.Bytes(), &body); err != nil {
			panic(fmt.Sprintf("emulatortest: the emulator's answer is not JSON: %v", err))
		}
	}
	status, body := t.json(max(t.status, http.StatusOK), body)
	var out []byte
	switch body := body.(type) {
	case nil:
		t.Header().Del("Content-Type")
	case raw:
		t.Header().Set("Content-Type", "application/octet-stream")
		out = body
	default:
		out = encode(body)
	}
	t.ResponseWriter.WriteHeader(status)
	if out != nil {
		t.ResponseWriter.Write(out)
	}
}

// parseEvent reads an event as the emulator writes it.
func parseEvent(p []byte) (id, name string, data []byte) {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(string(p), "\n"), "\n") {
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			lines = append(lines, value)
		}
	}
	return id, name, []byte(strings.Join(lines, "\n"))
}

// writeEvent sends an event, by hand, since some of the forms differ in bytes.
func writeEvent(w http.ResponseWriter, id, name string, data []byte) {
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	if name != "" {
		fmt.Fprintf(&b, "event: %s\n", name)
	}
	fmt.Fprintf(&b, "data: %s\n\n", data)
	w.Write(b.Bytes())
}

// writeLine sends an object as a line.
func writeLine(w http.ResponseWriter, v any) { w.Write(append(encode(v), '\n')) }
