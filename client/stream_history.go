package client

import (
	"bytes"
	"io"
	"iter"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// decodeEvents reads the body of GET …/chat/events: a stream of persisted
// messages, or a JSON page of them. What is no message is passed over; an event
// that reports an error ends the iteration with it. mask is core.maskBroken.
func decodeEvents(r io.Reader, contentType string, limit int, mask func([]byte) []byte) iter.Seq2[HistoryEvent, error] {
	if limit <= 0 {
		limit = defaultEventLimit
	}
	return func(yield func(HistoryEvent, error) bool) {
		h := &historyReader{yield: yield}
		err := readFrames(r, contentType, limit, func(f frame) bool {
			f.data = mask(f.data)
			h.frame(f)
			return !h.stopped
		}, func(body []byte) error { return h.page(mask(body)) }, nil)
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
				o["message"], _ = json.Marshal(s, tolerant)
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
func (h *historyReader) items(items []jsontext.Value, page cursors) {
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
func (h *historyReader) item(raw jsontext.Value, o object, page cursors, depth int) {
	own := cursors{id: page.id}.around(o)
	setIfEmpty(&own.cursor, page.cursor)
	setIfEmpty(&own.next, page.next)
	h.object(raw, o, own, depth)
}

func (h *historyReader) object(raw jsontext.Value, o object, at cursors, depth int) {
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
func (h *historyReader) wrapped(o object, key string) jsontext.Value {
	inner, _ := asObject(o[key])
	session := o.first(sessionKeys...)
	if session == nil || inner.first(sessionKeys...) != nil || inner.first("role") == nil {
		return o[key]
	}
	inner["session_id"] = session
	b, err := json.Marshal(inner, tolerant, json.Deterministic(true))
	if err != nil {
		return o[key]
	}
	return b
}

func (h *historyReader) fail(o object) {
	h.stopped = true
	h.yield(HistoryEvent{}, failure(o))
}
