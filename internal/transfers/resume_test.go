//go:build unix

package transfers

import (
	"context"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// A handle is good only where its folder is open, whoever made it.
func TestTransferHandleIsChecked(t *testing.T) {
	t.Parallel()
	m := startMover(t, emulatortest.Options{}, nil)
	plant(t, m.local("src"), map[string]item{"f": file("1")})
	run := m.begin(runs.KindUpload, "src", "/workspace/app")
	m.settle(run)
	handle := run.Handle()
	before := m.Srv.Mutations()
	none, other := m.other(runstest.Key, ""), m.other(runstest.Key, "", t.TempDir())
	for _, p := range []*process{none, other} {
		if _, err := p.Open(handle); err == nil {
			t.Error("the handle was taken up")
		}
	}
	if _, err := m.other(runstest.Key, "another", m.root).Open(handle); err != runs.ErrHandle {
		t.Errorf("another principal: %v", err)
	}
	if m.Srv.Mutations() != before {
		t.Error("something was sent")
	}
	h, err := none.Inspect(handle)
	if err != nil || h.Kind != runs.KindUpload || h.Instance != m.ID || Remote(h) != "/workspace/app" {
		t.Errorf("%+v, %v", h, err)
	}
	h.Own = "bad"
	if _, err := m.m.Open(m.m.Seal(h)); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("got %v", err)
	}
}

func TestTransferState(t *testing.T) {
	long := strings.Repeat("l", maxPathText/2)
	for o := range options(16) {
		for _, s := range []state{{Local: "/home/me/src", Remote: "/workspace/app/"}, {Local: "/" + long, Remote: "/" + long}} {
			s.Kind, s.ID, s.Instance, s.Options = runs.KindUpload, "00112233445566ff", "i", o
			if o&optionAgreed != 0 {
				s.Agreed = "00112233445566778899aabbccddeeff"
			}
			if got, err := stateOf(runs.State{Kind: s.Kind, ID: s.ID, Instance: s.Instance, Own: s.own()}); err != nil || got != s {
				t.Errorf("got %+v, %v, want %+v", got, err, s)
			}
		}
	}
	if got, want := (state{Local: "/home/me/src", Remote: "/workspace/app/", Options: optionKeep | optionInside}).own(),
		"\x00\x0c/home/me/src\x00\x0f/workspace/app/\x05"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The same call again joins the transfer that is under way.
func TestTransferJoins(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	m := startMover(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: runstest.ExecEndpoint, Call: 1, Release: hold}}}, nil)
	plant(t, m.local("src"), map[string]item{"f": file("1")})
	run := m.begin(runs.KindUpload, "src", "/workspace/app")
	req := Request{Instance: m.ID, Local: m.local("src"), Remote: "/workspace/app"}
	again, joined, err := m.m.files.Start(t.Context(), runs.KindUpload, req)
	if err != nil || joined == "" || again.Kind() != run.Kind() || len(m.m.All()) != 1 {
		t.Errorf("%q, %v", joined, err)
	}
	req.Keep = true
	if _, joined, _ := m.m.files.Start(t.Context(), runs.KindUpload, req); joined != "" {
		t.Error("another transfer was joined")
	}
	close(hold)
	m.Done(run, nil)
}

func TestTransferWithoutTools(t *testing.T) {
	t.Parallel()
	tree := oddTree(100_000)
	if !thorough {
		tree = map[string]item{"a": file("1"), "-rf": file("2"), "sub/link": {target: "../a"}}
	}
	for _, c := range []struct {
		missing string
		want    string    // of the error; "" succeeds
		only    runs.Kind // fails; else both
		rough   bool      // of modes and times, not all is kept
		plain   bool      // then it goes by the file endpoints, which want says
	}{
		{missing: "stat", rough: true}, {missing: "tar touch", rough: true},

		{missing: "tar"}, {missing: "gzip"}, {missing: "tar gzip"}, {missing: "sha256sum"}, {missing: "sha256sum shasum"}, {missing: "base64"},
		{missing: "base64 sha256sum shasum tar gzip"},
		{missing: "base64 openssl", want: "lacks base64", plain: true},
		{missing: "sha256sum shasum openssl", want: "lacks sha256sum", plain: true},
		{missing: "base64 sha256sum shasum openssl", want: "lacks base64 and sha256sum", plain: true},
		{missing: "dd", want: "lacks dd", only: runs.KindUpload},
		{missing: "find", want: "lacks find", only: runs.KindDownload, plain: true},
	} {
		if !thorough && c.missing != "tar" && c.missing != "base64 openssl" && !c.rough {
			continue
		}
		t.Run(c.missing, func(t *testing.T) {
			t.Parallel()
			proxy := &requests{rewrite: only(t, without(strings.Fields(c.missing)...)...)}
			m := startMover(t, emulatortest.Options{Sandbox: emulator.SandboxOff}, proxy.proxy)
			plant(t, m.local("src"), tree)
			plant(t, m.remote("ready"), tree)
			want := survey(t, m.local("src"))
			for _, kind := range []runs.Kind{runs.KindUpload, runs.KindDownload} {
				local, remote, where := "src", "app", m.remote("app")
				if kind == runs.KindDownload {
					local, remote, where = "back", "ready", m.local("back")
				}
				u := m.settle(m.begin(kind, local, "/workspace/"+remote))
				if c.plain && (c.only == "" || c.only == kind) {
					if got := survey(t, where); !strings.Contains(strings.Join(u.Notes, "\n"), c.want) || got["-rf"] == "" {
						t.Errorf("%s: %s, %v, %q: %v", kind, u.Status, u.Err, u.Notes, got)
					}
					continue
				}
				if c.want != "" && (c.only == "" || c.only == kind) {
					if u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), c.want) {
						t.Errorf("%s: %s, %v", kind, u.Status, u.Err)
					}
					if _, err := os.Stat(where); err == nil && c.only == "" {
						t.Errorf("%s: something was done", kind)
					}
					continue
				}
				if u.Status != runs.StatusCompleted {
					t.Errorf("%s: %s, %v, %+v", kind, u.Status, u.Err, moved(u))
				}
				got, want := survey(t, where), maps.Clone(want)
				if c.rough {
					for _, list := range []map[string]string{got, want} {
						for name, is := range list {
							parts := strings.Split(is, ", ")
							list[name] = parts[0]
							if parts[0] != "folder" {
								list[name] += parts[len(parts)-1]
							}
						}
					}
				}
				same(t, got, want)
			}
		})
	}
}

// A transfer goes on without anybody waiting, and a wait without time tells how
// it stands.
func TestTransferWaits(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	m := startMover(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: writeEndpoint, Call: 3, Release: hold}}}, nil)
	plant(t, m.local("src"), map[string]item{"large": {content: noise(partSize*6, 6)}, "a": file("a")})
	run := m.begin(runs.KindUpload, "src", "/workspace/app")
	runstest.Eventually(t, "it is counted", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		u, err := run.Wait(ctx, runs.UntilDone, 0, nil)
		return err == nil && u.Status == runs.StatusRunning && moved(u) != nil && moved(u).TotalFiles == 2
	})
	if list := m.m.List(); len(list) != 1 || list[0].Kind != runs.KindUpload || list[0].Result == nil {
		t.Errorf("%+v", list)
	}
	close(hold)
	m.settle(run)
	p := &runstest.Record{}
	m.Done(run, p)
	if len(p.Lines) != 1 || !p.Has("2 of 2 files") {
		t.Errorf("who comes later is told %v", p.Lines)
	}
}

// The same call in another process joins the transfer that is under way there.
func TestFleetTransferJoins(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	m := startMover(t, emulatortest.Options{Faults: []emulatortest.Fault{{Endpoint: runstest.ExecEndpoint, Call: 1, Release: hold}}}, nil)
	m.Fleet = fleet.Alone()
	t.Cleanup(func() { _ = m.Fleet.Close() })
	a, b := m.process(), m.process()
	plant(t, m.local("src"), map[string]item{"f": file("1")})
	req := Request{Instance: m.ID, Local: m.local("src"), Remote: "/workspace/app"}
	start := func(p *process, req Request, wantJoined bool) runs.Run {
		t.Helper()
		run, joined, err := p.files.Start(t.Context(), runs.KindUpload, req)
		if err != nil || (joined != "") != wantJoined {
			t.Fatalf("joined %q, %v", joined, err)
		}
		return run
	}
	first := start(a, req, false)
	second := start(b, req, true)
	other := req
	other.Keep = true
	start(b, other, false)
	close(hold)
	if u, v := m.Done(first, nil), m.Done(second, nil); u.Status != runs.StatusCompleted || v.Status != u.Status || !reflect.DeepEqual(moved(v), moved(u)) {
		t.Errorf("got %+v and %+v", u, v)
	}
	runstest.Eventually(t, "the claim to be let go", func() bool {
		_, joined, err := b.files.Start(t.Context(), runs.KindUpload, req)
		return err == nil && joined == ""
	})
}
