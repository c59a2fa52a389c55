//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

var campaign = flag.Duration("campaign", 3*time.Second, "how long TestMalformedCampaign lasts")

// knownStatuses are those that the server has for a request, however wrong.
var knownStatuses = map[int]bool{
	200: true, 202: true, 204: true, 400: true, 401: true, 403: true, 404: true, 405: true, 406: true,
	408: true, 413: true, 414: true, 415: true, 417: true, 429: true, 431: true, 501: true, 505: true,
}

// Malformed requests over real sockets, in bulk: wrong JSON-RPC, headers, sizes,
// encodings, early closes. No panic, no leak, a right status for each; and the
// server serves others all the while.
func TestMalformedCampaign(t *testing.T) {
	up := newUpstream(t, emulatortest.Options{})
	p, url := launchHTTP(t, up.env("OPENCLAW_MCP_AUTH=token", "OPENCLAW_MCP_TOKENS=alice:"+aliceToken, "OPENCLAW_MCP_ADMIN=127.0.0.1:0"))
	address := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/mcp")
	admin := p.stderr.match(t, regexp.MustCompile(`admin=(http://[^\s"]+)`))[1]
	alice := callerOf(t, p, url, legacy, bearer(aliceToken))
	alice.ok(t, "list_instances", nil)
	// A session of its own for the campaign, which may well end it.
	session := callerOf(t, p, url, legacy, bearer(aliceToken)).wire.(*httpWire).session
	goroutines := func() int {
		res, err := http.Get(admin + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		m := regexp.MustCompile(`(?m)^go_goroutines (\d+)`).FindSubmatch(b)
		if m == nil {
			t.Fatalf("no go_goroutines in %s", shorten(string(b), 300))
		}
		n, _ := strconv.Atoi(string(m[1]))
		return n
	}
	before := goroutines()
	end := time.Now().Add(*campaign)
	var sent, answered, closed atomic.Int64
	var wg sync.WaitGroup
	defer wg.Wait()
	for worker := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(worker), 7))
			for time.Now().Before(end) {
				raw, early := malformed(r, session)
				status, err := exchange(address, raw, early)
				sent.Add(1)
				switch {
				case early:
					closed.Add(1)
				case err != nil:
					t.Errorf("%v for %q", err, shorten(string(raw), 600))
				case !knownStatuses[status]:
					t.Errorf("status %d for %q", status, shorten(string(raw), 600))
				default:
					answered.Add(1)
				}
			}
		})
	}
	for time.Now().Before(end) { // a client like any other
		alice.ok(t, "list_instances", nil)
	}
	wg.Wait()
	t.Logf("%d malformed requests: %d answered, %d closed early", sent.Load(), answered.Load(), closed.Load())
	eventually(t, "the goroutines are gone", func() bool { return goroutines() <= before+5 })
	if log := p.stderr.String(); strings.Contains(log, "panic") {
		t.Errorf("it panicked: %s", shorten(log[strings.Index(log, "panic"):], 2000))
	}
}

// malformed makes a request that is wrong in some way, or several; early says
// that the client is going to hang up in the middle of it.
func malformed(r *rand.Rand, session string) (raw []byte, early bool) {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	body := []byte(pick(
		`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`,
		`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_files","arguments":{"path":"/workspace"},"_meta":{"progressToken":1}}}`,
		`{"jsonrpc":"2.0","id":"x","method":"resources/read","params":{"uri":"openclaw://instances/x/files/%00"}}`,
		`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`,
		`{"jsonrpc":"2.0","id":1,"result":{}}`, `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, `{}`, `null`, ``, `{"jsonrpc":"2.0","id":{},"method":5}`,
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}`,
		`{"jsonrpc":"2.0","id":1e99,"method":"ping"}`, strings.Repeat(`[`, 5000), strings.Repeat(`{"a":`, 3000)+`1`+strings.Repeat(`}`, 3000),
	))
	for range r.IntN(4) { // bytes that are wrong, missing or twice there
		if len(body) == 0 {
			break
		}
		at := r.IntN(len(body))
		switch r.IntN(4) {
		case 0:
			body[at] = byte(r.IntN(256))
		case 1:
			body = append(body[:at:at], body[at+1:]...)
		case 2:
			body = bytes.Join([][]byte{body[:at], body[at:]}, []byte(pick("\x00", "\xff\xfe", "\u202e", `"`, "\\ud800", strings.Repeat("9", 400))))
		case 3:
			body = body[:at]
		}
	}
	var b bytes.Buffer
	target := pick("/mcp", "/mcp", "/mcp", "/mcp", "/", "/.well-known/oauth-protected-resource", "/mcp/%2e%2e", "/"+strings.Repeat("x", 3000))
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", pick("POST", "POST", "POST", "POST", "GET", "DELETE", "OPTIONS", "PUT", "HEAD"), target, pick("localhost", "localhost", "localhost", "evil.example"))
	header := func(name string, values ...string) {
		if v := pick(values...); v != "" {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
	}
	header("Authorization", "Bearer "+aliceToken, "Bearer "+aliceToken, "Bearer "+aliceToken, "Bearer", "Basic x", "Bearer "+strings.Repeat("x", 20_000), "")
	header("Content-Type", "application/json", "application/json", "application/json", "text/plain", "application/json; charset=\xff", "")
	header("Accept", "application/json, text/event-stream", "application/json, text/event-stream", "application/json", "image/png", ";;;", "")
	header("Mcp-Protocol-Version", legacy, legacy, modern, modern, "1999-01-01", strings.Repeat("9", 500), "")
	header("Mcp-Session-Id", session, session, session[:len(session)-1], "\xff", "mcp_"+strings.Repeat("A", 2000), "")
	header("Mcp-Method", "", "", "tools/list", "tools/call", "=?base64?!?=")
	header("Mcp-Name", "", "", "list_files", "=?base64?AAAA?=", "=?base64?")
	header("Last-Event-ID", "", "", "", "1-1", "zzzzzzzzzzzzzzzz-1", "-", "99999999999999999999")
	header("Origin", "", "", "http://localhost", "https://evil.example", "null", "::::")
	header("X-MCP-Readonly", "", "", "maybe")
	header("Content-Encoding", "", "", "", "gzip")
	header("Expect", "", "", "", "", "", "100-continue", "nonsense")
	for range r.IntN(2) * r.IntN(100) {
		header("X-Filler", strings.Repeat("f", 400))
	}
	early = r.IntN(8) == 0
	switch r.IntN(12) {
	case 0:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	case 1:
		fmt.Fprintf(&b, "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n%s", body)
	case 2:
		fmt.Fprintf(&b, "Content-Length: 99999999999\r\nConnection: close\r\n\r\n%s", body)
	case 3:
		fmt.Fprintf(&b, "Content-Length: -5\r\nConnection: close\r\n\r\n%s", body)
	case 4: // less than was announced
		early = true
		fmt.Fprintf(&b, "Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body)+100, body)
	default:
		fmt.Fprintf(&b, "Content-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
	}
	raw = b.Bytes()
	if early {
		raw = raw[:r.IntN(len(raw)+1)]
	}
	return raw, early
}

// exchange sends a request and reads the status of its answer.
func exchange(address string, raw []byte, early bool) (int, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := conn.Write(raw); err != nil && early {
		return 0, nil
	}
	if early {
		return 0, nil
	}
	r := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return 0, err
		}
		if res.StatusCode != http.StatusContinue {
			return res.StatusCode, nil // a stream is hung up on after its first words
		}
	}
}
