package doctor

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

const key = "sk_live_of_a_test"

// service is an embedded service, what it serves wrapped by wrap.
func service(t *testing.T, opts emulatortest.Options, wrap func(http.Handler) http.Handler) (*emulatortest.Server, Options) {
	t.Helper()
	opts.Keys = []string{key}
	s, err := emulatortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.AddInstance(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Workspace(id), "private-name.txt"), []byte("private"), 0o600); err != nil {
		t.Fatal(err)
	}
	var h http.Handler = s
	if wrap != nil {
		h = wrap(s)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		srv.CloseClientConnections()
		srv.Close()
	})
	return s, Options{BaseURL: srv.URL, Key: key, Instance: id, Version: "test", Watch: 3 * time.Second}
}

func examine(t *testing.T, o Options) *Report {
	t.Helper()
	r := NewReport("test", "a test")
	if err := Examine(t.Context(), r, o); err != nil {
		t.Fatal(err)
	}
	return r
}

func check(t *testing.T, r *Report, name string) Check {
	t.Helper()
	i := slices.IndexFunc(r.Checks, func(c Check) bool { return c.Name == name })
	if i < 0 {
		t.Fatalf("no check %q in %+v", name, r.Checks)
	}
	return r.Checks[i]
}

// Every dialect is told from the others, and nothing of what the service holds
// gets into a report.
func TestDialects(t *testing.T) {
	t.Parallel()
	families := map[emulatortest.Family]string{
		emulatortest.FamilyA: "A (", emulatortest.FamilyB: "B (", emulatortest.FamilyC: "C (", emulatortest.FamilyD: "D (", emulatortest.FamilyE: "E (",
		emulatortest.FamilyEWrapped: "E (", emulatortest.FamilyF: "F (", emulatortest.FamilyG: "G (", emulatortest.FamilyNDJSON: "ndjson", emulatortest.FamilyJSON: "json",
	}
	for family, want := range families {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			opts := emulatortest.Options{Family: family, Messages: emulatortest.Camel}
			lists, names := "wrapped", "camelCase"
			if want == "A (" {
				opts.Messages, lists, names = emulatortest.Snake, "bare arrays", "snake_case"
			}
			_, o := service(t, opts, nil)
			o.SkipSockets = true
			r := examine(t, o)
			if r.Dialect == nil || !strings.HasPrefix(r.Dialect.Stream, want) || r.Dialect.Lists != lists || r.Dialect.Names != names {
				t.Errorf("dialect %+v, want stream %q, %s, %s", r.Dialect, want, lists, names)
			}
			if r.ExitCode() != 0 || r.Result != OK {
				t.Errorf("result %s: %+v", r.Result, r.Checks)
			}
			var text bytes.Buffer
			r.Text(&text)
			asJSON, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			for _, private := range []string{"private", key, o.Instance, "Reply with", "127.0.0.1"} {
				if strings.Contains(text.String(), private) || bytes.Contains(asJSON, []byte(private)) {
					t.Errorf("the report has %q:\n%s", private, &text)
				}
			}
			if !strings.Contains(text.String(), "POST /instances/{instance}/chat/stream -> 200") {
				t.Errorf("the report lacks the stream:\n%s", &text)
			}
		})
	}
}

func TestTerminals(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // the embedded service has no terminals there
	}
	t.Parallel()
	for _, family := range []emulatortest.TerminalFamily{emulatortest.TerminalT1, emulatortest.TerminalT2, emulatortest.TerminalT3, emulatortest.TerminalT4} {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			s, o := service(t, emulatortest.Options{Terminal: family}, nil)
			o.SkipChat, o.SkipExec, o.Watch = true, true, 10*time.Second
			r := examine(t, o)
			c := check(t, r, stepTerminal)
			if c.Level != OK || r.Dialect.Terminal != string(family) {
				t.Errorf("dialect %q, check %+v", r.Dialect.Terminal, c)
			}
			if n := s.Mutations(); n != 0 {
				t.Errorf("%d requests could have changed something", n)
			}
		})
	}
}

func TestWrappedLists(t *testing.T) {
	t.Parallel()
	_, o := service(t, emulatortest.Options{Messages: emulatortest.Wrapped}, nil)
	o.ReadOnly = true
	r := examine(t, o)
	if r.Dialect.Lists != "wrapped" {
		t.Errorf("lists are %q", r.Dialect.Lists)
	}
	for _, name := range []string{stepExec, stepChat, stepTerminal} {
		if c := check(t, r, name); c.Level != Skipped || !strings.Contains(c.Detail, "reading") {
			t.Errorf("%s in read-only mode: %+v", name, c)
		}
	}
}

// What can go wrong has a level, an explanation and an advice.
func TestFaults(t *testing.T) {
	t.Parallel()
	const stream = "POST /instances/{instance}/chat/stream"
	page := func(status int) emulatortest.Fault {
		return emulatortest.Fault{Status: status, Body: "<html><title>Sign in, Ada</title></html>", Header: http.Header{"Content-Type": {"text/html"}}}
	}
	at := func(endpoint string, f emulatortest.Fault) emulatortest.Fault { f.Endpoint = endpoint; return f }
	stall := emulatortest.Fault{Delay: time.Hour}
	for _, tt := range []struct {
		name, step     string
		fault          emulatortest.Fault
		change         func(*Options)
		level          Level
		detail, advice string
		code, timeOuts int
		clockBehind    time.Duration
		patience       time.Duration
	}{
		{name: "wrong key", step: stepInstances, change: func(o *Options) { o.Key = "wrong" }, level: Failed, detail: "401", advice: "OPENCLAW_API_KEY", code: 2},
		{name: "no key", step: stepInstances, change: func(o *Options) { o.Key = "" }, level: Failed, detail: "no API key", advice: "OPENCLAW_API_KEY_FILE", code: 2},
		{name: "dead", step: stepInstances, change: func(o *Options) { o.BaseURL = "http://127.0.0.1:1" }, level: Failed, detail: "refused", advice: "OPENCLAW_API_BASE_URL", code: 2},
		{name: "no such host", step: stepService, change: func(o *Options) { o.BaseURL = "http://nowhere.invalid" }, level: Warning, detail: "name is not known", advice: "DNS", code: 2},
		{name: "page", step: stepInstances, fault: page(200), level: Failed, detail: "HTML page", advice: "proxy", code: 2},
		{name: "bad gateway", step: stepInstances, fault: page(502), level: Failed, detail: "502 Bad Gateway, with an HTML page", advice: "proxy", code: 2},
		{name: "hung", step: stepInstances, fault: stall, patience: 150 * time.Millisecond, level: Failed, detail: "no answer within 150ms", code: 2, timeOuts: 2},
		{name: "cut", step: stepFiles, fault: at("GET /instances/{instance}/files", emulatortest.Fault{Drop: true}), level: Warning, detail: "cut off", code: 1},
		{name: "not understood", step: stepFiles, fault: at("GET /instances/{instance}/files", emulatortest.Fault{Status: 200, Body: `"nothing"`, Header: http.Header{"Content-Type": {"application/json"}}}), level: Warning, detail: "not understood", code: 1},
		{name: "not there", step: stepSessions, fault: at("GET /instances/{instance}/chat/sessions", emulatortest.Fault{Status: 404}), level: Warning, detail: "404", code: 1},
		{name: "no end", step: stepChat, fault: at(stream, emulatortest.Fault{CutEvents: 2, CleanCut: true}), level: Warning, detail: "without", code: 1},
		{name: "stalled stream", step: stepChat, fault: at(stream, emulatortest.Fault{StallEvents: 1}), patience: 150 * time.Millisecond, change: func(o *Options) { o.SkipExec = true },
			level: Warning, detail: "no answer within", code: 1, timeOuts: 1},
		{name: "clock", step: "clock", clockBehind: 10 * time.Minute, level: Warning, detail: "-600 s", advice: "clock", code: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, o := service(t, emulatortest.Options{Sandbox: emulator.SandboxOff, Faults: []emulatortest.Fault{tt.fault}}, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Date", time.Now().Add(-tt.clockBehind).UTC().Format(http.TimeFormat))
					h.ServeHTTP(w, r)
				})
			})
			o.SkipSockets, o.Patience = true, tt.patience
			if tt.change != nil {
				tt.change(&o)
			}
			r := examineInTime(t, o, func(timeOuts []string) bool {
				return len(timeOuts) == tt.timeOuts && (len(timeOuts) == 0 || slices.Contains(timeOuts, tt.step))
			})
			c := check(t, r, tt.step)
			if c.Level != tt.level || !strings.Contains(c.Detail, tt.detail) || !strings.Contains(c.Advice, tt.advice) {
				t.Errorf("%s, %q, advice %q, want %s, %q, %q", c.Level, c.Detail, c.Advice, tt.level, tt.detail, tt.advice)
			}
			if r.ExitCode() != tt.code || len(r.TimeOuts) != tt.timeOuts {
				t.Errorf("exit code %d, want %d; time-outs %v, want %d", r.ExitCode(), tt.code, r.TimeOuts, tt.timeOuts)
			}
			var text bytes.Buffer
			r.Text(&text)
			if strings.Contains(text.String(), "Ada") || strings.Contains(text.String(), key) {
				t.Errorf("the report repeats what the service said:\n%s", &text)
			}
			for _, path := range []string{"POST /instances", "POST /instances/{instance}/reboot", "POST /instances/{instance}/shutdown"} {
				if n := s.Calls(path); n != 0 {
					t.Errorf("%s was called %d times", path, n)
				}
			}
		})
	}
}

// examineInTime examines a service, part of which never answers. On a busy machine the
// rest may be late, too: then it is examined again, with more patience.
func examineInTime(t *testing.T, o Options, asExpected func(timeOuts []string) bool) *Report {
	t.Helper()
	for {
		r := examine(t, o)
		if asExpected(r.TimeOuts) || o.Patience == 0 || o.Patience > time.Minute {
			return r
		}
		o.Patience *= 4
	}
}

// A socket that says nothing is given up.
func TestHungSockets(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	_, o := service(t, emulatortest.Options{}, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/ws") {
				select {
				case <-hang:
				case <-r.Context().Done():
				}
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	o.SkipChat, o.SkipExec, o.Patience = true, true, 300*time.Millisecond
	want := []string{stepTerminal, stepDesktop}
	r := examineInTime(t, o, func(timeOuts []string) bool { return slices.Equal(timeOuts, want) })
	if !slices.Equal(r.TimeOuts, want) || r.ExitCode() != 1 {
		t.Errorf("time-outs %v, want %v; exit code %d: %+v", r.TimeOuts, want, r.ExitCode(), r.Checks)
	}
}

func TestInstances(t *testing.T) {
	t.Parallel()
	_, o := service(t, emulatortest.Options{}, nil)
	o.Instance, o.SkipSockets = "elsewhere", true
	r := examine(t, o)
	if c := check(t, r, stepInstances); c.Level != Warning || !strings.Contains(c.Detail, "not one to examine") {
		t.Errorf("an instance that is not there: %+v", c)
	}
	if c := check(t, r, stepChat); c.Level != Skipped {
		t.Errorf("the chat: %+v", c)
	}
	o.Instance, o.AllowInstance = "", func(string) error { return http.ErrNotSupported }
	if c := check(t, examine(t, o), stepInstances); c.Level != Warning {
		t.Errorf("an instance that is not allowed: %+v", c)
	}
}
