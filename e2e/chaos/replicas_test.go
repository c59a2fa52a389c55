//go:build e2e && linux

package chaos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"openclaw-mcp/e2e/program"
)

// binary builds the program, once, or takes the one that OPENCLAW_CHAOS_BINARY names,
// such as an older one to compare with.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("OPENCLAW_CHAOS_BINARY"); path != "" {
		return path, nil
	}
	return program.Build(scratch)
})

// replica is one process of the deployment, which is started again whenever it ends.
type replica struct {
	t        testing.TB
	name     string
	port     int
	admin    string // address of its metrics
	link     *link
	began    size // when it had served one call
	log      *program.Log
	env      []string
	mu       sync.Mutex // guards cmd, done and stopped
	cmd      *exec.Cmd
	done     chan struct{}
	stopped  bool
	deaths   atomic.Int64
	watchers sync.WaitGroup
}

func (r *replica) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// start runs the process. It does not wait until it serves: the proxy goes round it.
func (r *replica) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	path, err := binary()
	if err != nil {
		r.t.Error(err)
		return
	}
	home := filepath.Join(scratch, r.name)
	_ = os.MkdirAll(home, 0o700)
	cmd := exec.Command(path, "--http", r.address())
	cmd.Env = append(r.env, "HOME="+home, "TMPDIR="+home)
	cmd.Stderr = r.log
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		r.t.Error(err)
		return
	}
	done := make(chan struct{})
	r.cmd, r.done = cmd, done
	r.watchers.Go(func() {
		_ = cmd.Wait()
		close(done)
		r.deaths.Add(1)
		time.Sleep(100 * time.Millisecond) // as whoever runs replicas needs to notice
		r.start()
	})
}

// signal sends the running process a signal.
func (r *replica) signal(s syscall.Signal) {
	r.mu.Lock()
	cmd := r.cmd
	r.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(s)
	}
}

// serving reports whether the process takes connections.
func (r *replica) serving() bool {
	conn, err := net.DialTimeout("tcp", r.address(), time.Second)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// end stops the process for good.
func (r *replica) end() {
	r.mu.Lock()
	r.stopped = true
	cmd := r.cmd
	r.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGCONT)
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if t := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }); t != nil {
			defer t.Stop()
		}
	}
	r.watchers.Wait()
}

// proxy spreads requests over the replicas, one after the other. It goes to the next
// one only where a connection is refused, as nginx does: what was perhaps sent is
// never sent again.
type proxy struct {
	*httptest.Server
	replicas  []*replica
	transport *http.Transport
	next      atomic.Int64
}

func newProxy(t testing.TB, replicas []*replica) *proxy {
	t.Helper()
	dialer := &net.Dialer{Timeout: 2 * time.Second}
	transport := &http.Transport{MaxIdleConnsPerHost: 32, DialContext: dialer.DialContext, IdleConnTimeout: time.Second}
	p := &proxy{replicas: replicas, transport: transport}
	reverse := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport:     roundRobin{p, transport},
		FlushInterval: -1,
		ErrorLog:      nil,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.Header().Set("X-Proxy-Error", strings.ReplaceAll(err.Error(), "\n", " "))
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	p.Server = httptest.NewUnstartedServer(reverse)
	p.Config.ErrorLog = quietLog
	reverse.ErrorLog = quietLog
	p.Start()
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
		transport.CloseIdleConnections()
	})
	return p
}

type roundRobin struct {
	p    *proxy
	next http.RoundTripper
}

func (rr roundRobin) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	var errs error
	for range rr.p.replicas {
		to := rr.p.replicas[int(rr.p.next.Add(1))%len(rr.p.replicas)]
		out := r.Clone(r.Context())
		out.Body = io.NopCloser(bytes.NewReader(body))
		out.URL = &url.URL{Scheme: "http", Host: to.address(), Path: r.URL.Path, RawQuery: r.URL.RawQuery}
		res, err := rr.next.RoundTrip(out)
		if err == nil {
			return res, nil
		}
		errs = errors.Join(errs, err)
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" {
			return nil, errs
		}
	}
	return nil, errs
}
