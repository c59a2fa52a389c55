//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a small service that shares no code with the embedded one. Commands run in a
// shell of this machine; files are those of a folder, which commands know as their
// workspace. A test takes over whatever endpoint it is about.
type fake struct {
	t     testing.TB
	root  string   // the workspace
	shell []string // what -c and a command are added to
	env   []string
	run   func(ctx context.Context, command string) params            // takes the place of the shell
	take  func(w http.ResponseWriter, r *http.Request, e string) bool // answers a request itself
	list  func() []params                                             // the instances; nil: i1, ready

	mu       sync.Mutex
	calls    []string // endpoints, such as "POST chat", in order
	bodies   []params // of these
	messages []params
}

func newFake(t testing.TB, shell ...string) (*fake, *upstream) {
	t.Helper()
	f := &fake{t: t, root: filepath.Join(t.TempDir(), "workspace"), shell: shell}
	if len(shell) == 0 {
		f.shell = []string{"sh"}
	}
	f.prepare()
	return f, scripted(t, f.ServeHTTP)
}

func (f *fake) prepare() {
	t := f.t
	t.Helper()
	if err := os.Mkdir(f.root, 0o755); err != nil {
		t.Fatal(err)
	}
	f.env = append(os.Environ(), "OPENCLAW_EMULATOR_WORKSPACE="+f.root)
	if f.shell[0] == "busybox" { // is sh, where it is used
		bin := t.TempDir()
		busybox, err := exec.LookPath("busybox")
		if err == nil {
			err = os.Symlink(busybox, filepath.Join(bin, "sh"))
		}
		if err != nil {
			t.Fatal(err)
		}
		f.shell = []string{filepath.Join(bin, "sh")}
		f.env = append(f.env, "PATH="+bin+":"+os.Getenv("PATH"))
	}
}

// count gives how often an endpoint was called.
func (f *fake) count(endpoint string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.calls {
		if c == endpoint {
			n++
		}
	}
	return n
}

// sent gives the messages that reached any chat endpoint.
func (f *fake) sent(message string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.bodies {
		if b["message"] == message {
			n++
		}
	}
	return n
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// endpoint names a request: "GET instances", or for what is below one instance
// "POST chat/stream".
func endpoint(r *http.Request) string {
	p := strings.Trim(strings.TrimPrefix(r.URL.Path, "/api"), "/")
	if rest, ok := strings.CutPrefix(p, "instances/"); ok {
		if _, below, ok := strings.Cut(rest, "/"); ok {
			return r.Method + " " + below
		}
		return r.Method + " {id}"
	}
	return r.Method + " " + p
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := endpoint(r)
	raw, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(raw))
	var in params
	_ = json.Unmarshal(raw, &in)
	f.mu.Lock()
	f.calls, f.bodies = append(f.calls, e), append(f.bodies, in)
	f.mu.Unlock()
	if f.take != nil && f.take(w, r, e) {
		return
	}
	instances := []params{{"id": "i1", "status": "ready"}}
	if f.list != nil {
		instances = f.list()
	}
	text := func(key string) string { s, _ := in[key].(string); return s }
	switch e {
	case "GET instances":
		answerJSON(w, 200, instances)
	case "POST instances":
		answerJSON(w, 201, params{"id": "i-new", "status": "ready"})
	case "GET {id}", "GET status":
		for _, i := range instances {
			if i["id"] == path.Base(strings.TrimSuffix(r.URL.Path, "/status")) {
				answerJSON(w, 200, i)
				return
			}
		}
		answerJSON(w, 404, params{"message": "Instance not found"})
	case "POST reboot", "POST shutdown":
		answerJSON(w, 200, params{"ok": true})
	case "GET chat/sessions":
		answerJSON(w, 200, []params{{"id": "s1", "title": "one"}})
	case "POST chat/sessions":
		answerJSON(w, 201, params{"id": "s2", "title": text("title")})
	case "GET chat/messages":
		f.mu.Lock()
		defer f.mu.Unlock()
		answerJSON(w, 200, append([]params{}, f.messages...))
	case "GET chat/events":
		answerJSON(w, 200, []params{})
	case "POST chat", "POST chat/stream":
		reply := f.converse(text("message"))
		if e == "POST chat" {
			answerJSON(w, 200, params{"reply": reply, "session_id": "s1"})
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprintf(w, "event: delta\ndata: {\"text\":%q}\n\nevent: done\ndata: {\"message\":{\"role\":\"assistant\",\"content\":%q}}\n\n", reply, reply)
	case "POST terminal/exec":
		run := f.sh
		if f.run != nil {
			run = f.run
		}
		answerJSON(w, 200, run(r.Context(), text("command")))
	default:
		f.files(w, r, e, in)
	}
}

// converse is the agent: it says the message again.
func (f *fake) converse(message string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.messages)
	reply := "You said: " + message
	at := func(i int) string {
		return time.Now().Add(time.Duration(i) * time.Millisecond).UTC().Format(time.RFC3339Nano)
	}
	f.messages = append(f.messages,
		params{"id": fmt.Sprint("m", n+1), "session_id": "s1", "role": "user", "content": message, "created_at": at(0)},
		params{"id": fmt.Sprint("m", n+2), "session_id": "s1", "role": "assistant", "content": reply, "created_at": at(1)})
	return reply
}

// sh runs a command to its end.
func (f *fake) sh(ctx context.Context, command string) params {
	cmd := exec.CommandContext(ctx, f.shell[0], append(append([]string{}, f.shell[1:]...), "-c", command)...)
	cmd.Args[0] = filepath.Base(f.shell[0])
	cmd.Dir = f.root
	cmd.Env = f.env
	cmd.WaitDelay = time.Second
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return params{"stdout": "", "stderr": err.Error(), "exit_code": 126}
	}
	return params{"stdout": out.String(), "stderr": errOut.String(), "exit_code": cmd.ProcessState.ExitCode()}
}

// files answers the endpoints of files.
func (f *fake) files(w http.ResponseWriter, r *http.Request, e string, in params) {
	local := func(p any) string {
		s, _ := p.(string)
		return filepath.Join(f.root, strings.TrimPrefix(path.Join("/workspace", strings.TrimPrefix(s, "/workspace")), "/workspace"))
	}
	fail := func(err error) {
		if errors.Is(err, os.ErrNotExist) {
			answerJSON(w, 404, params{"message": "No such file"})
			return
		}
		answerJSON(w, 422, params{"message": err.Error()})
	}
	content, _ := in["content"].(string)
	switch e {
	case "GET files":
		entries, err := os.ReadDir(local(r.URL.Query().Get("path")))
		if err != nil {
			fail(err)
			return
		}
		list := []params{}
		for _, d := range entries {
			info, err := d.Info()
			if err != nil {
				continue
			}
			kind := "file"
			if d.IsDir() {
				kind = "directory"
			}
			list = append(list, params{"name": d.Name(), "path": path.Join("/", r.URL.Query().Get("path"), d.Name()), "type": kind, "size": info.Size()})
		}
		answerJSON(w, 200, list)
	case "GET files/read":
		b, err := os.ReadFile(local(r.URL.Query().Get("path")))
		if err != nil {
			fail(err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = w.Write(b)
	case "POST files/write", "POST files/upload", "POST files/mkdir":
		p := local(in["path"])
		if e == "POST files/upload" {
			dir, _ := in["targetDir"].(string)
			name, _ := in["fileName"].(string)
			p = local(path.Join(dir, name))
		}
		err := os.MkdirAll(filepath.Dir(p), 0o755)
		switch {
		case err != nil:
		case e == "POST files/mkdir":
			err = os.MkdirAll(p, 0o755)
		default:
			err = os.WriteFile(p, []byte(content), 0o644)
		}
		if err != nil {
			fail(err)
			return
		}
		answerJSON(w, 200, params{"ok": true})
	default:
		answerJSON(w, 404, params{"message": "Not found"})
	}
}
