package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

const (
	legacy = mcp.ProtocolVersion20250618
	modern = mcp.ProtocolVersion20260728
)

type params = map[string]any

// wireMsg is a message as the client sees it.
type wireMsg struct {
	ID     json.RawMessage
	Method string
	Params struct {
		ProgressToken json.RawMessage
		Progress      float64
		Message       *string
	}
	Result struct {
		Content    []struct{ Text string }
		ResultType string
	}
	Error *struct {
		Code    int
		Message string
	}
}

func (m wireMsg) text() string {
	if len(m.Result.Content) == 0 {
		return ""
	}
	return m.Result.Content[0].Text
}

func parseWire(t testing.TB, raw []byte) wireMsg {
	t.Helper()
	var m wireMsg
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Errorf("the server sent %.200q: %v", raw, err)
	}
	return m
}

// wireClient speaks raw JSON-RPC, over either transport and in either era.
type wireClient interface {
	// start sends a request. What the server says about it arrives on the
	// channel, in order, which is closed behind the result, or at the end of
	// the response. id is JSON.
	start(t testing.TB, id, method string, p params) <-chan wireMsg
	// notify sends a notification.
	notify(t testing.TB, method string, p params)
}

// call calls a tool; its progress token is its id.
func call(t testing.TB, c wireClient, id, tool string, args params) <-chan wireMsg {
	t.Helper()
	return c.start(t, id, "tools/call", params{
		"name": tool, "arguments": args, "_meta": params{"progressToken": json.RawMessage(id)},
	})
}

// result waits for the last message of a call.
func result(t testing.TB, ch <-chan wireMsg) wireMsg {
	t.Helper()
	for {
		if m := recv(t, ch, "the result"); m.Method == "" {
			return m
		}
	}
}

func encodeRequest(t testing.TB, version, id, method string, p params) []byte {
	t.Helper()
	p = maps.Clone(p)
	if p == nil {
		p = params{}
	}
	if version == modern {
		meta, _ := p["_meta"].(params)
		meta = maps.Clone(meta)
		if meta == nil {
			meta = params{}
		}
		meta[mcp.MetaKeyProtocolVersion] = modern
		meta[mcp.MetaKeyClientCapabilities] = params{"elicitation": params{}}
		p["_meta"] = meta
	}
	msg := params{"jsonrpc": "2.0", "method": method, "params": p}
	if id != "" {
		msg["id"] = json.RawMessage(id)
	}
	b, err := json.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var initParams = params{
	"protocolVersion": legacy, "clientInfo": params{"name": "test", "version": "1"},
	"capabilities": params{"elicitation": params{}},
}

// combination is a transport and an era.
type combination struct {
	name, version string
	http          bool
}

var combinations = []combination{
	{"stdio legacy", legacy, false}, {"stdio modern", modern, false},
	{"HTTP legacy", legacy, true}, {"HTTP modern", modern, true},
}

// connect serves f and gives a client of it.
func (co combination) connect(t testing.TB, f *fixture) wireClient {
	if co.http {
		return newHTTPClient(t, newHTTPServer(t, f, HTTPOptions{}), co.version)
	}
	return newStdioClient(t, f, StdioOptions{}, co.version)
}

// forAll runs a test on every combination.
func forAll(t *testing.T, test func(t *testing.T, co combination)) {
	for _, co := range combinations {
		t.Run(co.name, func(t *testing.T) { test(t, co) })
	}
}

// stdioClient is the client's end of a Stdio.
type stdioClient struct {
	version string
	in      *io.PipeWriter
	out     *io.PipeReader
	done    chan error // what Serve returned
	other   chan wireMsg

	mu      sync.Mutex
	pending map[string]chan wireMsg // by id or progress token
}

// newStdio serves f over pipes; nobody reads its output yet.
func newStdio(t testing.TB, f *fixture, opts StdioOptions) *stdioClient {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &stdioClient{
		in: inW, out: outR, done: make(chan error, 1),
		other: make(chan wireMsg, 1<<14), pending: make(map[string]chan wireMsg),
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		c.done <- NewStdio(f.server, opts).Serve(ctx, inR, outW)
		_ = outW.Close()
	}()
	t.Cleanup(func() {
		cancel()
		_ = inW.Close()
		_ = outR.Close()
	})
	return c
}

func newStdioClient(t testing.TB, f *fixture, opts StdioOptions, version string) *stdioClient {
	c := newStdio(t, f, opts)
	c.version = version
	go c.read(t)
	if version == legacy {
		result(t, c.start(t, `"init"`, "initialize", initParams))
		c.notify(t, "notifications/initialized", nil)
	}
	return c
}

func (c *stdioClient) read(t testing.TB) {
	r := bufio.NewReader(c.out)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			close(c.other)
			return
		}
		c.deliver(parseWire(t, line))
	}
}

func (c *stdioClient) deliver(m wireMsg) {
	key := string(m.ID)
	if m.Params.ProgressToken != nil {
		key = string(m.Params.ProgressToken)
	}
	c.mu.Lock()
	ch := c.pending[key]
	if ch != nil && m.Method == "" {
		delete(c.pending, key)
	}
	c.mu.Unlock()
	if ch == nil {
		c.other <- m
		return
	}
	ch <- m
	if m.Method == "" {
		close(ch)
	}
}

func (c *stdioClient) send(t testing.TB, line string) {
	t.Helper()
	if _, err := io.WriteString(c.in, line); err != nil {
		t.Errorf("writing to the server: %v", err)
	}
}

func (c *stdioClient) start(t testing.TB, id, method string, p params) <-chan wireMsg {
	t.Helper()
	ch := make(chan wireMsg, 16)
	c.mu.Lock()
	c.pending[id] = ch
	c.mu.Unlock()
	c.send(t, string(encodeRequest(t, c.version, id, method, p))+"\n")
	return ch
}

func (c *stdioClient) notify(t testing.TB, method string, p params) {
	t.Helper()
	c.send(t, string(encodeRequest(t, c.version, "", method, p))+"\n")
}

// httpServer is an HTTP on a socket.
type httpServer struct {
	*HTTP
	url string
}

func newHTTPServer(t testing.TB, f *fixture, opts HTTPOptions) httpServer {
	h := NewHTTP(f.server, opts)
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Errorf("Close: %v", err)
		}
		srv.Close()
	})
	return httpServer{h, srv.URL}
}

type httpClient struct {
	url, version, session string
	http                  *http.Client
}

func newHTTPClient(t testing.TB, s httpServer, version string) *httpClient {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	c := &httpClient{url: s.url, version: version, http: &http.Client{Transport: tr}}
	if version == legacy {
		res := c.do(t, context.Background(), http.MethodPost, encodeRequest(t, legacy, "0", "initialize", initParams), nil)
		closeBody(res) // the session exists when initialize is answered
		if c.session = res.Header.Get("Mcp-Session-Id"); c.session == "" {
			t.Fatalf("initialize: status %d and no session", res.StatusCode)
		}
		c.notify(t, "notifications/initialized", nil)
	}
	return c
}

func closeBody(res *http.Response) {
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
}

// request is a request with the headers that a good client sends; header
// replaces some of them.
func (c *httpClient) request(ctx context.Context, method string, body []byte, header http.Header) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, c.url, bytes.NewReader(body))
	if err != nil {
		panic(err) // the url is the test server's
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if c.session != "" {
		req.Header.Set("Mcp-Session-Id", c.session)
		req.Header.Set("Mcp-Protocol-Version", c.version)
	}
	if c.version == modern {
		var m struct {
			Method string
			Params struct{ Name string }
		}
		_ = json.Unmarshal(body, &m)
		req.Header.Set("Mcp-Protocol-Version", modern)
		req.Header.Set("Mcp-Method", m.Method)
		if m.Method == "tools/call" {
			req.Header.Set("Mcp-Name", m.Params.Name)
		}
	}
	for k, v := range header {
		if req.Header[k] = v; k == "Host" {
			req.Host = v[0]
		}
	}
	return req
}

func (c *httpClient) do(t testing.TB, ctx context.Context, method string, body []byte, header http.Header) *http.Response {
	t.Helper()
	res, err := c.http.Do(c.request(ctx, method, body, header))
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return res
}

func (c *httpClient) start(t testing.TB, id, method string, p params) <-chan wireMsg {
	return c.startCtx(t, context.Background(), id, method, p)
}

func (c *httpClient) startCtx(t testing.TB, ctx context.Context, id, method string, p params) <-chan wireMsg {
	t.Helper()
	ch := make(chan wireMsg, 16)
	body := encodeRequest(t, c.version, id, method, p)
	go func() {
		defer close(ch)
		res, err := c.http.Do(c.request(ctx, http.MethodPost, body, nil))
		if err != nil {
			if ctx.Err() == nil {
				t.Errorf("POST: %v", err)
			}
			return
		}
		defer closeBody(res)
		readMessages(t, res, func(m wireMsg) { ch <- m })
	}()
	return ch
}

// readMessages reads the messages of a response of either kind.
func readMessages(t testing.TB, res *http.Response, each func(wireMsg)) {
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		raw, err := io.ReadAll(res.Body)
		if err != nil || len(raw) == 0 {
			return
		}
		each(parseWire(t, raw))
		return
	}
	r := bufio.NewReader(res.Body)
	for {
		line, err := r.ReadBytes('\n')
		if data, ok := bytes.CutPrefix(line, []byte("data: ")); ok && err == nil {
			each(parseWire(t, data))
		}
		if err != nil {
			return
		}
	}
}

func (c *httpClient) notify(t testing.TB, method string, p params) {
	t.Helper()
	c.notifyBody(t, encodeRequest(t, c.version, "", method, p))
}

func (c *httpClient) notifyBody(t testing.TB, body []byte) {
	t.Helper()
	res := c.do(t, context.Background(), http.MethodPost, body, nil)
	defer closeBody(res)
	if res.StatusCode != http.StatusAccepted {
		raw, _ := io.ReadAll(res.Body)
		t.Errorf("notification: status %d %s", res.StatusCode, raw)
	}
}
