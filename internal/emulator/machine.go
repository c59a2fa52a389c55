package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// drainGrace is how long an answer waits for the rest of the output once the
// shell has exited: a process in the background may hold the pipes for ever.
const drainGrace = 500 * time.Millisecond

// machine is where the commands of one instance run.
type machine struct {
	sandbox   *sandbox
	id        string
	workspace string
	path      []string // the variable PATH of commands, if not the usual one
	tmp       string   // directory of this machine that is /tmp, in a namespace; made when it is needed

	mu     sync.Mutex
	on     bool
	life   context.Context // ends when the machine is to stop
	holder *holder         // of the namespace; nil before the first command
	procs  map[*process]struct{}

	desktop []string // variables of its desktop, once it has one
}

// process is one command, until nobody holds its output any more.
type process struct {
	cmd     *exec.Cmd
	holder  *holder // of the namespace it is in, or nil
	readers []*os.File
	exited  chan struct{}
	drained chan struct{} // all output was read; comes after exited
}

func newMachine(sb *sandbox, id, workspace, tmp string) *machine {
	return &machine{sandbox: sb, id: id, workspace: workspace, tmp: tmp, procs: map[*process]struct{}{}}
}

// kill ends the command and all in its process group, and waits for it.
func (p *process) kill() {
	if p.holder != nil {
		p.holder.kill(p.cmd.Process.Pid)
		select {
		case <-p.exited:
			return
		case <-time.After(2 * time.Second):
		}
	}
	killGroup(p.cmd.Process)
	<-p.exited
}

// start allows commands. life ends when the machine is to stop, at the latest.
func (m *machine) start(life context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on, m.life = true, life
}

// stop kills all that the instance runs, waits for it, and allows no commands
// until the next start.
func (m *machine) stop() {
	m.mu.Lock()
	m.on = false
	m.desktop = nil
	h := m.holder
	m.holder = nil
	var procs []*process
	for p := range m.procs {
		procs = append(procs, p)
	}
	m.mu.Unlock()

	if h != nil {
		h.stop()
	}
	for _, p := range procs {
		if p.holder == nil {
			// Also when the shell has exited: something in its group most
			// likely holds the output, or p would not be listed.
			killGroup(p.cmd.Process)
		}
	}
	if h == nil {
		killMarked(m.marker())
	}
	for _, p := range procs {
		<-p.exited
		// What nothing could kill may still hold the other end.
		for _, r := range p.readers {
			r.Close()
		}
		<-p.drained
	}
}

// marker is found in the environment of every process that runs outside of a
// namespace, so that those which leave their process group can be killed too.
func (m *machine) marker() string { return "OPENCLAW_EMULATOR=" + m.id }

// workspaceVar tells commands that run outside of a namespace which directory is
// their /workspace, since they have none of that name.
const workspaceVar = "OPENCLAW_EMULATOR_WORKSPACE"

var errOff = errors.New("local instance: the instance is off")

// errNoShell is a refusal, so that nobody looks for what the command may have
// done, or repeats it.
var errNoShell = &failure{http.StatusUnprocessableEntity, "no_shell",
	"Commands and terminals need a shell (bash or sh), and the machine that runs openclaw-mcp has none, as in its container image; files need none"}

// enter gives the machine a namespace, unless it has one or can't have one. The
// caller holds m.mu.
func (m *machine) enter() error {
	if m.holder != nil {
		if !m.holder.dead() {
			return nil
		}
		m.holder.stop()
		m.holder = nil
	}
	if err := os.MkdirAll(m.tmp, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(m.tmp, os.ModeSticky|0o777); err != nil {
		return err
	}
	var err error
	m.holder, err = m.sandbox.enter(m.life, m.workspace, m.tmp)
	if m.life.Err() != nil {
		return errOff
	}
	return err
}

// prepare does early what the first command needs. It says whether commands have
// a namespace.
func (m *machine) prepare() (inside bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on {
		return false, errOff
	}
	err = m.enter()
	return m.holder != nil, err
}

// command prepares a shell command. The caller holds m.mu.
func (m *machine) command(command string) (*exec.Cmd, error) {
	shell := findProgram("bash", "sh")
	if shell == "" {
		return nil, errNoShell
	}
	if err := m.enter(); err != nil {
		return nil, err
	}
	restoreSignals()
	if m.holder == nil {
		cmd := exec.Command(shell, "-c", command)
		if runtime.GOOS == "windows" && filepath.Base(shell) == "cmd.exe" {
			cmd = exec.Command(shell, "/C", command)
		}
		cmd.Dir = m.workspace
		cmd.Env = append(environment(m.workspace), m.marker(), workspaceVar+"="+m.workspace)
		cmd.Env = append(append(cmd.Env, m.path...), m.desktop...)
		ownGroup(cmd)
		return cmd, nil
	}
	cmd := m.holder.command(shell, command)
	cmd.Env = append(append(environment("/workspace"), m.path...), m.desktop...)
	ownGroup(cmd)
	return cmd, nil
}

// result is the outcome of a command. Its captures are frozen.
type result struct {
	stdout, stderr *capture
	code           int
	timedOut       bool
	duration       time.Duration
}

func (r *result) truncated() bool { return r.stdout.truncated || r.stderr.truncated }

// run executes a shell command and waits for it. Its process group is killed
// after the time-out, and when ctx ends.
func (m *machine) run(ctx context.Context, command string, timeout time.Duration, limit int64) (*result, error) {
	res := &result{stdout: &capture{limit: limit}, stderr: &capture{limit: limit}}
	begin := time.Now()
	p, err := m.launch(command, res)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		res.timedOut = true
		p.kill()
	case <-ctx.Done():
		p.kill()
	}
	awaitOutput(p.drained, func() int { return res.stdout.size() + res.stderr.size() })
	res.stdout.freeze()
	res.stderr.freeze()
	res.duration = time.Since(begin)
	res.code = exitCode(p.cmd.ProcessState)
	if res.timedOut {
		res.code = 124
	}
	return res, nil
}

// awaitOutput waits for the rest of a command's output: until it has ended, or until
// none came for a while, since a background process may hold it open. It looks twice:
// where this process was not running meanwhile, the output waits in the pipe. A
// background process that never stops writing holds up the answer for maxLooks only.
func awaitOutput(drained <-chan struct{}, size func() int) {
	const maxLooks = 6
	for look, still, last := 0, 0, size(); still < 2 && look < maxLooks; look++ {
		grace := time.NewTimer(drainGrace / 2)
		select {
		case <-drained:
			grace.Stop()
			return
		case <-grace.C:
		}
		still++
		if now := size(); now != last {
			still, last = 0, now
		}
	}
}

// launch starts a command. The output is read until nobody can write to it any
// more, also after the answer, lest a background process dies of a closed pipe.
func (m *machine) launch(command string, res *result) (*process, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on {
		return nil, errOff
	}
	cmd, err := m.command(command)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, holder: m.holder, exited: make(chan struct{}), drained: make(chan struct{})}
	var drains sync.WaitGroup
	var writers []*os.File
	pipe := func(into io.Writer) (*os.File, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		p.readers, writers = append(p.readers, r), append(writers, w)
		drains.Go(func() {
			io.Copy(into, r)
			r.Close()
		})
		return w, nil
	}
	stdout, err := pipe(res.stdout)
	var stderr *os.File
	if err == nil {
		stderr, err = pipe(res.stderr)
	}
	if err == nil {
		cmd.Stdout, cmd.Stderr = stdout, stderr
		err = cmd.Start()
	}
	for _, w := range writers {
		w.Close()
	}
	if err != nil {
		drains.Wait()
		return nil, fmt.Errorf("local instance: start of the command: %w", err)
	}
	m.procs[p] = struct{}{}
	go func() {
		cmd.Wait() // the exit code is in ProcessState
		close(p.exited)
		drains.Wait()
		m.mu.Lock()
		delete(m.procs, p)
		m.mu.Unlock()
		close(p.drained)
	}()
	return p, nil
}
