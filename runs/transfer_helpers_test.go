//go:build unix

package runs

import (
	"bytes"

	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

const (
	writeEndpoint = "POST /instances/{instance}/files/write"
	stageGlob     = stagePrefix + "*"
)

// mover is an upstream and a folder of this machine that is open to transfers.
type mover struct {
	*world
	root string
}

func startMover(t *testing.T, opts emulator.Options, proxy func(http.Handler) http.Handler) *mover {
	t.Helper()
	if proxy == nil {
		proxy = func(h http.Handler) http.Handler { return h }
	}
	m := &mover{world: startBehind(t, opts, proxy), root: t.TempDir()}
	m.m = m.process()
	return m
}

// process gives another process with the same folder.
func (m *mover) process() *Manager {
	m.Helper()
	other := m.manager(testKey, "")
	other.cfg.TransferRoots = []string{m.root}
	return other
}

// local gives a path of this machine, remote one of the instance as this machine
// sees it.
func (m *mover) local(name string) string  { return filepath.Join(m.root, filepath.FromSlash(name)) }
func (m *mover) remote(name string) string { return filepath.Join(m.srv.Workspace(m.id), name) }

func (m *mover) begin(kind Kind, local, remote string, change ...func(*TransferRequest)) *Run {
	m.Helper()
	req := TransferRequest{Instance: m.id, Local: m.local(local), Remote: remote}
	for _, f := range change {
		f(&req)
	}
	run, joined, err := m.m.StartTransfer(m.Context(), kind, req)
	if err != nil || joined != "" {
		m.Fatalf("got joined %q, %v", joined, err)
	}
	return run
}

// move transfers and wants it to succeed.
func (m *mover) move(kind Kind, local, remote string, change ...func(*TransferRequest)) *Update {
	m.Helper()
	u := m.settle(m.begin(kind, local, remote, change...))
	if u.Status != StatusCompleted {
		m.Fatalf("%s: %s, %v, %+v", kind, u.Status, u.Err, u.Moved)
	}
	return u
}

// settle waits for the end, after which no temporary file is left.
func (m *mover) settle(r *Run) *Update {
	m.Helper()
	u := m.done(r, nil)
	if left := m.leftovers(); len(left) > 0 {
		m.Errorf("left over: %q", left)
	}
	return u
}

func (m *mover) leftovers() []string {
	left, _ := filepath.Glob(m.remote(stageGlob))
	here, _ := filepath.Glob(m.local(stageGlob))
	below, _ := filepath.Glob(m.local("*/" + stageGlob))
	return append(append(left, here...), below...)
}

// item is what a tree is made of: content, or a link's target.
type item struct {
	content []byte
	mode    fs.FileMode // 0: 0o644; a type makes another kind
	target  string
}

func file(content string) item { return item{content: []byte(content)} }

var folder = item{mode: fs.ModeDir}

func noise(n int, seed uint64) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(b)
	return b
}

// plant makes a tree.
func plant(t testing.TB, dir string, tree map[string]item) {
	t.Helper()
	for name, it := range tree {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case it.target != "":
			err = os.Symlink(it.target, path)
		case it.mode.IsDir():
			err = os.MkdirAll(path, 0o755)
		case it.mode&fs.ModeNamedPipe != 0:
			err = makeFIFO(path)
		default:
			mode := it.mode
			if mode == 0 {
				mode = 0o644
			}
			err = os.WriteFile(path, it.content, mode)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// survey describes what is under a folder, by name: kind, execute bit, hash or
// target.
func survey(t testing.TB, dir string) map[string]string {
	t.Helper()
	got := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		st, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			got[name] = "folder"
		case d.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			got[name] = "link to " + target
			return err
		case !d.Type().IsRegular():
			got[name] = "special"
		default:
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			n, err := io.Copy(h, f)
			got[name] = fmt.Sprintf("file of %d, program %v, %s", n, st.Mode()&0o100 != 0, hex.EncodeToString(h.Sum(nil)[:8]))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// same compares two trees.
func same(t testing.TB, got, want map[string]string) {
	t.Helper()
	for name, w := range want {
		if got[name] != w {
			t.Errorf("%q is %q, want %q", name, got[name], w)
		}
	}
	for name, g := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%q is there too, %s", name, g)
		}
	}
}

// requests counts POSTs, and can end the service after some of them.
type requests struct {
	posts, writes atomic.Int64
	bytes         atomic.Int64
	cutAfter      atomic.Int64 // POSTs; 0: never
	cut           chan struct{}
	rewrite       func(command string) string
}

func (r *requests) proxy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodPost {
			n := r.posts.Add(1)
			r.bytes.Add(req.ContentLength)
			if strings.HasSuffix(req.URL.Path, "/files/write") {
				r.writes.Add(1)
			}
			if limit := r.cutAfter.Load(); limit > 0 && n >= limit {
				if n == limit {
					close(r.cut)
				}
				panic(http.ErrAbortHandler)
			}
			if r.rewrite != nil && strings.HasSuffix(req.URL.Path, "/terminal/exec") {
				var body map[string]any
				raw, _ := io.ReadAll(req.Body)
				_ = json.Unmarshal(raw, &body)
				body["command"] = r.rewrite(body["command"].(string))
				raw, _ = json.Marshal(body)
				req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
			}
		}
		next.ServeHTTP(w, req)
	})
}

// only makes a folder with links to some programs, and has the sandbox know no
// others.
func only(t testing.TB, programs ...string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	for _, p := range programs {
		for _, from := range []string{"/usr/bin/", "/bin/"} {
			if _, err := os.Stat(from + p); err == nil {
				if err := os.Symlink(from+p, filepath.Join(dir, p)); err != nil {
					t.Fatal(err)
				}
				break
			}
		}
	}
	return func(command string) string { return "PATH=" + dir + "; export PATH\n" + command }
}

// lately waits until something is so.
func lately(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to this: %s", what)
		}
	}
}

// told collects progress lines.
type told struct{ lines []string }

func (p *told) Text(string)   {}
func (p *told) Line(s string) { p.lines = append(p.lines, s) }

// without gives the programs that scripts use, but for some.
func without(missing ...string) []string {
	all := []string{"sh", "bash", "base64", "sha256sum", "tar", "gzip", "dd", "find", "mkdir", "mv", "rm", "cat", "wc", "chmod", "head", "tail", "ln", "readlink", "openssl", "shasum", "perl"}
	return slices.DeleteFunc(all, func(p string) bool { return slices.Contains(missing, p) })
}
