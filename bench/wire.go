package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// The protocol's two eras.
const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

type params = map[string]any

// wire is an MCP client that does as little as one can.
type wire interface {
	// prepare renders a request.
	prepare(method string, p params, progress bool) outgoing
	// exchange sends it and gives the whole message of its answer; progress, where
	// it is not nil, is told the texts that come before.
	exchange(ctx context.Context, o outgoing, progress func(string)) ([]byte, error)
	notify(ctx context.Context, method string) error
}

// outgoing is a request ready to be sent.
type outgoing struct {
	id, method, tool string
	body             []byte
}

func ask(ctx context.Context, w wire, method string, p params, progress func(string)) ([]byte, error) {
	return w.exchange(ctx, w.prepare(method, p, progress != nil), progress)
}

func prepareCall(w wire, tool string, args params, progress bool) outgoing {
	return w.prepare("tools/call", params{"name": tool, "arguments": args}, progress)
}

// callTool calls a tool. A result that is an error is one.
func callTool(ctx context.Context, w wire, tool string, args params, progress func(string)) ([]byte, error) {
	return exchangeCall(ctx, w, prepareCall(w, tool, args, progress != nil), progress)
}

// exchangeCall sends a call of a tool. A result that is an error is one.
func exchangeCall(ctx context.Context, w wire, o outgoing, progress func(string)) ([]byte, error) {
	raw, err := w.exchange(ctx, o, progress)
	if err != nil {
		return nil, err
	}
	if bytes.Contains(raw, []byte(`"isError":true`)) || !bytes.Contains(raw, []byte(`"result":`)) {
		return nil, fmt.Errorf("%s fails: %.600s", o.tool, raw)
	}
	return raw, nil
}

func initialize(ctx context.Context, w wire) error {
	raw, err := ask(ctx, w, "initialize", params{
		"protocolVersion": legacy, "clientInfo": params{"name": "bench", "version": "1"}, "capabilities": params{},
	}, nil)
	if err != nil {
		return err
	}
	if !bytes.Contains(raw, []byte(`"result":`)) {
		return fmt.Errorf("initialize fails: %.600s", raw)
	}
	return w.notify(ctx, "notifications/initialized")
}

func encode(era, id, method string, p params, progress bool) []byte {
	p = maps.Clone(p)
	if p == nil {
		p = params{}
	}
	meta := params{}
	if progress {
		meta["progressToken"] = "p" + id
	}
	if era == modern {
		meta["io.modelcontextprotocol/protocolVersion"] = modern
		meta["io.modelcontextprotocol/clientCapabilities"] = params{}
		meta["io.modelcontextprotocol/clientInfo"] = params{"name": "bench", "version": "1"}
	}
	if len(meta) > 0 {
		p["_meta"] = meta
	}
	msg := params{"jsonrpc": "2.0", "method": method, "params": p}
	if id != "" {
		msg["id"] = json.RawMessage(id)
	}
	b, err := json.Marshal(msg)
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return append(b, '\n')
}

// answerTo is how an answer begins: it is told from progress by that alone, so
// that the client does not spend its time on parsing.
var answerTo = []byte(`{"jsonrpc":"2.0","id":`)

// progressOf reads the token and the text of a progress notification.
func progressOf(raw []byte) (token, text string) {
	var m struct {
		Params struct {
			ProgressToken string `json:"progressToken"`
			Message       string `json:"message"`
		} `json:"params"`
	}
	_ = json.Unmarshal(raw, &m)
	return m.Params.ProgressToken, m.Params.Message
}

// stdioWire speaks to a bridge's standard streams.
type stdioWire struct {
	era string
	in  io.Writer

	mu      sync.Mutex
	lastID  int
	pending map[string]*pending
	ended   error
}

type pending struct {
	answer   chan []byte
	progress func(string)
}

func newStdioWire(ctx context.Context, b *bridge, era string) (*stdioWire, error) {
	w := &stdioWire{era: era, in: b.stdin, pending: map[string]*pending{}}
	go w.read(b.stdout)
	if era == modern {
		return w, nil
	}
	return w, initialize(ctx, w)
}

func (w *stdioWire) read(out io.Reader) {
	r := bufio.NewReaderSize(out, 4<<20)
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.ended = fmt.Errorf("standard output ended: %w", err)
			for _, p := range w.pending {
				close(p.answer)
			}
			w.pending = nil
			return
		}
		if rest, ok := bytes.CutPrefix(line, answerTo); ok {
			id, _, _ := bytes.Cut(rest, []byte(","))
			w.mu.Lock()
			p := w.pending[string(id)]
			delete(w.pending, string(id))
			w.mu.Unlock()
			if p != nil {
				p.answer <- bytes.Clone(line)
			}
			continue
		}
		token, text := progressOf(line)
		w.mu.Lock()
		p := w.pending[strings.TrimPrefix(token, "p")]
		w.mu.Unlock()
		if p != nil && p.progress != nil {
			p.progress(text)
		}
	}
}

func (w *stdioWire) prepare(method string, p params, progress bool) outgoing {
	w.mu.Lock()
	w.lastID++
	id := fmt.Sprint(w.lastID)
	w.mu.Unlock()
	tool, _ := p["name"].(string)
	return outgoing{id, method, tool, encode(w.era, id, method, p, progress)}
}

func (w *stdioWire) exchange(ctx context.Context, o outgoing, progress func(string)) ([]byte, error) {
	mine := &pending{answer: make(chan []byte, 1), progress: progress}
	w.mu.Lock()
	if w.ended != nil {
		defer w.mu.Unlock()
		return nil, w.ended
	}
	w.pending[o.id] = mine
	_, err := w.in.Write(o.body)
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case raw, ok := <-mine.answer:
		if !ok {
			return nil, errors.New("the binary ended before it answered")
		}
		return raw, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (w *stdioWire) notify(_ context.Context, method string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, err := w.in.Write(encode(w.era, "", method, nil, false))
	return err
}

// httpWire speaks streamable HTTP.
type httpWire struct {
	era, url, session string
	http              *http.Client
}

// newHTTPClient is for many requests at once to one host.
func newHTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConns: 4096, MaxIdleConnsPerHost: 4096, IdleConnTimeout: time.Minute}}
}

func newHTTPWire(ctx context.Context, hc *http.Client, url, era string) (*httpWire, error) {
	w := &httpWire{era: era, url: url, http: hc}
	if era == modern {
		return w, nil
	}
	return w, initialize(ctx, w)
}

func (w *httpWire) post(ctx context.Context, o outgoing) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(o.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	if o.method != "initialize" {
		req.Header.Set("Mcp-Protocol-Version", w.era)
	}
	if w.era == modern {
		req.Header.Set("Mcp-Method", o.method)
		if o.tool != "" {
			req.Header.Set("Mcp-Name", o.tool)
		}
	} else if w.session != "" {
		req.Header.Set("Mcp-Session-Id", w.session)
	}
	return w.http.Do(req)
}

func (w *httpWire) prepare(method string, p params, progress bool) outgoing {
	tool, _ := p["name"].(string)
	return outgoing{"1", method, tool, encode(w.era, "1", method, p, progress)}
}

func (w *httpWire) exchange(ctx context.Context, o outgoing, progress func(string)) ([]byte, error) {
	res, err := w.post(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if s := res.Header.Get("Mcp-Session-Id"); s != "" {
		w.session = s
	}
	if !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		raw, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: status %d: %.600s", o.method, res.StatusCode, raw)
		}
		return raw, err
	}
	r := bufio.NewReaderSize(res.Body, 4<<10)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			return nil, fmt.Errorf("%s: the stream ended without an answer: %w", o.method, err)
		}
		data, ok := bytes.CutPrefix(line, []byte("data:"))
		if !ok {
			continue
		}
		if data = bytes.TrimSpace(data); bytes.HasPrefix(data, answerTo) {
			_, err := io.Copy(io.Discard, r)
			return data, err
		}
		if _, text := progressOf(data); progress != nil {
			progress(text)
		}
	}
}

func (w *httpWire) notify(ctx context.Context, method string) error {
	res, err := w.post(ctx, outgoing{method: method, body: encode(w.era, "", method, nil, false)})
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusAccepted {
		err = fmt.Errorf("%s: status %d", method, res.StatusCode)
	}
	return err
}
