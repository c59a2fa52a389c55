//go:build unix

package runs

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

// A transfer whose connection was cut is taken up by another process from the
// handle, and does not start over.
func TestTransferResumes(t *testing.T) {
	const parts = 43
	proxy := &requests{cut: make(chan struct{})}
	m := startMover(t, emulator.Options{}, proxy.proxy)
	tree := map[string]item{"large.bin": {content: noise(parts*partSize-1000, 4)}}
	for i := range 900 {
		tree[fmt.Sprintf("d%d/f%d", i%9, i)] = file(strings.Repeat("x", i))
	}
	plant(t, m.local("src"), tree)
	want := survey(t, m.local("src"))
	for _, kind := range []Kind{KindUpload, KindDownload} {
		t.Run(string(kind), func(t *testing.T) {
			local := "src"
			if kind == KindDownload {
				local = "back"
			}
			first := m.process()
			proxy.posts.Store(0)
			proxy.writes.Store(0)
			proxy.cut = make(chan struct{})
			proxy.cutAfter.Store(35)
			run, _, err := first.StartTransfer(t.Context(), kind, TransferRequest{Instance: m.id, Local: m.local(local), Remote: "/workspace/app"})
			if err != nil {
				t.Fatal(err)
			}
			handle := run.Handle()
			select {
			case <-proxy.cut:
			case <-time.After(time.Minute):
				t.Fatal("the transfer takes too few requests to be cut")
			}
			first.Close() // and with it the process
			proxy.cutAfter.Store(0)

			have := 0
			if kind == KindUpload {
				list, _ := filepath.Glob(m.remote(stageGlob + "/*." + fmt.Sprint(partSize) + ".*"))
				have = len(list)
			} else {
				list, _ := filepath.Glob(m.local("back/" + stageGlob + "/*"))
				for _, f := range list {
					if st, err := os.Stat(f); err == nil {
						have += int(st.Size() / partSize)
					}
				}
			}
			if have < 10 || have > 40 {
				t.Fatalf("%d parts had arrived", have)
			}
			proxy.posts.Store(0)
			proxy.writes.Store(0)
			second := m.process()
			u := m.settle(m.open(second, handle))
			if u.Status != StatusCompleted || u.Moved.Unchanged < 900 || u.Moved.Files != 901 {
				t.Fatalf("%s, %v, %+v", u.Status, u.Err, u.Moved)
			}
			where := m.remote("app")
			if kind == KindDownload {
				where = m.local("back")
				if n := proxy.posts.Load(); n > int64(parts-have+14) {
					t.Errorf("%d of %d parts were there, but it took %d requests more", have, parts, n)
				}
			} else if n := proxy.writes.Load(); n > int64(parts-have) {
				t.Errorf("%d of %d parts were there, but it took %d more", have, parts, n)
			}
			same(t, survey(t, where), want)

			// The handle of a transfer that is over finds everything in place.
			third := m.process()
			if u := m.settle(m.open(third, handle)); u.Status != StatusCompleted || u.Moved.Unchanged != 901 {
				t.Errorf("%s, %v, %+v", u.Status, u.Err, u.Moved)
			}
		})
	}
}

// A handle is good only where its folder is open, whoever made it.
func TestTransferHandleIsChecked(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
	plant(t, m.local("src"), map[string]item{"f": file("1")})
	run := m.begin(KindUpload, "src", "/workspace/app")
	m.settle(run)
	handle := run.Handle()
	before := m.srv.Mutations()
	none, other := m.manager(testKey, ""), m.manager(testKey, "")
	other.cfg.TransferRoots = []string{t.TempDir()}
	for _, p := range []*Manager{none, other} {
		if _, err := p.Open(handle); err == nil {
			t.Error("the handle was taken up")
		}
	}
	if _, err := m.manager(testKey, "another").Open(handle); err != ErrHandle {
		t.Errorf("another principal: %v", err)
	}
	if m.srv.Mutations() != before {
		t.Error("something was sent")
	}
	if seen, err := none.Inspect(handle); err != nil || seen.Kind != KindUpload || seen.Instance != m.id || seen.Remote != "/workspace/app" {
		t.Errorf("%+v, %v", seen, err)
	}
	state, err := m.m.seal.open(handle)
	if err != nil || state.Local != m.local("src") {
		t.Errorf("%+v, %v", state, err)
	}
	for o := range transferOptions(8) {
		state.Options = o
		if got, err := m.m.seal.open(m.m.seal.seal(state)); err != nil || got != state {
			t.Errorf("%+v, %v, want %+v", got, err, state)
		}
	}
	state.Local, state.Remote = "/"+strings.Repeat("l", maxPathText/2), "/"+strings.Repeat("r", maxPathText/2)
	if got, err := m.m.seal.open(m.m.seal.seal(state)); err != nil || got != state {
		t.Errorf("long paths: %v", err)
	}
}

// The same call again joins the transfer that is under way.
func TestTransferJoins(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	m := startMover(t, emulator.Options{Faults: []emulator.Fault{{Endpoint: execEndpoint, Call: 1, Release: hold}}}, nil)
	plant(t, m.local("src"), map[string]item{"f": file("1")})
	run := m.begin(KindUpload, "src", "/workspace/app")
	req := TransferRequest{Instance: m.id, Local: m.local("src"), Remote: "/workspace/app"}
	again, joined, err := m.m.StartTransfer(t.Context(), KindUpload, req)
	if err != nil || joined == "" || again.live != run.live {
		t.Errorf("%q, %v", joined, err)
	}
	req.Keep = true
	if _, joined, _ := m.m.StartTransfer(t.Context(), KindUpload, req); joined != "" {
		t.Error("another transfer was joined")
	}
	close(hold)
	m.done(run, nil)
}

func TestTransferFaults(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulator.Options{}, nil)
	tree := map[string]item{"large": {content: noise(partSize*9, 6)}, "a": file("a"), "b": {content: noise(200_000, 9)}}
	plant(t, m.local("src"), tree)
	want := survey(t, m.local("src"))
	soon := http.Header{"Retry-After": {"0"}}
	for i, faults := range [][]emulator.Fault{
		{{Endpoint: writeEndpoint, Call: 2, Status: 503, Body: "busy"}, {Endpoint: writeEndpoint, Call: 5, Drop: true}, {Endpoint: writeEndpoint, Call: 6, Drop: true, After: true}},
		{{Endpoint: execEndpoint, Call: 1, Status: 429, Header: soon}, {Endpoint: execEndpoint, Call: 3, Drop: true, After: true}, {Endpoint: execEndpoint, Call: 4, Status: 502, After: true}},
		{{Endpoint: execEndpoint, Call: 5, CutBytes: 20}, {Endpoint: execEndpoint, Call: 6, Status: 500, Body: `{"error":"x"}`}, {Endpoint: writeEndpoint, Call: 1, Status: 409, Body: `{"message":"not ready"}`}},
		{{Endpoint: execEndpoint, Call: 7, Drop: true, After: true}, {Endpoint: execEndpoint, Call: 8, CutBytes: 2000, CleanCut: true}},
	} {
		m.srv.SetFaults(faults...)
		remote := fmt.Sprintf("/workspace/app%d", i)
		m.move(KindUpload, "src", remote)
		same(t, survey(t, m.remote(fmt.Sprintf("app%d", i))), want)
		m.srv.SetFaults(faults...)
		m.move(KindDownload, fmt.Sprintf("back%d", i), remote)
		same(t, survey(t, m.local(fmt.Sprintf("back%d", i))), want)
	}
	// What will not pass is an end at once.
	m.srv.SetFaults(emulator.Fault{Endpoint: execEndpoint, Status: 403, Body: `{"error":"forbidden"}`})
	if u := m.done(m.begin(KindUpload, "src", "/workspace/no"), nil); u.Status != StatusFailed {
		t.Error(u.Status)
	}
	m.srv.SetFaults(emulator.Fault{Endpoint: execEndpoint, Status: 500})
	if u := m.done(m.begin(KindUpload, "src", "/workspace/no"), nil); u.Status != StatusFailed {
		t.Error(u.Status)
	}
}

// A service that takes or gives less at once gets and is asked for less.
func TestTransferAdapts(t *testing.T) {
	t.Parallel()
	tree := map[string]item{"large": {content: noise(partSize+100_000, 6)}, "middle": {content: noise(partSize/2, 2)}, "small": file("s")}
	for i := range 20 {
		tree[fmt.Sprintf("m%d", i)] = item{content: noise(30_000, uint64(i))}
	}
	limited := func(match string, limit int64, status int) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, match) && r.ContentLength > limit {
					w.WriteHeader(status)
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	for name, c := range map[string]struct {
		opts  emulator.Options
		proxy func(http.Handler) http.Handler
	}{
		"small bodies":     {proxy: limited("/files/write", 300_000, 413)},
		"no files/write":   {proxy: limited("/files/write", 0, 404)},
		"a proxy refuses":  {proxy: limited("/files/write", 200_000, 403)},
		"short outputs":    {opts: emulator.Options{MaxExecOutput: 200_000}},
		"merged outputs":   {opts: emulator.Options{Exec: emulator.Output, Messages: emulator.Camel}},
		"no exit code":     {opts: emulator.Options{Exec: emulator.Bare, Messages: emulator.Wrapped}},
		"another way to 1": {opts: emulator.Options{Exec: emulator.Wrapped}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startMover(t, c.opts, c.proxy)
			plant(t, m.local("src"), tree)
			m.move(KindUpload, "src", "/workspace/app")
			m.move(KindDownload, "back", "/workspace/app")
			want := survey(t, m.local("src"))
			same(t, survey(t, m.remote("app")), want)
			same(t, survey(t, m.local("back")), want)
		})
	}
}

func TestTransferWithoutTools(t *testing.T) {
	t.Parallel()
	tree := oddTree(100_000)
	for _, c := range []struct {
		missing string
		want    string // of the error; "" succeeds
		only    Kind   // fails; else both
	}{
		{missing: "tar"}, {missing: "gzip"}, {missing: "tar gzip"}, {missing: "sha256sum"}, {missing: "sha256sum shasum"}, {missing: "base64"},
		{missing: "base64 sha256sum shasum tar gzip"},
		{missing: "base64 openssl", want: "lacks base64"},
		{missing: "sha256sum shasum openssl", want: "lacks sha256sum"},
		{missing: "base64 sha256sum shasum openssl", want: "lacks base64 and sha256sum"},
		{missing: "dd", want: "lacks dd", only: KindUpload},
		{missing: "find", want: "lacks find", only: KindDownload},
	} {
		t.Run(c.missing, func(t *testing.T) {
			t.Parallel()
			proxy := &requests{rewrite: only(t, without(strings.Fields(c.missing)...)...)}
			m := startMover(t, emulator.Options{Sandbox: emulator.SandboxOff}, proxy.proxy)
			plant(t, m.local("src"), tree)
			plant(t, m.remote("ready"), tree)
			want := survey(t, m.local("src"))
			for _, kind := range []Kind{KindUpload, KindDownload} {
				local, remote, where := "src", "app", m.remote("app")
				if kind == KindDownload {
					local, remote, where = "back", "ready", m.local("back")
				}
				u := m.settle(m.begin(kind, local, "/workspace/"+remote))
				if c.want != "" && (c.only == "" || c.only == kind) {
					if u.Status != StatusFailed || !strings.Contains(u.Err.Error(), c.want) {
						t.Errorf("%s: %s, %v", kind, u.Status, u.Err)
					}
					if _, err := os.Stat(where); err == nil && c.only == "" {
						t.Errorf("%s: something was done", kind)
					}
					continue
				}
				if u.Status != StatusCompleted {
					t.Errorf("%s: %s, %v, %+v", kind, u.Status, u.Err, u.Moved)
				}
				same(t, survey(t, where), want)
			}
		})
	}
}

func TestTransferCancel(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{KindUpload, KindDownload} {
		hold := make(chan struct{})
		var faults []emulator.Fault
		m := startMover(t, emulator.Options{}, nil)
		tree := map[string]item{"large": {content: noise(partSize*9, 6)}, "a": file("a")}
		plant(t, m.local("src"), tree)
		plant(t, m.remote("from"), tree)
		endpoint, local, remote := writeEndpoint, "src", "to"
		if kind == KindDownload {
			endpoint, local, remote = execEndpoint, "dst", "from"
			faults = append(faults, emulator.Fault{Endpoint: endpoint, Call: 8, Release: hold})
		} else {
			faults = append(faults, emulator.Fault{Endpoint: endpoint, Call: 5, Release: hold})
		}
		m.srv.SetFaults(faults...)
		run := m.begin(kind, local, "/workspace/"+remote)
		lately(t, "temporary files are there", func() bool { return len(m.leftovers()) > 0 })
		note, err := run.Cancel(t.Context())
		if err != nil || note == "" {
			t.Errorf("%q, %v", note, err)
		}
		if u := m.done(run, nil); u.Status != StatusCancelled {
			t.Errorf("%s: %s", kind, u.Status)
		}
		lately(t, "temporary files are gone", func() bool { return len(m.leftovers()) == 0 })
		close(hold)
		m.srv.SetFaults()
		if u := m.done(m.begin(kind, local, "/workspace/"+remote), nil); u.Status != StatusCompleted {
			t.Errorf("%s again: %s, %v", kind, u.Status, u.Err)
		}
	}
}

// A transfer goes on without anybody waiting, and a wait without time tells how
// it stands.
func TestTransferWaits(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	m := startMover(t, emulator.Options{Faults: []emulator.Fault{{Endpoint: writeEndpoint, Call: 3, Release: hold}}}, nil)
	plant(t, m.local("src"), map[string]item{"large": {content: noise(partSize*6, 6)}, "a": file("a")})
	run := m.begin(KindUpload, "src", "/workspace/app")
	lately(t, "it is counted", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		u, err := run.Wait(ctx, UntilDone, 0, nil)
		return err == nil && u.Status == StatusRunning && u.Moved != nil && u.Moved.TotalFiles == 2
	})
	if list := m.m.List(); len(list) != 1 || list[0].Kind != KindUpload || list[0].Moved == nil {
		t.Errorf("%+v", list)
	}
	close(hold)
	m.settle(run)
	p := &told{}
	m.done(run, p)
	if len(p.lines) != 1 || !strings.Contains(p.lines[0], "2 of 2 files") {
		t.Errorf("who comes later is told %q", p.lines)
	}
}
