package cli

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// accountOf serves instances for a person, and gives the settings that lead there.
func accountOf(t *testing.T, instances int) (environ []string) {
	t.Helper()
	agent := emulator.AgentFunc(func(_ context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		return emit(emulator.AgentEvent{Kind: emulator.Text, Text: "yes"})
	})
	service, err := emulatortest.New(emulatortest.Options{Agent: agent, Keys: []string{goodKey}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Close() })
	for range instances {
		if _, err := service.AddInstance(goodKey); err != nil {
			t.Fatal(err)
		}
	}
	srv := httptest.NewServer(service)
	t.Cleanup(srv.Close)
	return []string{"OPENCLAW_API_KEY=" + goodKey, "OPENCLAW_API_BASE_URL=" + srv.URL}
}

// A person reads what was wrong and what to type, not what a model is told.
func TestFailuresForPeople(t *testing.T) {
	t.Parallel()
	url := someService(t)
	p := newPerson(t, "OPENCLAW_API_BASE_URL="+url, "OPENCLAW_API_KEY=a_wrong_key_0123456789")
	for _, args := range [][]string{{"status"}, {"chat", "hi"}} {
		p.wants(1, "The API key was rejected (401). It comes from OPENCLAW_API_KEY: correct or unset that.\n", "", args...)
	}

	p = newPerson(t, accountOf(t, 1)...)
	p.wants(1, "There is no session nope; `openclaw-mcp call list_chat_sessions` lists them.", "", "chat", "--session", "nope", "hi")
	p.wants(1, "There is no instance nope; `openclaw-mcp status` shows yours.", "", "chat", "--instance", "nope", "hi")
	p.environ = append(p.environ, "OPENCLAW_MCP_READ_ONLY=true")
	p.wants(1, "this server is read-only (OPENCLAW_MCP_READ_ONLY)", "", "call", "exec_command", "command=ls")

	p = newPerson(t, accountOf(t, 2)...)
	p.wants(1, "Several instances are ready: ", "", "chat", "hi")
	p.wants(1, "Choose one with --instance ID, or set OPENCLAW_INSTANCE_ID to it.", "", "chat", "hi")
	p.environ = append(p.environ, "OPENCLAW_INSTANCE_ID=nope")
	p.wants(1, "There is no instance nope (OPENCLAW_INSTANCE_ID); ", "", "chat", "hi")
	p.wants(0, "OPENCLAW_INSTANCE_ID is nope, which is not one of them", "", "status")
	for _, run := range []string{"7", "nope"} {
		p.wants(1, "openclaw-mcp: there is no run "+run+"; 'openclaw-mcp status' lists what was left running", "", "logs", run)
	}
}

// What call prints is what a model reads, to the byte: of what it says and of failures.
func TestCallPrintsWhatAModelReads(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // its shell is another
	}
	environ := accountOf(t, 1)
	p := newPerson(t, environ...)
	c := newConsole("dev", p.environ, strings.NewReader(""), io.Discard, io.Discard)
	cfg, stop, err := c.settings()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	model, err := connect(t.Context(), cfg, io.Discard, slog.New(slog.DiscardHandler), "model", func(progress) {})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := model.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, tt := range []struct {
		tool, key, value string
		code             int
		has              string
	}{
		{"exec_command", "command", "echo out; echo err >&2; echo more; exit 3", 3, "out\nerr\nmore\n[status: completed, exit code 3]"},
		{"send_chat_message", "message", "hello", 0, "yes\n[status: completed"},
		{"list_instances", "", "", 0, "ready"},
		{"read_file", "path", "/workspace/none", 1, "\nNext: "},
		{"wait_run", "runs", "nonsense", 1, "not a run handle of yours"},
	} {
		args, words := map[string]any{}, []string{"call", "--quiet", tt.tool}
		if tt.key != "" {
			args[tt.key], words = tt.value, append(words, tt.key+"="+tt.value)
		}
		if tt.key == "runs" {
			args[tt.key] = []string{tt.value}
		}
		res, err := model.call(t.Context(), tt.tool, args)
		if err != nil {
			t.Fatal(err)
		}
		want := res.Content[0].(mcp.TextContent).Text
		code, stdout, stderr := p.runs("", words...)
		if strings.TrimSuffix(stdout+stderr, "\n") != strings.TrimSuffix(want, "\n") || code != tt.code || !strings.Contains(want, tt.has) {
			t.Errorf("%s: exit code %d, it prints %q, %q; a model reads %q", tt.tool, code, stdout, stderr, want)
		}
	}
}

// Where OpenClaw can't be reached, a person is told what finds out why, and
// that nothing was done where something might have been.
func TestUnreachableForPeople(t *testing.T) {
	t.Parallel()
	gone, plain, secure := httptest.NewServer(nil), httptest.NewServer(nil), httptest.NewTLSServer(nil)
	gone.Close()
	defer plain.Close()
	defer secure.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	for url, says := range map[string]string{
		gone.URL:                     "nothing listens at " + strings.TrimPrefix(gone.URL, "http://") + " (connection refused)",
		"http://nowhere.invalid/api": "the host nowhere.invalid can't be ", // found, or looked up where there is no network
		strings.Replace(plain.URL, "http:", "https:", 1): "the server speaks http, not https",
		secure.URL: "the server's certificate is not trusted (x509: ",
	} {
		p := newPerson(t, "OPENCLAW_API_BASE_URL="+url, "OPENCLAW_API_KEY="+goodKey)
		for command, untouched := range map[string]string{"status": "", "chat hi": "Nothing was changed.\n"} {
			args := strings.Fields(command)
			code, _, stderr := p.runs("", args...)
			if code != 1 || !strings.HasPrefix(stderr, says) || strings.Contains(stderr, "Nothing was changed.") != (untouched != "") || !strings.Contains(stderr, "\n"+untouched+"Check OPENCLAW_API_BASE_URL, which is "+url+", and your network. `openclaw-mcp doctor` finds out more.") {
				t.Errorf("%s, %v: exit code %d, %q", url, args, code, stderr)
			}
		}
	}
}

// call ends as its command did.
func TestCallEndsAsItsCommand(t *testing.T) {
	t.Parallel()
	p := newPerson(t, accountOf(t, 1)...)
	p.wants(0, "fine", "", "call", "exec_command", "command=echo fine")
	p.wants(7, "exit code 7", "", "call", "exec_command", "command=exit 7")
	p.wants(124, "timed out", "", "call", "exec_command", "command=sleep 60", "timeout_seconds=1")
}

// install checks the values of settings as the server does, and knows both Claudes.
func TestInstallRefuses(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.wants(2, "OPENCLAW_MCP_CONFIRM is \"perhaps\"; it must be ask, allow or deny", "", "install", "cursor", "--local", "--env", "OPENCLAW_MCP_CONFIRM=perhaps")
	p.environ = append(p.environ, "OPENCLAW_MCP_READ_ONLY=true", "OPENCLAW_MCP_CONFIRM=deny", "OPENCLAW_MCP_TOOLS=")
	p.wants(1, "Set here, but not for the client: OPENCLAW_MCP_READ_ONLY. Use --env", "", "install", "cursor", "--local", "--env", "OPENCLAW_MCP_CONFIRM=deny", "--dry-run") // 1: the test binary is not a program to install
	p.wants(2, `did you mean "claude-desktop" or "claude-code"?`, "", "install", "claude")
	p.wants(2, "there is help for call, chat", "", "help", "foobarbaz")
}
