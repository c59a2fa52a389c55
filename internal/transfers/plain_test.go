//go:build unix

package transfers

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// noExec is a service that runs no commands.
func noExec(more ...emulatortest.Fault) emulatortest.Options {
	return emulatortest.Options{Faults: append(more, emulatortest.Fault{
		Endpoint: runstest.ExecEndpoint, Status: http.StatusForbidden, Body: `{"error":"forbidden","message":"Commands are disabled"}`,
	})}
}

func contents(t *testing.T, dir string, names ...string) (all []string) {
	t.Helper()
	for _, name := range names {
		b, err := os.ReadFile(dir + "/" + name)
		if err != nil {
			all = append(all, "none")
			continue
		}
		all = append(all, string(b))
	}
	return all
}

func wantNote(t *testing.T, u *runs.Update, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(strings.Join(u.Notes, "\n"), part) {
			t.Errorf("the notes are %q, want %q", u.Notes, part)
		}
	}
}

// Text goes up without a shell, as far as that reaches; what can't go is named with the
// reason, before anything is sent.
func TestPlainUpload(t *testing.T) {
	t.Parallel()
	m := startMover(t, noExec(), nil)
	plant(t, m.local("src"), map[string]item{
		"a": file("one"), "sub/b": file("two"), "sub/empty": folder, "run.sh": {content: []byte("#!/bin/sh\n"), mode: 0o755},
		"bin": {content: []byte{0xff, 0xfe}}, "link": {target: "a"}, "not-utf8-\xff": file("x"),
		"large": {content: []byte(strings.Repeat("x", maxPlain+1))}, "there": file("new"),
	})
	plant(t, m.remote("app"), map[string]item{"there": file("old"), "other": file("stays")})
	u := m.settle(m.begin(runs.KindUpload, "src", "/workspace/app"))
	if u.Status != runs.StatusFailed || moved(u).Files != 4 || moved(u).Failed.Count != 4 {
		t.Errorf("%s, %v, %+v", u.Status, u.Err, moved(u))
	}
	got := strings.Join(contents(t, m.remote("app"), "a", "sub/b", "run.sh", "there", "other"), " ")
	if want := "one two #!/bin/sh\n new stays"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if st, err := os.Stat(m.remote("app/sub/empty")); err != nil || !st.IsDir() {
		t.Error(err)
	}
	wantNote(t, u, "Commands are disabled", "1 file is not text", "1 file is too large", "1 link can't be made", "1 name is not UTF-8", "1 program will not be executable")

	// Once more: what is there is not written again, and the shell is not asked for again.
	writes, commands := m.Srv.Calls(writeEndpoint), m.Srv.Calls(runstest.ExecEndpoint)
	u = m.settle(m.begin(runs.KindUpload, "src", "/workspace/app"))
	if moved(u).Unchanged != 4 || m.Srv.Calls(writeEndpoint) != writes || m.Srv.Calls(runstest.ExecEndpoint) != commands {
		t.Errorf("%+v, %d writes, %d commands", moved(u), m.Srv.Calls(writeEndpoint)-writes, m.Srv.Calls(runstest.ExecEndpoint)-commands)
	}
	// A file by itself, below a folder that is not there yet, and into one that is.
	m.move(runs.KindUpload, "src/a", "/workspace/deep/er/name.txt")
	m.move(runs.KindUpload, "src/a", "/workspace/app/")
	m.move(runs.KindUpload, "src/a", "/workspace/app/sub")
	if got := contents(t, m.remote("."), "deep/er/name.txt", "app/sub/a"); strings.Join(got, " ") != "one one" {
		t.Errorf("got %q", got)
	}
	// What exists stays, if it is to.
	plant(t, m.local("src"), map[string]item{"there": file("newer"), "c": file("c")})
	u = m.settle(m.begin(runs.KindUpload, "src", "/workspace/app", func(r *Request) { r.Keep = true }))
	if got := contents(t, m.remote("app"), "there", "c"); strings.Join(got, " ") != "new c" {
		t.Errorf("got %q, %+v", got, moved(u))
	}
}

// Folders come down without a shell, and what is not what the list says is no success.
func TestPlainDownload(t *testing.T) {
	t.Parallel()
	m := startMover(t, noExec(), nil)
	plant(t, m.remote("app"), map[string]item{
		"a": file("one"), "sub/b": file("two"), "sub/deep/c": file("three"), "empty": folder, ".git/config": file("[core]"),
		"bin": {content: noise(100_000, 3)}, ".envrc": file("run me"), "p.json": file(`{"content":"x"}`),
	})
	plant(t, m.local("back"), map[string]item{"a": {content: []byte("old"), mode: 0o755}})
	u := m.settle(m.begin(runs.KindDownload, "back", "/workspace/app"))
	got := contents(t, m.local("back"), "a", "sub/b", "sub/deep/c", ".git/config", ".envrc")
	if want := "one two three none none"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if st, err := os.Stat(m.local("back/a")); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if moved(u).Held.Count != 1 {
		t.Errorf("%+v", moved(u))
	}
	wantNote(t, u, "Commands are disabled", "file endpoints")
	// The embedded service gives a file that is not text in base64, so its bytes are true.
	if b := contents(t, m.local("back"), "bin")[0]; b != string(noise(100_000, 3)) {
		t.Errorf("bin has %d bytes: %+v", len(b), moved(u))
	}
	u = m.move(runs.KindDownload, "single.txt", "/workspace/app/sub/b")
	if got := contents(t, m.root, "single.txt"); got[0] != "two" {
		t.Errorf("got %q, %+v", got, moved(u))
	}
	for _, p := range []string{"/workspace/none", "/workspace/none/at/all"} {
		if u := m.settle(m.begin(runs.KindDownload, "x", p)); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "there is no "+p) {
			t.Errorf("%s, %v", u.Status, u.Err)
		}
	}
}

// A service that takes files for text loses bytes: the sizes tell, or else the marks of it.
func TestPlainDownloadOfMangledBytes(t *testing.T) {
	t.Parallel()
	for _, sizes := range []bool{true, false} {
		proxy := func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch size := ""; {
				case strings.HasSuffix(r.URL.Path, "/files") && r.URL.Query().Get("path") == "/workspace/d":
					if sizes {
						size = `,"size":5`
					}
					_, _ = w.Write([]byte(`[{"name":"pic","type":"file"` + size + `},{"name":"text","type":"file"` + size + `}]`))
				case strings.HasSuffix(r.URL.Path, "/files/read") && strings.HasSuffix(r.URL.Query().Get("path"), "pic"):
					w.Header().Set("Content-Type", "text/plain")
					_, _ = w.Write([]byte("PNG\uFFFD\uFFFD"))
				case strings.HasSuffix(r.URL.Path, "/files/read"):
					_, _ = w.Write([]byte("hello"))
				default:
					next.ServeHTTP(w, r)
				}
			})
		}
		m := startMover(t, noExec(), proxy)
		plant(t, m.remote("d"), map[string]item{"pic": file("x")})
		u := m.settle(m.begin(runs.KindDownload, "back", "/workspace/d"))
		got := contents(t, m.local("back"), "pic", "text")
		if strings.Join(got, " ") != "none hello" || u.Status != runs.StatusFailed || moved(u).Failed.Count != 1 {
			t.Errorf("sizes %v: got %q, %s, %+v", sizes, got, u.Status, moved(u))
		}
		if said := strings.Contains(strings.Join(u.Notes, " "), "not tell the sizes"); said == sizes {
			t.Errorf("sizes %v: the notes are %q", sizes, u.Notes)
		}
	}
}

// What arrives is compared with what was sent.
func TestPlainUploadIsReadBack(t *testing.T) {
	t.Parallel()
	proxy := &requests{}
	m := startMover(t, noExec(), func(next http.Handler) http.Handler {
		return proxy.proxy(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/files/read") {
				_, _ = w.Write([]byte("something else"))
				return
			}
			next.ServeHTTP(w, r)
		}))
	})
	plant(t, m.local("src"), map[string]item{"a": file("one")})
	u := m.settle(m.begin(runs.KindUpload, "src", "/workspace/app"))
	if u.Status != runs.StatusFailed || moved(u).Failed.Count != 1 || !strings.Contains(moved(u).Failed.Some[0], "not what was sent") {
		t.Errorf("%s, %+v", u.Status, moved(u))
	}
}

// Where nothing can be listed, nothing can be kept from being overwritten.
func TestPlainWithoutAList(t *testing.T) {
	t.Parallel()
	gone := func(endpoint string) emulatortest.Fault {
		return emulatortest.Fault{Endpoint: endpoint, Status: http.StatusNotFound, Body: `{"message":"Not Found"}`}
	}
	m := startMover(t, noExec(gone("GET /instances/{instance}/files"), gone("POST /instances/{instance}/files/mkdir")), nil)
	plant(t, m.local("src"), map[string]item{"a": file("one"), "sub/b": file("two")})
	u := m.settle(m.begin(runs.KindUpload, "src", "/workspace", func(r *Request) { r.Keep = true }))
	if u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "nothing was changed") {
		t.Errorf("%s, %v", u.Status, u.Err)
	}
	m.move(runs.KindUpload, "src/a", "/workspace/a")
	m.move(runs.KindDownload, "back.txt", "/workspace/a")
	if got := contents(t, m.root, "back.txt"); got[0] != "one" {
		t.Errorf("got %q", got)
	}
	if u := m.settle(m.begin(runs.KindDownload, "x", "/workspace/sub")); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "the service lists no files") {
		t.Errorf("%s, %v", u.Status, u.Err)
	}
}
