//go:build e2e && unix

package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// A collector that takes everything and answers nothing holds up no call, and
// the end of the server only for a moment; until then it says that it drains.
func TestTraceCollectorHangs(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 100), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(func() {
		close(release)
		srv.CloseClientConnections()
		srv.Close()
	})
	up := newUpstream(t, emulatortest.Options{})
	p, url := launchHTTP(t, up.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="+srv.URL+"/v1/traces", "OTEL_BSP_SCHEDULE_DELAY=1",
		"OTEL_BSP_MAX_QUEUE_SIZE=16", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=8", "OPENCLAW_MCP_ADMIN=127.0.0.1:0"))
	s := newSession(t, p, newHTTPWire(t, url, modern))
	s.ok(t, "list_instances", nil)
	recv(t, asked, "a request to the collector")
	for range 100 { // more than the queue takes, while the collector holds the first
		s.ok(t, "list_instances", nil)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says that it drains", func() bool {
		status, body := adminPage(t, p, "/readyz")
		return status == 503 && strings.Contains(body, "shutting down")
	})
	if code := p.exit(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
