//go:build e2e

// Package hostile attacks the built binary: as a caller, as a crowd of callers, as the
// service, as a web page. Each test is an attack that once worked.
package hostile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/e2e/program"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

var scratch string // a directory for the whole run of the tests

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "openclaw-hostile-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

var given = flag.String("binary", "", "the program to attack, where it is not that of this tree")

// binary builds the program, once.
var binary = sync.OnceValues(func() (string, error) {
	if *given != "" {
		return filepath.Abs(*given)
	}
	return program.Build(scratch)
})

// process is a running binary.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	log    *program.Log
	done   chan struct{}
}

// start runs the binary with these variables and arguments.
func start(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	p := &process{cmd: exec.Command(path, args...), log: &program.Log{}, done: make(chan struct{})}
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "TMPDIR=" + tmp}, env...)
	p.cmd.Stderr = p.log
	p.cmd.WaitDelay = 10 * time.Second
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdout, p.stdout = outW, bufio.NewReaderSize(outR, 1<<20)
	if p.stdin, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	_ = outW.Close()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = p.stdin.Close()
		_ = p.cmd.Process.Kill()
		<-p.done
		_ = outR.Close()
		for _, bad := range []string{"panic", "fatal error:"} {
			if strings.Contains(p.log.String(), bad) {
				t.Errorf("the binary's log has %q:\n%s", bad, p.log)
			}
		}
		if t.Failed() {
			text := p.log.String()
			t.Logf("the binary's log ends:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return p
}

// exit waits for the end of a process and gives its code.
func (p *process) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("the binary does not end; its log:\n%s", p.log)
	}
	return p.cmd.ProcessState.ExitCode()
}

// find waits for something in the log and gives what the pattern's group matches.
func (p *process) find(t testing.TB, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found string
	eventually(t, pattern, func() bool {
		m := re.FindStringSubmatch(p.log.String())
		if m != nil {
			found = m[1]
		}
		return m != nil
	})
	return found
}

// memory is the most memory that a process ever had, in MiB.
func (p *process) memory(t testing.TB) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("this needs /proc:", err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("no VmHWM in %s", b)
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n >> 10
}

// descriptors is how many a process has open.
func (p *process) descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Skip("this needs /proc:", err)
	}
	return len(list)
}

// eventually polls for a state that nothing announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// service is an upstream that a test writes itself.
func service(t testing.TB, handler http.HandlerFunc) (url string) {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv.URL + "/api"
}

const serverKey = "sk_live_of_the_server"

// instances is a service that has one instance for every caller with a good key, and
// nothing else.
func instances(good func(key string) bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if key == "" {
			key = r.Header.Get("X-Api-Key")
		}
		w.Header().Set("Content-Type", "application/json")
		switch {
		case !good(key):
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"unauthorized","message":"no such key"}`)
		case strings.HasSuffix(r.URL.Path, "/instances"):
			_, _ = io.WriteString(w, `{"instances":[{"id":"i1","name":"one","status":"running"}]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":"not_found","message":"nothing there"}`)
		}
	}
}

func anyKey(string) bool { return true }

// server is a binary that serves HTTP.
type server struct {
	*process
	url, admin string
}

// serve starts a binary over HTTP, with an admin address.
func serve(t testing.TB, env ...string) *server {
	t.Helper()
	p := start(t, append([]string{"OPENCLAW_MCP_ADMIN=127.0.0.1:0", "OPENCLAW_MCP_CONFIRM=allow"}, env...), "--http", "127.0.0.1:0")
	s := &server{process: p}
	s.url = p.find(t, `streamable HTTP".*?(http://[^\s"]+/mcp)`)
	s.admin = p.find(t, `admin=(http://[^\s"]+)`)
	return s
}

func address(url string) string {
	url = strings.TrimPrefix(url, "http://")
	host, _, _ := strings.Cut(url, "/")
	return host
}

// The protocol's two eras.
const (
	legacy = "2025-11-25"
	modern = "2026-07-28"
)

type params = map[string]any

// headers are those of a good client.
func headers(version, method, name string) http.Header {
	h := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	if version != "" {
		h.Set("Mcp-Protocol-Version", version)
	}
	if version == modern {
		h.Set("Mcp-Method", method)
		if name != "" {
			h.Set("Mcp-Name", name)
		}
	}
	return h
}

// request renders a request of an era.
func request(t testing.TB, version, method string, p params) []byte {
	t.Helper()
	if p == nil {
		p = params{}
	}
	if version == modern {
		meta, _ := p["_meta"].(params)
		if meta == nil {
			meta = params{}
		}
		meta["io.modelcontextprotocol/protocolVersion"] = modern
		meta["io.modelcontextprotocol/clientCapabilities"] = params{}
		p["_meta"] = meta
	}
	b, err := json.Marshal(params{"jsonrpc": "2.0", "id": 1, "method": method, "params": p})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// caller is a client over HTTP.
type caller struct {
	url    string
	header http.Header // of each request
	http   *http.Client
}

func newCaller(t testing.TB, url string, header ...string) *caller {
	tr := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(tr.CloseIdleConnections)
	c := &caller{url: url, header: http.Header{}, http: &http.Client{Transport: tr}}
	for i := 0; i < len(header); i += 2 {
		c.header.Add(header[i], header[i+1])
	}
	return c
}

// do sends a request.
func (c *caller) do(method string, h http.Header, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequest(method, c.url, body)
	if err != nil {
		return nil, err
	}
	r.Header = h.Clone()
	maps.Copy(r.Header, c.header)
	return c.http.Do(r)
}

// answer sends a request and gives status and body.
func (c *caller) answer(t testing.TB, method string, h http.Header, body []byte) (int, string, http.Header) {
	t.Helper()
	res, err := c.do(method, h, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b), res.Header
}

// call calls a tool in the modern era, and gives the text of the answer, whatever it is.
func (c *caller) call(t testing.TB, tool string, args params) (status int, text string) {
	t.Helper()
	if args == nil {
		args = params{}
	}
	status, text, _ = c.answer(t, http.MethodPost, headers(modern, "tools/call", tool),
		request(t, modern, "tools/call", params{"name": tool, "arguments": args}))
	return status, text
}

// initialize opens a legacy session and gives its id.
func (c *caller) initialize(t testing.TB) string {
	t.Helper()
	status, body, h := c.answer(t, http.MethodPost, headers("", "", ""), request(t, legacy, "initialize", params{
		"protocolVersion": legacy, "clientInfo": params{"name": "hostile", "version": "1"}, "capabilities": params{},
	}))
	if h.Get("Mcp-Session-Id") == "" {
		t.Fatalf("initialize: status %d, %s", status, body)
	}
	return h.Get("Mcp-Session-Id")
}

// raw sends bytes over a connection of its own and gives all that comes back until
// the server closes it; an error where it does not within limit.
func raw(addr string, send []byte, limit time.Duration) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(limit))
	if _, err := conn.Write(send); err != nil {
		return "", err
	}
	b, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && len(b) > 0 {
		err = nil // reset behind the answer
	}
	return string(b), err
}
