package transport

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// status sends a request and checks how it is answered: the status, and words
// that the body holds.
func (c *httpClient) status(t *testing.T, name, method, body string, header http.Header, want int, words ...string) http.Header {
	t.Helper()
	res := c.do(t, t.Context(), method, []byte(body), header)
	defer closeBody(res)
	raw, _ := io.ReadAll(res.Body)
	if res.StatusCode != want {
		t.Errorf("%s: status %d, want %d: %s", name, res.StatusCode, want, raw)
	}
	for _, w := range words {
		if !bytes.Contains(raw, []byte(w)) {
			t.Errorf("%s: %s lacks %q", name, raw, w)
		}
	}
	return res.Header
}

const ping = `{"jsonrpc":"2.0","id":1,"method":"ping"}`

func TestHTTPLegacyHeaders(t *testing.T) {
	c := newHTTPClient(t, newHTTPServer(t, newFixture(), HTTPOptions{}), legacy)
	tests := []struct {
		name, method, body string
		header             http.Header
		status             int
		words              []string
	}{
		{"good", "POST", ping, nil, 200, []string{`"result":{}`}},
		{"no version", "POST", ping, http.Header{"Mcp-Protocol-Version": nil}, 200, nil},
		{"another version", "POST", ping, http.Header{"Mcp-Protocol-Version": {"2025-03-26"}}, 200, nil},
		{"unknown version", "POST", ping, http.Header{"Mcp-Protocol-Version": {"1999-01-01"}}, 400, []string{`"id":1`, "unsupported protocol version", legacy}},
		{"no session", "POST", ping, http.Header{"Mcp-Session-Id": nil}, 400, []string{`"id":1`, "-32600", "Mcp-Session-Id"}},
		{"unknown session", "POST", ping, http.Header{"Mcp-Session-Id": {"x"}}, 404, []string{`"id":1`, "initialize again"}},
		{"cancel without session", "POST", `{"jsonrpc":"2.0","method":"notifications/cancelled"}`, http.Header{"Mcp-Session-Id": nil}, 400, nil},
		{"initialize as a notification", "POST", `{"jsonrpc":"2.0","method":"initialize"}`, nil, 400, []string{"needs an id"}},
		{"answer to nobody", "POST", `{"jsonrpc":"2.0","id":1,"result":{}}`, nil, 202, nil},
		{"notification", "POST", `{"jsonrpc":"2.0","method":"x"}`, nil, 202, nil},
		{"unknown method", "POST", `{"jsonrpc":"2.0","id":1,"method":"x"}`, nil, 200, []string{"-32601"}},
		{"modern in a legacy session", "POST", string(encodeRequest(t, modern, "1", "tools/list", nil)), nil, 400, []string{"-32020"}},
		{"no Accept", "POST", ping, http.Header{"Accept": nil}, 200, nil},
		{"Accept all", "POST", ping, http.Header{"Accept": {"*/*"}}, 200, nil},
		{"Accept some", "POST", ping, http.Header{"Accept": {"text/html;q=0.9, application/*"}}, 200, nil},
		{"Accept other", "POST", ping, http.Header{"Accept": {"text/html"}}, 406, nil},
		{"Accept a stream alone", "POST", ping, http.Header{"Accept": {"text/event-stream"}}, 200, []string{"data: ", `"result"`}},
		{"Accept not", "POST", ping, http.Header{"Accept": {"application/json;q=0, text/event-stream"}}, 200, []string{"data: "}},
		{"Accept nothing", "POST", ping, http.Header{"Accept": {"application/json;q=0, text/event-stream;q=0"}}, 406, nil},
		{"byte order mark", "POST", "\ufeff" + ping, nil, 200, []string{`"result"`}},
		{"an error about nothing", "POST", `{"jsonrpc":"2.0","error":{"code":-32600,"message":"x"}}`, nil, 202, nil},
		{"an error about null", "POST", `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"x"}}`, nil, 202, nil},
		{"newest initialize", "POST", string(encodeRequest(t, legacy, "0", "initialize", initParams)), http.Header{"Mcp-Protocol-Version": {modern}, "Mcp-Session-Id": nil}, 200, []string{"protocolVersion"}},
		{"wrong params", "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[1]}`, nil, 200, []string{"-32602", "params must be an object"}},
		{"wrong uri", "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}`, nil, 200, []string{"-32602", "params.name must be a string"}},
		{"wrong cursor", "POST", `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":5}}`, nil, 200, []string{"-32602", "params.cursor must be a string"}},
		{"GET without stream", "GET", "", http.Header{"Accept": {"application/json"}}, 406, nil},
		{"GET without session", "GET", "", http.Header{"Mcp-Session-Id": nil}, 400, nil},
		{"GET of unknown session", "GET", "", http.Header{"Mcp-Session-Id": {"x"}}, 404, nil},
		{"DELETE of unknown session", "DELETE", "", http.Header{"Mcp-Session-Id": {"x"}}, 404, nil},
		{"charset", "POST", ping, http.Header{"Content-Type": {"application/json; charset=utf-8"}}, 200, nil},
		{"form", "POST", ping, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, 415, nil},
		{"no type", "POST", ping, http.Header{"Content-Type": nil}, 415, nil},
		{"foreign host", "POST", ping, http.Header{"Host": {"evil.example"}}, 403, nil},
		{"foreign host with a port", "POST", ping, http.Header{"Host": {"localhost.evil.example:80"}}, 403, nil},
		{"local host", "POST", ping, http.Header{"Host": {"LOCALHOST:80"}}, 200, nil},
		{"IPv6 host", "POST", ping, http.Header{"Host": {"[::1]"}}, 200, nil},
		{"foreign origin", "POST", ping, http.Header{"Origin": {"https://evil.example"}}, 403, nil},
		{"null origin", "POST", ping, http.Header{"Origin": {"null"}}, 403, nil},
		{"local origin", "POST", ping, http.Header{"Origin": {"http://127.0.0.1:3000"}}, 200, nil},
	}
	for _, tt := range tests {
		c.status(t, tt.name, tt.method, tt.body, tt.header, tt.status, tt.words...)
	}
	for _, method := range []string{"PUT", "PATCH", "OPTIONS", "HEAD"} {
		h := c.status(t, method, method, "", nil, 405)
		if allow := h.Get("Allow"); allow != "POST, GET, DELETE" {
			t.Errorf("%s: Allow %q", method, allow)
		}
	}
}

func TestHTTPModernHeaders(t *testing.T) {
	c := newHTTPClient(t, newHTTPServer(t, newFixture(), HTTPOptions{}), modern)
	body := string(encodeRequest(t, modern, "5", "tools/call", params{"name": "echo", "arguments": params{"text": "é"}}))
	future := strings.Replace(body, modern, "2999-01-01", 1)
	tests := []struct {
		name, method, body string
		header             http.Header
		status             int
		words              []string
	}{
		{"good", "POST", body, nil, 200, []string{`"é"`, `"id":5`, `"resultType":"complete"`}},
		{"a session is ignored", "POST", body, http.Header{"Mcp-Session-Id": {"x"}}, 200, nil},
		{"no version", "POST", body, http.Header{"Mcp-Protocol-Version": nil}, 400, []string{"-32020", `"id":5`}},
		{"other version", "POST", body, http.Header{"Mcp-Protocol-Version": {legacy}}, 400, []string{"-32020", `"id":5`}},
		{"unsupported version", "POST", future, http.Header{"Mcp-Protocol-Version": {"2999-01-01"}}, 400, []string{"-32022", `"id":5`, modern}},
		{"no method", "POST", body, http.Header{"Mcp-Method": nil}, 400, []string{"-32020"}},
		{"other method", "POST", body, http.Header{"Mcp-Method": {"tools/list"}}, 400, []string{"-32020"}},
		{"no name", "POST", body, http.Header{"Mcp-Name": nil}, 400, []string{"-32020"}},
		{"other name", "POST", body, http.Header{"Mcp-Name": {"big"}}, 400, []string{"-32020"}},
		{"encoded name", "POST", body, http.Header{"Mcp-Name": {"=?base64?ZWNobw==?="}}, 200, nil},
		{"resuming", "POST", body, http.Header{"Last-Event-Id": {"1"}}, 400, []string{"-32020", "resum"}},
		{"no _meta", "POST", `{"jsonrpc":"2.0","id":5,"method":"tools/list"}`, nil, 400, []string{"-32602", `"id":5`}},
		{"no capabilities", "POST", strings.Replace(body, mcpCapabilities, "x", 1), nil, 400, []string{"-32602", "clientCapabilities"}},
		{"an answer", "POST", `{"jsonrpc":"2.0","id":5,"result":{}}`, nil, 400, []string{"-32600"}},
		{"unknown method", "POST", string(encodeRequest(t, modern, "5", "no/such", nil)), nil, 404, []string{"-32601"}},
		{"initialize", "POST", string(encodeRequest(t, modern, "5", "initialize", nil)), nil, 404, []string{"-32601"}},
		{"discover", "POST", string(encodeRequest(t, modern, "5", "server/discover", nil)), nil, 200, []string{modern, legacy}},
	}
	for _, tt := range tests {
		h := c.status(t, tt.name, tt.method, tt.body, tt.header, tt.status, tt.words...)
		if h.Get("Mcp-Session-Id") != "" {
			t.Errorf("%s: a session", tt.name)
		}
	}
	for _, method := range []string{"GET", "DELETE", "PUT"} {
		if allow := c.status(t, method, method, "", nil, 405).Get("Allow"); allow != "POST" {
			t.Errorf("%s: Allow %q", method, allow)
		}
	}
}

const mcpCapabilities = "io.modelcontextprotocol/clientCapabilities"

// Wrong messages get the same errors as over stdio.
func TestHTTPWrongMessages(t *testing.T) {
	c := newHTTPClient(t, newHTTPServer(t, newFixture(), HTTPOptions{}), legacy)
	for _, tt := range wrongMessages {
		code, text, _ := strings.Cut(tt.text, " ")
		text = strings.ReplaceAll(text, `"`, `\"`)
		want, header := 400, http.Header(nil)
		if version := regexp.MustCompile(`protocolVersion":"(.*?)"`).FindStringSubmatch(tt.line); version != nil {
			header = http.Header{"Mcp-Protocol-Version": version[1:], "Mcp-Method": {"tools/call"}, "Mcp-Name": {"echo"}}
		} else if code == "-32601" || code == "-32602" { // a request that failed, like any other
			want = 200
		}
		c.status(t, tt.name, "POST", tt.line, header, want, `"id":`+tt.id, `"code":`+code, text)
	}
	c.status(t, "empty body", "POST", "", nil, 400, "-32700", `"id":null`)
}

func TestHTTPBodyLimit(t *testing.T) {
	t.Parallel()
	c := newHTTPClient(t, newHTTPServer(t, newFixture(), HTTPOptions{Options: Options{MaxMessage: 1000}}), legacy)
	c.status(t, "as long as may be", "POST", ping+strings.Repeat(" ", 1000-len(ping)), nil, 200)
	c.status(t, "announced", "POST", ping+strings.Repeat(" ", 1001-len(ping)), nil, 413, "-32600", "1000 bytes")

	// Chunked: found out only by reading.
	req := c.request(t.Context(), "POST", nil, nil)
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 5000))), -1
	res, err := c.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	closeBody(res)
	if res.StatusCode != 413 {
		t.Errorf("a chunked body: status %d", res.StatusCode)
	}
}

// A message within the limits always finds room where no other is under way; one with
// too many values is refused for that, and not told to come again.
func TestHTTPManyValues(t *testing.T) {
	t.Parallel()
	values := func(n int) string {
		return `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":[1` + strings.Repeat(",1", n) + `]}}`
	}
	small := newHTTPClient(t, newHTTPServer(t, newFixture(), HTTPOptions{Options: Options{MaxMessage: 4096}}), legacy)
	small.status(t, "full of values", "POST", values(2000), nil, 200, `"result":{}`)
	c := newHTTPClient(t, newHTTPServer(t, newFixture(), HTTPOptions{}), legacy)
	c.status(t, "too many values", "POST", values(2_000_000), nil, 400, "-32600", "more than 100000 JSON values")
}

// A body that breaks off is not answered with success.
func TestHTTPBrokenBody(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(srv.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n")
	answer, _ := io.ReadAll(conn)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400 ")) {
		t.Errorf("got %q", answer)
	}
}

// The checks of Host and Origin are for servers on loopback: others have names
// that only their proxy knows.
func TestHTTPHostBeyondLoopback(t *testing.T) {
	h := NewHTTP(newFixture().server, HTTPOptions{})
	req := httptest.NewRequest("POST", "https://mcp.example/mcp", strings.NewReader(ping))
	maps.Copy(req.Header, http.Header{"Content-Type": {"application/json"}, "Origin": {"https://mcp.example"}})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "Mcp-Session-Id") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// A request whose headers are wrong is not served, and says what is wrong with them.
func TestHTTPCheckHeader(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{CheckHeader: func(h http.Header) error {
		if v := h.Get("X-Test"); v != "" {
			return fmt.Errorf("X-Test is %q", v)
		}
		return nil
	}})
	for _, version := range []string{legacy, modern} {
		c := newHTTPClient(t, srv, version)
		body := string(encodeRequest(t, version, "1", "tools/list", nil))
		c.status(t, version, "POST", body, nil, 200, "tools")
		c.status(t, version, "POST", body, http.Header{"X-Test": {"bad"}}, 400, "-32600", `X-Test is \"bad\"`)
	}
}
