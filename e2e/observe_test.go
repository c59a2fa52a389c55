//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"openclaw-mcp/internal/golden"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/observe"
)

var adminAt = regexp.MustCompile(`admin=(http://\S+)`)

// adminPage gets a page of a binary's admin address.
func adminPage(t testing.TB, p *process, path string) (status int, body string) {
	t.Helper()
	res, err := http.Get(p.stderr.match(t, adminAt)[1] + path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func scrape(t testing.TB, p *process) (map[string]*dto.MetricFamily, string) {
	t.Helper()
	status, text := adminPage(t, p, "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if status != 200 || err != nil {
		t.Fatalf("/metrics: status %d, %v", status, err)
	}
	return families, text
}

// value sums the metrics of a family that have these labels.
func value(f *dto.MetricFamily, labels map[string]string) (sum float64) {
	for _, m := range f.GetMetric() {
		got := map[string]string{}
		for _, l := range m.GetLabel() {
			got[l.GetName()] = l.GetValue()
		}
		matches := true
		for k, v := range labels {
			matches = matches && got[k] == v
		}
		if matches {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

func TestObserveMetrics(t *testing.T) {
	t.Parallel()
	p, url := launchHTTP(t, []string{"OPENCLAW_MCP_ADMIN=127.0.0.1:0", "OPENCLAW_MCP_SLOW_CALL=1ns"}, "--local")
	s := newSession(t, p, newHTTPWire(t, url, modern))
	instance := s.ok(t, "send_chat_message", params{"message": "a word nobody may see"}).str("instance")
	s.ok(t, "list_instances", nil)
	s.ok(t, "open_terminal", nil)
	s.call(t, "read_file", params{"path": "/workspace/not-there"})
	s.call(t, "read_file", params{"path": 7})
	s.call(t, "get_instance", params{"instance": "no-such-instance"})
	for i := range 20 {
		if m := s.request(t, "tools/call", params{"name": fmt.Sprintf("made_up_%d", i), "arguments": params{}}); m.Error == nil {
			t.Error("a tool that there is not was called")
		}
	}
	families, text := scrape(t, p)
	for _, tt := range []struct {
		name   string
		labels map[string]string
		want   float64
	}{
		{"tool_calls_total", map[string]string{"tool": "send_chat_message", "outcome": "ok"}, 1},
		{"tool_calls_total", map[string]string{"tool": "read_file", "outcome": "failed"}, 2},
		{"tool_calls_total", map[string]string{"tool": "other", "outcome": "refused"}, 20},
		{"tool_calls_total", nil, 26},
		{"tool_errors_total", map[string]string{"tool": "read_file", "code": "argument"}, 1},
		{"tool_errors_total", map[string]string{"tool": "get_instance", "code": "http_404"}, 1},
		{"tool_errors_total", map[string]string{"tool": "other", "code": "unknown_tool"}, 20},
		{"tool_call_duration_seconds", map[string]string{"tool": "list_instances"}, 1},
		{"tool_calls_in_flight", nil, 0},
		{"slow_calls_total", map[string]string{"tool": "list_instances"}, 1},
		{"request_errors_total", map[string]string{"method": "tools/call", "code": "-32602"}, 20},
		{"upstream_requests_total", map[string]string{"operation": "POST /instances/{id}/chat/stream", "status": "200"}, 1},
		{"upstream_requests_total", map[string]string{"operation": "GET /instances/{id}", "status": "404"}, 1},
		{"upstream_requests_total", map[string]string{"operation": "GET /instances/{id}/terminal/ws", "status": "101"}, 1},
		{"upstream_request_duration_seconds", map[string]string{"operation": "POST /instances/{id}/chat/stream"}, 1},
		{"runs", map[string]string{"kind": "chat", "status": "completed"}, 1},
		{"runs", nil, 1},
		{"terminals", nil, 1},
		{"principals", nil, 1},
		{"build_info", nil, 1},
	} {
		if got := value(families["openclaw_mcp_"+tt.name], tt.labels); got != tt.want {
			t.Errorf("%s%v is %v, want %v", tt.name, tt.labels, got, tt.want)
		}
	}
	listed := map[string]observe.Family{}
	for _, f := range observe.Families() {
		listed[f.Name] = f
	}
	for name, f := range families {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "promhttp_") {
			continue
		}
		l, ok := listed[name]
		if kind := strings.ToLower(f.GetType().String()); !ok || kind != l.Kind {
			t.Errorf("%s is a %s; it is listed as %+v", name, kind, l)
		}
		for _, label := range f.GetMetric()[0].GetLabel() {
			if !slices.Contains(l.Labels, label.GetName()) {
				t.Errorf("%s has the label %s; listed are %v", name, label.GetName(), l.Labels)
			}
		}
	}
	for _, never := range []string{instance, "no-such-instance", "made_up", "not-there", "nobody"} {
		if strings.Contains(text, never) {
			t.Errorf("the metrics hold %q", never)
		}
	}
	slow := p.stderr.String()
	if !strings.Contains(slow, `"slow call" tool=list_instances`) || strings.Contains(slow, "nobody may see") {
		t.Errorf("the log of slow calls is\n%s", slow)
	}
}

func TestObserveHealth(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p := launch(t, up.env("OPENCLAW_MCP_ADMIN=127.0.0.1:0"))
	if status, body := adminPage(t, p, "/healthz"); status != 200 || body != "ok\n" {
		t.Errorf("/healthz: %d, %q", status, body)
	}
	eventually(t, "it is ready", func() bool {
		status, body := adminPage(t, p, "/readyz")
		return status == 200 && body == "ready\n"
	})
	if status, body := adminPage(t, p, "/debug/pprof/goroutine?debug=1"); status != 200 || !strings.Contains(body, "goroutine profile") {
		t.Errorf("pprof: %d, %s", status, shorten(body, 200))
	}
	for path, want := range map[string]int{"/": 404, "/mcp": 404, "/metrics": 200} {
		if status, _ := adminPage(t, p, path); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	req, err := http.NewRequest("GET", p.stderr.match(t, adminAt)[1]+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = "evil.example"
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != 403 {
		t.Errorf("a foreign name: %d, want 403", res.StatusCode)
	}
}

// For the network there are no profiles.
func TestObserveAdminForTheNetwork(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	p := launch(t, up.env("OPENCLAW_MCP_ADMIN=0.0.0.0:0"))
	port := regexp.MustCompile(`admin=http://\S*:(\d+)`)
	for path, want := range map[string]int{"/healthz": 200, "/metrics": 200, "/debug/pprof/": 404, "/debug/pprof/profile": 404} {
		res, err := http.Get("http://127.0.0.1:" + p.stderr.match(t, port)[1] + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A service that was never there makes the server unready; one that is gone
// later does not.
func TestObserveReadyAndTheService(t *testing.T) {
	t.Parallel()
	u := scripted(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	p := launch(t, u.env("OPENCLAW_MCP_ADMIN=127.0.0.1:0"))
	failed := map[string]string{"operation": "GET /", "status": "502"}
	eventually(t, "the service was asked", func() bool {
		families, _ := scrape(t, p)
		return value(families["openclaw_mcp_upstream_requests_total"], failed) > 0
	})
	if status, body := adminPage(t, p, "/readyz"); status != 503 || !strings.Contains(body, "has not answered") {
		t.Errorf("before the service answered: %d, %q", status, body)
	}

	up := newUpstream(t, emulatortest.Options{})
	p = launch(t, up.env("OPENCLAW_MCP_ADMIN=127.0.0.1:0"))
	s := newSession(t, p, newStdioWire(t, p, modern))
	s.ok(t, "list_instances", nil)
	up.SetFaults(emulatortest.Fault{Status: 500})
	if r := s.call(t, "list_instances", nil); !r.IsError {
		t.Fatalf("the service does not fail: %s", r.Text)
	}
	if status, body := adminPage(t, p, "/readyz"); status != 200 {
		t.Errorf("the service fails: %d, %q; want 200", status, body)
	}
}

// auditLines reads an audit log, whose every line must be whole.
func auditLines(t testing.TB, path string) (lines []observe.Entry) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(b) {
		var e observe.Entry
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil || line[len(line)-1] != '\n' {
			t.Fatalf("the line %q: %v", line, err)
		}
		lines = append(lines, e)
	}
	return lines
}

func TestObserveAudit(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulatortest.Options{})
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		s := c.connect(t, up.env("OPENCLAW_MCP_AUDIT_LOG="+path))
		s.ok(t, "exec_command", params{"command": "echo a-secret-word"})
		s.call(t, "read_file", params{"path": "/workspace/secret-path", "instance": up.instance})
		s.call(t, "get_instance", params{"instance": strings.Repeat("x", 5000)})
		s.request(t, "tools/call", params{"name": "secret_tool", "arguments": params{}})
		s.request(t, "resources/read", params{"uri": "openclaw://instances/" + up.instance + "/files/workspace"})
		s.request(t, "resources/read", params{"uri": "openclaw://instances/" + up.instance + "/files/workspace/secret-path"})
		s.request(t, "resources/read", params{"uri": "secret://x"})
		got := auditLines(t, path)
		want := []observe.Entry{
			{Tool: "exec_command", Instance: up.instance, Outcome: "ok"},
			{Tool: "read_file", Instance: up.instance, Outcome: "failed", Code: got[1].Code},
			{Tool: "get_instance", Instance: strings.Repeat("x", 128) + "…", Outcome: "failed", Code: "argument"},
			{Tool: "other", Outcome: "refused", Code: "unknown_tool"},
			{Tool: "resources/read", Instance: up.instance, Outcome: "ok"},
			{Tool: "resources/read", Instance: up.instance, Outcome: "failed", Code: "not_found"},
			{Tool: "resources/read", Outcome: "failed", Code: "not_found"},
		}
		if len(got) != len(want) {
			t.Fatalf("got %+v", got)
		}
		seen := map[string]bool{}
		for i, e := range got {
			if e.Principal != "local" || e.Request == "" || seen[e.Request] || time.Since(e.Time) > time.Minute || e.Duration < 0 || (e.Code == "") != (e.Outcome == "ok") {
				t.Errorf("line %d is %+v", i, e)
			}
			seen[e.Request] = true
			e.Time, e.Principal, e.Duration, e.Request = time.Time{}, "", 0, ""
			if e != want[i] {
				t.Errorf("line %d is %+v, want %+v", i, e, want[i])
			}
		}
		b, _ := os.ReadFile(path)
		for _, never := range []string{"secret", "echo", up.key, "/workspace"} {
			if strings.Contains(string(b), never) {
				t.Errorf("the log holds %q:\n%s", never, b)
			}
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
			t.Errorf("the file's mode is %v, %v", st.Mode(), err)
		}

		// Rotated away, it is begun anew, and nothing is lost on the way.
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		s.ok(t, "list_instances", nil)
		if old, now := auditLines(t, path+".1"), auditLines(t, path); len(old) != 7 || len(now) != 1 || now[0].Tool != "list_instances" {
			t.Errorf("after rotation: %d lines in the old file, %+v in the new one", len(old), now)
		}
	})
}

// What the documentation says of the metrics comes from the code.
func TestGoldenObservability(t *testing.T) {
	var table strings.Builder
	table.WriteString("| metric | kind | labels | meaning |\n|---|---|---|---|\n")
	names := map[string]bool{}
	for _, f := range observe.Families() {
		if names[f.Name] {
			t.Errorf("%s is there twice", f.Name)
		}
		names[f.Name] = true
		labels := "–"
		if len(f.Labels) > 0 {
			labels = "`" + strings.Join(f.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", f.Name, f.Kind, labels, f.Help)
	}
	golden.Sections(t, "../docs/observability.md", map[string]string{"metrics": table.String()})
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !strings.HasPrefix(name, "openclaw_mcp_") {
			t.Errorf("%s lacks the prefix", name)
		}
	}
}
