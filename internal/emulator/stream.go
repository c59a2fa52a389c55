package emulator

import (
	"bytes"
	"net/http"

	"github.com/tmaxmax/go-sse"
)

// stream writes server-sent events, each event and each comment in one write.
// The first error stays in err and makes the rest do nothing.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	err     error
}

// newStream sends the header of a streamed answer.
func newStream(w http.ResponseWriter) *stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	st := &stream{w: w, control: http.NewResponseController(w)}
	st.err = st.control.Flush()
	return st
}

// event sends v as the JSON of an event; id may be "".
func (st *stream) event(id, name string, v any) {
	m := &sse.Message{Type: sse.Type(name)}
	if id != "" {
		m.ID = sse.ID(id)
	}
	m.AppendData(string(encode(v)))
	st.write(m)
}

// heartbeat shows that the stream is alive. It is a comment: an event without
// data means nothing to some clients and is a mistake to others.
func (st *stream) heartbeat() {
	m := &sse.Message{}
	m.AppendComment("ping")
	st.write(m)
}

func (st *stream) write(m *sse.Message) {
	if st.err != nil {
		return
	}
	var b bytes.Buffer
	if _, st.err = m.WriteTo(&b); st.err == nil {
		_, st.err = st.w.Write(b.Bytes())
	}
	if st.err == nil {
		st.err = st.control.Flush()
	}
}

// beginReply, replyEvent and endReply send a reply as named events.
func (st *stream) beginReply(r *run) { st.event("", "session", object{"session_id": r.session}) }

func (st *stream) replyEvent(ev AgentEvent) {
	switch ev.Kind {
	case Status:
		st.event("", "status", object{"message": ev.Text})
	case Text:
		st.event("", "delta", object{"delta": ev.Text})
	case ToolStart:
		args := ev.Tool.Args
		if args == nil {
			args = map[string]any{} // an object, even when there are none
		}
		st.event("", "tool", object{"id": ev.Tool.ID, "name": ev.Tool.Name, "args": args})
	case ToolEnd:
		st.event("", "tool_result", object{"id": ev.Tool.ID, "name": ev.Tool.Name,
			"result": ev.Tool.Result, "is_error": ev.Tool.IsError})
	}
}

func (st *stream) endReply(final Message) {
	switch final.StopReason {
	case stopDone:
		st.event("", "done", object{"message": messageWire(final)})
	case stopAborted:
		st.event("", "error", object{"error": "aborted", "message": final.Error})
	default:
		st.event("", "error", object{"error": "agent_error", "message": final.Error})
	}
}
