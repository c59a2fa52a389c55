//go:build e2e

package e2e

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// hosted has an upstream answer in place of the hosted service, under its name: the way there
// leads through a proxy. It gives the environment of a program that takes it for that.
func hosted(t *testing.T, up *upstream) []string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	self := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"openclaw-as-a-service.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, self, self, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	service := httptest.NewUnstartedServer(up.Server)
	service.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	service.StartTLS()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "openclaw-as-a-service.com:443" {
			http.Error(w, "only to the service", http.StatusForbidden)
			return
		}
		there, err := net.Dial("tcp", service.Listener.Addr().String())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			_, _ = io.Copy(there, here)
			_ = there.Close()
		}()
		_, _ = io.Copy(here, there)
	}))
	t.Cleanup(func() {
		service.CloseClientConnections()
		service.Close()
		proxy.Close()
	})
	return []string{"OPENCLAW_API_KEY=" + up.key, "HTTPS_PROXY=" + proxy.URL, "SSL_CERT_FILE=" + file, "OPENCLAW_MCP_CONFIRM=ask"}
}

// A client that can send its user to a page does that where a new instance needs a
// subscription, whatever else it can, in each version that has pages. It never gets a form
// that it can't show.
func TestSubscriptionPage(t *testing.T) {
	t.Parallel()
	const create = "POST /instances"
	up := newUpstream(t, emulatortest.Options{})
	env := hosted(t, up)
	refuse := func(yes bool) {
		up.SetFaults()
		if yes {
			up.SetFaults(emulatortest.Fault{Endpoint: create, Status: 403})
		}
	}
	for _, version := range []string{"2025-06-18", legacy, modern} {
		for _, able := range []string{`{"url":{}}`, `{"form":{},"url":{}}`, `{"form":{}}`, `{}`} {
			for _, answer := range []string{"accept", "accept without subscribing", "decline", "cancel"} {
				c := newAskedClient(t, env, version, able)
				refuse(true)
				before := up.Calls(create)
				c.call("create_instance", `{}`)
				question := c.question("page")
				if asks := version != "2025-06-18" && strings.Contains(able, "url"); asks != (question != nil) {
					t.Fatalf("%s %s: got %s", version, able, c.last)
				} else if !asks {
					if !c.result.IsError || !strings.Contains(c.text(), "invite_code") {
						t.Errorf("%s %s: got %s", version, able, c.last)
					}
					break // there is nothing to answer
				}
				_, hasID := question["elicitationId"]
				_, hasForm := question["requestedSchema"]
				if question["mode"] != "url" || question["url"] != "https://openclaw-as-a-service.com" || question["message"] == "" || hasID != (version == legacy) || hasForm {
					t.Errorf("%s %s: the question is %s", version, able, c.last)
				}
				refuse(answer != "accept")
				action, _, _ := strings.Cut(answer, " ")
				c.answer("page", `{"action":"`+action+`"}`)
				posts, want := up.Calls(create)-before, ""
				switch answer {
				case "accept":
					want = "is ready"
				case "decline":
					want = "declined by the user. No instance was created"
					if posts != 1 {
						t.Errorf("%s: asked for %d times", answer, posts)
					}
				case "cancel":
					want = "invite_code"
				default:
					want = "once they have, call create_instance again"
				}
				if !strings.Contains(c.text(), want) || c.result.IsError != (answer != "accept") {
					t.Errorf("%s %s %s: got %s", version, able, answer, c.last)
				}
			}
			// A question that takes a form goes to those who have forms.
			c := newAskedClient(t, env, version, able)
			c.call("reboot_instance", `{"instance":"`+up.instance+`"}`)
			question := c.question("confirm")
			if forms := !strings.HasPrefix(able, `{"url"`); forms != (question != nil) {
				t.Fatalf("%s %s: got %s", version, able, c.last)
			} else if !forms {
				if !strings.Contains(c.text(), "confirm: ") {
					t.Errorf("%s %s: got %s", version, able, c.last)
				}
				continue
			}
			if mode := question["mode"]; mode != nil && mode != "form" || question["requestedSchema"] == nil {
				t.Errorf("%s %s: the question is %s", version, able, c.last)
			}
			c.answer("confirm", `{"action":"decline"}`)
			if !c.result.IsError || !strings.Contains(c.text(), "declined by the user. Nothing was done.") || strings.Contains(c.text(), "confirm:") {
				t.Errorf("%s %s: declined: %s", version, able, c.last)
			}
		}
	}
}

// askedClient is a client on standard input and output whose user is asked.
type askedClient struct {
	t             *testing.T
	p             *process
	in            *bufio.Scanner
	version, able string
	tool, args    string
	last          []byte // message of the server
	id            json.RawMessage
	result        struct {
		IsError       bool
		RequestState  string
		Content       []struct{ Text string }
		InputRequests map[string]struct{ Params map[string]any }
	}
}

func newAskedClient(t *testing.T, env []string, version, able string) *askedClient {
	t.Helper()
	c := &askedClient{t: t, p: launch(t, env), version: version, able: able}
	c.in = bufio.NewScanner(c.p.stdout)
	c.in.Buffer(nil, 1<<20)
	if version != modern {
		c.send(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":%q,"clientInfo":{"name":"c","version":"1"},"capabilities":{"elicitation":%s}}}`, version, able)
		c.next()
	}
	return c
}

func (c *askedClient) send(format string, a ...any) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.p.stdin, format+"\n", a...); err != nil {
		c.t.Fatal(err)
	}
}

// next reads a message, and its params where it is a question.
func (c *askedClient) next() (params map[string]any) {
	c.t.Helper()
	if !c.in.Scan() {
		c.t.Fatalf("no more output: %v", c.in.Err())
	}
	c.last = []byte(c.in.Text())
	m := struct {
		ID     json.RawMessage
		Method string
		Params map[string]any
		Result any
	}{Result: &c.result}
	c.result.IsError, c.result.Content, c.result.InputRequests = false, nil, nil
	if err := json.Unmarshal(c.last, &m); err != nil {
		c.t.Fatalf("%s: %v", c.last, err)
	}
	c.id = m.ID
	return m.Params
}

func (c *askedClient) call(tool, args string) {
	c.t.Helper()
	c.tool, c.args = tool, args
	c.send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s%s}}`, tool, args, c.meta())
}

func (c *askedClient) meta() string {
	if c.version != modern {
		return ""
	}
	return `,"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{"elicitation":` + c.able + `},"io.modelcontextprotocol/clientInfo":{"name":"c","version":"1"}}`
}

// question gives the params of the question that the call is answered with; nil: it is none.
func (c *askedClient) question(id string) map[string]any {
	c.t.Helper()
	if asked := c.next(); c.version != modern {
		return asked
	}
	return c.result.InputRequests[id].Params
}

// answer answers the question, and reads the call's result.
func (c *askedClient) answer(id, answer string) {
	c.t.Helper()
	if c.version != modern {
		c.send(`{"jsonrpc":"2.0","id":%s,"result":%s}`, c.id, answer)
	} else {
		c.send(`{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":%q,"arguments":%s,"requestState":%q,"inputResponses":{%q:%s}%s}}`,
			c.tool, c.args, c.result.RequestState, id, answer, c.meta())
	}
	c.next()
}

func (c *askedClient) text() string {
	var b strings.Builder
	for _, part := range c.result.Content {
		b.WriteString(part.Text)
	}
	return b.String()
}
