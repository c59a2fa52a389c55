package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSend(t *testing.T) {
	for name, tt := range map[string]struct {
		h    http.HandlerFunc
		want Reply
		err  string
		none bool // ErrNoText
	}{
		"json":  {answer(200, "application/json", `{"reply":"Hi"}`), Reply{SessionID: "s", Text: "Hi"}, "", false},
		"plain": {answer(200, "text/plain", "Hi there"), Reply{SessionID: "s", Text: "Hi there"}, "", false},
		"stream": {answer(200, "text/event-stream", "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\ndata: [DONE]\n\n"),
			Reply{SessionID: "s", Text: "Hi"}, "", false},
		"cut stream": {answer(200, "text/event-stream", "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n"),
			Reply{SessionID: "s", Text: "Hi"}, "ended before the reply did", false},
		"no text":  {answer(200, "application/json", `{"session_id":"other"}`), Reply{SessionID: "other"}, "no reply text", true},
		"empty":    {answer(204, "", ""), Reply{SessionID: "s"}, "no reply text", true},
		"accepted": {answer(202, "application/json", `{"message":"queued"}`), Reply{SessionID: "s"}, "no reply text", true},
		"failed":   {answer(200, "application/json", `{"error":"Instance not ready"}`), Reply{}, "Instance not ready", false},
		"proxy":    {answer(504, "text/html", "<html><title>504</title></html>"), Reply{}, "504", false},
	} {
		calls := 0
		c := serve(t, func(w http.ResponseWriter, r *http.Request) { calls++; tt.h(w, r) })
		got, err := c.Chat.Send(t.Context(), "i", SendRequest{Message: "M", SessionID: "s"})
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
		if calls != 1 {
			t.Errorf("%s: sent %d times", name, calls)
		}
		if tt.err == "" {
			if err != nil {
				t.Errorf("%s: got %v", name, err)
			}
			continue
		}
		if e := wantError(t, err); e.Outcome != OutcomeUnknown || errors.Is(err, ErrNoText) != tt.none || !strings.Contains(e.Error(), tt.err) {
			t.Errorf("%s: got %v, outcome %q", name, err, e.Outcome)
		}
	}
}

func TestMessages(t *testing.T) {
	c := serve(t, answer(200, "application/json", `{"messages":[
		{"id":"b","role":"assistant","content":"2","created_at":"2026-03-20T18:24:11Z"},
		{"id":"a","role":"user","content":"1","created_at":"2026-03-20T18:24:10Z"},
		{"id":"b","role":"assistant","content":"2","created_at":"2026-03-20T18:24:11Z"}],"has_more":true}`))
	p, err := c.Chat.Messages(t.Context(), "i", MessagesQuery{})
	if err != nil || len(p.Items) != 2 || p.Items[0].ID != "a" || !p.More {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestStream(t *testing.T) {
	const chunk = "data: {\"choices\":[{\"delta\":{\"content\":\"Hel\"}}]}\n\n"
	gone := make(chan struct{}, 10)
	endless := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, chunk)
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond) // the pace of a stream that never ends
		}
		gone <- struct{}{}
	}
	calls := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls++
		b, _ := io.ReadAll(r.Body)
		if string(b) != `{"message":"M"}` || r.Header.Get("Accept-Encoding") != "identity" || !strings.HasPrefix(r.Header.Get("Accept"), "text/event-stream") {
			t.Errorf("sent %s with %v", b, r.Header)
		}
		endless(w, r)
	}, WithTimeouts(Timeouts{Chat: time.Nanosecond, Read: time.Nanosecond})) // streams have none
	seq := c.Chat.Stream(t.Context(), "i", SendRequest{Message: "M"})
	if calls != 0 {
		t.Error("the request is sent before the iteration")
	}
	for ev, err := range seq {
		if err != nil || ev.Kind == EventText && ev.Text != "Hel" {
			t.Fatalf("got %+v, %v", ev, err)
		}
		if ev.Kind == EventText {
			break
		}
	}
	<-gone // break closed the connection

	ctx, cancel := context.WithCancel(t.Context())
	var last error
	for _, err := range c.Chat.Stream(ctx, "i", SendRequest{Message: "M"}) {
		cancel()
		last = err
	}
	cancel()
	if e := wantError(t, last); !errors.Is(last, context.Canceled) || e.Outcome != OutcomeUnknown {
		t.Errorf("cancelled: got %v, outcome %q", last, e.Outcome)
	}
	<-gone

	for name, tt := range map[string]struct {
		h       http.HandlerFunc
		outcome Outcome
		want    string
	}{
		"refused": {answer(409, "application/json", `{"message":"Instance not ready"}`), OutcomeRejected, "Instance not ready"},
		"page":    {answer(200, "text/html", "<title>Login</title>"), OutcomeUnknown, "Login"},
		"cut": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, chunk)
		}, OutcomeUnknown, "broke off"},
	} {
		var got []error
		for _, err := range serve(t, tt.h).Chat.Stream(t.Context(), "i", SendRequest{Message: "M"}) {
			if err != nil {
				got = append(got, err)
			}
		}
		if len(got) != 1 {
			t.Fatalf("%s: got %d errors: %v", name, len(got), got)
		}
		if e := wantError(t, got[0]); e.Outcome != tt.outcome || !strings.Contains(e.Error(), tt.want) {
			t.Errorf("%s: got %v, outcome %q", name, e, e.Outcome)
		}
	}
	for _, r := range []SendRequest{{}, {Message: "\xff"}} {
		for _, err := range c.Chat.Stream(t.Context(), "i", r) {
			if wantError(t, err).Outcome != OutcomeNotSent {
				t.Errorf("%+v: got %v", r, err)
			}
		}
	}
}

// TestStreamRedacts has the agent's own failure echo the key.
func TestStreamRedacts(t *testing.T) {
	c, err := New(nil, "http://x", "sk_plain_key")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	c = serveKey(t, "sk_plain_key", answer(200, "text/event-stream", "event: error\ndata: {\"error\":\"bad sk_plain_key here\"}\n\n"))
	seen := false
	for ev, err := range c.Chat.Stream(t.Context(), "i", SendRequest{Message: "M"}) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == EventError {
			seen = true
			if strings.Contains(ev.Err.Error(), "sk_plain") || ev.Err.Op == "" || ev.Err.Outcome != OutcomeUnknown {
				t.Errorf("got %v, outcome %q", ev.Err, ev.Err.Outcome)
			}
		}
	}
	if !seen {
		t.Error("no EventError came")
	}
}

func serveKey(t *testing.T, key string, h http.HandlerFunc) *Client {
	t.Helper()
	base := serve(t, h)
	c, err := New(nil, base.BaseURL(), key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func TestEvents(t *testing.T) {
	var queries []string
	sse := func(w http.ResponseWriter, ids ...int) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, i := range ids {
			_, _ = fmt.Fprintf(w, "id: %d\nevent: message\ndata: {\"id\":\"m%d\",\"role\":\"assistant\",\"content\":\"Hi\"}\n\n", i, i)
		}
	}
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		queries = append(queries, r.URL.RawQuery)
		switch r.URL.Query().Get("after") {
		case "":
			sse(w, 1, 2, 3, 4)
		case "3":
			sse(w, 4)
		default:
			answer(400, "application/json", `{"message":"bad cursor"}`)(w, r)
		}
	})
	collect := func(after string) string {
		var ids []string
		for ev, err := range c.Chat.Events(t.Context(), "i", EventsQuery{SessionID: "s", After: after}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, ev.Message.ID)
		}
		return strings.Join(ids, " ")
	}
	for after, want := range map[string]string{
		"":        "m1 m2 m3 m4",
		"3":       "m4",
		"m2":      "m3 m4",       // replayed, by id
		"2":       "m3 m4",       // replayed, by number
		"unknown": "m1 m2 m3 m4", // better twice than never
		"m4":      "",
	} {
		if got := collect(after); got != want {
			t.Errorf("after %q: got %q, want %q", after, got, want)
		}
	}
	if !strings.Contains(strings.Join(queries, " "), "after=3&session_id=s") {
		t.Errorf("queries: %v", queries)
	}
	c = serve(t, answer(400, "application/json", `{"message":"no such session"}`))
	for _, err := range c.Chat.Events(t.Context(), "i", EventsQuery{After: "1"}) {
		if wantError(t, err).Message != "no such session" {
			t.Errorf("got %v", err)
		}
	}
}

// TestSkipReplay looks at a stream that stays open: what was held back for a
// cursor that never comes is given when the replay is over.
func TestSkipReplay(t *testing.T) {
	for name, tt := range map[string]struct {
		after string
		live  string // what comes an hour after the replay
		want  string
	}{
		"found":   {"b", "d", "c@0s d@1h0m0s"},
		"unknown": {"x", "d", "a@2s b@2s c@2s d@1h0m0s"},
		"last":    {"c", "d", "d@1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stop := make(chan struct{})
				events := func(yield func(HistoryEvent, error) bool) {
					for _, id := range []string{"a", "b", "c"} {
						if !yield(HistoryEvent{Message: Message{ID: id}}, nil) {
							return
						}
					}
					time.Sleep(time.Hour)
					if !yield(HistoryEvent{Message: Message{ID: tt.live}}, nil) {
						return
					}
					<-stop
				}
				start := time.Now()
				var got []string
				for ev := range skipReplay(events, tt.after, 2*time.Second, func() { close(stop) }) {
					got = append(got, fmt.Sprintf("%s@%s", ev.Message.ID, time.Since(start)))
					if ev.Message.ID == tt.live {
						break
					}
				}
				if s := strings.Join(got, " "); s != tt.want {
					t.Errorf("got %q, want %q", s, tt.want)
				}
			})
		})
	}
}
