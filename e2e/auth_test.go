//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// callerOf is a client that sends a credential with every request.
func callerOf(t *testing.T, p *process, url, era string, header params) *session {
	t.Helper()
	w := newHTTPWire(t, url, modern)
	w.always = header
	if era == legacy {
		w.version = legacy
		res := w.do(t, t.Context(), http.MethodPost, encodeRequest(t, legacy, `"initialize"`, "initialize", initializeParams()), nil)
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if w.session = res.Header.Get("Mcp-Session-Id"); w.session == "" {
			t.Fatalf("initialize: status %d", res.StatusCode)
		}
	}
	return newSession(t, p, w)
}

func bearer(token string) params { return params{"Authorization": "Bearer " + token} }

const aliceToken, bobToken = "alice-0123456789abcdef", "bob-0123456789abcdef"

// Named tokens: who has none is refused, and what one caller was given is no
// other caller's.
func TestAuthTokens(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte("bob:"+bobToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, url := launchHTTP(t, up.env("OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS=alice:"+aliceToken, "OPENCLAW_MCP_TOKENS_FILE="+file))
	nobody := newHTTPWire(t, url, modern)
	list := encodeRequest(t, modern, "1", "tools/list", nil)
	for name, header := range map[string]params{"none": nil, "wrong": bearer("mallory-0123456789abcdef"), "basic": {"Authorization": "Basic YTpi"}} {
		res := nobody.do(t, t.Context(), "POST", list, header)
		b, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != 401 || !strings.HasPrefix(res.Header.Get("WWW-Authenticate"), "Bearer") || !strings.Contains(string(b), `"jsonrpc"`) {
			t.Errorf("%s: status %d, %v, %s", name, res.StatusCode, res.Header, b)
		}
	}
	for _, era := range []string{legacy, modern} {
		alice, bob := callerOf(t, p, url, era, bearer(aliceToken)), callerOf(t, p, url, era, bearer(bobToken))
		r := alice.ok(t, "exec_command", params{"command": "echo for alice; sleep 60", "background": true})
		stolen := bob.call(t, "wait_run", params{"runs": []string{r.str("run")}, "wait_seconds": 0})
		if !stolen.IsError || !strings.Contains(stolen.Text, "not a run handle of yours") || strings.Contains(stolen.Text, "for alice") {
			t.Errorf("bob reads alice's run: %s", stolen.Text)
		}
		if c := bob.call(t, "cancel_run", params{"run": r.str("run")}); !c.IsError {
			t.Errorf("bob cancels alice's run: %s", c.Text)
		}
		if l := bob.ok(t, "list_runs", nil); strings.Contains(l.Text, "running") {
			t.Errorf("bob lists alice's run: %s", l.Text)
		}
		term := alice.ok(t, "open_terminal", nil)
		if x := bob.call(t, "read_terminal", params{"terminal": term.str("terminal")}); !x.IsError {
			t.Errorf("bob reads alice's terminal: %s", x.Text)
		}
		alice.ok(t, "close_terminal", params{"terminal": term.str("terminal")})
		alice.ok(t, "cancel_run", params{"run": r.str("run")})
		if era == legacy {
			thief := newHTTPWire(t, url, modern)
			thief.version, thief.session, thief.always = legacy, alice.wire.(*httpWire).session, bearer(bobToken)
			for _, method := range []string{"POST", "GET", "DELETE"} {
				res := thief.do(t, t.Context(), method, encodeRequest(t, legacy, "9", "tools/list", nil), params{"Accept": "text/event-stream, application/json"})
				_ = res.Body.Close()
				if res.StatusCode != 404 {
					t.Errorf("%s with a stolen session: status %d", method, res.StatusCode)
				}
			}
		}
	}
	// A file that changes is read again, without a restart.
	if err := os.WriteFile(file, []byte("carol:carol-0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status := func(token string) int {
		res := nobody.do(t, t.Context(), "POST", list, bearer(token))
		_, _ = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		return res.StatusCode
	}
	eventually(t, "the file is read again", func() bool { return status(bobToken) == 401 && status("carol-0123456789abcdef") == 200 })
	for _, token := range []string{aliceToken, bobToken} {
		if strings.Contains(p.stderr.String(), token) {
			t.Error("a token is in the log")
		}
	}
}

// Each caller brings a key: it is used for that caller's requests upstream, and
// for nobody else's; the server needs none of its own.
func TestAuthKeys(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{Keys: []string{"sk_live_second"}})
	second, err := up.AddInstance("sk_live_second")
	if err != nil {
		t.Fatal(err)
	}
	p, url := launchHTTP(t, []string{"OPENCLAW_API_BASE_URL=" + up.url, "OPENCLAW_MCP_AUTH=key"})
	for _, era := range []string{legacy, modern} {
		a, b := callerOf(t, p, url, era, params{"X-OpenClaw-Api-Key": up.key}), callerOf(t, p, url, era, bearer("sk_live_second"))
		for range 2 { // the second time from whatever is cached
			if l := a.ok(t, "list_instances", nil); !strings.Contains(l.Text, up.instance) || strings.Contains(l.Text, second) {
				t.Errorf("the first caller sees %s", l.Text)
			}
			if l := b.ok(t, "list_instances", nil); strings.Contains(l.Text, up.instance) || !strings.Contains(l.Text, second) {
				t.Errorf("the second caller sees %s", l.Text)
			}
		}
		wrong := callerOf(t, p, url, era, bearer("sk_live_nobody"))
		if l := wrong.call(t, "list_instances", nil); !l.IsError || strings.Contains(l.Text, up.instance) {
			t.Errorf("a wrong key gets %s", l.Text)
		}
	}
	for _, key := range []string{up.key, "sk_live_second", "sk_live_nobody"} {
		if strings.Contains(p.stderr.String(), key) {
			t.Error("a key is in the log")
		}
	}
}

// A session outlives the server: its id is good for the next one.
func TestAuthSessionSurvivesRestart(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	env := up.env("OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS=alice:"+aliceToken)
	p, url := launchHTTP(t, env)
	alice := callerOf(t, p, url, legacy, bearer(aliceToken))
	alice.ok(t, "list_instances", nil)
	id := alice.wire.(*httpWire).session
	p.kill(t)
	p, url = launchHTTP(t, env)
	w := newHTTPWire(t, url, modern)
	w.version, w.session, w.always = legacy, id, bearer(aliceToken)
	newSession(t, p, w).ok(t, "list_instances", nil)
}

// writeCertificate makes a certificate for 127.0.0.1 with a serial number.
func writeCertificate(t *testing.T, dir string, serial int64) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestAuthTLSReload(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	dir := t.TempDir()
	cert, key := writeCertificate(t, dir, 1)
	p := launch(t, up.env("OPENCLAW_MCP_TLS_CERT="+cert, "OPENCLAW_MCP_TLS_KEY="+key), "--http", "127.0.0.1:0")
	url := strings.Replace(p.stderr.match(t, servedAtTLS)[1], "/mcp", "", 1)
	serial := func() int64 {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true}) // its serial number tells which it is
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("serial number %d", n)
	}
	writeCertificate(t, dir, 2)
	eventually(t, "the new certificate is served", func() bool { return serial() == 2 })
	if err := os.WriteFile(key, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the broken file is noticed", func() bool {
		return serial() == 2 && strings.Contains(p.stderr.String(), "its last good content stays in use")
	})
}

// Settings that would leave a server open are refused, and so are those that
// contradict each other.
func TestAuthRefusedSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env  []string
		want string
	}{
		{[]string{"OPENCLAW_MCP_AUTH=password"}, "none, token, key or oauth"},
		{[]string{"OPENCLAW_MCP_AUTH=token"}, "OPENCLAW_MCP_TOKENS_FILE"},
		{[]string{"OPENCLAW_MCP_TOKENS=a:0123456789abcdef"}, "would protect nothing"},
		{[]string{"OPENCLAW_MCP_AUTH=oauth"}, "OPENCLAW_MCP_OAUTH_ISSUER"},
		{[]string{"OPENCLAW_MCP_AUTH=oauth", "OPENCLAW_MCP_OAUTH_ISSUER=https://id.example"}, "OPENCLAW_MCP_PUBLIC_URL"},
		{[]string{"OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS=a:short"}, "OPENCLAW_MCP_TOKENS"},
		{[]string{"OPENCLAW_MCP_HTTP=0.0.0.0:0"}, "OPENCLAW_MCP_AUTH"},
		{[]string{"OPENCLAW_MCP_TLS_CERT=/no/such"}, "go together"},
		{[]string{"OPENCLAW_MCP_TLS_CERT=/no/such", "OPENCLAW_MCP_TLS_KEY=/no/such"}, "can't be used"},
		{[]string{"OPENCLAW_MCP_PUBLIC_URL=claw.example"}, "https://claw.example/mcp"},
		{[]string{"OPENCLAW_MCP_ALLOWED_ORIGINS=app.example"}, "https://app.example"},
		{[]string{"OPENCLAW_MCP_ALLOWED_HOSTS=https://claw.example"}, "host name"},
		{[]string{"OPENCLAW_MCP_RATE_LIMIT=-1"}, "from 0"},
		{[]string{"OPENCLAW_MCP_CONCURRENCY=-1"}, "0 or more"},
		{[]string{"OPENCLAW_MCP_SESSION_IDLE=1s"}, "from 1m"},
	} {
		env := append([]string{"OPENCLAW_API_KEY=k", "OPENCLAW_MCP_HTTP=127.0.0.1:0"}, tt.env...)
		code, _, stderr := execute(t, env)
		if code != 2 || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit code %d, %s", tt.env, code, stderr)
		}
	}
}
