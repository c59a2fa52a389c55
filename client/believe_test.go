package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What of a description is believed, one rule a row.
func TestBelieve(t *testing.T) {
	t.Parallel()
	exec := Endpoint{Method: "POST", Path: "/instances/{instance}/terminal/exec", Fields: []string{"command", "timeout_ms"}, Needs: []string{"command"}}
	at := func(path string) Endpoint { return Endpoint{Method: "POST", Path: path} }
	with := func(needs string, fields ...string) Endpoint {
		return Endpoint{Method: "POST", Path: exec.Path, Fields: fields, Needs: strings.Fields(needs)}
	}
	names := func(list ...string) Belief {
		b := Belief{Names: map[string]string{}}
		for i := 0; i < len(list); i += 2 {
			b.Names[list[i]] = list[i+1]
		}
		return b
	}
	for name, tt := range map[string]struct {
		described Endpoint
		want      Belief
	}{
		"the same":                       {at("/instances/{id}/terminal/exec"), Belief{}},
		"another place":                  {at("/v2/instances/{id}/exec"), Belief{Path: "/v2/instances/{id}/exec"}},
		"named as an instance":           {at("/exec/{instanceId}"), Belief{Path: "/exec/{instanceId}"}},
		"not an instance's":              {at("/sandboxes/{id}/exec"), Belief{}},
		"beside the API":                 {at("/../instances/{id}/exec"), Belief{}},
		"above the API":                  {at("/instances/{id}/../../exec"), Belief{}},
		"another host":                   {at("//evil.example/instances/{id}/exec"), Belief{}},
		"a user of another host":         {at("/@evil.example/instances/{id}/exec"), Belief{}},
		"escaped":                        {at("/%2e%2e/instances/{id}/exec"), Belief{}},
		"a query":                        {at("/instances/{id}/exec?x=1"), Belief{}},
		"two spellings of one name":      {with("", "command", "timeoutMs"), names("timeout_ms", "timeoutMs")},
		"doubtful spelling":              {with("", "command", "timeoutMs", "timeout-ms"), names()},
		"another name, which is a must":  {with("cmd", "cmd", "timeout_ms"), names("command", "cmd")},
		"both":                           {with("cmd", "cmd", "timeoutMS"), names("command", "cmd", "timeout_ms", "timeoutMS")},
		"another name, which is none":    {with("", "cmd", "timeout_ms"), names()},
		"two names, which are a must":    {with("cmd shell", "cmd", "shell"), Belief{}},
		"more than this client can give": {with("command shell", "command", "shell"), Belief{}},
	} {
		got := Believe(exec, tt.described)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// seenCalls notes what reached a service.
type seenCalls struct {
	mu   sync.Mutex
	list []string
}

func (s *seenCalls) add(r *http.Request) string {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.RequestURI() + " " + string(body)
	if strings.HasSuffix(r.URL.Path, "/openapi.json") && r.Header.Get("Authorization") != "" {
		line += " with the key"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, strings.TrimSpace(line))
	return string(body)
}

func (s *seenCalls) take() (list []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, s.list = s.list, nil
	return list
}

// A moved endpoint is found by the description, which is read once; the known place is
// asked first, and the new one without a detour from then on.
func TestMovedEndpoint(t *testing.T) {
	t.Parallel()
	var seen seenCalls
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen.add(r)
		switch r.URL.Path {
		case "/api/openapi.json":
			answer(200, "application/json", `{"servers":[{"url":"https://evil.example/api"}],"paths":{"/v2/instances/{id}/exec":{"post":{}}, "/v2/instances/{id}/read":{"get":{"parameters":[{"in":"query","name":"file","required":true}]}}}}`)(w, r)
		case "/api/v2/instances/i1/exec":
			answer(200, "application/json", `{"stdout":"42","exit_code":0}`)(w, r)
		case "/api/v2/instances/i1/read":
			answer(200, "application/octet-stream", "text")(w, r)
		default:
			answer(404, "application/json", `{"message":"Not Found"}`)(w, r)
		}
	})
	for range 2 {
		res, err := c.Terminal.Exec(t.Context(), "i1", ExecRequest{Command: "x"})
		if err != nil || res.Stdout.Head != "42" {
			t.Errorf("%v, %+v", err, res)
		}
	}
	b, err := c.Files.Read(t.Context(), "i1", "/a b", 0)
	if err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	_, err = c.Chat.Sessions(t.Context(), "i1")
	if e := wantError(t, err); e.Status != 404 {
		t.Error(err)
	}
	want := []string{
		`POST /api/instances/i1/terminal/exec {"command":"x"}`, `GET /api/openapi.json`, `POST /api/v2/instances/i1/exec {"command":"x"}`,
		`POST /api/v2/instances/i1/exec {"command":"x"}`,
		`GET /api/v2/instances/i1/read?file=%2Fa+b`,
		`GET /api/instances/i1/chat/sessions`,
	}
	if diff := cmp.Diff(want, seen.take()); diff != "" {
		t.Error(diff)
	}
}

// A name that the service wants otherwise is sent so, once it refused the known one.
func TestRenamedField(t *testing.T) {
	t.Parallel()
	var seen seenCalls
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body := seen.add(r)
		switch {
		case r.URL.Path == "/api/openapi.json":
			answer(200, "application/json", `{"paths":{"/instances/{id}/files/write":{"post":{"requestBody":{"content":{"application/json":{"schema":{"required":["path","text"],"properties":{"path":{},"text":{}}}}}}}}}}`)(w, r)
		case strings.Contains(body, `"text"`):
			w.WriteHeader(http.StatusNoContent)
		default:
			answer(422, "application/json", `{"detail":[{"loc":["body","text"],"msg":"field required"}]}`)(w, r)
		}
	})
	for range 2 {
		if err := c.Files.Write(t.Context(), "i1", "/workspace/a", "content \u2028 \"x\""); err != nil {
			t.Error(err)
		}
	}
	list := seen.take()
	if len(list) != 4 || !strings.HasSuffix(list[2], "{\"path\":\"/workspace/a\",\"text\":\"content \u2028 \\\"x\\\"\"}") || list[3] != list[2] {
		t.Errorf("got %q", list)
	}
}

// What was perhaps done is not done again, whatever a description says; and one that there
// is not, or that breaks off, is asked for once.
func TestNotBelieved(t *testing.T) {
	t.Parallel()
	moved := `{"paths":{"/v2/instances/{id}/exec":{"post":{}}}}`
	for name, tt := range map[string]struct {
		status int
		doc    string
		want   int // POSTs of two commands
		docs   int
	}{
		"perhaps done":      {500, moved, 2, 0},
		"not waited for":    {408, moved, 2, 0},
		"an access problem": {403, moved, 2, 0},
		"no description":    {404, "", 2, 1},
		"a broken one":      {404, moved[:20], 2, 1},
		"moved":             {404, moved, 3, 1}, // the new place has it neither, which may be about the instance
		"moved, refused":    {405, moved, 3, 1}, // the new place is given up
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen seenCalls
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				seen.add(r)
				if strings.HasSuffix(r.URL.Path, "/openapi.json") && tt.doc != "" {
					answer(200, "application/json", tt.doc)(w, r)
					return
				}
				answer(tt.status, "application/json", `{"message":"no"}`)(w, r)
			})
			for range 2 {
				_, err := c.Terminal.Exec(t.Context(), "i1", ExecRequest{Command: "x"})
				if e := wantError(t, err); e.Status != tt.status {
					t.Error(err)
				}
			}
			posts, docs := 0, 0
			for _, line := range seen.take() {
				if strings.HasPrefix(line, "POST") {
					posts++
				} else {
					docs++
				}
			}
			if posts != tt.want || docs != tt.docs {
				t.Errorf("%d POSTs and %d readings of the description, want %d and %d", posts, docs, tt.want, tt.docs)
			}
		})
	}
}

// A call that gives up while the description hangs says what the service said.
func TestDescriptionHangs(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	defer close(hold)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/openapi.json") {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
			return
		}
		answer(404, "application/json", `{"message":"Not Found"}`)(w, r)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := c.Chat.Sessions(ctx, "i1")
	if e := wantError(t, err); e.Status != 404 || errors.Is(err, context.DeadlineExceeded) {
		t.Error(fmt.Sprint(err))
	}
}
