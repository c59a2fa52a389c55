//go:build e2e && linux

package chaos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The protocol's two eras.
const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

type params = map[string]any

// client is an MCP client that knows that servers go away: it opens its session again
// and takes up broken streams, but repeats no call by itself.
type client struct {
	url, era, name string
	http           *http.Client // nil: it has a process of its own, over stdio
	pipe           *pipe
	ids            atomic.Int64

	mu      sync.Mutex
	session string
}

func newClient(url, era, name string, transport *http.Transport) *client {
	return &client{url: url + "/mcp", era: era, name: name, http: &http.Client{Transport: transport}}
}

// opened reports whether there is a legacy session.
func (c *client) opened() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != "" || c.pipe != nil
}

// outcome is what became of a call.
type outcome struct {
	err     error  // no answer came: the connection broke, or there was none
	refused string // a JSON-RPC error, or a status that is not a success
	isError bool
	text    string
	facts   map[string]any
	words   string // the texts of all progress, joined
	all     string // everything that came, to look for what belongs to others
	resumed int    // how often the stream was taken up again
}

func (o outcome) str(key string) string {
	s, _ := o.facts[key].(string)
	return s
}

// done reports whether the call had its result, and that was no error.
func (o outcome) done() bool { return o.err == nil && o.refused == "" && !o.isError }

func (o outcome) String() string {
	switch {
	case o.err != nil:
		return "no answer: " + o.err.Error()
	case o.refused != "":
		return "refused: " + o.refused
	case o.isError:
		return "failed: " + shorten(o.text)
	}
	return shorten(o.text)
}

func shorten(s string) string {
	if len(s) > 600 {
		return s[:300] + " … " + s[len(s)-300:]
	}
	return s
}

type wireMessage struct {
	ID     json.RawMessage
	Method string
	Params struct {
		URI           string
		ProgressToken json.RawMessage
		Meta          struct {
			Text string `json:"openclaw-mcp/text"`
		} `json:"_meta"`
	}
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
	}
}

// message is a message as it goes over the wire; "" is the id of a notification.
func (c *client) message(id, method string, p params) []byte {
	if p == nil {
		p = params{}
	}
	if c.era == modern {
		meta, _ := p["_meta"].(params)
		if meta == nil {
			meta = params{}
		}
		meta["io.modelcontextprotocol/protocolVersion"] = modern
		meta["io.modelcontextprotocol/clientCapabilities"] = params{}
		meta["io.modelcontextprotocol/clientInfo"] = params{"name": c.name, "version": "1"}
		p["_meta"] = meta
	}
	m := params{"jsonrpc": "2.0", "method": method, "params": p}
	if id != "" {
		m["id"] = json.RawMessage(id)
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // it is all ours
	}
	return b
}

func initialize(name string) params {
	return params{"protocolVersion": legacy, "clientInfo": params{"name": name, "version": "1"}, "capabilities": params{}}
}

// notify sends a notification, and reports whether it was taken.
func (c *client) notify(ctx context.Context, method string, p params) bool {
	if c.pipe != nil {
		run, err := c.pipe.process(ctx, c)
		return err == nil && run.write(c.message("", method, p)) == nil
	}
	res, err := c.post(ctx, "", method, p)
	if err != nil {
		return false
	}
	_ = res.Body.Close()
	return res.StatusCode == http.StatusAccepted
}

// post sends a message over HTTP.
func (c *client) post(ctx context.Context, id, method string, p params) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(c.message(id, method, p)))
	if err != nil {
		return nil, err
	}
	c.headers(r)
	if c.era == modern {
		r.Header.Set("Mcp-Method", method)
		if name, _ := p["name"].(string); name != "" {
			r.Header.Set("Mcp-Name", name)
		}
	}
	if method == "initialize" {
		r.Header.Del("Mcp-Session-Id")
		r.Header.Del("Mcp-Protocol-Version")
	}
	return c.http.Do(r)
}

func (c *client) headers(r *http.Request) {
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("Mcp-Protocol-Version", c.era)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
	}
}

// open makes a legacy session.
func (c *client) open(ctx context.Context) error {
	if c.era == modern {
		return nil
	}
	res, err := c.post(ctx, `"init"`, "initialize", initialize(c.name))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	id := res.Header.Get("Mcp-Session-Id")
	if id == "" {
		return fmt.Errorf("initialize: status %d, %s", res.StatusCode, b)
	}
	c.mu.Lock()
	c.session = id
	c.mu.Unlock()
	res, err = c.post(ctx, "", "notifications/initialized", nil)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, res.Body)
	return res.Body.Close()
}

// close ends a legacy session: nothing is to be watched for it any more.
func (c *client) close() {
	r, err := http.NewRequest(http.MethodDelete, c.url, nil)
	if err != nil || !c.opened() {
		return
	}
	c.headers(r)
	if res, err := c.http.Do(r); err == nil {
		_ = res.Body.Close()
	}
}

// begin starts a call; its id is what a cancellation names.
func (c *client) begin(ctx context.Context, tool string, args params) (id string, result <-chan outcome) {
	id = fmt.Sprintf(`"%s-%d"`, c.name, c.ids.Add(1))
	ch := make(chan outcome, 1)
	go func() {
		ch <- c.await(ctx, id, "tools/call", params{"name": tool, "arguments": args, "_meta": params{"progressToken": json.RawMessage(id)}})
	}()
	return id, ch
}

func (c *client) call(ctx context.Context, tool string, args params) outcome {
	_, ch := c.begin(ctx, tool, args)
	return <-ch
}

// await sends a request and reads its answer, over as many streams as that takes.
func (c *client) await(ctx context.Context, id, method string, p params) (o outcome) {
	if c.pipe != nil {
		run, err := c.pipe.process(ctx, c)
		if err != nil {
			return outcome{err: err}
		}
		return run.ask(ctx, id, c.message(id, method, p))
	}
	res, err := c.post(ctx, id, method, p)
	if err != nil {
		return outcome{err: err}
	}
	last := ""
	for {
		ended := c.read(res, id, &o, &last)
		if ended {
			return o
		}
		if c.era == modern || last == "" || ctx.Err() != nil { // a modern stream is not taken up again
			if o.err == nil {
				o.err = errors.New("the stream ended before the result")
			}
			return o
		}
		if res, err = c.resume(ctx, last, &o); err != nil {
			o.err = err
			return o
		}
	}
}

// resume asks for what followed an event.
func (c *client) resume(ctx context.Context, last string, o *outcome) (*http.Response, error) {
	for range 60 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
		if err != nil {
			return nil, err
		}
		c.headers(r)
		r.Header.Set("Last-Event-Id", last)
		res, err := c.http.Do(r)
		if err == nil && res.StatusCode == http.StatusOK {
			o.resumed++
			return res, nil
		}
		if err == nil {
			b, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode < 500 && res.StatusCode != http.StatusTooManyRequests {
				return nil, fmt.Errorf("the stream can't be taken up: status %d, %s", res.StatusCode, shorten(string(b)))
			}
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, errors.New("nobody takes the stream up")
}

// read reads a response, and reports whether the call is over.
func (c *client) read(res *http.Response, id string, o *outcome, last *string) (over bool) {
	defer res.Body.Close()
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		b, err := io.ReadAll(res.Body)
		o.all += string(b)
		var m wireMessage
		switch {
		case err != nil:
			o.err = err
		case res.StatusCode == http.StatusBadGateway:
			o.err = errors.New("the proxy has no answer: " + res.Header.Get("X-Proxy-Error"))
		case json.Unmarshal(b, &m) == nil && (m.Result != nil || m.Error != nil):
			o.take(m)
		default:
			o.refused = fmt.Sprintf("status %d, %s", res.StatusCode, shorten(string(b)))
		}
		return true
	}
	r := bufio.NewReaderSize(res.Body, 64<<10)
	var event, data string
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			o.err = err // an event without its empty line was not received
			return false
		}
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "id:"):
			event = strings.TrimSpace(line[len("id:"):])
		case strings.HasPrefix(line, "data:"):
			data += strings.TrimSpace(line[len("data:"):])
		case line == "":
			if event != "" {
				*last = event
			}
			if data != "" && o.event(data, id) {
				return true
			}
			event, data = "", ""
		}
	}
}

// event takes a message of the stream, and reports whether the call is over.
func (o *outcome) event(data, id string) (over bool) {
	o.all += data + "\n"
	var m wireMessage
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		o.refused = fmt.Sprintf("not a JSON-RPC message: %s", shorten(data))
		return true
	}
	if m.Method != "" {
		if string(m.Params.ProgressToken) == id {
			o.words += m.Params.Meta.Text
		}
		return false
	}
	o.err = nil
	if string(m.ID) != id {
		o.refused = fmt.Sprintf("the answer to %s came for %s", m.ID, id)
		return true
	}
	o.take(m)
	return true
}

func (o *outcome) take(m wireMessage) {
	if m.Error != nil {
		o.refused = fmt.Sprintf("%d %s", m.Error.Code, m.Error.Message)
		return
	}
	var r struct {
		Content           []struct{ Text string }
		IsError           bool
		StructuredContent map[string]any
	}
	if err := json.Unmarshal(m.Result, &r); err != nil {
		o.refused = err.Error()
		return
	}
	o.isError, o.facts = r.IsError, r.StructuredContent
	for _, c := range r.Content {
		o.text += c.Text
	}
}
