package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/observe"
	"openclaw-mcp/transport"
)

// These benchmarks count what the bridge itself costs: there are no sockets in
// them, and the service answers from memory. `make bench-guard` holds their
// allocations to recorded figures; `make bench` measures the built binary.

// replay is a service that answers from memory what the emulator once answered.
type replay struct {
	emulator http.Handler
	mu       sync.Mutex
	answers  map[string]recorded
}

type recorded struct {
	status int
	header http.Header
	body   []byte
}

// streamEvents is how many events a benchmark's chat stream has.
const streamEvents = 1000

func (r *replay) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		_ = req.Body.Close()
	}
	key := req.Method + req.URL.Path + "?" + req.URL.RawQuery + string(body)
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.answers[key]
	switch {
	case ok:
	case strings.HasSuffix(req.URL.Path, "/chat/stream"):
		var b bytes.Buffer
		for i := range streamEvents {
			fmt.Fprintf(&b, "event: delta\ndata: {\"delta\":\"word%d \"}\n\n", i)
		}
		b.WriteString("event: done\ndata: {}\n\n")
		a = recorded{200, http.Header{"Content-Type": {"text/event-stream"}}, b.Bytes()}
	case strings.HasSuffix(req.URL.Path, "/chat/messages"):
		a = recorded{200, http.Header{"Content-Type": {"application/json"}}, []byte("[]")}
	default:
		again := req.Clone(req.Context())
		again.Body, again.RequestURI = io.NopCloser(bytes.NewReader(body)), req.URL.RequestURI()
		w := httptest.NewRecorder()
		r.emulator.ServeHTTP(w, again)
		a = recorded{w.Code, w.Header(), w.Body.Bytes()}
	}
	r.answers[key] = a
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header, Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)), Request: req,
	}, nil
}

// benchmarked is a bridge in this process, and a client of the same service.
type benchmarked struct {
	*bridge
	direct              *client.Client
	instance, workspace string
}

func newBenchmarked(b *testing.B, env ...string) *benchmarked {
	b.Helper()
	srv, err := emulator.New(emulator.Options{Keys: []string{testKey}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = srv.Close() })
	id, err := srv.AddInstance(testKey)
	if err != nil {
		b.Fatal(err)
	}
	dir := filepath.Join(srv.Workspace(id), "src")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 20 {
		text := strings.Repeat(fmt.Sprintf("line %d of a file\n", i), 200)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%02d.txt", i)), []byte(text), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	cfg, err := readConfig(append(env, "OPENCLAW_API_KEY="+testKey, "OPENCLAW_API_BASE_URL=http://service.test/api", "OPENCLAW_INSTANCE_ID="+id))
	if err != nil {
		b.Fatal(err)
	}
	br, err := newBridge(cfg, slog.New(slog.DiscardHandler), observe.New(observe.Options{}))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(br.close)
	// The services are made anew, on the service that answers from memory.
	br.http = &http.Client{Transport: &replay{emulator: srv, answers: map[string]recorded{}}}
	clear(br.services)
	c, err := client.New(br.http, cfg.BaseURL, testKey)
	if err != nil {
		b.Fatal(err)
	}
	return &benchmarked{br, c, id, srv.Workspace(id)}
}

// asker makes one request after the other, and gives the answer.
type asker func(b *testing.B, body []byte) []byte

func (x *benchmarked) stdio(b *testing.B) asker {
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = transport.NewStdio(x.mcp, transport.StdioOptions{Subscriber: x.resources, Tools: x.tools}).Serve(context.Background(), inR, outW)
		_ = outW.Close()
	}()
	out := bufio.NewReaderSize(outR, 4<<20)
	b.Cleanup(func() { _ = inW.Close(); <-served })
	return func(b *testing.B, body []byte) []byte {
		if _, err := inW.Write(body); err != nil {
			b.Fatal(err)
		}
		for {
			line, err := out.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if !bytes.Contains(line[:min(len(line), 60)], []byte(`"method"`)) {
				return line
			}
		}
	}
}

// sink is a response in memory that is used again.
type sink struct {
	header http.Header
	body   []byte
}

func (s *sink) Header() http.Header              { return s.header }
func (s *sink) WriteHeader(int)                  {}
func (s *sink) Flush()                           {}
func (s *sink) SetWriteDeadline(time.Time) error { return nil }
func (s *sink) Write(p []byte) (int, error) {
	s.body = append(s.body, p...)
	return len(p), nil
}

func (x *benchmarked) http(b *testing.B, era string) asker {
	h := transport.NewHTTP(x.mcp, transport.HTTPOptions{Subscriber: x.resources, Tools: x.tools})
	b.Cleanup(func() { _ = h.Close(context.Background()) })
	s := &sink{}
	session := ""
	ask := func(b *testing.B, body []byte) []byte {
		req := httptest.NewRequest(http.MethodPost, "/mcp", bytes.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", "application/json, text/event-stream")
		if session != "" {
			req.Header.Set("Mcp-Session-Id", session)
		}
		if era == modern {
			req.Header.Set("Mcp-Protocol-Version", modern)
			req.Header.Set("Mcp-Method", "tools/call")
			name, _, _ := bytes.Cut(body[bytes.LastIndex(body, []byte(`"name":"`))+8:], []byte(`"`))
			req.Header.Set("Mcp-Name", string(name))
		}
		s.header, s.body = make(http.Header), s.body[:0]
		h.ServeHTTP(s, req)
		return s.body
	}
	if era == legacy {
		ask(b, encodeRequest(b, legacy, `1`, "initialize", initializeParams()))
		if session = s.header.Get("Mcp-Session-Id"); session == "" {
			b.Fatalf("no session: %s", s.body)
		}
	}
	return ask
}

// eachWay runs f for every transport and era.
func eachWay(b *testing.B, f func(b *testing.B, x *benchmarked, era string, ask asker)) {
	for _, era := range []string{legacy, modern} {
		name := map[string]string{legacy: "legacy", modern: "modern"}[era]
		b.Run("stdio-"+name, func(b *testing.B) {
			x := newBenchmarked(b)
			ask := x.stdio(b)
			if era == legacy {
				ask(b, append(encodeRequest(b, legacy, `1`, "initialize", initializeParams()), '\n'))
			}
			f(b, x, era, ask)
		})
		b.Run("http-"+name, func(b *testing.B) {
			x := newBenchmarked(b)
			f(b, x, era, x.http(b, era))
		})
	}
}

func callBody(b *testing.B, era, tool string, args, meta params) []byte {
	p := params{"name": tool, "arguments": args}
	if meta != nil {
		p["_meta"] = meta
	}
	return append(encodeRequest(b, era, `7`, "tools/call", p), '\n')
}

// BenchmarkCall is a whole tool call, beside the same requests made by the
// client alone.
func BenchmarkCall(b *testing.B) {
	const file = "/workspace/src/f07.txt"
	for _, tool := range []struct {
		name   string
		args   params
		direct func(ctx context.Context, c *client.Client, instance string) error
	}{
		{"get_instance", params{}, func(ctx context.Context, c *client.Client, instance string) error {
			_, err1 := c.Instances.Get(ctx, instance)
			_, err2 := c.Instances.Status(ctx, instance)
			return errors.Join(err1, err2)
		}},
		{"list_files", params{"path": "/workspace/src"}, func(ctx context.Context, c *client.Client, instance string) error {
			_, err := c.Files.List(ctx, instance, "/workspace/src")
			return err
		}},
		{"read_file", params{"path": file}, func(ctx context.Context, c *client.Client, instance string) error {
			_, err1 := c.Terminal.Exec(ctx, instance, client.ExecRequest{Command: "cd /workspace/src; wc -c f07.txt"})
			_, err2 := c.Files.Read(ctx, instance, file, 0)
			return errors.Join(err1, err2)
		}},
	} {
		b.Run(tool.name, func(b *testing.B) {
			b.Run("direct", func(b *testing.B) {
				x := newBenchmarked(b)
				b.ReportAllocs()
				for b.Loop() {
					if err := tool.direct(b.Context(), x.direct, x.instance); err != nil {
						b.Fatal(err)
					}
				}
			})
			eachWay(b, func(b *testing.B, x *benchmarked, era string, ask asker) {
				body := callBody(b, era, tool.name, tool.args, nil)
				if answer := ask(b, body); !bytes.Contains(answer, []byte(`"structuredContent"`)) || bytes.Contains(answer, []byte(`"isError":true`)) {
					b.Fatalf("the call fails: %s", answer)
				}
				b.ReportAllocs()
				for b.Loop() {
					ask(b, body)
				}
			})
		})
	}
}

// BenchmarkStream is a chat whose reply comes in streamEvents events, from the
// service's stream to the client's progress and result.
func BenchmarkStream(b *testing.B) {
	b.Run("direct", func(b *testing.B) {
		x := newBenchmarked(b)
		b.ReportAllocs()
		for b.Loop() {
			for _, err := range x.direct.Chat.Stream(b.Context(), x.instance, client.SendRequest{Message: "hello", SessionID: "s1"}) {
				if err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	eachWay(b, func(b *testing.B, _ *benchmarked, era string, ask asker) {
		body := callBody(b, era, "send_chat_message", params{"message": "hello", "session": "s1"}, params{"progressToken": "p"})
		if answer := ask(b, body); !bytes.Contains(answer, fmt.Appendf(nil, "word%d ", streamEvents-1)) || bytes.Contains(answer, []byte(`"isError":true`)) {
			b.Fatalf("the chat fails: %s", answer)
		}
		b.ReportAllocs()
		for b.Loop() {
			ask(b, body)
		}
	})
}

// BenchmarkBridge is most of the start of the program.
func BenchmarkBridge(b *testing.B) {
	cfg, err := readConfig([]string{"OPENCLAW_API_KEY=" + testKey})
	if err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	b.ReportAllocs()
	for b.Loop() {
		br, err := newBridge(cfg, log, observe.New(observe.Options{}))
		if err != nil {
			b.Fatal(err)
		}
		br.close()
	}
}

// BenchmarkBulk moves contents that are as large as they come.
func BenchmarkBulk(b *testing.B) {
	text := strings.Repeat("a line of text that is neither long nor short, with its number beside it\n", 4000)
	for _, tool := range []struct {
		name string
		args params
	}{
		{"read_file", params{"path": "/workspace/large.txt"}},
		{"write_file", params{"path": "/workspace/written.txt", "content": text}},
	} {
		b.Run(tool.name, func(b *testing.B) {
			x := newBenchmarked(b, "OPENCLAW_MCP_MAX_RESULT_CHARS=1048576")
			if err := os.WriteFile(filepath.Join(x.workspace, "large.txt"), []byte(text), 0o644); err != nil {
				b.Fatal(err)
			}
			ask := x.stdio(b)
			body := callBody(b, modern, tool.name, tool.args, nil)
			if answer := ask(b, body); !bytes.Contains(answer, []byte(`"structuredContent"`)) || bytes.Contains(answer, []byte(`"isError":true`)) {
				b.Fatalf("the call fails: %.600s", answer)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ask(b, body)
			}
		})
	}
}
