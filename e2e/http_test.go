//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestHTTPSession(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	_, url := launchHTTP(t, up.env())
	w := newHTTPWire(t, url, legacy)
	status := func(what string, res *http.Response, want int) {
		t.Helper()
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: status %d, want %d; %s", what, res.StatusCode, want, b)
		}
	}
	list := encodeRequest(t, legacy, "1", "tools/list", nil)
	ctx := t.Context()
	status("a request", w.do(t, ctx, "POST", list, nil), 200)
	status("no session", w.do(t, ctx, "POST", list, params{"Mcp-Session-Id": ""}), 400)
	status("another's session", w.do(t, ctx, "POST", list, params{"Mcp-Session-Id": "made-up"}), 404)
	status("an unknown version", w.do(t, ctx, "POST", list, params{"Mcp-Protocol-Version": "1999-01-01"}), 400)
	status("no JSON", w.do(t, ctx, "POST", []byte("{"), nil), 400)
	status("another content type", w.do(t, ctx, "POST", list, params{"Content-Type": "text/plain"}), 415)
	status("another method", w.do(t, ctx, "PUT", list, nil), 405)
	root := strings.TrimSuffix(url, "/mcp")
	status("another path", (&httpWire{version: legacy, url: root + "/message", http: w.http}).do(t, ctx, "POST", list, nil), 404)
	status("the page for people", (&httpWire{version: legacy, url: root, http: w.http}).do(t, ctx, "POST", list, nil), 405)

	slash := &httpWire{version: legacy, url: url + "/", session: w.session, http: w.http}
	status("a slash at the end", slash.do(t, ctx, "POST", list, nil), 200)
	page := w.do(t, ctx, "GET", nil, params{"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Mcp-Session-Id": "", "Content-Type": ""})
	if kind := page.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
		t.Errorf("a browser that opens the endpoint is shown %q", kind)
	}
	status("a browser", page, 200)

	// The stream for what is about no request opens, and ends with the session
	// or with the client.
	streaming, stop := context.WithCancel(ctx)
	res := w.do(t, streaming, "GET", nil, params{"Accept": "text/event-stream", "Content-Type": ""})
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); res.StatusCode != 200 || err != nil || !strings.HasPrefix(line, ":") {
		t.Errorf("GET: status %d, %q, %v", res.StatusCode, line, err)
	}
	stop()
	_ = res.Body.Close()

	status("DELETE", w.do(t, ctx, "DELETE", nil, nil), 204)
	status("a request after DELETE", w.do(t, ctx, "POST", list, nil), 404)
	status("DELETE again", w.do(t, ctx, "DELETE", nil, nil), 404)

	m := newHTTPWire(t, url, modern)
	list = encodeRequest(t, modern, "1", "tools/list", nil)
	status("a modern request", m.do(t, ctx, "POST", list, nil), 200)
	status("a modern one without Mcp-Method", m.do(t, ctx, "POST", list, params{"Mcp-Method": ""}), 400)
	status("a modern one whose versions differ", m.do(t, ctx, "POST", list, params{"Mcp-Protocol-Version": legacy}), 400)
	status("a modern GET", m.do(t, ctx, "GET", nil, params{"Accept": "text/event-stream"}), 405)
	status("an unknown modern method", m.do(t, ctx, "POST", encodeRequest(t, modern, "2", "no/such", nil), nil), 404)
}

// Web pages of other origins are kept out, by whatever name they reach it.
func TestHTTPForeignPages(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	_, url := launchHTTP(t, up.env())
	w := newHTTPWire(t, url, modern)
	list := encodeRequest(t, modern, "1", "tools/list", nil)
	port := url[strings.LastIndex(url, ":"):]
	port = strings.TrimSuffix(port, "/mcp")
	for _, tt := range []struct {
		header params
		want   int
	}{
		{params{"Host": "evil.example"}, 403},
		{params{"Host": "evil.example" + port}, 403},
		{params{"Host": "localhost.evil.example"}, 403},
		{params{"Host": "10.0.0.1"}, 403},
		{params{"Origin": "https://evil.example"}, 403},
		{params{"Origin": "http://localhost.evil.example"}, 403},
		{params{"Origin": "null"}, 403},
		{params{"Host": "localhost" + port}, 200},
		{params{"Host": "[::1]" + port}, 200},
		{params{"Origin": "http://localhost:3000"}, 200},
		{params{"Origin": "http://127.0.0.1" + port}, 200},
	} {
		res := w.do(t, t.Context(), "POST", list, tt.header)
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != tt.want || tt.want == 403 && strings.Contains(string(b), "tools") {
			t.Errorf("%v: status %d, want %d; %s", tt.header, res.StatusCode, tt.want, shorten(string(b), 200))
		}
	}
}

// A port that is taken is said to be.
func TestHTTPPortTaken(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	addr := strings.TrimSuffix(strings.TrimPrefix(up.url, "http://"), "/api")
	code, _, stderr := execute(t, up.env(), "--http", addr)
	if code != 1 || !strings.Contains(stderr, "--http: the address "+addr+" is in use") || !strings.Contains(stderr, "choose another port") {
		t.Errorf("exit code %d, %s", code, stderr)
	}
}
