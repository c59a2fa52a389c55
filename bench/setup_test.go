package bench

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

const apiKey = "sk_live_of_the_benchmarks"

// way is how clients reach a server: a transport and a protocol version.
type way struct {
	name, version string
	http          bool
}

var ways = []way{
	{"stdio-legacy", legacy, false}, {"stdio-modern", modern, false},
	{"http-legacy", legacy, true}, {"http-modern", modern, true},
}

var scratch string // a directory for the whole run

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "openclaw-bench-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

var binary = flag.String("binary", "", "measure this openclaw-mcp instead of building one")

// The programs are built once, as releases are.
var (
	ours = sync.OnceValues(func() (string, error) {
		if *binary != "" {
			return *binary, nil
		}
		return build("openclaw-mcp", "..")
	})
	bare = sync.OnceValues(func() (string, error) { return build("bare", "./bare") })
)

func build(name, dir string) (string, error) {
	path := filepath.Join(scratch, name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return path, nil
}

// service is the embedded service, in this process.
type service struct {
	url, instance string
	workspace     string // the folder of this machine that is /workspace
}

func newService(tb testing.TB, agent emulator.Agent) *service {
	tb.Helper()
	srv, err := emulator.New(emulator.Options{Keys: []string{apiKey}, Agent: agent})
	if err != nil {
		tb.Fatal(err)
	}
	web := httptest.NewServer(srv)
	tb.Cleanup(func() {
		_ = srv.Close()
		web.CloseClientConnections()
		web.Close()
	})
	id, err := srv.AddInstance(apiKey)
	if err != nil {
		tb.Fatal(err)
	}
	s := &service{url: web.URL, instance: id, workspace: srv.Workspace(id)}
	for i := range 20 {
		text := strings.Repeat(fmt.Sprintf("line %d of a file\n", i), 200)
		s.write(tb, fmt.Sprintf("src/f%02d.txt", i), []byte(text))
	}
	return s
}

func (s *service) write(tb testing.TB, name string, content []byte) {
	tb.Helper()
	path := filepath.Join(s.workspace, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		tb.Fatal(err)
	}
}

// directHTTP talks to the service with as many connections as there are requests.
var directHTTP = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2000}}

// do makes one request for the instance. The caller closes the body.
func (s *service) do(method, path string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequest(method, s.url+"/instances/"+s.instance+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := directHTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		text, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		return nil, fmt.Errorf("%s %s: status %s: %.500s", method, path, res.Status, text)
	}
	return res.Body, nil
}

// fetch makes one request and returns the whole answer.
func (s *service) fetch(method, path string, body []byte) ([]byte, error) {
	answer, err := s.do(method, path, body)
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	return io.ReadAll(answer)
}

// process is a running MCP server.
type process struct {
	cmd        *exec.Cmd
	stdin      io.WriteCloser
	stdout     io.Reader
	mcp, admin string // host:port of MCP over HTTP, URL of metrics
}

var (
	mcpAddress   = regexp.MustCompile(`http://([^\s"/]+)/mcp`)
	adminAddress = regexp.MustCompile(`admin=(http://[^\s"]+)`)
)

// start starts a program and, if it serves addresses, waits until it says where.
func start(tb testing.TB, program func() (string, error), w way, env ...string) *process {
	tb.Helper()
	path, err := program()
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{cmd: exec.Command(path)}
	if w.http {
		p.cmd.Args = append(p.cmd.Args, "--http", "127.0.0.1:0")
	}
	p.cmd.Env = append([]string{"HOME=" + scratch, "TMPDIR=" + scratch}, env...)
	stderr, err1 := p.cmd.StderrPipe()
	stdin, err2 := p.cmd.StdinPipe()
	stdout, err3 := p.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, err3, p.cmd.Start()); err != nil {
		tb.Fatal(err)
	}
	p.stdin, p.stdout = stdin, stdout
	tb.Cleanup(p.stop)
	lines := bufio.NewScanner(stderr)
	wantAdmin := slices.Contains(env, withMetrics)
	for w.http && p.mcp == "" || wantAdmin && p.admin == "" {
		if !lines.Scan() {
			tb.Fatalf("%s ended before it served", path)
		}
		if m := adminAddress.FindStringSubmatch(lines.Text()); m != nil {
			p.admin = m[1]
		}
		if m := mcpAddress.FindStringSubmatch(lines.Text()); m != nil {
			p.mcp = m[1]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, stderr) }()
	return p
}

// withMetrics is the setting that has openclaw-mcp serve metrics.
const withMetrics = "OPENCLAW_MCP_ADMIN=127.0.0.1:0"

func startBare(tb testing.TB, w way) *process {
	tb.Helper()
	return start(tb, bare, w)
}

// startOurs starts openclaw-mcp in front of the service.
func startOurs(tb testing.TB, s *service, w way, env ...string) *process {
	tb.Helper()
	return start(tb, ours, w, append(env, "OPENCLAW_API_KEY="+apiKey, "OPENCLAW_API_BASE_URL="+s.url, "OPENCLAW_INSTANCE_ID="+s.instance)...)
}

func (p *process) stop() {
	_ = p.stdin.Close()
	if p.mcp != "" {
		_ = p.cmd.Process.Signal(os.Interrupt)
	}
	kill := time.AfterFunc(15*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait()
}

// links opens a link for each of n workers. On stdio they share one.
func (p *process) links(tb testing.TB, w way, n int) []link {
	tb.Helper()
	connect := func() link {
		if !w.http {
			return newStdioLink(p.stdin, p.stdout, w.version)
		}
		conn, err := net.Dial("tcp", p.mcp)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conn.Close() })
		return &httpLink{version: w.version, host: p.mcp, conn: conn, r: bufio.NewReader(conn)}
	}
	var all []link
	for range n {
		if !w.http && len(all) > 0 {
			return slices.Repeat(all, n)
		}
		l := connect()
		first := []request{initialize, initialized}
		if w.version == modern {
			first = []request{nothing} // the server closes a connection on which nothing comes for ten seconds
		}
		for _, r := range first {
			if _, err := l.ask(r); err != nil {
				tb.Fatal(err)
			}
		}
		all = append(all, l)
	}
	return all
}

func (p *process) binarySize(tb testing.TB) (mib float64) {
	tb.Helper()
	file, err := os.Stat(p.cmd.Path)
	if err != nil {
		tb.Fatal(err)
	}
	return float64(file.Size()) / (1 << 20)
}

// resident gives the memory that the process has in RAM, in MiB.
func (p *process) resident(tb testing.TB) float64 {
	tb.Helper()
	_, rest, _ := strings.Cut(p.proc(tb, "status"), "VmRSS:")
	return number(tb, strings.Fields(rest)[0]) / 1024
}

// cpu gives the processor time that the process has used, in microseconds. The
// kernel counts it in hundredths of a second.
func (p *process) cpu(tb testing.TB) float64 {
	tb.Helper()
	_, rest, _ := strings.Cut(p.proc(tb, "stat"), ") ")
	fields := strings.Fields(rest)
	return 10_000 * (number(tb, fields[11]) + number(tb, fields[12]))
}

func (p *process) proc(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name))
	if err != nil {
		tb.Skipf("this is measured on Linux only: %v", err)
	}
	return string(text)
}

func number(tb testing.TB, text string) float64 {
	tb.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}
