//go:build e2e

package hostile

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Callers who share an OpenClaw key share nothing else: the handles, tasks, sessions and
// confirmations of one are no good to another.
func TestSharedKey(t *testing.T) {
	t.Parallel()
	up := &patient{release: make(chan struct{})}
	s := serveTwo(t, up.ServeHTTP, "OPENCLAW_MCP_CONFIRM=ask")
	alice, mallory := named(t, s, "alice"), named(t, s, "mallory")
	_, text := alice.call(t, "send_chat_message", message("a secret of alice", "s"))
	run := runOf(text)
	if run == "" {
		t.Fatalf("no run in %s", text)
	}
	_, text = alice.call(t, "reboot_instance", params{"instance": "i1"})
	confirm := confirmation.FindStringSubmatch(text)
	if confirm == nil {
		t.Fatalf("no confirmation in %s", text)
	}
	refused := func(what, text, want string) {
		t.Helper()
		if !strings.Contains(text, want) || strings.Contains(text, "secret") || strings.Contains(text, "running") {
			t.Errorf("%s: %s", what, text)
		}
	}
	for what, c := range map[string]struct {
		tool string
		args params
		want string
	}{
		"a wait":        {"wait_run", params{"runs": []string{run}, "wait_seconds": 0}, "not a run handle of yours"},
		"a cancel":      {"cancel_run", params{"run": run}, "not a run handle of yours"},
		"a list":        {"list_runs", nil, "0 runs"},
		"a yes":         {"reboot_instance", params{"instance": "i1", "confirm": confirm[1]}, "is not the confirmation of this very call"},
		"a short guess": {"wait_run", params{"runs": []string{"run-2222"}, "wait_seconds": 0}, "run"},
	} {
		_, text := mallory.call(t, c.tool, c.args)
		refused(what, text, c.want)
	}
	for _, method := range []string{"tasks/get", "tasks/cancel", "tasks/update"} {
		b, _ := json.Marshal(params{"jsonrpc": "2.0", "id": 1, "method": method, "params": params{"taskId": run, "inputResponses": params{}, "_meta": params{
			"io.modelcontextprotocol/protocolVersion":    modern,
			"io.modelcontextprotocol/clientCapabilities": params{"extensions": params{"io.modelcontextprotocol/tasks": params{}}}}}})
		_, text, _ := mallory.answer(t, http.MethodPost, headers(modern, method, run), b)
		refused(method, text, "no such task")
	}
	h := headers(legacy, "", "")
	h.Set("Mcp-Session-Id", alice.initialize(t))
	for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodDelete} {
		if status, text, _ := mallory.answer(t, method, h, request(t, legacy, "ping", nil)); status != http.StatusNotFound {
			t.Errorf("%s in her session: %d %s", method, status, text)
		}
	}
	if status, text, _ := alice.answer(t, http.MethodPost, h, request(t, legacy, "ping", nil)); status != 200 {
		t.Errorf("her session afterwards: %d %s", status, text)
	}
	close(up.release)
	if _, text := alice.call(t, "wait_run", params{"runs": []string{run}}); !strings.Contains(text, "answer to a secret of alice") {
		t.Errorf("her run afterwards: %s", text)
	}
}
