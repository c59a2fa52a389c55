package emulator

import (
	"net/http"
	"strings"
)

// stream writes server-sent events, or lines of JSON. The first error stays in
// err and makes the rest do nothing.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	lines   bool // newline-delimited JSON
	err     error
}

// newStream sends the header of a streamed answer.
func newStream(w http.ResponseWriter, lines bool) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	if lines {
		h.Set("Content-Type", "application/x-ndjson")
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	st := &stream{w: w, control: http.NewResponseController(w), lines: lines}
	st.flush()
	return st
}

// event sends one event; id and name may be "". Data of several lines becomes
// several data lines.
func (st *stream) event(id, name string, data []byte) {
	if st.err != nil {
		return
	}
	beginEvent(st.w)
	var b strings.Builder
	if st.lines {
		b.Write(data)
		b.WriteByte('\n')
	} else {
		if id != "" {
			b.WriteString("id: " + id + "\n")
		}
		if name != "" {
			b.WriteString("event: " + name + "\n")
		}
		for line := range strings.SplitSeq(string(data), "\n") {
			b.WriteString("data: " + line + "\n")
		}
		b.WriteByte('\n')
	}
	_, st.err = st.w.Write([]byte(b.String()))
	st.flush()
	endEvent(st.w)
}

// send sends an object as an event.
func (st *stream) send(name string, v any) { st.event("", name, encode(v)) }

// heartbeat shows that the stream is alive.
func (st *stream) heartbeat() {
	if st.err != nil {
		return
	}
	if st.lines {
		st.send("", object{"type": "heartbeat"})
		return
	}
	_, st.err = st.w.Write([]byte(": ping\n\n"))
	st.flush()
}

func (st *stream) flush() {
	if st.err == nil {
		st.err = st.control.Flush()
	}
}
