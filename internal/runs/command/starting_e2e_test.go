//go:build e2e

package command

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
)

// TestStartingTwice delivers the request that starts a command twice, as a proxy
// that tries again does: it runs once.
func TestStartingTwice(t *testing.T) {
	t.Parallel()
	w := startBehind(t, emulatortest.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("echo x >>count")) {
				first := r.Clone(r.Context())
				first.Body = io.NopCloser(bytes.NewReader(body))
				next.ServeHTTP(httptest.NewRecorder(), first)
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(rw, r)
		})
	})
	u := w.Done(w.command(soon("echo x >>count; echo out; exit 4")), nil)
	if u.Status != runs.StatusCompleted || output(u).Stdout.Head != "out\n" || code(u) != "4" {
		t.Errorf("got %+v, %+v", u, output(u))
	}
	if got := w.sh("cat count"); got != "x\n" {
		t.Errorf("it ran %d times", len(got)/2)
	}
}
