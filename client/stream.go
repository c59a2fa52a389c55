package client

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"strings"
	"time"

	"openclaw-mcp/internal/jsonspan"
)

// decodeStream normalises the body of POST …/chat/stream, whichever of the
// known families it is in. limit bounds one event in bytes; 0 is the default.
//
// An EventFinal comes where the stream marked its end, an EventError where the
// agent failed; nothing is read behind either. A stream that ends with neither
// was cut off: the reply may be incomplete. The error, if any, comes last.
func decodeStream(r io.Reader, contentType string, limit int) iter.Seq2[Event, error] {
	if limit <= 0 {
		limit = defaultEventLimit
	}
	return func(yield func(Event, error) bool) {
		n := &normaliser{yield: func(ev Event) bool { return yield(ev, nil) }}
		err := readFrames(r, contentType, limit, func(f frame) bool {
			n.frame(f)
			return !n.stopped
		}, func(body []byte) error { return n.body(body) })
		if n.stopped {
			return
		}
		if err == nil {
			n.close()
			return
		}
		n.raw, n.fresh = nil, Event{}
		if n.release(); !n.stopped {
			yield(Event{}, readError(err))
		}
	}
}

// readFrames reads a body in the form that its content type names. JSON is
// given to whole, all at once; a body that is a list of JSON lines under another
// name is read as that.
func readFrames(r io.Reader, contentType string, limit int, each func(frame) bool, whole func([]byte) error) error {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		media, _, _ = strings.Cut(contentType, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	switch {
	case media == "application/x-ndjson" || media == "application/ndjson" || media == "application/jsonl" ||
		media == "application/x-jsonlines" || media == "application/json-seq":
		return readLines(r, limit, each)
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		body, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
		if err != nil {
			return err
		}
		if len(body) > limit {
			return tooLarge(limit)
		}
		if !jsonspan.Valid(body) && kindOf(body) == '{' && bytes.ContainsAny(bytes.TrimSpace(body), "\r\n") {
			return readLines(bytes.NewReader(body), limit, each)
		}
		return whole(body)
	case media != "text/event-stream":
		// No SSE stream begins with a brace.
		b := bufio.NewReader(r)
		if head, _ := b.Peek(1); string(head) == "{" {
			return readLines(b, limit, each)
		}
		r = b
	}
	return readSSE(r, limit, each)
}

// readError wraps what ended the reads of a stream.
func readError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Outcome: OutcomeUnknown, Err: err}
}

// body takes a reply that came at once, as POST …/chat gives it.
func (n *normaliser) body(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	reply, err := decodeReply(body)
	n.raw = bytes.TrimSpace(body)
	n.noteIDs(reply.SessionID, reply.MessageID, reply.RunID)
	var e *Error
	switch {
	case err == nil, errors.Is(err, ErrNoText):
	case jsonspan.Valid(body) && errors.As(err, &e):
		n.fail(e)
		return nil
	default:
		if errors.As(err, &e) {
			e.Outcome = OutcomeUnknown
		}
		return err
	}
	for _, c := range reply.ToolCalls {
		kind := EventToolStart
		if c.Result != "" || c.IsError {
			kind = EventToolEnd
		}
		n.put(Event{Kind: kind, Tool: c})
	}
	n.text.buf = []byte(reply.Text)
	n.put(Event{Kind: EventFinal, Text: reply.Text})
	n.stopped = true
	return nil
}

// decodeEvents reads the body of GET …/chat/events: a stream of persisted
// messages, or a JSON page of them. What is no message is passed over; an event
// that reports an error ends the iteration with it.
func decodeEvents(r io.Reader, contentType string, limit int) iter.Seq2[HistoryEvent, error] {
	if limit <= 0 {
		limit = defaultEventLimit
	}
	return func(yield func(HistoryEvent, error) bool) {
		h := &historyReader{yield: yield}
		err := readFrames(r, contentType, limit, func(f frame) bool {
			h.frame(f)
			return !h.stopped
		}, func(body []byte) error { return h.page(body) })
		if err != nil && !h.stopped {
			yield(HistoryEvent{}, readError(err))
		}
	}
}

type historyReader struct {
	yield   func(HistoryEvent, error) bool
	stopped bool
}

func (h *historyReader) frame(f frame) {
	if f.comment {
		return
	}
	switch class := classOf(canonical(f.name)); {
	case class == classAlive || class == classStatus:
		return
	case class == classError:
		o, ok := asObject(f.data)
		if !ok {
			if f.cut && looksBroken(f.data) {
				return
			}
			o = object{}
			if s := strings.TrimSpace(string(f.data)); s != "" {
				o["message"], _ = json.Marshal(s)
			}
		}
		h.fail(o)
		return
	}
	switch kindOf(f.data) {
	case '{':
		if o, ok := asObject(f.data); ok {
			h.object(f.data, o, cursors{id: f.id}, 0)
		}
	case '[':
		_ = h.page(f.data)
	}
}

// cursors are the places around a message that may say where to read on.
type cursors struct{ id, seq, cursor, next string }

func (c cursors) around(o object) cursors {
	setIfEmpty(&c.seq, o.id("seq", "sequence"))
	setIfEmpty(&c.cursor, o.id("cursor"))
	setIfEmpty(&c.next, o.id("next", "next_cursor", "nextCursor"))
	return c
}

// page takes a JSON array or an object around one. It is an error only if it is
// neither.
func (h *historyReader) page(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if items, ok := asArray(body); ok {
		h.items(items, cursors{})
		return nil
	}
	o, ok := asObject(body)
	if !ok {
		return shapeError("list of events", body)
	}
	h.object(body, o, cursors{}, 0)
	return nil
}

// items takes a page's items; what the page says of reading on holds behind the
// last of them.
func (h *historyReader) items(items []json.RawMessage, page cursors) {
	for i, raw := range items {
		at := cursors{}
		if i == len(items)-1 {
			at = page
		}
		if o, ok := asObject(raw); ok && !h.stopped {
			h.item(raw, o, at, 1)
		}
	}
}

// item takes one item of a page: its own place in the sequence is nearer than
// what the page says.
func (h *historyReader) item(raw json.RawMessage, o object, page cursors, depth int) {
	own := cursors{id: page.id}.around(o)
	setIfEmpty(&own.cursor, page.cursor)
	setIfEmpty(&own.next, page.next)
	h.object(raw, o, own, depth)
}

func (h *historyReader) object(raw json.RawMessage, o object, at cursors, depth int) {
	if depth > maxNesting || h.stopped {
		return
	}
	at = at.around(o)
	kind := canonical(o.text("type", "event", "kind"))
	if o.first("role", "content") == nil {
		switch class := classOf(kind); {
		case class == classAlive || class == classStatus && o.first("message") == nil:
			return
		case class == classError, isWholeError(o):
			h.fail(o)
			return
		}
		for _, k := range []string{"events", "messages", "data", "items", "results", "entries"} {
			if items, ok := asArray(o[k]); ok {
				h.items(items, at)
				return
			}
		}
		for _, k := range []string{"message", "payload", "data", "event"} {
			if inner, ok := o.object(k); ok {
				h.object(h.wrapped(o, k), inner, at, depth+1)
				return
			}
		}
		if o.first("text", "body", "tool_calls") == nil {
			return
		}
	}
	m, err := decodeMessage(raw)
	if err != nil {
		return
	}
	cursor := at.id
	setIfEmpty(&cursor, at.seq)
	setIfEmpty(&cursor, at.cursor)
	setIfEmpty(&cursor, at.next)
	setIfEmpty(&cursor, m.ID)
	if !m.CreatedAt.IsZero() {
		setIfEmpty(&cursor, m.CreatedAt.Format(time.RFC3339Nano))
	}
	if !h.yield(HistoryEvent{Message: m, Cursor: cursor}, nil) {
		h.stopped = true
	}
}

// wrapped gives the inner object of a wrapper, with the wrapper's ids where it
// has none of its own.
func (h *historyReader) wrapped(o object, key string) json.RawMessage {
	inner, _ := asObject(o[key])
	session := o.first(sessionKeys...)
	if session == nil || inner.first(sessionKeys...) != nil || inner.first("role") == nil {
		return o[key]
	}
	inner["session_id"] = session
	b, err := json.Marshal(inner)
	if err != nil {
		return o[key]
	}
	return b
}

func (h *historyReader) fail(o object) {
	h.stopped = true
	h.yield(HistoryEvent{}, failure(o))
}
