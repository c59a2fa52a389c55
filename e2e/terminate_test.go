//go:build e2e && unix

package e2e

import (
	"strings"
	"syscall"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// SIGTERM has calls hand over what they have, and ends the process with 0.
func TestStdioTerminate(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p := launch(t, up.env())
	s := newSession(t, p, newStdioWire(t, p, modern))
	c := s.begin(t, "send_chat_message", params{"message": "wait 60"})
	c.progress(t)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r := c.result(t)
	if r.str("status") != "running" || r.str("run") == "" || !strings.Contains(r.Text, "wait_run") {
		t.Errorf("the call in flight handed over %s", r.raw)
	}
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// SIGTERM has calls hand over what they have; nothing new is taken.
func TestHTTPTerminate(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p, url := launchHTTP(t, up.env())
	old := newHTTPWire(t, url, legacy)
	stream := old.do(t, t.Context(), "GET", nil, params{"Accept": "text/event-stream"})
	defer stream.Body.Close()
	s := newSession(t, p, newHTTPWire(t, url, modern))
	c := s.begin(t, "send_chat_message", params{"message": "wait 60"})
	c.progress(t)
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if r := c.result(t); r.str("status") != "running" || r.str("run") == "" {
		t.Errorf("the call in flight handed over %s", r.raw)
	}
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
