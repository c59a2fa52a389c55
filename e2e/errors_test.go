//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// failure is an answer of the service, and what a tool has to say of it.
type failure struct {
	name        string
	status      int
	contentType string
	body        string
	header      string // Retry-After
	says        string // the service's own words, in every text

	readRepeat, readNext                  string
	writeHappened, writeRepeat, writeNext string
}

const (
	refused    = "nothing: OpenClaw refused the request."
	unsure     = "unknown: the request may have taken effect."
	lookFirst  = "not blindly: check first whether it took effect."
	safeLater  = "safe, after a short wait."
	wrongArgs  = "only with other arguments."
	noAccess   = "no, the same will happen until access is restored."
	seeFile    = "list_files or read_file shows what is there now."
	seeService = "check_service whether OpenClaw is up."
)

const proxyPage = "<html><head><title>%s</title></head><body><h1>nginx</h1><p>inner words</p></body></html>"

var failures = []failure{
	{"401", 401, "", `{"error":"Unauthorized"}`, "", "Unauthorized", noAccess, "OPENCLAW_API_KEY", refused, noAccess, "OPENCLAW_API_KEY"},
	{"401-type", 401, "", `{"error":{"message":"Unauthorized","type":"unauthorized"}}`, "", "Unauthorized", noAccess, "OPENCLAW_API_KEY", refused, noAccess, "OPENCLAW_API_KEY"},
	{"403", 403, "", `{"error":"forbidden","message":"Active subscription or invite code required"}`, "", "Active subscription or invite code required", noAccess, "ask its owner", refused, noAccess, "ask its owner"},
	{"403-quota", 403, "", `{"error":{"code":"quota_exceeded","message":"Quota is used up","hint":"Buy more","request_id":"req-77"}}`, "", "req-77", noAccess, "ask its owner", refused, noAccess, "ask its owner"},
	{"404", 404, "", `{"message":"Instance not found"}`, "", "Instance not found", wrongArgs, "list_instances", refused, wrongArgs, "list_instances"},
	{"404-detail", 404, "", `{"detail":"Sandbox not found"}`, "", "Sandbox not found", wrongArgs, "list_files", refused, wrongArgs, "list_files"},
	{"409", 409, "", `{"success":false,"error":"Instance not ready"}`, "", "Instance not ready", safeLater, "get_instance", refused, safeLater, "get_instance"},
	{"413", 413, "", `{"message":"Too much"}`, "", "Too much", wrongArgs, "smaller parts", refused, wrongArgs, "smaller parts"},
	{"422", 422, "", `{"detail":[{"loc":["body","path"],"msg":"field required"}]}`, "", "field required", wrongArgs, "correct what the message above names", refused, wrongArgs, "correct what the message above names"},
	{"429", 429, "", `{"message":"Slow down"}`, "120", "Slow down", "safe, but not before 2m0s from now", "more slowly", refused, "safe, but not before 2m0s from now", "more slowly"},
	{"500", 500, "", `{"message":"It broke"}`, "", "It broke", safeLater, seeService, unsure, lookFirst, seeFile},
	{"500-empty", 500, "", "", "", "500", safeLater, seeService, unsure, lookFirst, seeFile},
	{"500-text", 500, "text/plain", "panic in the back room", "", "panic in the back room", safeLater, seeService, unsure, lookFirst, seeFile},
	{"502", 502, "text/html", fmt.Sprintf(proxyPage, "502 Bad Gateway"), "", "502 Bad Gateway", safeLater, seeService, unsure, lookFirst, seeFile},
	{"503", 503, "", `{"statusCode":503,"error":"Service Unavailable","message":"No capacity"}`, "", "No capacity", safeLater, seeService, refused, safeLater, seeService},
	{"503-later", 503, "", `{"message":"Waking up"}`, "45", "Waking up", "safe, but not before 45s from now", seeService, refused, "safe, but not before 45s from now", seeService},
	{"503-html", 503, "text/html", fmt.Sprintf(proxyPage, "503 Service Temporarily Unavailable"), "", "503 Service Temporarily Unavailable", safeLater, seeService, unsure, lookFirst, seeFile},
	{"504", 504, "text/html", fmt.Sprintf(proxyPage, "504 Gateway Time-out"), "", "504 Gateway Time-out", safeLater, seeService, unsure, lookFirst, seeFile},
	{"200-error", 200, "", `{"error":{"message":"Sandbox is gone"}}`, "", "Sandbox is gone", "", "", unsure, lookFirst, seeFile},
}

// failing is a service where the instance's name says how it fails.
type failing struct {
	mu    sync.Mutex
	calls map[string]int // by method and path
}

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	// Behind a command of unknown fate come looks at what became of it.
	if !strings.HasSuffix(r.URL.Path, "/terminal/exec") || strings.Contains(string(body), "a command to count") {
		f.calls[r.Method+" "+r.URL.Path]++
	}
	f.mu.Unlock()
	parts := strings.Split(r.URL.Path, "/")
	for _, c := range failures {
		if len(parts) > 3 && parts[3] == c.name {
			w.Header().Set("Content-Type", c.contentType)
			if c.contentType == "" {
				w.Header().Set("Content-Type", "application/json")
			}
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
			return
		}
	}
	w.WriteHeader(http.StatusNotFound)
}

func (f *failing) count(request string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[request]
}

// Whatever the service answers, the text says what failed, whether anything
// happened, whether to repeat, and what to do next; a POST goes out once.
func TestErrorsOfTheService(t *testing.T) {
	t.Parallel()
	service := &failing{calls: make(map[string]int)}
	up := scripted(t, service.ServeHTTP)
	s := connect(t, up.env())
	for _, f := range failures {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			check := func(r result, tool, happened, repeat, next string) {
				t.Helper()
				wants := []string{tool + " failed: ", f.says, "What happened: " + happened, "Repeat: " + repeat, "Next: ", next}
				if f.status != 200 {
					wants = append(wants, fmt.Sprintf("HTTP %d", f.status))
				}
				for _, want := range wants {
					if !r.IsError || !strings.Contains(r.Text, want) {
						t.Errorf("%s lacks %q; it says:\n%s", tool, want, r.Text)
					}
				}
				for _, never := range []string{"<", "inner words", "127.0.0.1", "%!"} {
					if strings.Contains(r.Text, never) {
						t.Errorf("%s shows %q; it says:\n%s", tool, never, r.Text)
					}
				}
			}
			if f.readRepeat != "" {
				r := s.call(t, "list_files", params{"instance": f.name})
				check(r, "list_files", "nothing was changed.", f.readRepeat, f.readNext)
				want := 1
				if f.header == "" && (f.status == 429 || f.status >= 500) {
					want = 4 // GETs are repeated, unless the service asks for more patience
				}
				if n := service.count("GET /api/instances/" + f.name + "/files"); n != want {
					t.Errorf("the GET was sent %d times, want %d", n, want)
				}
			}
			r := s.call(t, "write_file", params{"instance": f.name, "path": "/workspace/a", "content": "x"})
			check(r, "write_file", f.writeHappened, f.writeRepeat, f.writeNext)
			r = s.call(t, "make_directory", params{"instance": f.name, "path": "/workspace/a"})
			check(r, "make_directory", f.writeHappened, f.writeRepeat, f.writeNext)
			r = s.call(t, "create_chat_session", params{"instance": f.name})
			check(r, "create_chat_session", f.writeHappened, f.writeRepeat, strings.NewReplacer(seeFile, "list_chat_sessions shows", "list_files", "list_chat_sessions").Replace(f.writeNext))
			r = s.call(t, "exec_command", params{"instance": f.name, "command": "true a command to count"})
			for _, want := range []string{f.says, "What happened: " + f.writeHappened, "Repeat: " + f.writeRepeat, "Next: "} {
				if !r.IsError || !strings.Contains(r.Text, want) {
					t.Errorf("exec_command lacks %q; it says:\n%s", want, r.Text)
				}
			}
			for _, path := range []string{"/files/write", "/files/mkdir", "/chat/sessions", "/terminal/exec"} {
				want := 1
				if f.status == 413 && path == "/terminal/exec" {
					want = 2 // refused as too long with the script around it, it is sent without
				}
				if n := service.count("POST /api/instances/" + f.name + path); n != want {
					t.Errorf("POST %s was sent %d times, want %d", path, n, want)
				}
			}
		})
	}
}

// What the service says about waiting is done.
func TestErrorsRetryAfter(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	up.SetFaults(emulatortest.Fault{Endpoint: "GET /instances", Call: 1, Status: 429, Body: `{"message":"Slow down"}`, Header: http.Header{"Retry-After": {"2"}}})
	s := connect(t, up.env())
	start := time.Now()
	s.ok(t, "list_instances", nil)
	if took := time.Since(start); took < 2*time.Second || took > patience {
		t.Errorf("the second attempt came after %s, want 2s", took)
	}
	if n := up.Calls("GET /instances"); n != 2 {
		t.Errorf("%d attempts", n)
	}
}

// A service that is not there, or hangs up.
func TestErrorsDeadService(t *testing.T) {
	t.Parallel()
	url := "http://127.0.0.1:1/api" // a free port would soon be another test's
	s := connect(t, []string{"OPENCLAW_API_KEY=k", "OPENCLAW_API_BASE_URL=" + url, "OPENCLAW_INSTANCE_ID=i1", "OPENCLAW_MCP_CONFIRM=allow"})
	for tool, args := range map[string]params{
		"list_instances":    nil,
		"read_file":         {"path": "/workspace/a"},
		"write_file":        {"path": "/workspace/a", "content": "x"},
		"exec_command":      {"command": "true"},
		"send_chat_message": {"message": "hi"},
		"reboot_instance":   nil,
		"create_instance":   nil,
	} {
		r := s.call(t, tool, args)
		for _, want := range []string{"connection refused", "What happened: nothing", "Repeat: safe", "Next: check_service"} {
			if !r.IsError || !strings.Contains(r.Text, want) {
				t.Errorf("%s lacks %q; it says:\n%s", tool, want, r.Text)
			}
		}
	}
	r := s.call(t, "check_service", nil)
	if !strings.Contains(r.Text, "FAILED") || !strings.Contains(r.Text, "connection refused") {
		t.Errorf("check_service: %s", r.Text)
	}
}

// A connection that breaks with no answer leaves a write in doubt.
func TestErrorsDroppedConnection(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: "POST /instances/{instance}/files/write", Drop: true}}})
	s := connect(t, up.env())
	r := s.call(t, "write_file", params{"path": "/workspace/a", "content": "x"})
	for _, want := range []string{"What happened: " + unsure, "Repeat: " + lookFirst, "Next: " + seeFile} {
		if !r.IsError || !strings.Contains(r.Text, want) {
			t.Errorf("it lacks %q; it says:\n%s", want, r.Text)
		}
	}
	if n := up.Calls("POST /instances/{instance}/files/write"); n != 1 {
		t.Errorf("the POST was sent %d times", n)
	}
}

// Which instance is meant is found out, or asked for with the choices.
func TestErrorsAmbiguousInstance(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	second, err := up.AddInstance(up.key)
	if err != nil {
		t.Fatal(err)
	}
	s := connect(t, up.env())
	r := s.call(t, "list_files", nil)
	for _, want := range []string{`"instance" is needed`, up.instance + " (ready)", second + " (ready)"} {
		if !r.IsError || !strings.Contains(r.Text, want) {
			t.Errorf("it lacks %q; it says:\n%s", want, r.Text)
		}
	}
	if down := s.ok(t, "shutdown_instance", params{"instance": second}); down.str("instance") != second {
		t.Errorf("shutdown_instance: %s", down.Text)
	}
	if r := s.ok(t, "list_files", nil); r.str("instance") != up.instance {
		t.Errorf("the only ready instance was not chosen: %s", r.Text)
	}
}
