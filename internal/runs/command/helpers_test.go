package command

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
	"openclaw-mcp/internal/sandbox"
)

const (
	execEndpoint = runstest.ExecEndpoint
	testKey      = runstest.Key
)

var (
	eventually = runstest.Eventually
	outcomeIn  = runstest.Outcome
)

// process is what a process of this program has of commands.
type process struct {
	*runs.Manager
	commands *Service
}

// world is an upstream and a process.
type world struct {
	*runstest.Upstream
	m *process
}

func start(t *testing.T, opts emulatortest.Options) *world {
	t.Helper()
	return startBehind(t, opts, nil)
}

// startBehind puts something between the client and the upstream.
func startBehind(t *testing.T, opts emulatortest.Options, proxy func(http.Handler) http.Handler) *world {
	t.Helper()
	w := &world{Upstream: runstest.Start(t, opts, proxy)}
	w.m = w.process(testKey, "")
	return w
}

func (w *world) process(key, principal string) *process {
	w.Helper()
	m := w.Manager(key, principal)
	p := &process{m, New(m)}
	p.commands.leastLook = time.Minute // a busy machine is not what these tests are about
	return p
}

func (w *world) open(m *process, handle string) runs.Run {
	w.Helper()
	return w.Open(m.Manager, handle)
}

// command starts a command, and has its files cleared away in the end: without
// a sandbox they are this machine's.
func (w *world) command(req Request) runs.Run {
	w.Helper()
	req.Instance = w.ID
	r, err := w.m.commands.Start(w.Context(), req)
	if err != nil {
		w.Fatal(err)
	}
	if d, ok := r.Run.(*detached); ok {
		w.Cleanup(func() { os.RemoveAll(fmt.Sprintf("/tmp/openclaw-mcp-%d/%s", os.Geteuid(), d.state.ID)) })
	}
	return r.Run
}

// folder is where a detached command has its files in the sandbox.
func (w *world) folder(r runs.Run) string { return w.folderOf(r.(*detached).state) }

func (w *world) folderOf(state runs.State) string {
	w.Helper()
	return strings.TrimSpace(w.sh("echo /tmp/openclaw-mcp-$(id -u)")) + "/" + state.ID
}

// sh runs a command in the sandbox, past all runs.
func (w *world) sh(command string) string {
	w.Helper()
	res, err := w.Client.Terminal.Exec(context.WithoutCancel(w.Context()), w.ID, client.ExecRequest{Command: command, Timeout: time.Minute})
	if err != nil {
		w.Fatal(err)
	}
	return res.Stdout.Head
}

// output is what an update says of the command's output.
func output(u *runs.Update) *Output {
	o, _ := u.Result.(*Output)
	return o
}

func code(u *runs.Update) string {
	switch o := output(u); {
	case o == nil:
		return "no output"
	case o.ExitCode == nil:
		return "none"
	default:
		return fmt.Sprint(*o.ExitCode)
	}
}

// shells gives what has a command run in each of the shells that are tested, as far as this
// machine has them. "bash" is the service's own.
func shells() map[string]func(string) string {
	shells := map[string]func(string) string{"bash": func(s string) string { return s }}
	for _, name := range shellNames {
		if path, err := exec.LookPath(name); err == nil {
			if name == "busybox" {
				path += " sh"
			}
			shells[name] = func(s string) string { return "exec " + path + " -c " + sandbox.Quote(s) }
		}
	}
	return shells
}

// startHeld holds the request that starts a command with "echo x >>count": held is
// closed when it came, and closing hold lets it go on.
func startHeld(t *testing.T) (w *world, held <-chan struct{}, hold chan<- struct{}) {
	t.Helper()
	came, wait := make(chan struct{}), make(chan struct{})
	w = startBehind(t, emulatortest.Options{}, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("echo x >>count")) {
				close(came)
				<-wait
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			next.ServeHTTP(rw, r)
		})
	})
	return w, came, wait
}
