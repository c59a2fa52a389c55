//go:build e2e && unix

package transfers

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

func TestTransferFaults(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	tree := map[string]item{"large": {content: noise(partSize*9, 6)}, "a": file("a"), "b": {content: noise(200_000, 9)}}
	plant(t, m.local("src"), tree)
	want := survey(t, m.local("src"))
	soon := http.Header{"Retry-After": {"0"}}
	for i, faults := range [][]emulatortest.Fault{
		{{Endpoint: writeEndpoint, Call: 2, Status: 503, Body: "busy"}, {Endpoint: writeEndpoint, Call: 5, Drop: true}, {Endpoint: writeEndpoint, Call: 6, Drop: true, After: true}},
		{{Endpoint: runstest.ExecEndpoint, Call: 1, Status: 429, Header: soon}, {Endpoint: runstest.ExecEndpoint, Call: 3, Drop: true, After: true}, {Endpoint: runstest.ExecEndpoint, Call: 4, Status: 502, After: true}},
		{{Endpoint: runstest.ExecEndpoint, Call: 5, CutBytes: 20}, {Endpoint: runstest.ExecEndpoint, Call: 6, Status: 500, Body: `{"error":"x"}`}, {Endpoint: writeEndpoint, Call: 1, Status: 409, Body: `{"message":"not ready"}`}},
		{{Endpoint: runstest.ExecEndpoint, Call: 7, Drop: true, After: true}, {Endpoint: runstest.ExecEndpoint, Call: 8, CutBytes: 2000, CleanCut: true}},
	} {
		m.Srv.SetFaults(faults...)
		remote := fmt.Sprintf("/workspace/app%d", i)
		m.move(runs.KindUpload, "src", remote)
		same(t, survey(t, m.remote(fmt.Sprintf("app%d", i))), want)
		m.Srv.SetFaults(faults...)
		m.move(runs.KindDownload, fmt.Sprintf("back%d", i), remote)
		same(t, survey(t, m.local(fmt.Sprintf("back%d", i))), want)
	}
	// What will not pass is an end at once.
	m.Srv.SetFaults(emulatortest.Fault{Endpoint: runstest.ExecEndpoint, Status: 403, Body: `{"error":"forbidden"}`})
	if u := m.Done(m.begin(runs.KindUpload, "src", "/workspace/no"), nil); u.Status != runs.StatusFailed {
		t.Error(u.Status)
	}
	m.Srv.SetFaults(emulatortest.Fault{Endpoint: runstest.ExecEndpoint, Status: 500})
	if u := m.Done(m.begin(runs.KindUpload, "src", "/workspace/no"), nil); u.Status != runs.StatusFailed {
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
		opts  emulatortest.Options
		proxy func(http.Handler) http.Handler
	}{
		"small bodies":     {proxy: limited("/files/write", 300_000, 413)},
		"no files/write":   {proxy: limited("/files/write", 0, 404)},
		"a proxy refuses":  {proxy: limited("/files/write", 200_000, 403)},
		"short outputs":    {opts: emulatortest.Options{MaxExecOutput: 200_000}},
		"merged outputs":   {opts: emulatortest.Options{Exec: emulatortest.Output, Messages: emulatortest.Camel}},
		"no exit code":     {opts: emulatortest.Options{Exec: emulatortest.Bare, Messages: emulatortest.Wrapped}},
		"another way to 1": {opts: emulatortest.Options{Exec: emulatortest.Wrapped}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := startMover(t, c.opts, c.proxy)
			plant(t, m.local("src"), tree)
			m.move(runs.KindUpload, "src", "/workspace/app")
			m.move(runs.KindDownload, "back", "/workspace/app")
			want := survey(t, m.local("src"))
			same(t, survey(t, m.remote("app")), want)
			same(t, survey(t, m.local("back")), want)
		})
	}
}

// A transfer whose connection was cut is taken up by another process from the
// handle, and does not start over.
func TestTransferResumes(t *testing.T) {
	parts, cutAfter, small := 43, int64(35), 900
	if !thorough {
		parts, cutAfter, small = 24, 18, 50
	}
	proxy := &requests{cut: make(chan struct{})}
	m := startMover(t, emulatortest.Options{}, proxy.proxy)
	tree := map[string]item{"large.bin": {content: noise(parts*partSize-1000, 4)}}
	for i := range small {
		tree[fmt.Sprintf("d%d/f%d", i%9, i)] = file(strings.Repeat("x", i))
	}
	plant(t, m.local("src"), tree)
	want := survey(t, m.local("src"))
	for _, kind := range []runs.Kind{runs.KindUpload, runs.KindDownload} {
		t.Run(string(kind), func(t *testing.T) {
			local := "src"
			if kind == runs.KindDownload {
				local = "back"
			}
			first := m.process()
			proxy.posts.Store(0)
			proxy.writes.Store(0)
			proxy.cut = make(chan struct{})
			proxy.cutAfter.Store(cutAfter)
			run, _, err := first.files.Start(t.Context(), kind, Request{Instance: m.ID, Local: m.local(local), Remote: "/workspace/app"})
			if err != nil {
				t.Fatal(err)
			}
			handle := run.Handle()
			select {
			case <-proxy.cut:
			case <-time.After(10 * time.Minute):
				t.Fatal("the transfer takes too few requests to be cut")
			}
			first.Close() // and with it the process
			proxy.cutAfter.Store(0)

			have := 0
			if kind == runs.KindUpload {
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
			if have < parts/6 || have >= parts {
				t.Fatalf("%d parts had arrived", have)
			}
			proxy.posts.Store(0)
			proxy.writes.Store(0)
			second := m.process()
			u := m.settle(m.Open(second.Manager, handle))
			if u.Status != runs.StatusCompleted || moved(u).Unchanged < small || moved(u).Files != small+1 {
				t.Fatalf("%s, %v, %+v", u.Status, u.Err, moved(u))
			}
			where := m.remote("app")
			if kind == runs.KindDownload {
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
			if u := m.settle(m.Open(third.Manager, handle)); u.Status != runs.StatusCompleted || moved(u).Unchanged != small+1 {
				t.Errorf("%s, %v, %+v", u.Status, u.Err, moved(u))
			}
		})
	}
}

func TestTransferCancel(t *testing.T) {
	t.Parallel()
	for _, kind := range []runs.Kind{runs.KindUpload, runs.KindDownload} {
		hold := make(chan struct{})
		var faults []emulatortest.Fault
		m := startMover(t, emulatortest.Options{}, nil)
		tree := map[string]item{"large": {content: noise(partSize*9, 6)}, "a": file("a")}
		plant(t, m.local("src"), tree)
		plant(t, m.remote("from"), tree)
		endpoint, local, remote := writeEndpoint, "src", "to"
		if kind == runs.KindDownload {
			endpoint, local, remote = runstest.ExecEndpoint, "dst", "from"
			faults = append(faults, emulatortest.Fault{Endpoint: endpoint, Call: 8, Release: hold})
		} else {
			faults = append(faults, emulatortest.Fault{Endpoint: endpoint, Call: 5, Release: hold})
		}
		m.Srv.SetFaults(faults...)
		run := m.begin(kind, local, "/workspace/"+remote)
		runstest.Eventually(t, "temporary files are there", func() bool { return len(m.leftovers()) > 0 })
		note, err := run.Cancel(t.Context())
		if err != nil || note == "" {
			t.Errorf("%q, %v", note, err)
		}
		if u := m.Done(run, nil); u.Status != runs.StatusCancelled {
			t.Errorf("%s: %s", kind, u.Status)
		}
		runstest.Eventually(t, "temporary files are gone", func() bool { return len(m.leftovers()) == 0 })
		close(hold)
		m.Srv.SetFaults()
		if u := m.Done(m.begin(kind, local, "/workspace/"+remote), nil); u.Status != runs.StatusCompleted {
			t.Errorf("%s again: %s, %v", kind, u.Status, u.Err)
		}
	}
}
