//go:build unix

package transfers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
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

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

const (
	writeEndpoint = "POST /instances/{instance}/files/write"
	stageGlob     = stagePrefix + "*"
)

// process is what a process of this program has of transfers.
type process struct {
	*runs.Manager
	files *Service
}

// mover is an upstream, a process, and a folder of this machine that is open to
// its transfers.
type mover struct {
	*runstest.Upstream
	m    *process
	root string
}

func startMover(t *testing.T, opts emulatortest.Options, proxy func(http.Handler) http.Handler) *mover {
	t.Helper()
	m := &mover{Upstream: runstest.Start(t, opts, proxy), root: t.TempDir()}
	m.m = m.process()
	return m
}

// process gives another process with the same folder.
func (m *mover) process() *process {
	m.Helper()
	return m.other(runstest.Key, "", m.root)
}

// other gives another process with folders of its own.
func (m *mover) other(key, principal string, roots ...string) *process {
	m.Helper()
	p := m.Manager(key, principal)
	files := New(p, Config{Roots: roots})
	files.timing = timing{pollMin: 5 * time.Millisecond, pollMax: 100 * time.Millisecond, giveUp: 5 * time.Minute}
	return &process{p, files}
}

// moved is what an update tells of the transfer.
func moved(u *runs.Update) *Transfer {
	t, _ := u.Result.(*Transfer)
	return t
}

// local gives a path of this machine, remote one of the instance as this machine
// sees it.
func (m *mover) local(name string) string  { return filepath.Join(m.root, filepath.FromSlash(name)) }
func (m *mover) remote(name string) string { return filepath.Join(m.Srv.Workspace(m.ID), name) }

func (m *mover) begin(kind runs.Kind, local, remote string, change ...func(*Request)) runs.Run {
	m.Helper()
	req := Request{Instance: m.ID, Local: m.local(local), Remote: remote}
	for _, f := range change {
		f(&req)
	}
	run, joined, err := m.m.files.Start(m.Context(), kind, req)
	if err != nil || joined != "" {
		m.Fatalf("got joined %q, %v", joined, err)
	}
	return run
}

// move transfers and wants it to succeed.
func (m *mover) move(kind runs.Kind, local, remote string, change ...func(*Request)) *runs.Update {
	m.Helper()
	u := m.settle(m.begin(kind, local, remote, change...))
	if u.Status != runs.StatusCompleted {
		m.Fatalf("%s: %s, %v, %+v", kind, u.Status, u.Err, moved(u))
	}
	return u
}

// settle waits for the end, after which no temporary file is left.
func (m *mover) settle(r runs.Run) *runs.Update {
	m.Helper()
	u := m.Done(r, nil)
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
	time    time.Time // zero: one that is the same for all
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
			if it.mode.Perm() != 0 && err == nil {
				err = os.Chmod(path, it.mode)
			}
		case it.mode&fs.ModeNamedPipe != 0:
			err = makeFIFO(path)
		default:
			mode := it.mode
			if mode == 0 {
				mode = 0o644
			}
			at := it.time
			if at.IsZero() {
				at = time.Unix(1_600_000_000, 0)
			}
			err = errors.Join(os.WriteFile(path, it.content, mode&^fs.ModeType), os.Chmod(path, mode), os.Chtimes(path, at, at))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chtimes(path, time.Unix(1_600_000_000, 0), time.Unix(1_600_000_000, 0))
		}
		return err
	})
}

// survey describes what is under a folder, by name: kind, mode, time, hash or
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
			got[name] = fmt.Sprintf("folder, %s, %s", st.Mode(), st.ModTime().Format(time.DateTime))
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
			got[name] = fmt.Sprintf("file of %d, %s, %s, %s", n, st.Mode(), st.ModTime().Format(time.DateTime), hex.EncodeToString(h.Sum(nil)[:8]))
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

// without gives the programs that scripts use, but for some.
func without(missing ...string) []string {
	all := []string{"sh", "bash", "base64", "sha256sum", "tar", "gzip", "dd", "find", "mkdir", "mv", "rm", "cat", "wc", "chmod", "head", "tail", "ln", "readlink", "openssl", "shasum", "perl", "stat", "touch"}
	return slices.DeleteFunc(all, func(p string) bool { return slices.Contains(missing, p) })
}
