package e2e

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The protocol's two eras.
const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

type params = map[string]any

// message is a JSON-RPC message as it comes over the wire.
type message struct {
	JSONRPC string
	ID      json.RawMessage
	Method  string
	Params  struct {
		ProgressToken json.RawMessage
		Progress      float64
		Message       string
		Meta          struct {
			Text   string   `json:"openclaw-mcp/text"`
			Line   string   `json:"openclaw-mcp/line"`
			Events []string `json:"openclaw-mcp/events"`
			Run    string   `json:"openclaw-mcp/run"`

			Subscription json.RawMessage `json:"io.modelcontextprotocol/subscriptionId"`
		} `json:"_meta"`
		TaskID, Status string
		Notifications  struct{ TaskIDs []string }
	}
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
	at time.Time // when it came
}

func parseMessage(t testing.TB, raw []byte) message {
	t.Helper()
	m := message{at: time.Now()}
	if err := json.Unmarshal(raw, &m); err != nil || m.JSONRPC != "2.0" {
		t.Errorf("the server sent what is no JSON-RPC message (%v): %q", err, shorten(string(raw), 400))
	}
	return m
}

// wire speaks raw JSON-RPC over one transport in one era.
type wire interface {
	// start sends a request, whose id is JSON. What the server says about it
	// arrives on the channel, in order; it is closed behind the result, or when
	// there will be none.
	start(t testing.TB, id, method string, p params) <-chan message
	notify(t testing.TB, method string, p params)
	era() string
}

// encodeRequest renders a request, or a notification where id is "".
func encodeRequest(t testing.TB, era, id, method string, p params) []byte {
	t.Helper()
	p = maps.Clone(p)
	if p == nil {
		p = params{}
	}
	if era == modern && method != "notifications/cancelled" {
		meta, _ := p["_meta"].(params)
		if meta = maps.Clone(meta); meta == nil {
			meta = params{}
		}
		meta["io.modelcontextprotocol/protocolVersion"] = modern
		if meta["io.modelcontextprotocol/clientCapabilities"] == nil {
			meta["io.modelcontextprotocol/clientCapabilities"] = params{}
		}
		meta["io.modelcontextprotocol/clientInfo"] = params{"name": "e2e", "version": "1"}
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

// initializeParams declares no capabilities but those given.
func initializeParams(capabilities ...params) params {
	declared := params{}
	for _, c := range capabilities {
		maps.Copy(declared, c)
	}
	return params{"protocolVersion": legacy, "clientInfo": params{"name": "e2e", "version": "1"}, "capabilities": declared}
}

// stdioWire talks to a binary over its standard streams.
type stdioWire struct {
	version string
	proc    *process
	lines   *transcript // all of standard output

	mu      sync.Mutex
	pending map[string]chan message // by id, which is the progress token, too
	stray   []message               // about nothing that is pending
	ended   chan struct{}           // standard output has ended
}

func newStdioWire(t testing.TB, p *process, era string, capabilities ...params) *stdioWire {
	t.Helper()
	w := &stdioWire{version: era, proc: p, lines: newTranscript(), pending: make(map[string]chan message), ended: make(chan struct{})}
	go w.read(t)
	// A test may not fail once it is over, so it waits for the reader.
	t.Cleanup(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Process.Kill()
		<-w.ended
	})
	if era == legacy {
		m := answer(t, w.start(t, `"initialize"`, "initialize", initializeParams(capabilities...)))
		if m.Error != nil {
			t.Fatalf("initialize: %+v", m.Error)
		}
		w.notify(t, "notifications/initialized", nil)
	}
	return w
}

func (w *stdioWire) era() string { return w.version }

func (w *stdioWire) read(t testing.TB) {
	defer close(w.ended)
	r := bufio.NewReaderSize(w.proc.stdout, 1<<20)
	for {
		line, err := r.ReadBytes('\n')
		if len(line) > 0 {
			if len(line) < 1<<20 {
				_, _ = w.lines.Write(line)
			}
			// What a killed process was writing may be cut.
			if err == nil {
				w.deliver(parseMessage(t, line))
			}
		}
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, ch := range w.pending {
				close(ch)
			}
			w.pending = nil
			return
		}
	}
}

func (w *stdioWire) deliver(m message) {
	key := string(m.ID)
	if m.Params.ProgressToken != nil {
		key = string(m.Params.ProgressToken)
	}
	if id := m.Params.Meta.Subscription; id != nil {
		key = string(id)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	ch := w.pending[key]
	if ch == nil {
		w.stray = append(w.stray, m)
		return
	}
	ch <- m
	if m.Method == "" {
		delete(w.pending, key)
		close(ch)
	}
}

// strays gives what the server said about nothing that was asked, such as
// progress behind a result.
func (w *stdioWire) strays() []message {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stray
}

func (w *stdioWire) start(t testing.TB, id, method string, p params) <-chan message {
	t.Helper()
	ch := make(chan message, 1<<13)
	w.mu.Lock()
	if w.pending == nil {
		close(ch)
	} else {
		w.pending[id] = ch
	}
	w.mu.Unlock()
	w.sendLine(t, encodeRequest(t, w.version, id, method, p))
	return ch
}

func (w *stdioWire) notify(t testing.TB, method string, p params) {
	t.Helper()
	w.sendLine(t, encodeRequest(t, w.version, "", method, p))
}

// sendLine is one write, so that concurrent callers do not mix their lines.
func (w *stdioWire) sendLine(t testing.TB, line []byte) {
	t.Helper()
	if _, err := w.proc.stdin.Write(append(line, '\n')); err != nil {
		t.Errorf("writing to the binary: %v", err)
	}
}

// httpWire talks to a binary over streamable HTTP.
type httpWire struct {
	version string
	url     string
	session string // of the legacy era
	always  params // headers of every request
	http    *http.Client

	open sync.WaitGroup // responses
}

var servedAt = regexp.MustCompile(`streamable HTTP".*?(http://[^\s"]+/mcp)`)

var servedAtTLS = regexp.MustCompile(`streamable HTTP".*?(https://[^\s"]+/mcp)`)

// launchHTTP starts a binary that serves HTTP on a free port.
func launchHTTP(t testing.TB, env []string, args ...string) (p *process, url string) {
	t.Helper()
	p = launch(t, env, append([]string{"--http", "127.0.0.1:0"}, args...)...)
	return p, p.stderr.match(t, servedAt)[1]
}

func newHTTPWire(t testing.TB, url, era string, capabilities ...params) *httpWire {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	w := &httpWire{version: era, url: url, http: &http.Client{Transport: tr}}
	t.Cleanup(func() {
		w.open.Wait()
		tr.CloseIdleConnections()
	})
	if era == legacy {
		res := w.do(t, context.Background(), http.MethodPost, encodeRequest(t, legacy, `"initialize"`, "initialize", initializeParams(capabilities...)), nil)
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if w.session = res.Header.Get("Mcp-Session-Id"); w.session == "" {
			t.Fatalf("initialize: no session; status %d, %s", res.StatusCode, body)
		}
		w.notify(t, "notifications/initialized", nil)
	}
	return w
}

func (w *httpWire) era() string { return w.version }

// do sends a request with the headers of a good client; header replaces or (""
// as value) removes some.
func (w *httpWire) do(t testing.TB, ctx context.Context, method string, body []byte, header params) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, w.url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	var m struct {
		Method string
		Params struct{ Name, URI, TaskID string }
	}
	_ = json.Unmarshal(body, &m)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if m.Method != "initialize" {
		req.Header.Set("Mcp-Protocol-Version", w.version)
	}
	if w.version == modern {
		req.Header.Set("Mcp-Method", m.Method)
		if name := cmp.Or(m.Params.Name, m.Params.URI, m.Params.TaskID); name != "" {
			req.Header.Set("Mcp-Name", name)
		}
	}
	if w.session != "" {
		req.Header.Set("Mcp-Session-Id", w.session)
	}
	header = maps.Clone(header)
	if header == nil {
		header = params{}
	}
	maps.Copy(header, w.always)
	for k, v := range header {
		switch {
		case k == "Host":
			req.Host = v.(string)
		case v == "":
			req.Header.Del(k)
		default:
			req.Header.Set(k, v.(string))
		}
	}
	res, err := w.http.Do(req)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("%s: %v", method, err)
		}
		return &http.Response{Header: http.Header{}, Body: http.NoBody}
	}
	return res
}

func (w *httpWire) start(t testing.TB, id, method string, p params) <-chan message {
	return w.startWith(t, context.Background(), id, method, p)
}

// startWith closes the connection when ctx ends.
func (w *httpWire) startWith(t testing.TB, ctx context.Context, id, method string, p params) <-chan message {
	t.Helper()
	ch := make(chan message, 1<<13)
	body := encodeRequest(t, w.version, id, method, p)
	w.open.Go(func() {
		defer close(ch)
		res := w.do(t, ctx, http.MethodPost, body, nil)
		defer res.Body.Close()
		if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
			b, err := io.ReadAll(res.Body)
			if ctx.Err() == nil && err == nil && len(b) > 0 {
				ch <- parseMessage(t, b)
			}
			return
		}
		r := bufio.NewReaderSize(res.Body, 64<<10)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if data, ok := strings.CutPrefix(line, "data:"); ok {
				ch <- parseMessage(t, []byte(data))
			}
		}
	})
	return ch
}

func (w *httpWire) notify(t testing.TB, method string, p params) {
	t.Helper()
	res := w.do(t, context.Background(), http.MethodPost, encodeRequest(t, w.version, "", method, p), nil)
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusAccepted {
		t.Errorf("%s: status %d, %s", method, res.StatusCode, b)
	}
}

// answer waits for the result of a request.
func answer(t testing.TB, ch <-chan message) message {
	t.Helper()
	for {
		if m := recv(t, ch, "an answer"); m.Method == "" {
			return m
		}
	}
}
