package emulator_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestMain(m *testing.M) {
	if os.Getenv(helperVar) != "" {
		helper()
		return
	}
	goleak.VerifyTestMain(m)
}

// fixture is a server on a socket, with an instance of one key.
type fixture struct {
	*testing.T
	srv    *emulatortest.Server
	url    string
	client *http.Client
	key    string
	id     string
}

func start(t *testing.T, opts emulatortest.Options) *fixture {
	t.Helper()
	opts.Wrap = checked(t)
	srv, err := emulatortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	transport := &http.Transport{}
	f := &fixture{T: t, srv: srv, url: web.URL + "/api", key: "sk_live_one", client: &http.Client{Transport: transport}}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		transport.CloseIdleConnections()
		web.Close()
	})
	if f.id, err = srv.AddInstance(f.key); err != nil {
		t.Fatal(err)
	}
	return f
}

// in gives the path of the fixture's instance.
func (f *fixture) in(path string) string { return "/instances/" + f.id + path }

func (f *fixture) request(ctx context.Context, method, path, body string) (*http.Response, error) {
	r := f.prepare(method, path, body)
	return f.client.Do(r.WithContext(ctx))
}

func (f *fixture) prepare(method, path, body string) *http.Request {
	r, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	if f.key != "" {
		r.Header.Set("Authorization", "Bearer "+f.key)
	}
	return r
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (f *fixture) do(method, path, body string) answer {
	f.Helper()
	resp, err := f.request(f.Context(), method, path, body)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(raw)}
}

// want does a request and decodes its answer, which must have the status.
func (f *fixture) want(status int, method, path, body string) any {
	f.Helper()
	a := f.do(method, path, body)
	if a.status != status {
		f.Fatalf("%s %s: got %d %s, want %d", method, path, a.status, a.body, status)
	}
	if a.body == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		f.Fatalf("%s %s: %v in %q", method, path, err, a.body)
	}
	return v
}

// exec runs a command and gives its result in the snake dialect.
func (f *fixture) exec(command string) (stdout string, code int) {
	f.Helper()
	v := f.want(200, "POST", f.in("/terminal/exec"), toJSON(map[string]any{"command": command}))
	o := v.(map[string]any)
	return o["stdout"].(string), int(o["exit_code"].(float64))
}

func toJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// get walks into decoded JSON; a string is a key, an int an index.
func get(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("no object for %q: %v", p, v)
			}
			v = m[p]
		case int:
			l, ok := v.([]any)
			if !ok || p >= len(l) {
				t.Fatalf("no item %d: %v", p, v)
			}
			v = l[p]
		}
	}
	return v
}

// event is one server-sent event.
type event struct{ id, name, data string }

// sse reads server-sent events from an open response.
type sse struct {
	t    *testing.T
	body io.ReadCloser
	scan *bufio.Scanner
	err  error
}

func (f *fixture) stream(method, path, body string) *sse {
	f.Helper()
	resp, err := f.request(f.Context(), method, path, body)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		raw, _ := io.ReadAll(resp.Body)
		f.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	scan := bufio.NewScanner(resp.Body)
	scan.Buffer(nil, 16<<20)
	return &sse{t: f.T, body: resp.Body, scan: scan}
}

// next gives the next event; ok is false at the end, and err says how it ended.
func (s *sse) next() (ev event, ok bool) {
	s.t.Helper()
	var data []string
	for s.scan.Scan() {
		line := s.scan.Text()
		switch {
		case line == "" && data != nil:
			ev.data = strings.Join(data, "\n")
			return ev, true
		case strings.HasPrefix(line, "id: "):
			ev.id = line[4:]
		case strings.HasPrefix(line, "event: "):
			ev.name = line[7:]
		case strings.HasPrefix(line, "data: "):
			data = append(data, line[6:])
		case line != "" && line[0] != ':':
			data = append(data, line) // of ndjson, or garbage
			if line[0] == '{' {
				ev.data = line
				return ev, true
			}
		}
	}
	s.err = s.scan.Err()
	return event{}, false
}

// all gives the events to the end.
func (s *sse) all() []event {
	s.t.Helper()
	var list []event
	for {
		ev, ok := s.next()
		if !ok {
			return list
		}
		list = append(list, ev)
	}
}

// eventually waits for a condition. The limit is for what never comes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("never came: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// script is an agent that always does the same.
func script(events ...emulator.AgentEvent) emulator.Agent {
	return emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for _, ev := range events {
			if err := emit(ev); err != nil {
				return err
			}
		}
		return nil
	})
}

func text(s string) emulator.AgentEvent {
	return emulator.AgentEvent{Kind: emulator.Text, Text: s}
}
