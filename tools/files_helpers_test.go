package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/text"
)

// bench is an instance of an embedded service, and the tools in front of it.
type bench struct {
	*testing.T
	srv  *emulatortest.Server
	id   string
	dir  string // of this machine: the workspace
	deps *Deps

	received atomic.Int64 // bytes of all answers
	// between, where set, sees every request first; true: it has answered.
	between func(w http.ResponseWriter, r *http.Request) bool
}

// newBench starts one. Its commands run without a namespace unless opts say
// otherwise: that is faster.
func newBench(t *testing.T, opts emulatortest.Options) *bench {
	t.Helper()
	if opts.Sandbox == "" {
		opts.Sandbox = emulator.SandboxOff
	}
	if !thorough {
		opts.Shell = "sh" // takes half the time of bash
	}
	srv, err := emulatortest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{T: t, srv: srv}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.between != nil && b.between(w, r) {
			return
		}
		srv.ServeHTTP(&countingWriter{w, &b.received}, r)
	}))
	if b.id, err = srv.AddInstance("key"); err != nil {
		t.Fatal(err)
	}
	b.dir = srv.Workspace(b.id)
	c, err := client.New(nil, web.URL, "key", client.WithRetry(2, time.Millisecond, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	services := NewServices(c, testRuns(t, c))
	b.deps = &Deps{
		Services:     func(context.Context) (*Services, error) { return services, nil },
		Rails:        func(context.Context) *Rails { return &Rails{} },
		Principal:    func(context.Context) string { return "local" },
		Confirm:      NewConfirmer(ConfirmAllow),
		SoftDeadline: 10 * time.Minute, MaxResultChars: 20000,
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		c.CloseIdleConnections()
		web.Close()
	})
	return b
}

type countingWriter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.n.Add(int64(n))
	return n, err
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// memoryDir is a directory for many files: on some machines it takes long to make
// them on disk.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "openclaw-mcp-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

var benchTools = sync.OnceValue(fileTools)

func (b *bench) tool(name string) *Tool {
	for _, t := range benchTools() {
		if t.Name == name {
			return t
		}
	}
	b.Fatalf("no tool %s", name)
	return nil
}

type args = map[string]any

// try calls a tool.
func (b *bench) try(name string, a args) Result {
	b.Helper()
	raw, err := json.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	r := b.tool(name).Call(b.Context(), b.deps, raw, Exchange{})
	if len(r.Text) > b.deps.MaxResultChars {
		b.Errorf("%s %v: the text has %d characters, beyond the budget", name, text.Line(string(raw), 100), len(r.Text))
	}
	return r
}

// call calls a tool that has to succeed, and decodes its answer.
func call[Out any](b *bench, name string, a args) Out {
	b.Helper()
	r := b.try(name, a)
	if r.IsError {
		b.Fatalf("%s %v: %s", name, a, r.Text)
	}
	return decodeOut[Out](b, r)
}

func decodeOut[Out any](b *bench, r Result) Out {
	b.Helper()
	out, ok := r.Structured.(Out)
	if !ok {
		b.Fatalf("got a %T", r.Structured)
	}
	return out
}

// refuse calls a tool that has to fail with texts that hold all of words.
func (b *bench) refuse(name string, a args, words ...string) {
	b.Helper()
	r := b.try(name, a)
	if !r.IsError {
		b.Errorf("%s %v: went through: %s", name, a, text.Line(r.Text, 300))
		return
	}
	for _, w := range words {
		if !strings.Contains(r.Text, w) {
			b.Errorf("%s %v: got %q, want %q in it", name, a, r.Text, w)
		}
	}
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, filepath.FromSlash(name)) }

func (b *bench) put(name, content string) {
	b.Helper()
	if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(b.path(name), []byte(content), 0o644); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) want(name, content string) {
	b.Helper()
	got, err := os.ReadFile(b.path(name))
	if err != nil || string(got) != content {
		b.Errorf("%s: got %q, %v; want %q", name, text.Line(string(got), 200), err, text.Line(content, 200))
	}
}

func (b *bench) gone(name string) {
	b.Helper()
	if _, err := os.Lstat(b.path(name)); !os.IsNotExist(err) {
		b.Errorf("%s is still there (%v)", name, err)
	}
}

// clean checks that no temporary file is left in the workspace.
func (b *bench) clean() {
	b.Helper()
	_ = filepath.WalkDir(b.dir, func(p string, _ os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(filepath.Base(p), ".openclaw-mcp") {
			b.Errorf("%s is left", p)
		}
		return nil
	})
}

const (
	execEndpoint  = "POST /instances/{instance}/terminal/exec"
	readEndpoint  = "GET /instances/{instance}/files/read"
	writeEndpoint = "POST /instances/{instance}/files/write"
	listEndpoint  = "GET /instances/{instance}/files"
)

// rewriteExec changes every command on its way.
func (b *bench) rewriteExec(change func(string) string) {
	b.between = func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/terminal/exec") {
			return false
		}
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			b.Error(err)
		}
		body["command"] = change(body["command"].(string))
		raw, err := json.Marshal(body)
		if err != nil {
			b.Error(err)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		return false
	}
}

// without runs every command with no other programs than usual ones, less some.
func (b *bench) without(names ...string) {
	b.Helper()
	dir := b.TempDir()
	for n := range strings.FieldsSeq("sh bash cat head tail wc base64 stat sha256sum shasum openssl mv rm rmdir cp ln mkdir tr chmod chown find gzip sleep readlink flock truncate ls rev dash") {
		p, err := exec.LookPath(n)
		skip := false
		for _, x := range names {
			skip = skip || x == n
		}
		if err == nil && !skip {
			if err := os.Symlink(p, filepath.Join(dir, n)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.rewriteExec(func(c string) string { return "PATH=" + dir + "\n" + c })
}

// noExec answers every command as a shell that lacks what it needs.
func (b *bench) noExec() {
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/terminal/exec") {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"stdout":"","stderr":"sh: not found","exit_code":127}`)
		return true
	}
}

func decodeArgs(t *testing.T, s string) args {
	t.Helper()
	var a args
	if err := json.Unmarshal([]byte(s), &a); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return a
}

// testRuns makes a manager of runs.
func testRuns(t testing.TB, c *client.Client) *runs.Manager {
	t.Helper()
	m, err := runs.NewManager(runs.Config{Client: c, APIKey: "key"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}
