package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ChatService talks to an instance's agent.
type ChatService struct{ core *core }

// maxSaid is what is kept of one message, in bytes.
const maxSaid = 16 << 20

// streamTypes is the Accept header of what may come as a stream or whole.
const streamTypes = "text/event-stream, application/x-ndjson, application/json"

// Sessions lists an instance's chat sessions in the service's order, newest
// first (GET /instances/{id}/chat/sessions).
func (s *ChatService) Sessions(ctx context.Context, instance string) (Page[Session], error) {
	req, err := get(instance, "/chat/sessions", nil)
	if err != nil {
		return Page[Session]{}, err
	}
	return fetch(ctx, s.core, req, func(raw []byte) (Page[Session], error) { return decodePage(raw, "sessions", decodeSession) })
}

// CreateSession opens a chat session (POST /instances/{id}/chat/sessions). The
// title may be empty.
func (s *ChatService) CreateSession(ctx context.Context, instance, title string) (Session, error) {
	payload := struct {
		Title string `json:"title,omitempty"`
	}{title}
	if err := checkText("title", title); err != nil {
		return Session{}, notSent("POST /instances/{id}/chat/sessions", err)
	}
	req, err := post(instance, "/chat/sessions", payload)
	if err != nil {
		return Session{}, err
	}
	session, err := fetch(ctx, s.core, req, decodeSession)
	if err == nil {
		setIfEmpty(&session.Title, title)
	}
	return session, err
}

// CheckSession reports why no chat session can have such an id; "" leaves the
// choice to the service.
func CheckSession(id string) error {
	if id == "" {
		return nil
	}
	return checkReference("session id", id, maxReference)
}

// sendCall is the request of Send and Stream.
func (s *ChatService) sendCall(instance, rest string, r SendRequest) (call, error) {
	path, op, err := instancePath(http.MethodPost, instance, rest)
	if err != nil {
		return call{}, err
	}
	if r.Message == "" {
		return call{}, notSent(op, errors.New("the message is empty"))
	}
	if err := errors.Join(checkText("message", r.Message), CheckSession(r.SessionID)); err != nil {
		return call{}, notSent(op, err)
	}
	fields := []field{{key: "message", text: r.Message}}
	if r.SessionID != "" {
		fields = append(fields, field{key: "session_id", text: r.SessionID})
	}
	return call{op: op, method: http.MethodPost, path: path, body: objectOf(fields...)}, nil
}

// Send gives the agent a message and blocks until its reply (POST
// /instances/{id}/chat). It is never repeated.
//
// An error with an [Outcome] of unknown (a proxy's time-out above all) can come
// while the agent works on: read the history with [ChatService.Messages], do
// not send again. An error that matches [ErrNoText] is such a case too: the
// service took the message but its answer holds no text; the Reply beside it
// has the ids that there were.
func (s *ChatService) Send(ctx context.Context, instance string, r SendRequest) (Reply, error) {
	req, err := s.sendCall(instance, "/chat", r)
	if err != nil {
		return Reply{}, err
	}
	req.timeout, req.longest = s.core.options.timeouts.Chat, maxSaid
	raw, resp, err := s.core.bytes(ctx, req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.release()
	var reply Reply
	switch t := mediaType(resp.header); {
	case t == "text/plain" && kindOf(raw) != '{' && kindOf(raw) != '[' && kindOf(raw) != 0:
		if reply.Text = string(raw); isRemark(reply.Text) {
			reply.Text, err = "", noText(raw)
		}
	case t == "text/event-stream" || isLines(t) || isEventList(raw):
		reply, err = s.collect(raw, resp.header.Get("Content-Type"))
	default:
		reply, err = decodeReply(raw)
	}
	if IsSilent(reply.Text) {
		reply.Text, reply.Silent, reply.Notes = "", true, append(reply.Notes, NoteSilent)
	}
	if err == nil && resp.status == http.StatusAccepted {
		// "Accepted" comes before the reply: what text it has is a remark.
		reply.Text = ""
		err = noText(raw)
	}
	setIfEmpty(&reply.SessionID, r.SessionID)
	if err != nil {
		e := s.core.fail(req, err)
		e.Status = resp.status
		return reply, e
	}
	return reply, nil
}

// collect reads a reply out of a stream that came where a whole answer was
// expected.
func (s *ChatService) collect(raw []byte, contentType string) (Reply, error) {
	var a Accumulator
	for ev, err := range s.core.maskedEvents(decodeStream(bytes.NewReader(raw), contentType, s.core.options.maxEvent)) {
		if err != nil {
			return a.Reply(), err
		}
		a.Add(ev)
	}
	switch {
	case a.Err() != nil:
		return a.Reply(), a.Err()
	case !a.Done():
		return a.Reply(), &Error{Message: "the stream of the reply ended before the reply did", Err: io.ErrUnexpectedEOF}
	case a.Text() == "" && !a.Reply().Silent:
		return a.Reply(), noText(nil)
	}
	return a.Reply(), nil
}

// Messages reads a session's history (GET /instances/{id}/chat/messages),
// oldest first whatever the service's order, and each message once. Items that
// are not messages are left out and counted.
func (s *ChatService) Messages(ctx context.Context, instance string, q MessagesQuery) (Page[Message], error) {
	if err := CheckSession(q.SessionID); err != nil {
		return Page[Message]{}, notSent("GET /instances/{id}/chat/messages", err)
	}
	query := url.Values{}
	if q.SessionID != "" {
		query.Set("session_id", q.SessionID)
	}
	if q.Tail {
		query.Set("tail", "true")
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	req, err := get(instance, "/chat/messages", query)
	if err != nil {
		return Page[Message]{}, err
	}
	req.longest = maxSaid
	page, err := fetch(ctx, s.core, req, decodeMessages)
	markOthers(page.Items, q.SessionID)
	return page, err
}

// Stream gives the agent a message and yields what it does until its reply is
// complete (POST /instances/{id}/chat/stream). The request is sent when the
// iteration begins, once: a second iteration sends the message again.
//
// The error comes once and last, and is an *[Error]. One with an [Outcome] of
// unknown leaves the run going on upstream. A failure that the agent itself
// reports is an event of kind [EventError], not an error of the stream. A
// stream that ends without [EventFinal] or [EventError] may be incomplete, and
// [EventAccepted] says that it brings no reply at all: read the history. Breaking off closes the connection; whether the agent
// stops is the service's decision.
func (s *ChatService) Stream(ctx context.Context, instance string, r SendRequest) iter.Seq2[Event, error] {
	return s.converse(ctx, instance, "/chat/stream", r)
}

// Whole is Stream for services that do not stream: it gives the agent a message and
// yields the reply when that is complete (POST /instances/{id}/chat), or whatever else
// the service answers, by the rules of Stream. It waits as long as ctx lets it.
func (s *ChatService) Whole(ctx context.Context, instance string, r SendRequest) iter.Seq2[Event, error] {
	return s.converse(ctx, instance, "/chat", r)
}

func (s *ChatService) converse(ctx context.Context, instance, rest string, r SendRequest) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		req, err := s.sendCall(instance, rest, r)
		if err != nil {
			yield(Event{}, err)
			return
		}
		req.accept, req.stream = streamTypes, true
		resp, err := s.open(ctx, req)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer func() { _ = resp.body.Close() }()
		answer := streamAnswer{status: resp.status, contentType: resp.header.Get("Content-Type"), sentTo: r.SessionID, question: r.Message, linger: r.Linger, before: r.Before, room: r.Room, limit: s.core.options.maxEvent, unframed: resp.unframed, mask: s.core.maskBroken}
		body := bufio.NewReader(resp.body)
		if rest == "/chat" && mayBeJSON(body) && !isStream(answer.contentType) {
			answer.contentType = "application/json" // whatever it is called
		}
		for ev, err := range s.core.maskedEvents(answer.decode(body)) {
			if err != nil {
				yield(Event{}, s.core.fail(req, err))
				return
			}
			if ev.Err != nil {
				if ev.Err.Outcome == "" {
					ev.Err.Outcome = OutcomeUnknown
				}
				ev.Err = s.core.finish(req, ev.Err)
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// isStream reports content types that come event by event.
func isStream(contentType string) bool {
	media := bareType(contentType)
	return media == "text/event-stream" || isLines(media)
}

// mayBeJSON reports whether a body begins like JSON around something.
func mayBeJSON(in *bufio.Reader) bool {
	for n := 1; n <= in.Size(); n++ {
		p, err := in.Peek(n)
		if err != nil {
			return false
		}
		switch p[n-1] {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return strings.IndexByte(`{["`, p[n-1]) >= 0
	}
	return false
}

// open sends a request whose answer is a stream, and refuses a web page in its
// place.
func (s *ChatService) open(ctx context.Context, req call) (*reply, error) {
	resp, err := s.core.do(ctx, req)
	if err != nil {
		return nil, err
	}
	if t := mediaType(resp.header); t == "text/html" || t == "application/xhtml+xml" {
		defer func() { _ = resp.body.Close() }()
		return nil, s.core.fail(req, pageError(resp.status, resp.body.peek(maxErrorBody)))
	}
	resp.body.rc = s.core.maskStream(resp.body.rc)
	return resp, nil
}

// historyCall is the request of Events.
func historyCall(instance string, q EventsQuery) (call, error) {
	path, op, err := instancePath(http.MethodGet, instance, "/chat/events")
	if err != nil {
		return call{}, err
	}
	if err := CheckSession(q.SessionID); err != nil {
		return call{}, notSent(op, err)
	}
	query := url.Values{}
	if q.SessionID != "" {
		query.Set("session_id", q.SessionID)
	}
	if q.After != "" {
		query.Set("after", q.After)
	}
	return call{op: op, method: http.MethodGet, path: path, query: query, accept: streamTypes, stream: true}, nil
}
