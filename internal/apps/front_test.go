package apps

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func newPage(t *testing.T, info Info) http.Handler {
	t.Helper()
	h, err := Handler(info)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func get(t *testing.T, h http.Handler, change func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest("GET", "http://mcp.example.org:8080/", nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWrongInfo(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		info Info
		want string
	}{
		"auth":       {Info{Auth: "magic"}, `"magic"; there are none, token, key and oauth`},
		"scheme":     {Info{PublicURL: "ftp://example.org/mcp"}, "want http or https"},
		"no host":    {Info{PublicURL: "https:///mcp"}, "want http or https, a host"},
		"user":       {Info{PublicURL: "https://me:secret@example.org/mcp"}, "want http or https"},
		"query":      {Info{PublicURL: "https://example.org/mcp?key=1"}, "want http or https"},
		"fragment":   {Info{PublicURL: "https://example.org/mcp#a"}, "want http or https"},
		"shell":      {Info{PublicURL: "https://example.org/$(reboot)"}, "a path of plain characters"},
		"not a URL":  {Info{PublicURL: "https://exa mple.org/"}, "want http or https"},
		"path":       {Info{Path: "mcp"}, `path "mcp"`},
		"key header": {Info{Auth: Key, KeyHeader: "X Key"}, `"X Key" is not the name of a header`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Handler(tt.info); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// The address is the one that the visitor uses, or the configured one; what a
// browser or a stranger's proxy says beyond that counts only where trusted.
func TestAddress(t *testing.T) {
	t.Parallel()
	forwarded := func(r *http.Request) {
		r.Header.Set("X-Forwarded-Host", "evil.example, claw.example.org")
		r.Header.Set("X-Forwarded-Proto", "https")
	}
	for name, tt := range map[string]struct {
		info   Info
		change func(*http.Request)
		want   string
	}{
		"host":             {Info{}, nil, "http://mcp.example.org:8080/mcp"},
		"IPv6":             {Info{}, func(r *http.Request) { r.Host = "[::1]:80" }, "http://[::1]:80/mcp"},
		"path":             {Info{Path: "/a/mcp"}, nil, "http://mcp.example.org:8080/a/mcp"},
		"TLS":              {Info{}, func(r *http.Request) { r.TLS = &tls.ConnectionState{} }, "https://mcp.example.org:8080/mcp"},
		"not trusted":      {Info{}, forwarded, "http://mcp.example.org:8080/mcp"},
		"trusted":          {Info{TrustForwarded: true}, forwarded, "https://claw.example.org/mcp"},
		"trusted, no such": {Info{TrustForwarded: true}, nil, "http://mcp.example.org:8080/mcp"},
		"public": {Info{PublicURL: "https://claw.example.org/x/mcp", TrustForwarded: true},
			func(r *http.Request) { r.Host = "<script>"; forwarded(r) }, "https://claw.example.org/x/mcp"},
	} {
		t.Run(name, func(t *testing.T) {
			w := get(t, newPage(t, tt.info), tt.change)
			if want := "<code>" + tt.want + "</code>"; w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("status %d, want the page with %s:\n%s", w.Code, want, w.Body)
			}
			if strings.Contains(w.Body.String(), "evil") {
				t.Error("the page repeats what a visitor's own header says")
			}
		})
	}
}

// The address goes into commands and files: nothing that means anything there,
// or in HTML, gets in.
func TestHostileHost(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"", "a b", "a;reboot", "$(reboot)", "`reboot`", "a'b", `a"b`, "<script>", "a/b", "a?b", "a@b", "a\\b", "a&b", "-a", "[::1", "a:b", "é.example",
	} {
		for name, change := range map[string]func(*http.Request){
			"Host":             func(r *http.Request) { r.Host = host },
			"X-Forwarded-Host": func(r *http.Request) { r.Host = ""; r.Header.Set("X-Forwarded-Host", host) },
		} {
			w := get(t, newPage(t, Info{TrustForwarded: true}), change)
			if w.Code != http.StatusBadRequest || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Errorf("%s %q: got %d %s, want 400 as plain text", name, host, w.Code, w.Header().Get("Content-Type"))
			}
		}
	}
	w := get(t, newPage(t, Info{TrustForwarded: true}), func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "javascript") })
	if w.Code != http.StatusBadRequest {
		t.Errorf("a forwarded protocol javascript: got %d, want 400", w.Code)
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	h := newPage(t, Info{})
	for _, tt := range []struct {
		method, path string
		status       int
		kind         string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/front.css", 200, "text/css; charset=utf-8"},
		{"GET", "/front.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/front.svg", 200, "image/svg+xml"},
		{"GET", "/console.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/oauth.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/pages/terminal", 200, "text/html; charset=utf-8"},
		{"GET", "/pages/", 404, "text/plain; charset=utf-8"},
		{"GET", "/pages/other", 404, "text/plain; charset=utf-8"},
		{"POST", "/pages/work", 405, "text/plain; charset=utf-8"},
		{"POST", "/", 405, "text/plain; charset=utf-8"},
		{"DELETE", "/front.js", 405, "text/plain; charset=utf-8"},
		{"GET", "/page.html", 404, "text/plain; charset=utf-8"},
		{"GET", "/../etc/passwd", 404, "text/plain; charset=utf-8"},
		{"POST", "/message", 404, "text/plain; charset=utf-8"},
	} {
		w := get(t, h, func(r *http.Request) { r.Method, r.URL.Path = tt.method, tt.path })
		if kind := w.Header().Get("Content-Type"); w.Code != tt.status || kind != tt.kind {
			t.Errorf("%s %s: got %d %s, want %d %s", tt.method, tt.path, w.Code, kind, tt.status, tt.kind)
		}
		if allow := w.Header().Get("Allow"); (tt.status == 405) != (allow == "GET, HEAD") {
			t.Errorf("%s %s: Allow %q", tt.method, tt.path, allow)
		}
		for name, want := range security {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", tt.method, tt.path, name, got, want)
			}
		}
	}
}

// Lines are slow, and the pages long.
func TestCompressed(t *testing.T) {
	t.Parallel()
	h := newPage(t, Info{})
	for _, path := range []string{"/", "/front.css", "/console.js", "/pages/desktop", "/pages/terminal", "/pages/work"} {
		plain := get(t, h, func(r *http.Request) { r.URL.Path = path })
		for accepted, want := range map[string]string{"gzip, deflate, br, zstd": "gzip", "br,GZIP": "gzip", "": "", "br": "", "gzip;q=0": "", "identity": ""} {
			w := get(t, h, func(r *http.Request) {
				r.URL.Path = path
				r.Header.Set("Accept-Encoding", accepted)
			})
			header := w.Header()
			if got := header.Get("Content-Encoding"); got != want || header.Get("Vary") != "Accept-Encoding" || header.Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
				t.Errorf("%s for %q: Content-Encoding %q, want %q; of %d bytes: %v", path, accepted, got, want, w.Body.Len(), header)
				continue
			}
			body := w.Body.Bytes()
			if want == "gzip" {
				if 2*len(body) > plain.Body.Len() {
					t.Errorf("%s: %d bytes of %d", path, len(body), plain.Body.Len())
				}
				z, err := gzip.NewReader(w.Body)
				if err != nil {
					t.Fatal(err)
				}
				if body, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(body, plain.Body.Bytes()) || header.Get("Content-Security-Policy") != plain.Header().Get("Content-Security-Policy") {
				t.Errorf("%s for %q is another page, or has another policy", path, accepted)
			}
		}
	}
}

// Who may frame what, and what a page may reach.
func TestPolicies(t *testing.T) {
	t.Parallel()
	policy := func(info Info, path string) string {
		w := get(t, newPage(t, info), func(r *http.Request) { r.URL.Path = path })
		return w.Header().Get("Content-Security-Policy") + " X-Frame-Options: " + w.Header().Get("X-Frame-Options")
	}
	front := policy(Info{}, "/")
	if !strings.Contains(front, "connect-src 'self';") || !strings.Contains(front, "frame-ancestors 'none'") || !strings.HasSuffix(front, "DENY") || strings.Contains(front, "unsafe") {
		t.Error(front)
	}
	if got := policy(Info{Auth: OAuth, Issuer: "https://login.example.org/realm"}, "/"); !strings.Contains(got, "connect-src 'self' https://login.example.org;") {
		t.Error(got)
	}
	elsewhere := func() []string {
		return []string{"https://tokens.example.org/t", "https://login.example.org/register", "https://a;b/", ""}
	}
	if got := policy(Info{Auth: OAuth, Issuer: "https://login.example.org/realm", SignInURLs: elsewhere}, "/"); !strings.Contains(got, "connect-src 'self' https://login.example.org https://tokens.example.org;") {
		t.Error(got)
	}
	for _, name := range Pages() {
		got := policy(Info{}, "/pages/"+name)
		if !regexp.MustCompile(`script-src( 'sha256-[^ ]+'){2};`).MatchString(got) || strings.Contains(got, "connect-src") || !strings.Contains(got, "default-src 'none'") ||
			!strings.Contains(got, "sandbox allow-scripts allow-forms ") || !strings.Contains(got, "frame-ancestors 'self'") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

var code = regexp.MustCompile(`(?s)<pre[^>]*><code>(.*?)</code></pre>`)

// Every mode's configuration says how to authenticate, and parses as what it is.
func TestClientsByAuth(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		info     Info
		in, not  []string
		advice   string
		snippets int
	}{
		"none": {Info{}, []string{"mcp-remote", "--allow-http", "claude mcp add --transport http openclaw http://mcp.example.org:8080/mcp\n"},
			[]string{"YOUR_", "Bearer", "headers"}, "No login", 11},
		"token": {Info{Auth: Token, PublicURL: "https://claw.example.org/mcp"},
			[]string{`--header "Authorization: Bearer YOUR_TOKEN"`, `"Authorization": "Bearer ${input:openclaw}"`, "bearer_token_env_var", `"Authorization:${OPENCLAW_AUTH}"`},
			[]string{"--allow-http", "API_KEY"}, "<strong>token</strong>", 12},
		"key": {Info{Auth: Key, KeyHeader: "X-Claw-Key", PublicURL: "https://claw.example.org/mcp"},
			[]string{`"X-Claw-Key": "YOUR_OPENCLAW_API_KEY"`, `env_http_headers = { "X-Claw-Key" = "OPENCLAW_TOKEN" }`}, []string{"Bearer", "YOUR_TOKEN"}, "own <strong>OpenClaw API key", 12},
		"key as a bearer token": {Info{Auth: Key, PublicURL: "https://claw.example.org/mcp"},
			[]string{`"Authorization": "Bearer YOUR_OPENCLAW_API_KEY"`, "bearer_token_env_var"}, []string{"YOUR_TOKEN"}, "own <strong>OpenClaw API key", 12},
		"oauth": {Info{Auth: OAuth, PublicURL: "https://claw.example.org/mcp"},
			[]string{"codex mcp login openclaw"}, []string{"mcp-remote", "YOUR_", "Bearer"}, "<strong>log in</strong>", 12},
	} {
		t.Run(name, func(t *testing.T) {
			body := get(t, newPage(t, tt.info), nil).Body.String()
			if !strings.Contains(body, tt.advice) {
				t.Errorf("the page does not say %q", tt.advice)
			}
			found := code.FindAllStringSubmatch(body, -1)
			if len(found) != tt.snippets {
				t.Errorf("%d snippets, want %d", len(found), tt.snippets)
			}
			var all strings.Builder
			for _, m := range found {
				s := html.UnescapeString(m[1])
				all.WriteString(s + "\n")
				if !strings.HasPrefix(s, "{") {
					continue
				}
				if !json.Valid([]byte(s)) {
					t.Errorf("not JSON: %s", s)
				}
			}
			for _, want := range tt.in {
				if !strings.Contains(all.String(), want) {
					t.Errorf("no snippet has %s", want)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(all.String(), not) {
					t.Errorf("a snippet has %s", not)
				}
			}
			for _, id := range []string{"claude", "claude-code", "cursor", "vscode", "windsurf", "zed", "codex", "gemini", "other"} {
				if !strings.Contains(body, `<details id="`+id+`"`) {
					t.Errorf("no client %s", id)
				}
			}
		})
	}
}

// A shell takes the commands for the words that they are meant to be.
func TestShellCommands(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Log("no shell on this system: there is nothing to paste into")
		return
	}
	endpoint := &url.URL{Scheme: "https", Host: "claw.example.org", Path: "/mcp"}
	want := map[string]string{
		"claude-code": "[mcp][add][--transport][http][openclaw][https://claw.example.org/mcp][--header][Authorization: Bearer YOUR_TOKEN]",
		"other": "[-sS][https://claw.example.org/mcp][-H][Content-Type: application/json][-H][Accept: application/json, text/event-stream]" +
			`[-H][Authorization: Bearer YOUR_TOKEN][-d][{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}]`,
	}
	for _, c := range Clients(endpoint, Token, "") {
		if want[c.ID] == "" {
			continue
		}
		script := `claude() { printf '[%s]' "$@"; }; curl() { claude "$@"; }; ` + c.Steps[len(c.Steps)-1].Code
		got, err := exec.CommandContext(t.Context(), sh, "-c", script).CombinedOutput()
		if err != nil || string(got) != want[c.ID] {
			t.Errorf("%s: got %s, %v\nwant %s", c.ID, got, err, want[c.ID])
		}
		delete(want, c.ID)
	}
	if len(want) > 0 {
		t.Errorf("no commands for %v", want)
	}
}

func TestCustomConnectorNeedsTheInternet(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://claw.example.org/mcp": "custom connector",
		"http://claw.example.org/mcp":  "claude_desktop_config.json",
		"https://localhost/mcp":        "claude_desktop_config.json",
		"https://127.0.0.1/mcp":        "claude_desktop_config.json",
		"https://[::1]:8443/mcp":       "claude_desktop_config.json",
	} {
		endpoint, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := Clients(endpoint, None, "")[0]; got.Hint != want {
			t.Errorf("%s: Claude is told %q, want %q", raw, got.Hint, want)
		}
	}
}

// Whatever the status function says, the page says up or down and no more.
func TestStatusShowsNoDetail(t *testing.T) {
	t.Parallel()
	const detail = "GET https://internal.example: key sk-12345 refused"
	var log strings.Builder
	w := get(t, newPage(t, Info{
		Status: func(context.Context) error { return errors.New(detail) },
		Log:    slog.New(slog.NewTextHandler(&log, nil)),
	}), nil)
	body := w.Body.String()
	if w.Code != 200 || !strings.Contains(body, "can’t be reached right now") {
		t.Errorf("status %d, want the page to say that the service is down", w.Code)
	}
	for _, secret := range []string{"sk-12345", "internal.example"} {
		if strings.Contains(body, secret) {
			t.Errorf("the page has %s", secret)
		}
	}
	if !strings.Contains(log.String(), detail) {
		t.Errorf("the log does not say why: %s", log.String())
	}
	if body := get(t, newPage(t, Info{}), nil).Body.String(); strings.Contains(body, `class="status`) {
		t.Error("with nobody to ask, the page speaks of the service")
	}
}
