//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// What people type at a terminal: doctor, call and chat, run as built.

func TestDoctorCommand(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	page := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><title>Sign in</title></html>"))
	})
	hung := scripted(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	for _, tt := range []struct {
		name      string
		env, args []string
		code      int
		want      []string // in the report
		said      string   // beside it
	}{
		{name: "well", env: up.env(), args: []string{"--no-sockets"}, want: []string{"result    ok", "stream    D (named events)", "GET /instances/{instance}/files?path -> 200 application/json"}},
		{name: "no chat", env: up.env(), args: []string{"--no-sockets", "--no-chat", "--no-exec"}, want: []string{"skipped   chat stream", "skipped   command"}},
		{name: "local", args: []string{"--local", "--no-sockets"}, want: []string{"result    ok", "service   local instance"}},
		{name: "wrong key", env: append(up.env(), "OPENCLAW_API_KEY=wrong"), code: 2, want: []string{"failed    key and instances  HTTP 401", "OPENCLAW_API_KEY"}, said: "401"},
		{name: "no key", env: []string{"OPENCLAW_API_BASE_URL=" + up.url}, code: 2, want: []string{"there is no API key", "ok        service"}},
		{name: "dead", env: []string{"OPENCLAW_API_BASE_URL=http://127.0.0.1:1", "OPENCLAW_API_KEY=k"}, code: 2, want: []string{"connection refused", "result    failed"}, said: "refused"},
		{name: "page", env: page.env(), code: 2, want: []string{"200 text/html", "a proxy, a login page"}},
		{name: "hung", env: hung.env(), args: []string{"--patience", "200ms"}, code: 2, want: []string{"no answer within 200ms", "time-outs service, key and instances"}},
		{name: "wrong setting", env: []string{"OPENCLAW_MCP_CONFIRM=maybe", "OPENCLAW_API_KEY=k"}, code: 2, want: []string{"failed    configuration", "OPENCLAW_MCP_CONFIRM"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := execute(t, tt.env, append([]string{"doctor"}, tt.args...)...)
			if code != tt.code || !strings.Contains(stderr, tt.said) {
				t.Errorf("exit code %d, want %d; standard error %q, want %q", code, tt.code, stderr, tt.said)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("the report lacks %q:\n%s", want, stdout)
				}
			}
			for _, private := range []string{up.key, up.instance, "Sign in"} {
				if strings.Contains(stdout, private) {
					t.Errorf("the report has %q:\n%s", private, stdout)
				}
			}
		})
	}
	code, stdout, _ := execute(t, up.env(), "doctor", "--json", "--no-sockets")
	var report struct {
		Result string
		Checks []struct{ Name, Level string }
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != 0 || report.Result != "ok" || len(report.Checks) < 10 {
		t.Errorf("--json: %v, exit code %d, %+v", err, code, report)
	}
}

func TestCallCommand(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	const hello = "line 1\n\x1b[31mline 2"
	if err := os.WriteFile(filepath.Join(up.Workspace(up.instance), "a.txt"), []byte(hello), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // parts of them; "": nothing may come
	}{
		{"text", []string{"exec_command", "command=echo a=b; uname"}, 0, "a=b\n", ""},
		{"numbers and switches", []string{"list_files", "path=/workspace", "limit=5"}, 0, "a.txt", ""},
		{"JSON", []string{"exec_command", `command:="echo \u0061-json"`, "timeout_seconds:=20"}, 0, "a-json", ""},
		{"structured", []string{"--json", "exec_command", "command=echo hi"}, 0, `"stdout": "hi\n"`, ""},
		{"flags last", []string{"exec_command", "command=echo hi", "--json"}, 0, `"exit_code": 0`, ""},
		{"failure", []string{"read_file", "path=/workspace/none"}, 1, "", "none"},
		{"failure as JSON", []string{"read_file", "path=/workspace/none", "--json"}, 1, `"error": `, ""},
		{"out of bounds", []string{"list_files", "limit=-1"}, 1, "", "limit"},
		{"a list", []string{"wait_run", "runs=one", "runs=two"}, 1, "", "handle"},

		{"no tool", nil, 2, "", "call --list"},
		{"unknown tool", []string{"exec_comand"}, 2, "", `unknown tool "exec_comand": did you mean "exec_command"?`},
		{"unknown argument", []string{"exec_command", "comand=ls"}, 2, "", `unknown argument "comand": did you mean "command"? exec_command takes command, background,`},
		{"no argument at all", []string{"list_instances", "x=1"}, 2, "", "list_instances takes no arguments"},
		{"missing", []string{"exec_command"}, 2, "", "exec_command needs a value for command"},
		{"no pair", []string{"exec_command", "ls"}, 2, "", "KEY=VALUE"},
		{"no number", []string{"list_files", "limit=many"}, 2, "", `"limit" must be a whole number, not "many"`},
		{"no switch", []string{"exec_command", "command=ls", "raw=perhaps"}, 2, "", "true or false"},
		{"no JSON", []string{"list_files", "limit:={"}, 2, "", "not valid JSON"},
		{"twice", []string{"exec_command", "command=a", "command=b"}, 2, "", "twice"},
		{"unknown flag", []string{"list_files", "--jsn"}, 2, "", `unknown flag --jsn: did you mean --json?`},
		{"flag's value", []string{"list_files", "--json=maybe"}, 2, "", "true or false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := execute(t, up.env(), append([]string{"call"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, s := range []struct{ name, got, want string }{{"output", stdout, tt.stdout}, {"error", stderr, tt.stderr}} {
				if !strings.Contains(s.got, s.want) || (s.want == "" && s.got != "") {
					t.Errorf("standard %s is %q, want %q", s.name, s.got, s.want)
				}
			}
		})
	}
	// What goes into a pipe is left as it is.
	_, stdout, _ := execute(t, up.env(), "call", "exec_command", "command=printf '\\033[1mx'", "raw=true")
	if !strings.Contains(stdout, "\x1b[1mx") {
		t.Errorf("raw output is %q", stdout)
	}
	if code, _, stderr := execute(t, nil, "call", "list_instances"); code != 2 || !strings.Contains(stderr, "OPENCLAW_API_KEY") {
		t.Errorf("without a key: exit code %d, %q", code, stderr)
	}
	if code, stdout, _ := execute(t, nil, "--local", "call", "list_instances"); code != 0 || !strings.Contains(stdout, "ready") {
		t.Errorf("--local before the command: exit code %d, %q", code, stdout)
	}
}

// Nothing is destroyed without a yes.
func TestCallConfirm(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	env := append(up.env(), "OPENCLAW_MCP_CONFIRM=ask")
	const endpoint = "POST /instances/{instance}/shutdown"
	code, _, stderr := execute(t, env, "call", "shutdown_instance")
	if code != 1 || !strings.Contains(stderr, "pass --yes") || up.Calls(endpoint) != 0 {
		t.Errorf("unasked: exit code %d, %d calls: %s", code, up.Calls(endpoint), stderr)
	}
	if code, _, stderr = execute(t, env, "call", "shutdown_instance", "--yes"); code != 0 || up.Calls(endpoint) != 1 {
		t.Errorf("--yes: exit code %d, %d calls: %s", code, up.Calls(endpoint), stderr)
	}
}

// A reply is printed once, whatever the stream, and nothing beside it.
func TestChatCommand(t *testing.T) {
	t.Parallel()
	tool := &emulator.ToolCall{ID: "t1", Name: "exec", Args: map[string]any{"command": "ls"}}
	pieces := []string{"Hel", "lo\n", "tool: not really\n", "status: neither\nmore", " and\n\nthe end."}
	const want = "Hello\ntool: not really\nstatus: neither\nmore and\n\nthe end."
	agent := emulator.AgentFunc(func(ctx context.Context, turn emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for i, piece := range pieces {
			if i == 1 {
				if err := emit(emulator.AgentEvent{Kind: emulator.ToolStart, Tool: tool}); err != nil {
					return err
				}
			}
			if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: piece}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, family := range []emulatortest.Family{emulatortest.FamilyA, emulatortest.FamilyC, emulatortest.FamilyD, emulatortest.FamilyE, emulatortest.FamilyG, emulatortest.FamilyJSON} {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			up := newUpstream(t, emulatortest.Options{Agent: agent, Family: family})
			code, stdout, stderr := execute(t, up.env(), "chat", "say", "something")
			// Where a piece looked just like news, the whole follows.
			if code != 0 || (stdout != want+"\n" && (!strings.HasSuffix(stdout, want+"\n") || !strings.Contains(stderr, "the complete reply"))) {
				t.Errorf("exit code %d, standard output %q, standard error %q", code, stdout, stderr)
			}
		})
	}
	plain := newUpstream(t, emulatortest.Options{})
	code, stdout, stderr := execute(t, plain.env(), "chat", "run: echo it-$((40+2))")
	if code != 0 || strings.Count(stdout, "it-42") != 1 || !strings.Contains(stderr, "tool: exec") || strings.Contains(stdout, "tool: ") || strings.Contains(stdout+stderr, "\x1b") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}

func TestChatCommandArguments(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p := launch(t, up.env(), "chat", "--new", "--instance", up.instance)
	if _, err := p.stdin.WriteString("run: echo from\\ a\\ pipe\n"); err != nil {
		t.Fatal(err)
	}
	_ = p.stdin.Close()
	out := newTranscript()
	if _, err := p.stdout.WriteTo(out); err != nil {
		t.Fatal(err)
	}
	if code := p.exit(t); code != 0 || !strings.Contains(out.String(), "from a pipe") {
		t.Errorf("exit code %d, %q", code, out)
	}
	if n := up.Calls("POST /instances/{instance}/chat/sessions"); n != 1 {
		t.Errorf("--new made %d sessions", n)
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 2, "no message"},
		{[]string{"--new", "--session", "s", "hello"}, 2, "not both"},
		{[]string{"--session"}, 2, "--session needs a value"},
		{[]string{"--instance", "elsewhere", "hello"}, 1, "There is no instance elsewhere; "},
		{[]string{"--instance", "elsewhere", "--new", "hello"}, 1, "There is no instance elsewhere; "},
	} {
		code, stdout, stderr := execute(t, up.env(), append([]string{"chat"}, tt.args...)...)
		if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("chat %v: exit code %d, %q, %q, want %d, %q", tt.args, code, stdout, stderr, tt.code, tt.want)
		}
	}
	up.SetFaults(emulatortest.Fault{Endpoint: "POST /instances/{instance}/chat/stream", Status: 503, Body: `{"message":"No capacity"}`})
	if code, stdout, stderr := execute(t, up.env(), "chat", "hello"); code != 1 || stdout != "" || !strings.Contains(stderr, "No capacity") {
		t.Errorf("a failing chat: exit code %d, %q, %q", code, stdout, stderr)
	}
}

// An agent that falls silent is not waited for without a word.
func TestChatStalls(t *testing.T) {
	t.Parallel()
	agent := emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: "well"}); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	})
	up := newUpstream(t, emulatortest.Options{Agent: agent})
	code, stdout, stderr := execute(t, append(up.env(), "OPENCLAW_MCP_STALL_AFTER=1s"), "chat", "hello")
	if code != 1 || stdout != "well\n" || !strings.Contains(stderr, "not complete: stalled") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
}
