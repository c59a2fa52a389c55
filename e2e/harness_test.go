package e2e

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openclaw-mcp/e2e/program"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// These tests drive the built binary from outside, as its users do: raw
// JSON-RPC over its streams or its socket on one side, the emulator as the
// service on the other.

// patience is how long a test waits for what must come; nothing takes as long. On
// a machine that is very slow, E2E_PATIENCE multiplies it.
var patience = func() time.Duration {
	n, err := strconv.Atoi(os.Getenv("E2E_PATIENCE"))
	if err != nil || n < 1 {
		n = 1
	}
	return time.Duration(n) * time.Minute
}()

var scratch string // a directory for the whole run of the tests

// atEnd is what must hold after a whole run of the tests.
var atEnd = func() error { return nil }

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait more than they compute.
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		_ = flag.Set("test.parallel", "8")
	}
	var err error
	if scratch, err = os.MkdirTemp("", "openclaw-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(scratch)
	if code == 0 {
		if err := errors.Join(goleak.Find(), atEnd()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// binary builds the program, once, with the race detector if the tests have it.
var binary = sync.OnceValues(func() (string, error) {
	if raceEnabled {
		return program.Build(scratch, "-race")
	}
	return program.Build(scratch)
})

// transcript is a stream that was written so far, and can be waited on.
type transcript struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func newTranscript() *transcript { return &transcript{changed: make(chan struct{})} }

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.buf.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// match waits for text that re matches, and gives its submatches.
func (l *transcript) match(t testing.TB, re *regexp.Regexp) []string {
	t.Helper()
	limit := time.After(patience)
	for {
		l.mu.Lock()
		m, changed := re.FindStringSubmatch(l.buf.String()), l.changed
		l.mu.Unlock()
		if m != nil {
			return m
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s did not come; there is:\n%s", re, l)
		}
	}
}

// process is a running binary.
type process struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout *os.File // our end
	stderr *transcript
	done   chan struct{} // it has ended
	tmp    string        // its TMPDIR
}

// environment is all that a binary gets from the tests besides env.
// Tests read results as programs do.
func environment(tmp string, env ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "TMPDIR=" + tmp, "GORACE=exitcode=66", "OPENCLAW_MCP_STRUCTURED=true", "OPENCLAW_LOCAL_MODEL_URL=none"}, env...)
}

// launch starts the binary with these variables and arguments.
func launch(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{stderr: newTranscript(), done: make(chan struct{}), tmp: t.TempDir()}
	p.cmd = exec.Command(path, args...)
	p.cmd.Env = environment(p.tmp, env...)
	p.cmd.Stderr = p.stderr
	p.cmd.WaitDelay = 10 * time.Second
	inR, inW, err1 := os.Pipe()
	outR, outW, err2 := os.Pipe()
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	p.cmd.Stdin, p.cmd.Stdout = inR, outW
	p.stdin, p.stdout = inW, outR
	err = p.cmd.Start()
	_, _ = inR.Close(), outW.Close()
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
		_ = p.stdout.Close()
		for _, bad := range []string{"panic", "DATA RACE", "fatal error:"} {
			if log := p.stderr.String(); strings.Contains(log, bad) {
				t.Errorf("the binary's log has %q:\n%s", bad, log)
			}
		}
		if t.Failed() {
			t.Logf("the binary's log:\n%s", shorten(p.stderr.String(), 4000))
		}
	})
	return p
}

// exit waits for the end of the process and gives its code, -1 after a signal.
func (p *process) exit(t testing.TB) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("the binary does not end; its log:\n%s", p.stderr)
	}
	return p.cmd.ProcessState.ExitCode()
}

// kill ends the process the hard way.
func (p *process) kill(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Errorf("kill: %v", err)
	}
	p.exit(t)
}

// execute runs the binary to its end, with no input.
func execute(t testing.TB, env []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := launch(t, env, args...)
	_ = p.stdin.Close()
	out := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(p.stdout)
		out <- string(b)
	}()
	code = p.exit(t)
	return code, recv(t, out, "standard output"), p.stderr.String()
}

// upstream is the service of a test: an emulator on a socket.
type upstream struct {
	*emulatortest.Server
	url, key, instance string
}

const testKey = "sk_live_of_a_test"

func newUpstream(t testing.TB, opts emulatortest.Options) *upstream {
	t.Helper()
	u := &upstream{key: testKey}
	opts.Keys = append(opts.Keys, u.key)
	var err error
	if u.Server, err = emulatortest.New(opts); err != nil {
		t.Fatal(err)
	}
	if u.instance, err = u.AddInstance(u.key); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(u.Server)
	u.url = srv.URL + "/api"
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Errorf("closing the emulator: %v", err)
		}
		srv.CloseClientConnections()
		srv.Close()
	})
	return u
}

// env configures a binary for the service; nobody is there to confirm anything.
func (u *upstream) env(more ...string) []string {
	return append([]string{"OPENCLAW_API_KEY=" + u.key, "OPENCLAW_API_BASE_URL=" + u.url, "OPENCLAW_MCP_CONFIRM=allow"}, more...)
}

// scripted is a service whose every answer a test writes itself.
func scripted(t testing.TB, handler http.HandlerFunc) *upstream {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return &upstream{url: srv.URL + "/api", key: testKey, instance: "i1"}
}

// recv waits for what must come.
func recv[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("waiting for %s: closed", what)
		}
		return v
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
		panic("unreachable")
	}
}

// eventually polls for a state that nothing announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// shorten keeps both ends of a long text.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return fmt.Sprintf("%s … (%d bytes) … %s", s[:n/2], len(s)-n, s[len(s)-n/2:])
}
