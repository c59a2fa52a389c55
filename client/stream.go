package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"unicode/utf8"
)

// streamAnswer is what is known of an answer to POST …/chat/stream before its body
// is read.
type streamAnswer struct {
	status      int
	contentType string
	sentTo      string              // the session that the message was sent to, "" where the service chooses
	question    string              // the message
	linger      bool                // as SendRequest.Linger
	room        func(size int) int  // as SendRequest.Room
	limit       int                 // of one event in bytes; 0 is the default
	unframed    bool                // a body that was cut looks like one that ended
	mask        func([]byte) []byte // core.maskBroken; nil masks nothing

	before func(id, text string) bool // as SendRequest.Before
}

// decodeStream normalises a body whose content type is all that is known of it.
func decodeStream(r io.Reader, contentType string, limit int) iter.Seq2[Event, error] {
	return streamAnswer{contentType: contentType, limit: limit}.decode(r)
}

// decode normalises the body, whichever of the known families it is in.
//
// An EventFinal comes where the stream marked its end, an EventError where the
// agent failed, an EventAccepted where the answer says that the reply is still to
// come; nothing is read behind any of them, but for linger. A stream that ends with none of them
// was cut off: the reply may be incomplete. The error, if any, comes last.
func (s streamAnswer) decode(r io.Reader) iter.Seq2[Event, error] {
	if s.limit <= 0 {
		s.limit = defaultEventLimit
	}
	if s.mask == nil {
		s.mask = func(b []byte) []byte { return b }
	}
	return func(yield func(Event, error) bool) {
		n := &normaliser{sentTo: s.sentTo, question: s.question, linger: s.linger, before: s.before, text: transcript{room: s.room}, yield: func(ev Event) bool { return yield(ev, nil) }}
		defer n.tools.release()
		defer n.text.known.release()
		err := s.read(r, n)
		if n.stopped {
			return
		}
		if err == nil {
			n.close()
			return
		}
		n.raw, n.fresh = nil, Event{}
		if n.flush(); !n.stopped {
			e := readError(err)
			if e.Outcome == "" {
				e.Status, e.Outcome = s.status, OutcomeUnknown
			}
			yield(Event{}, e)
		}
	}
}

func (s streamAnswer) read(r io.Reader, n *normaliser) error {
	media := bareType(s.contentType)
	if s.status == http.StatusAccepted && media != "text/event-stream" && !isLines(media) {
		body, err := io.ReadAll(io.LimitReader(r, maxErrorBody))
		if err != nil {
			return err
		}
		return n.accepted(body)
	}
	return readFrames(r, s.contentType, s.limit, func(f frame) bool {
		f.data = s.mask(f.data)
		n.frame(f)
		n.raw = nil // nothing of a large one is kept until the next
		return !n.stopped
	}, func(body []byte) error { return n.body(s.mask(body)) }, func(r io.Reader) error { return n.plainText(r, s.unframed) })
}

// readFrames reads a body in the form that its content type names. JSON is
// given to whole, all at once; a body that is a list of JSON lines under another
// name is read as that. Plain text is given to text, where that is not nil.
func readFrames(r io.Reader, contentType string, limit int, each func(frame) bool, whole func([]byte) error, text func(io.Reader) error) error {
	media := bareType(contentType)
	switch {
	case isLines(media):
		return readLines(r, limit, each)
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return readWhole(r, limit, each, whole)
	case media != "text/event-stream":
		b := bufio.NewReader(r)
		switch looksLike(b) {
		case "lines":
			return readLines(b, limit, each)
		case "list":
			if media == "text/plain" && text != nil {
				return text(b)
			}
			return readWhole(b, limit, each, whole)
		case "page":
			page, _ := io.ReadAll(io.LimitReader(b, maxErrorBody))
			return pageError(0, page)
		case "parts":
			return readParts(b, limit, each)
		case "text":
			if media == "text/plain" && text != nil {
				return text(b)
			}
		}
		r = b
	}
	return readSSE(r, limit, each)
}

// readWhole reads a body that is JSON, or JSON lines.
func readWhole(r io.Reader, limit int, each func(frame) bool, whole func([]byte) error) error {
	all := &heldReader{Reader: io.LimitReader(r, int64(limit)+1)}
	defer all.release()
	body, err := io.ReadAll(all)
	if err != nil {
		return err
	}
	if len(body) > limit {
		return tooLarge(limit)
	}
	body = bytes.TrimPrefix(body, byteOrderMark)
	if !isJSON(body) && kindOf(body) == '{' && bytes.ContainsAny(bytes.TrimSpace(body), "\r\n") {
		return readLines(bytes.NewReader(body), limit, each)
	}
	return whole(body)
}

func isLines(media string) bool {
	switch media {
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/json-seq":
		return true
	}
	return false
}

// looksLike tells by its beginning what a body is that does not say it well:
// JSON lines, a JSON list, a web page, a stream of events (""), coded parts, or else text. It reads no
// more than it needs to tell: what comes next may take its time.
func looksLike(b *bufio.Reader) string {
	const fields = "data: event: id: retry: <!doctype html <html <head"
	for n := 1; ; n++ {
		head, err := b.Peek(n)
		if buffered := b.Buffered(); err == nil && buffered > n {
			head, _ = b.Peek(min(buffered, 256))
			n = len(head)
		}
		start := strings.ToLower(strings.TrimLeft(strings.TrimPrefix(string(head), "\ufeff"), " \t\r\n"))
		switch {
		case strings.HasPrefix(start, "{"):
			return "lines"
		case looksHTML([]byte(start)):
			return "page"
		case beginsList(start):
			return "list"
		case isPart([]byte(start)):
			return "parts"
		case strings.HasPrefix(start, ":"), start == "" && err != nil:
			return ""
		}
		undecided := start == "" || strings.TrimSpace(start) == "[" || len(start) < 3 && isPart([]byte((start + ":{")[:3]))
		for field := range strings.SplitSeq(fields, " ") {
			if strings.HasSuffix(field, ":") && strings.HasPrefix(start, field) {
				return ""
			}
			undecided = undecided || strings.HasPrefix(field, start)
		}
		if !undecided && !strings.HasPrefix("<!doctype html", start) || err != nil || n >= 256 {
			return "text"
		}
	}
}

func beginsList(start string) bool {
	rest, ok := strings.CutPrefix(start, "[")
	return ok && strings.HasPrefix(strings.TrimLeft(rest, " \t\r\n"), "{")
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
	if looksHTML(body) {
		return pageError(0, body)
	}
	if events, ok := eventList(body); ok {
		n.list(events)
		return nil
	}
	n.raw = bytes.TrimSpace(body)
	o, ok := asObject(body)
	if e := wholeError(body); e != nil && !hasAny(o, replyKeys[:len(replyKeys)-1]) {
		n.fail(e)
		return nil
	}
	if ok {
		if reportsFailure(o) {
			n.fail(reportedFailure(o))
			return nil
		}
		if _, ok := acceptance(o); ok {
			return n.accepted(body)
		}
	}
	reply, err := decodeReply(body)
	n.noteIDs(reply.SessionID, reply.MessageID, reply.RunID)
	var e *Error
	switch {
	case ok && n.isEcho(o, reply.Text), ok && err == nil && mayBeRemark(o, reply.Text):
		if !n.isQuestion(reply.Text) || weight(reply.Text) < longWords || isEndMark(reply.Text) {
			n.unsure = reply.Text
		}
		n.accept("")
		return nil
	case err == nil, errors.Is(err, ErrNoText):
	case errors.Is(err, io.ErrUnexpectedEOF):
		n.show(n.text.add(reply.Text))
		n.flush()
		n.stopped = true // the history has the rest
		return nil
	case isJSON(body) && errors.As(err, &e):
		n.show(n.text.add(reply.Text))
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
	c := n.text.add(reply.Text)
	n.cut = strings.Join(reply.Notes, "; ")
	if outcomeOfWhole(o, 0).calling {
		n.show(c)
		n.calling = true
	}
	n.end("")
	return nil
}

// accepted takes an answer that says that the message was taken: whatever text is
// in it is a remark.
func (n *normaliser) accepted(body []byte) error {
	reply, err := decodeReply(body)
	if e, ok := errors.AsType[*Error](err); ok && isJSON(body) && !errors.Is(err, ErrNoText) {
		n.fail(e)
		return nil
	}
	n.noteIDs(reply.SessionID, reply.MessageID, reply.RunID)
	said := reply.Text
	if o, ok := asObject(body); ok {
		remark, _ := acceptance(o)
		setIfEmpty(&said, remark)
		if n.isEcho(o, reply.Text) {
			said = ""
		}
	} else if !isJSON(body) && !looksHTML(body) {
		said = string(body)
	}
	n.accept(said)
	return nil
}

// plainText takes a reply that comes as nothing but its text. Where it may have been
// cut, its end is not known.
func (n *normaliser) plainText(r io.Reader, maybeCut bool) error {
	// A remark is not shown as text, so the beginning waits until it is longer
	// than one.
	var rest []byte
	begun := false
	buf := make([]byte, 4<<10)
	for !n.stopped {
		size, err := r.Read(buf)
		rest = append(rest, buf[:size]...)
		if !begun && len(rest) <= maxRemark && err == nil {
			n.put(Event{Kind: EventHeartbeat})
			continue
		}
		if err == io.EOF && !begun && isRemark(string(rest)) {
			n.accept(string(rest))
			return nil
		}
		begun = true
		whole := rest
		if err == nil {
			whole = wholeRunes(rest)
		}
		n.show(n.text.increment("", strings.ToValidUTF8(string(whole), "\uFFFD")))
		rest = append(rest[:0], rest[len(whole):]...)
		if err == io.EOF {
			if len(bytes.TrimSpace(n.text.buf)) > 0 && !maybeCut {
				n.finish("")
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wholeRunes leaves out the beginning of a character at the end of text.
func wholeRunes(text []byte) []byte {
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if tail := text[len(text)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return text[:len(text)-i]
			}
			break
		}
	}
	return text
}
