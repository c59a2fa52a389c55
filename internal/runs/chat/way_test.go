package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

// wholeService is a service without chat/stream, or with other gaps.
type wholeService struct {
	mu       sync.Mutex
	posts    []string // "chat" and "chat/stream", in order
	messages []map[string]string

	stream, chat http.HandlerFunc // chat nil: it answers
	instance     int              // the status of GET {id}
	list         string
}

func (s *wholeService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, path, _ := strings.Cut(r.URL.Path, "/api/instances")
	_, endpoint, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	s.mu.Lock()
	if r.Method == http.MethodPost {
		s.posts = append(s.posts, endpoint)
	}
	stream, chat := s.stream, s.chat
	s.mu.Unlock()
	switch {
	case path == "":
		fmt.Fprint(w, s.list)
	case endpoint == "":
		w.WriteHeader(s.instance)
		fmt.Fprint(w, `{"id":"i1","status":"ready"}`)
	case endpoint == "chat/stream":
		stream(w, r)
	case endpoint == "chat/messages":
		s.mu.Lock()
		defer s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(append([]map[string]string{}, s.messages...))
	case endpoint == "chat" && chat != nil:
		chat(w, r)
	case endpoint == "chat":
		s.reply(r)
		fmt.Fprint(w, `{"reply":"whole","session_id":"s1"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// reply puts the message and its reply into the history.
func (s *wholeService) reply(r *http.Request) {
	var in struct{ Message string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := time.Now().UTC().Format(time.RFC3339Nano)
	s.messages = append(s.messages, map[string]string{"id": fmt.Sprint(len(s.messages)), "role": "user", "content": in.Message, "created_at": at},
		map[string]string{"id": fmt.Sprint(len(s.messages) + 1), "role": "assistant", "content": "whole", "created_at": at})
}

func (s *wholeService) sent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.posts, " ")
}

func answerWith(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

func (s *wholeService) start(t *testing.T) *Service {
	t.Helper()
	if s.instance == 0 {
		s.instance = http.StatusOK
	}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	c, err := client.New(nil, web.URL, testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	m, err := runs.NewManager(runs.Config{Client: c, APIKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	svc := New(m)
	svc.timing = quick
	return svc
}

func say(t *testing.T, svc *Service, message string, p runs.Progress) *runs.Update {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r, _, err := svc.Send(ctx, Request{Instance: "i1", Session: "s1", Message: message})
	if err != nil {
		t.Fatal(err)
	}
	u, err := r.Wait(ctx, runs.UntilDone, 0, p)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestNoStream: a message goes through chat where chat/stream is not there, once, and
// only then.
func TestNoStream(t *testing.T) {
	t.Parallel()
	const fell, stayed = "chat/stream chat", "chat/stream"
	for name, tt := range map[string]struct {
		s    *wholeService
		want string // POSTs
		text string // of the reply; "" for a failure
		says string // by the failure
	}{
		"404":               {&wholeService{stream: answerWith(404, `{"detail":"Not Found"}`)}, fell, "whole", ""},
		"404, empty":        {&wholeService{stream: answerWith(404, "")}, fell, "whole", ""},
		"404, its path":     {&wholeService{stream: answerWith(404, `{"message":"Route POST:/api/instances/i1/chat/stream not found"}`)}, fell, "whole", ""},
		"405":               {&wholeService{stream: answerWith(405, "")}, fell, "whole", ""},
		"415":               {&wholeService{stream: answerWith(415, "")}, fell, "whole", ""},
		"501":               {&wholeService{stream: answerWith(501, "<html>Unsupported method")}, fell, "whole", ""},
		"no GET {id}":       {&wholeService{stream: answerWith(404, ""), instance: 404, list: `[{"id":"i1","status":"ready"}]`}, fell, "whole", ""},
		"no such instance":  {&wholeService{stream: answerWith(404, ""), instance: 404, list: `[{"id":"i2","status":"ready"}]`}, stayed, "", "HTTP 404"},
		"says instance":     {&wholeService{stream: answerWith(404, `{"message":"Instance not found"}`)}, stayed, "", "Instance not found"},
		"says session":      {&wholeService{stream: answerWith(404, `{"message":"No such session: s1"}`)}, stayed, "", "No such session"},
		"no access":         {&wholeService{stream: answerWith(403, `{"message":"Forbidden"}`)}, stayed, "", "HTTP 403"},
		"bad request":       {&wholeService{stream: answerWith(400, "")}, stayed, "", "HTTP 400"},
		"nor chat":          {&wholeService{stream: answerWith(404, ""), chat: answerWith(404, "")}, fell, "", "neither chat/stream nor chat"},
		"chat is forbidden": {&wholeService{stream: answerWith(404, ""), chat: answerWith(403, "")}, fell, "", "HTTP 403"},
		"agent's failure":   {&wholeService{stream: answerWith(404, ""), chat: answerWith(200, `{"error":"the model is overloaded"}`)}, fell, "", "overloaded"},
		"pretty, as text": {&wholeService{stream: answerWith(404, ""), chat: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			answerWith(200, "{\n  \"reply\": \"whole\"\n}")(w, r)
		}}, fell, "whole", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := say(t, tt.s.start(t), "hello", nil)
			if got := tt.s.sent(); got != tt.want {
				t.Errorf("sent %q, want %q", got, tt.want)
			}
			switch {
			case tt.text != "" && (u.Status != runs.StatusCompleted || u.Text != tt.text):
				t.Errorf("got %+v", u)
			case tt.text == "" && (u.Status != runs.StatusFailed || !strings.Contains(fmt.Sprint(u.Err), tt.says)):
				t.Errorf("got %+v", u)
			}
		})
	}
}

// TestWholeFollows: what an answer of chat leaves open is read from the history, and
// nothing is sent twice.
func TestWholeFollows(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"queued":  answerWith(200, `{"status":"queued"}`),
		"202":     answerWith(202, `{"message":"Message queued"}`),
		"empty":   answerWith(200, ""),
		"gateway": answerWith(504, "<html><title>504 Gateway Time-out</title>"),
		"dropped": func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &wholeService{stream: answerWith(405, "")}
			s.chat = func(w http.ResponseWriter, r *http.Request) {
				s.reply(r)
				answer(w, r)
			}
			if u := say(t, s.start(t), "hello", nil); u.Status != runs.StatusCompleted || u.Text != "whole" {
				t.Errorf("got %+v", u)
			}
			if got := s.sent(); got != "chat/stream chat" {
				t.Errorf("sent %q", got)
			}
		})
	}
}

// TestWholeIsRemembered: an instance that does not stream is not asked to for a while.
func TestWholeIsRemembered(t *testing.T) {
	t.Parallel()
	s := &wholeService{stream: answerWith(404, "")}
	p := &record{}
	s.chat = func(w http.ResponseWriter, r *http.Request) {
		for !p.Has("waiting for a reply, ") && runs.Pause(r.Context(), time.Millisecond) {
			continue
		}
		s.reply(r)
		answerWith(200, `{"reply":"whole"}`)(w, r)
	}
	svc := s.start(t)
	for _, message := range []string{"one", "two"} {
		if u := say(t, svc, message, p); u.Text != "whole" {
			t.Errorf("got %+v", u)
		}
	}
	if got := s.sent(); got != "chat/stream chat chat" {
		t.Errorf("sent %q", got)
	}
	// The service changes: now it streams, and has no other way.
	s.chat, s.stream = answerWith(404, ""), answerWith(200, "event: done\ndata: {\"text\":\"streamed\"}\n\n")
	if u := say(t, svc, "three", nil); u.Text != "streamed" {
		t.Errorf("got %+v", u)
	}
	svc.setWhole("i1", true)
	svc.wholeSince["i1"] = time.Now().Add(-keepWay - time.Second)
	if svc.knownWhole("i1") {
		t.Error("it is remembered for ever")
	}
}
