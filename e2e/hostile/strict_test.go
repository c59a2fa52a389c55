//go:build e2e

package hostile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// An error that is about nothing is not answered: two programs would answer each other's
// errors for ever.
func TestStrayErrors(t *testing.T) {
	t.Parallel()
	strays := []string{
		`{"jsonrpc":"2.0","error":{"code":-32600,"message":"x"}}`,
		`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`,
		`{"error":{"code":-32700,"message":"x"}}`,
		`{"jsonrpc":"2.0","id":"unknown","error":{"code":-32603,"message":"x"}}`,
		"\ufeff" + `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x","data":{"a":[1]}}}`,
	}
	url := service(t, instances(anyKey))
	h := newHost(t, "OPENCLAW_API_BASE_URL="+url)
	s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+url)
	c := newCaller(t, s.url)
	session := c.initialize(t)
	for _, stray := range strays {
		if _, err := io.WriteString(h.stdin, stray+"\n"); err != nil {
			t.Fatal(err)
		}
		if _, before := h.request("ping", params{}); len(before) > 0 {
			t.Errorf("stdio: %s is answered with %s", stray, before)
		}
		for version, id := range map[string]string{legacy: session, modern: ""} {
			header := headers(version, "", "")
			if id != "" {
				header.Set("Mcp-Session-Id", id)
			}
			status, text, _ := c.answer(t, http.MethodPost, header, []byte(stray))
			if strings.Contains(stray, "unknown") && version == modern {
				continue // an answer, of which there are none in that version: the client did wrong
			}
			if status != http.StatusAccepted || text != "" {
				t.Errorf("HTTP, %s: %s is answered with %d %s", version, stray, status, text)
			}
		}
	}
}

// A byte order mark before a message or an answer is ignored, wherever it comes from.
func TestByteOrderMarks(t *testing.T) {
	t.Parallel()
	const mark = "\ufeff"
	url := service(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch at := strings.TrimPrefix(r.URL.Path, "/api/instances/i1"); at {
		case "/chat/stream":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, mark+"event: delta\ndata: {\"delta\":\"marked words\"}\n\nevent: done\ndata: {}\n\n")
		case "/chat/messages", "/chat/sessions":
			_, _ = io.WriteString(w, mark+`[{"id":"m1","role":"user","content":"marked history"}]`)
		case "/terminal/exec":
			_, _ = io.WriteString(w, mark+`{"stdout":"marked output","exit_code":0}`)
		case "/files":
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, mark+`{"error":"forbidden","message":"marked refusal"}`)
		default:
			_, _ = io.WriteString(w, mark+`{"id":"i1","name":"marked name","status":"running"}`)
		}
	})
	p := start(t, []string{"OPENCLAW_API_KEY=" + serverKey, "OPENCLAW_API_BASE_URL=" + url})
	for i, message := range []string{
		`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"` + legacy + `","capabilities":{},"clientInfo":{"name":"m","version":"1"}}}`,
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`,
	} {
		if _, err := io.WriteString(p.stdin, mark+message+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if line, err := p.stdout.ReadString('\n'); err != nil || !strings.Contains(line, fmt.Sprintf(`"id":%d,"result"`, i)) {
			t.Errorf("stdio: %s (%v)", line, err)
		}
	}
	h := newHost(t, "OPENCLAW_API_BASE_URL="+url)
	for tool, c := range map[string]struct {
		args params
		want string
	}{
		"get_instance":      {params{"instance": "i1"}, "marked name"},
		"send_chat_message": {params{"instance": "i1", "session": "s", "message": "hello"}, "marked words"},
		"read_chat_history": {params{"instance": "i1", "session": "s"}, "marked history"},
		"exec_command":      {params{"instance": "i1", "command": "true", "timeout_seconds": 1}, "marked output"},
		"list_files":        {params{"instance": "i1", "path": "/workspace"}, "marked refusal"},
	} {
		if text, _ := h.tool(tool, c.args); !strings.Contains(text, c.want) || strings.Contains(text, "FEFF") {
			t.Errorf("%s: %s", tool, text)
		}
	}
}

// A number, a boolean or a list as JSON text is taken for what it says where there is no
// doubt, and for nothing else; it costs no more than what is written properly. A list of
// empty lists as text once took gigabytes.
func TestWrittenValues(t *testing.T) {
	t.Parallel()
	h := newHost(t, "OPENCLAW_API_BASE_URL="+service(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/terminal/exec") {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"stdout":"it ran","exit_code":0}`)
			return
		}
		instances(anyKey)(w, r)
	}))
	with := func(name string, value any) params {
		return params{"instance": "i1", "command": "true", "timeout_seconds": 1, name: value}
	}
	call := func(tool string, args params) string {
		text, _ := h.tool(tool, args)
		return text
	}
	for _, value := range []any{5, json.RawMessage("5.0"), json.RawMessage("5e0"), "5", " 5 ", "5.0"} {
		if text := call("exec_command", with("timeout_seconds", value)); !strings.Contains(text, "it ran") {
			t.Errorf("timeout_seconds %s: %s", value, text)
		}
	}
	for _, value := range []any{true, "true", "false"} {
		if text := call("exec_command", with("raw", value)); !strings.Contains(text, "it ran") {
			t.Errorf("raw %v: %s", value, text)
		}
	}
	for _, value := range []any{json.RawMessage("5.5"), "5.5", "five", "0x5", "", "5 5", `"5"`, "[5]", "null", "1e999", strings.Repeat(" ", 1<<20) + "5"} {
		if text := call("exec_command", with("timeout_seconds", value)); !strings.Contains(text, `argument "timeout_seconds" must be an integer`) && !(len(fmt.Sprint(value)) > 1000 && strings.Contains(text, `argument "timeout_seconds" has`)) {
			t.Errorf("timeout_seconds %.20q: %.300s", value, text)
		}
	}
	for _, value := range []any{1, "1", "yes", "True", `"true"`, ""} {
		if text := call("exec_command", with("raw", value)); !strings.Contains(text, `argument "raw" must be true or false`) {
			t.Errorf("raw %v: %s", value, text)
		}
	}
	for _, value := range []any{[]string{"run_x"}, `["run_x"]`} {
		if text := call("wait_run", params{"runs": value}); !strings.Contains(text, "runs[0]") {
			t.Errorf("runs %v: %s", value, text)
		}
	}
	for _, value := range []any{"run_x", `[["run_x"]]`, `["run_x", 5]`, `{"0":"run_x"}`, "[", "[]"} {
		if text := call("wait_run", params{"runs": value}); !strings.Contains(text, `argument "runs" must be a list`) {
			t.Errorf("runs %v: %s", value, text)
		}
	}
	for _, list := range []string{"[" + strings.Repeat("[],", 15_000_000) + "[]]", strings.Repeat("[", 30_000_000), `["` + strings.Repeat(`","`, 10_000_000) + `"]`} {
		if text := call("wait_run", params{"runs": list}); !strings.Contains(text, `argument "runs" has`) || len(text) > 2000 {
			t.Errorf("runs %.20s…: %.300s", list, text)
		}
	}
	t.Logf("%d MiB", h.memory(t))
	if m := h.memory(t); m > 400 { // once 1.3 GB
		t.Errorf("it took %d MiB", m)
	}
}

// issuer signs tokens as the issuer that it is called.
type issuer struct {
	name string
	key  *ecdsa.PrivateKey
}

func newIssuer(t testing.TB) issuer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{key: key}
}

func (i issuer) token(t testing.TB, more params) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := params{"iss": i.name, "sub": "alice", "aud": "https://claw.example/mcp", "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(claims, more)
	b, _ := json.Marshal(claims)
	signed, err := s.Sign(b)
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (i issuer) keys() any {
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &i.key.PublicKey, KeyID: "1", Use: "sig"}}}
}

// An issuer below a path may have its metadata at any of the three places that the
// standards name, and with a byte order mark. Whoever has the other places, and the same
// host, can't speak for it.
func TestIssuersMetadata(t *testing.T) {
	t.Parallel()
	const path = "/realms/a"
	for _, place := range []string{path + "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server" + path, "/.well-known/openid-configuration" + path} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			good, evil := newIssuer(t), newIssuer(t)
			var asked atomic.Int64
			mux := http.NewServeMux()
			srv := httptest.NewServer(mux)
			t.Cleanup(srv.Close)
			good.name, evil.name = srv.URL+path, srv.URL
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				answer := func(v any) {
					w.Header().Set("Content-Type", "application/json")
					_, _ = io.WriteString(w, "\ufeff")
					_ = json.NewEncoder(w).Encode(v)
				}
				switch {
				case r.URL.Path == place:
					asked.Add(1)
					answer(params{"issuer": good.name, "jwks_uri": srv.URL + "/good"})
				case strings.Contains(r.URL.Path, "/.well-known/"): // of somebody else on the same host
					answer(params{"issuer": evil.name, "jwks_uri": srv.URL + "/evil"})
				case r.URL.Path == "/good":
					answer(good.keys())
				case r.URL.Path == "/evil":
					answer(evil.keys())
				default:
					http.NotFound(w, r)
				}
			})
			s := serve(t, "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+service(t, instances(anyKey)),
				"OPENCLAW_MCP_AUTH=oauth", "OPENCLAW_MCP_OAUTH_ISSUER="+good.name, "OPENCLAW_MCP_PUBLIC_URL=https://claw.example/mcp")
			call := func(token string) (int, string) {
				return newCaller(t, s.url, "Authorization", "Bearer "+token).call(t, "list_instances", nil)
			}
			if status, text := call(good.token(t, nil)); status != 200 || !strings.Contains(text, "i1") {
				t.Errorf("a good token: %d %s", status, text)
			}
			for what, token := range map[string]string{
				"of the host's own issuer": evil.token(t, nil), "in the issuer's name": evil.token(t, params{"iss": good.name}),
				"with a slash behind the issuer": good.token(t, params{"iss": good.name + "/"}), "of the host": good.token(t, params{"iss": evil.name}),
				"for another server": good.token(t, params{"aud": "https://other.example/mcp"}), "that has expired": good.token(t, params{"exp": time.Now().Add(-time.Hour).Unix()}),
				"without an end": good.token(t, params{"exp": nil}), "of nobody": good.token(t, params{"sub": ""}),
			} {
				if status, text := call(token); status != http.StatusUnauthorized || strings.Contains(text, "i1") {
					t.Errorf("a token %s: %d %s", what, status, text)
				}
			}
			if asked.Load() == 0 {
				t.Error("the metadata were not asked for")
			}
		})
	}
}

// A client that sends its user to pages and can't show a form is never asked to show one.
func TestFormsAreForThoseWhoShowThem(t *testing.T) {
	t.Parallel()
	url := service(t, instances(anyKey))
	urls := params{"elicitation": params{"url": params{}}}
	reboot := params{"name": "reboot_instance", "arguments": params{"instance": "i1"}}
	check := func(what, said string) {
		t.Helper()
		if strings.Contains(said, "requestedSchema") || strings.Contains(said, `"mode":"form"`) || !strings.Contains(said, "needs a confirmation") {
			t.Errorf("%s: %s", what, said)
		}
	}
	h := &host{process: start(t, []string{"OPENCLAW_MCP_CONFIRM=ask", "OPENCLAW_API_KEY=" + serverKey, "OPENCLAW_API_BASE_URL=" + url}), t: t}
	h.request("initialize", params{"protocolVersion": legacy, "capabilities": urls, "clientInfo": params{"name": "host", "version": "1"}})
	h.write(params{"jsonrpc": "2.0", "method": "notifications/initialized"})
	answer, before := h.request("tools/call", reboot)
	check("stdio", fmt.Sprintf("%s%s", before, answer))
	s := serve(t, "OPENCLAW_MCP_CONFIRM=ask", "OPENCLAW_API_KEY="+serverKey, "OPENCLAW_API_BASE_URL="+url)
	c := newCaller(t, s.url)
	_, _, opened := c.answer(t, http.MethodPost, headers("", "", ""), request(t, legacy, "initialize", params{
		"protocolVersion": legacy, "clientInfo": params{"name": "host", "version": "1"}, "capabilities": urls}))
	header := headers(legacy, "", "")
	header.Set("Mcp-Session-Id", opened.Get("Mcp-Session-Id"))
	_, said, _ := c.answer(t, http.MethodPost, header, request(t, legacy, "tools/call", reboot))
	check("HTTP", said)
	b, _ := json.Marshal(params{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params{
		"name": "reboot_instance", "arguments": params{"instance": "i1"}, "_meta": params{
			"io.modelcontextprotocol/protocolVersion": modern, "io.modelcontextprotocol/clientCapabilities": urls}}})
	_, said, _ = c.answer(t, http.MethodPost, headers(modern, "tools/call", "reboot_instance"), b)
	check("HTTP, "+modern, said)
}
