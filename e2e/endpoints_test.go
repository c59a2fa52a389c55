//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// gap is a service that lacks endpoints, and what its users get.
type gap struct {
	lacks []string
	// fails has a part of the text of each tool that then can't do its work. All other
	// tools do it.
	fails map[string]string
}

var gaps = []gap{
	{lacks: []string{}},
	{[]string{"GET instances"}, map[string]string{"list_instances": "does not do that"}},
	{[]string{"POST instances"}, map[string]string{"create_instance": "nothing: OpenClaw refused"}},
	{[]string{"GET {id}"}, nil},
	{[]string{"GET status"}, nil},
	{[]string{"GET {id}", "GET status"}, nil},
	{[]string{"POST reboot"}, map[string]string{"reboot_instance": "can't do that"}},
	{[]string{"POST shutdown"}, map[string]string{"shutdown_instance": "can't do that"}},
	{[]string{"GET chat/sessions"}, map[string]string{"list_chat_sessions": "nothing was changed"}},
	{[]string{"POST chat/sessions"}, map[string]string{"create_chat_session": "nothing: OpenClaw refused"}},
	{[]string{"GET chat/sessions", "POST chat/sessions"}, map[string]string{"list_chat_sessions": "nothing was changed", "create_chat_session": "nothing: OpenClaw refused"}},
	{[]string{"POST chat/stream"}, nil},
	{[]string{"POST chat"}, nil},
	{[]string{"POST chat", "POST chat/stream"}, map[string]string{"send_chat_message": "takes no chat messages"}},
	{[]string{"GET chat/messages"}, map[string]string{"read_chat_history": "nothing was changed"}},
	{[]string{"POST chat/stream", "GET chat/messages"}, map[string]string{"read_chat_history": "nothing was changed"}},
	{[]string{"GET chat/events"}, nil},
	{[]string{"GET files"}, nil},
	{[]string{"GET files/read"}, nil},
	{[]string{"POST files/write"}, nil},
	{[]string{"POST files/upload"}, nil},
	{[]string{"POST files/write", "POST files/upload"}, nil},
	{[]string{"POST files/mkdir"}, nil},
	{[]string{"POST terminal/exec"}, map[string]string{
		"exec_command": "runs no single commands", "edit_file": "nothing was changed", "manage_files": "nothing was changed",
	}},
	{[]string{"POST terminal/exec", "POST files/write"}, map[string]string{
		"exec_command": "runs no single commands", "edit_file": "nothing was changed", "manage_files": "nothing was changed",
	}},
	{[]string{"POST terminal/exec", "POST files/write", "POST files/upload"}, map[string]string{
		"exec_command": "runs no single commands", "edit_file": "nothing was changed", "manage_files": "nothing was changed",
		"write_file": "nothing: OpenClaw refused", "upload_files": "no endpoint that writes files",
	}},
	{[]string{"POST terminal/exec", "GET files"}, map[string]string{
		"exec_command": "runs no single commands", "edit_file": "nothing was changed", "manage_files": "nothing was changed",
		"list_files": "nothing was changed", "search_files": "nothing was changed",
	}},
	{[]string{"POST terminal/exec", "GET files/read"}, map[string]string{
		"exec_command": "runs no single commands", "edit_file": "nothing was changed", "manage_files": "nothing was changed",
		"read_file": "nothing was changed", "search_files": "nothing was changed", "download_files": "status: failed",
	}},
}

// trial is a call of a tool, and a part of the text of its success.
type trial struct {
	tool string
	args params
	want string
}

func trials(message, local string) []trial {
	return []trial{
		{"list_instances", nil, "ready"},
		{"get_instance", nil, "ready"},
		{"send_chat_message", params{"message": message}, "You said: " + message},
		{"read_chat_history", nil, " message"},
		{"list_chat_sessions", nil, "s1"},
		{"create_chat_session", params{"title": "x"}, "s2"},
		{"exec_command", params{"command": "echo $((6*7))"}, "42"},
		{"list_files", nil, "a.txt"},
		{"search_files", params{"pattern": "needle"}, "a.txt:1:needle"},
		{"read_file", params{"path": "/workspace/a.txt"}, "needle"},
		{"write_file", params{"path": "/workspace/b.txt", "content": "written\n"}, "8 bytes"},
		{"edit_file", params{"path": "/workspace/a.txt", "old_text": "needle", "new_text": "thread"}, "+thread"},
		{"make_directory", params{"path": "/workspace/d/e"}, "is a directory"},
		{"manage_files", params{"action": "move", "path": "/workspace/m.txt", "destination": "/workspace/n.txt"}, "moved"},
		{"upload_files", params{"local_path": local, "path": "/workspace/up"}, "1 of 1 files"},
		{"download_files", params{"local_path": local + "-back", "path": "/workspace/a.txt"}, "1 of 1 files"},
		{"open_terminal", nil, ""},
		{"take_screenshot", nil, ""},
		{"check_service", nil, ""},
		{"list_runs", nil, ""},
		{"reboot_instance", nil, "reboot"},
		{"shutdown_instance", nil, "shut"},
		{"create_instance", nil, "i-new"},
	}
}

// Each endpoint may be missing: then what can stand in does, and the rest says so.
func TestEndpointsMissing(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			// One service with an instance for each gap; the list of all and the
			// creation of one are told apart by a gap being in force.
			var inForce atomic.Pointer[gap]
			fakes := make(map[string]*fake)
			for i := range gaps {
				id := fmt.Sprint("i", i)
				f := &fake{t: t, root: filepath.Join(t.TempDir(), "workspace"), shell: []string{"sh"}}
				f.prepare()
				f.list = func() []params { return []params{{"id": id, "status": "ready"}} }
				f.take = func(w http.ResponseWriter, r *http.Request, e string) bool {
					if slices.Contains(inForce.Load().lacks, e) {
						answerJSON(w, status, params{"message": http.StatusText(status)})
						return true
					}
					return false
				}
				fakes[id] = f
			}
			var current atomic.Pointer[fake]
			up := scripted(t, func(w http.ResponseWriter, r *http.Request) { current.Load().ServeHTTP(w, r) })
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, "src"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, "src", "f.txt"), []byte("moved\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			s := connect(t, up.env("OPENCLAW_MCP_SOFT_DEADLINE=20s", "OPENCLAW_MCP_TRANSFER_ROOTS="+root))
			for i, g := range gaps {
				id := fmt.Sprint("i", i)
				f := fakes[id]
				inForce.Store(&g)
				current.Store(f)
				for _, name := range []string{"a.txt", "m.txt"} {
					if err := os.WriteFile(filepath.Join(f.root, name), []byte("needle\n"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				message := "hello " + id
				for _, c := range trials(message, filepath.Join(root, "src")) {
					if _, fails := g.fails[c.tool]; status != http.StatusNotFound && !fails && len(g.lacks) > 0 && i%3 != 0 {
						continue // what works, works as it does with 404
					}
					args := params{}
					maps.Copy(args, c.args)
					if strings.Contains(string(s.tools[c.tool].InputSchema), `"instance"`) {
						args["instance"] = id
					}
					r := s.call(t, c.tool, args)
					says, fails := g.fails[c.tool]
					switch {
					case fails && (!r.IsError && r.str("status") != "failed" || !strings.Contains(r.Text, says)):
						t.Errorf("without %v, %s: got %s\nwant a failure that says %q", g.lacks, c.tool, r.Text, says)
					case !fails && c.want != "" && (r.IsError || !strings.Contains(r.Text, c.want)):
						t.Errorf("without %v, %s: got %s\nwant %q", g.lacks, c.tool, r.Text, c.want)
					}
				}
				if n := f.sent(message); n > len(g.lacks)+1 || n > 2 {
					t.Errorf("without %v: the message went out %d times", g.lacks, n)
				}
				if _, fails := g.fails["write_file"]; status == http.StatusNotFound && !fails {
					if b, err := os.ReadFile(filepath.Join(f.root, "b.txt")); err != nil || string(b) != "written\n" {
						t.Errorf("without %v, write_file: %q, %v", g.lacks, b, err)
					}
				}
				if info, err := os.Stat(filepath.Join(f.root, "d/e")); status == http.StatusNotFound && (err != nil || !info.IsDir()) {
					t.Errorf("without %v, make_directory: %v", g.lacks, err)
				}
			}
		})
	}
}

// A reply that comes whole takes its time: the wait is told, the message goes out once.
func TestReplyComesWhole(t *testing.T) {
	t.Parallel()
	f, up := newFake(t)
	told := make(chan struct{})
	f.take = func(w http.ResponseWriter, r *http.Request, e string) bool {
		switch e {
		case "POST chat/stream":
			answerJSON(w, http.StatusNotFound, params{"message": "Not Found"})
			return true
		case "POST chat":
			select {
			case <-told:
			case <-r.Context().Done():
			}
		}
		return false
	}
	s := connect(t, up.env())
	c := s.begin(t, "send_chat_message", params{"message": "take your time"})
	for !strings.Contains(c.progress(t).Params.Message, "waiting for a reply, 1") {
		continue
	}
	close(told)
	if r := c.result(t); r.str("reply") != "You said: take your time" || r.str("status") != "completed" {
		t.Errorf("got %s", r.Text)
	}
	if r := s.ok(t, "send_chat_message", params{"message": "and again"}); r.str("reply") != "You said: and again" {
		t.Errorf("got %s", r.Text)
	}
	if stream, whole := f.count("POST chat/stream"), f.count("POST chat"); stream != 1 || whole != 2 {
		t.Errorf("%d calls of chat/stream and %d of chat", stream, whole)
	}
}

// An instance without a shell has files all the same, however it says so.
func TestNoShell(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]http.HandlerFunc{
		"403": func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, 403, params{"message": "exec is disabled"})
		},
		"200": func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, 200, params{"error": "exec is disabled"}) },
		"exit": func(w http.ResponseWriter, _ *http.Request) {
			answerJSON(w, 200, params{"stdout": "", "stderr": "exec: sh: not found", "exit_code": 127})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, up := newFake(t)
			f.take = func(w http.ResponseWriter, r *http.Request, e string) bool {
				if e == "POST terminal/exec" {
					says(w, r)
					return true
				}
				return false
			}
			root := t.TempDir()
			s := connect(t, up.env("OPENCLAW_MCP_TRANSFER_ROOTS="+root))
			s.ok(t, "make_directory", params{"path": "/workspace/d"})
			s.ok(t, "write_file", params{"path": "/workspace/d/a.txt", "content": "one\nneedle\n"})
			for tool, args := range map[string]params{
				"list_files": {"depth": 3}, "search_files": {"pattern": "needle"}, "read_file": {"path": "/workspace/d/a.txt"},
			} {
				if r := s.ok(t, tool, args); !strings.Contains(r.Text, "a.txt") && !strings.Contains(r.Text, "needle") {
					t.Errorf("%s: got %s", tool, r.Text)
				}
			}
			for tool, args := range map[string]params{
				"edit_file":    {"path": "/workspace/d/a.txt", "old_text": "one", "new_text": "two"},
				"manage_files": {"action": "copy", "path": "/workspace/d/a.txt", "destination": "/workspace/b.txt"},
				"write_file":   {"path": "/workspace/d/a.txt", "content": "more", "mode": "append"},
			} {
				r := s.call(t, tool, args)
				if !r.IsError || !strings.Contains(r.Text, "terminal/exec") {
					t.Errorf("%s: got %s", tool, r.Text)
				}
				// An error in an answer of 200 may come after the deed.
				if sure := name != "200" || tool == "edit_file"; sure != strings.Contains(r.Text, "nothing was changed") {
					t.Errorf("%s: got %s", tool, r.Text)
				}
			}
			if b, err := os.ReadFile(filepath.Join(f.root, "d/a.txt")); string(b) != "one\nneedle\n" {
				t.Errorf("the file is %q, %v", b, err)
			}
			// Trees go by the same endpoints. That there is no shell is remembered.
			asked := f.count("POST terminal/exec")
			for tool, args := range map[string]params{
				"download_files": {"local_path": filepath.Join(root, "back"), "path": "/workspace/d"},
			} {
				if r := s.ok(t, tool, args); !strings.Contains(r.Text, "1 of 1 files") || !strings.Contains(r.Text, "file endpoints") {
					t.Errorf("%s: got %s", tool, r.Text)
				}
			}
			if err := os.WriteFile(filepath.Join(root, "back/picture"), []byte{0xff, 0xd8}, 0o644); err != nil {
				t.Fatal(err)
			}
			r := s.call(t, "upload_files", params{"local_path": filepath.Join(root, "back"), "path": "/workspace/again"})
			if !strings.Contains(r.Text, "1 of 2 files") || !strings.Contains(r.Text, "1 file is not text") || r.str("status") != "failed" {
				t.Errorf("upload_files: got %s", r.Text)
			}
			if b, err := os.ReadFile(filepath.Join(f.root, "again/a.txt")); string(b) != "one\nneedle\n" {
				t.Errorf("the file is %q, %v", b, err)
			}
			if n := f.count("POST terminal/exec") - asked; name != "200" && n > 0 {
				t.Errorf("the shell was asked for %d times more", n)
			}
		})
	}
}

// A service that moved endpoints and renamed fields says so in its description. That is
// believed.
func TestDescriptionIsBelieved(t *testing.T) {
	t.Parallel()
	f, up := newFake(t)
	var sends atomic.Int64
	f.take = func(w http.ResponseWriter, r *http.Request, e string) bool {
		body, _ := io.ReadAll(r.Body)
		var in params
		_ = json.Unmarshal(body, &in)
		switch {
		case strings.HasSuffix(r.URL.Path, "/openapi.json"):
			answerJSON(w, 200, params{"openapi": "3.1.0", "servers": []params{{"url": "https://elsewhere.example/api"}}, "paths": params{
				"/v2/instances/{id}/exec":                    params{"post": params{"requestBody": params{"content": params{"application/json": params{"schema": params{"required": []string{"cmd"}, "properties": params{"cmd": params{}, "timeoutMs": params{}}}}}}}},
				"/v2/instances/{instance}/agent/chat/stream": params{"post": params{}},
			}})
		case r.URL.Path == "/api/v2/instances/i1/exec":
			command, _ := in["cmd"].(string)
			if _, old := in["command"]; old || command == "" || in["timeoutMs"] == nil {
				answerJSON(w, 422, params{"message": "cmd is required"})
				return true
			}
			answerJSON(w, 200, f.sh(r.Context(), command))
		case r.URL.Path == "/api/v2/instances/i1/agent/chat/stream":
			sends.Add(1)
			message, _ := in["message"].(string)
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprintf(w, "event: done\ndata: {\"message\":{\"role\":\"assistant\",\"content\":%q}}\n\n", f.converse(message))
		case e == "POST terminal/exec", e == "POST chat/stream", e == "POST chat":
			answerJSON(w, 404, params{"message": "Not Found"})
		default:
			return false
		}
		return true
	}
	s := connect(t, up.env())
	for range 2 {
		if r := s.ok(t, "exec_command", params{"command": "echo $((6*7))"}); !strings.Contains(r.Text, "42") {
			t.Errorf("got %s", r.Text)
		}
	}
	if r := s.ok(t, "send_chat_message", params{"message": "hello"}); r.str("reply") != "You said: hello" || sends.Load() != 1 {
		t.Errorf("got %s, sent %d times", r.Text, sends.Load())
	}
	s.ok(t, "write_file", params{"path": "/workspace/a.txt", "content": "one\n"})
	if r := s.ok(t, "edit_file", params{"path": "/workspace/a.txt", "old_text": "one", "new_text": "two"}); !strings.Contains(r.Text, "+two") {
		t.Errorf("got %s", r.Text)
	}
	for endpoint, most := range map[string]int{"POST terminal/exec": 1, "POST chat/stream": 1, "POST chat": 0, "GET openapi.json": 1} {
		if n := f.count(endpoint); n > most {
			t.Errorf("%s was asked %d times, want at most %d", endpoint, n, most)
		}
	}
}
