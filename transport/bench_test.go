package transport

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// BenchmarkProgress is one notification, from the handler to the client.
func BenchmarkProgress(b *testing.B) {
	for _, co := range combinations {
		b.Run(co.name, func(b *testing.B) {
			f := newFixture()
			c := co.connect(b, f)
			ch := call(b, c, "1", "block", nil)
			of := recv(b, f.calls, "the call")
			b.ReportAllocs()
			done := make(chan struct{})
			go func() {
				for range ch {
				}
				close(done)
			}()
			for b.Loop() {
				if err := of.Progress("a few words of the reply"); err != nil {
					b.Fatal(err)
				}
			}
			close(f.release)
			<-done
		})
	}
}

// BenchmarkEncodeProgress is the server's share of that.
func BenchmarkEncodeProgress(b *testing.B) {
	c := &Call{token: json.RawMessage(`"token"`), send: func([]byte) error { return nil }}
	b.ReportAllocs()
	for b.Loop() {
		_ = c.Progress("a few words of the reply")
	}
}

// BenchmarkCall is calls of a tool that asks nothing, 16 at a time, beside a bare
// mcp-go server with the same tool. Rounds of both alternate, so that a busy machine
// slows both down. "times-bare" is how many times faster this package is.
func BenchmarkCall(b *testing.B) {
	for _, co := range combinations {
		b.Run(co.name, func(b *testing.B) {
			ours, bare := newCaller(b, co, false), newCaller(b, co, true)
			var oursTook, bareTook time.Duration
			for b.Loop() {
				oursTook += ours(b, roundOfCalls)
				bareTook += bare(b, roundOfCalls)
			}
			b.ReportMetric(bareTook.Seconds()/oursTook.Seconds(), "times-bare")
			b.ReportMetric(float64(b.N*roundOfCalls)/oursTook.Seconds(), "calls/s")
		})
	}
}

const (
	roundOfCalls = 200
	callsAtOnce  = 16
)

// caller makes n calls and says how long they took.
type caller func(b *testing.B, n int) time.Duration

func newCaller(b *testing.B, co combination, bare bool) caller {
	s := server.NewMCPServer("bench", "1", server.WithToolCapabilities(false))
	s.AddTool(mcp.NewTool("echo", mcp.WithString("text")), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var in struct{ Text string }
		if err := json.Unmarshal(r.Params.RawArguments, &in); err != nil {
			return nil, err
		}
		return mcp.NewToolResultText(in.Text), nil
	})
	body := func(id string) []byte {
		return encodeRequest(b, co.version, id, "tools/call", params{"name": "echo", "arguments": params{"text": "hello, this is a small call"}})
	}
	if co.http {
		var handler http.Handler = server.NewStreamableHTTPServer(s)
		if !bare {
			handler = NewHTTP(s, HTTPOptions{})
		}
		return newHTTPCaller(b, handler, co.version, body)
	}
	serve := NewStdio(s, StdioOptions{}).Serve
	if bare {
		serve = server.NewStdioServer(s).Listen
	}
	return newStdioCaller(b, serve, co.version, body)
}

func newStdioCaller(b *testing.B, serve func(context.Context, io.Reader, io.Writer) error, version string, body func(id string) []byte) caller {
	inR, inW := pipe(b)
	outR, outW := pipe(b)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = serve(context.Background(), inR, outW)
	}()
	b.Cleanup(func() {
		_ = inW.Close()
		<-served
	})
	out := bufio.NewReaderSize(outR, 64<<10)
	if version == legacy {
		fmt.Fprintf(inW, "%s\n", encodeRequest(b, legacy, `"init"`, "initialize", initParams))
		if line, err := out.ReadSlice('\n'); err != nil {
			b.Fatalf("%s: %v", line, err)
		}
	}
	var lines [callsAtOnce][]byte // an id may be used again once it was answered
	for i := range lines {
		lines[i] = append(body(fmt.Sprintf(`"%d"`, i)), '\n')
	}
	return func(b *testing.B, n int) time.Duration {
		start := time.Now()
		slots := make(chan []byte, len(lines))
		for _, line := range lines {
			slots <- line
		}
		go func() {
			for range n {
				if _, err := inW.Write(<-slots); err != nil {
					return
				}
			}
		}()
		for range n {
			line, err := out.ReadSlice('\n')
			if err != nil || !bytes.Contains(line, []byte("a small call")) {
				b.Fatalf("%s: %v", line, err)
			}
			_, id, _ := bytes.Cut(line, []byte(`"id":"`))
			i, _ := strconv.Atoi(string(id[:bytes.IndexByte(id, '"')]))
			slots <- lines[i]
		}
		return time.Since(start)
	}
}

func pipe(b *testing.B) (r, w *os.File) {
	r, w, err := os.Pipe()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = r.Close(), w.Close() })
	return r, w
}

func newHTTPCaller(b *testing.B, handler http.Handler, version string, body func(id string) []byte) caller {
	srv := httptest.NewServer(handler)
	b.Cleanup(srv.Close)
	c := &httpClient{url: srv.URL, http: srv.Client(), version: version}
	if version == legacy {
		res := c.do(b, context.Background(), http.MethodPost, encodeRequest(b, legacy, "0", "initialize", initParams), nil)
		closeBody(res)
		c.session = res.Header.Get("Mcp-Session-Id")
	}
	type worker struct {
		conn net.Conn
		in   *bufio.Reader
		raw  []byte
	}
	var workers [callsAtOnce]worker
	for i := range workers {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() })
		var raw bytes.Buffer
		if err := c.request(context.Background(), http.MethodPost, body(strconv.Itoa(i+1)), nil).Write(&raw); err != nil {
			b.Fatal(err)
		}
		workers[i] = worker{conn, bufio.NewReader(conn), raw.Bytes()}
	}
	return func(b *testing.B, n int) time.Duration {
		start := time.Now()
		var wg sync.WaitGroup
		var left atomic.Int64
		left.Store(int64(n))
		for _, w := range workers {
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					_, err := w.conn.Write(w.raw)
					var res *http.Response
					if err == nil {
						res, err = http.ReadResponse(w.in, nil)
					}
					if err != nil || res.StatusCode != http.StatusOK {
						b.Errorf("%v, %v", res, err)
						return
					}
					closeBody(res)
				}
			})
		}
		wg.Wait()
		return time.Since(start)
	}
}

// BenchmarkWaiting is what a call takes that waits, in memory of the process: heap
// and stacks, also those of the test's own client.
func BenchmarkWaiting(b *testing.B) {
	for _, co := range combinations {
		b.Run(co.name, func(b *testing.B) {
			const n = 1000
			var total uint64
			for b.Loop() {
				f := newFixture()
				c := co.connect(b, f)
				before := inUse()
				var calls []<-chan wireMsg
				for i := range n {
					calls = append(calls, call(b, c, strconv.Itoa(i+1), "block", nil))
				}
				for range n {
					recv(b, f.started, "a call")
				}
				total += inUse() - before
				close(f.release)
				for _, ch := range calls {
					result(b, ch)
				}
			}
			b.ReportMetric(float64(total)/float64(n*b.N), "B/waiting")
		})
	}
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
