package emulator

import (
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// errNoPTY is the reason why there are no terminals on some systems.
var errNoPTY = &failure{http.StatusNotFound, "no_terminal",
	"This machine has no pseudo-terminals for its local instance: use terminal/exec"}

const (
	defaultCols, defaultRows = 80, 24
	maxCols, maxRows         = 1000, 500
)

// shell is an interactive shell on a pseudo-terminal.
type shell struct {
	id    string
	proc  *process
	tty   *os.File    // our end
	out   chan []byte // what it prints; closed at its end
	ended chan struct{}
	stop  sync.Once
}

// shellCommand is what runs on a terminal: an interactive shell that leaves no
// history in the workspace. own has it make a session of its own first.
func shellCommand(own bool) string {
	command := "exec "
	if own {
		command += "setsid -c "
	}
	path := findProgram("bash", "sh")
	command = `export HISTFILE=/dev/null; ` + command + path
	if filepath.Base(path) == "bash" {
		return `export PS1='$PWD\$ '; ` + command + " --norc --noprofile -i"
	}
	return `export PS1='$PWD $ '; ` + command + " -i"
}

// startShell starts a shell in the machine. It ends with it, at the latest.
func (m *machine) startShell(cols, rows int) (*shell, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.on {
		return nil, errOff
	}
	cmd, tty, err := m.shellOnTTY(cols, rows)
	if err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, holder: m.holder, readers: []*os.File{tty}, exited: make(chan struct{}), drained: make(chan struct{})}
	sh := &shell{id: newID(), proc: p, tty: tty, out: make(chan []byte), ended: make(chan struct{})}
	m.procs[p] = struct{}{}
	go func() {
		cmd.Wait()
		close(p.exited)
	}()
	go func() {
		sh.pump()
		<-p.exited
		m.mu.Lock()
		delete(m.procs, p)
		m.mu.Unlock()
		close(p.drained)
	}()
	return sh, nil
}

// pump hands on what the shell prints for as long as somebody takes it.
func (sh *shell) pump() {
	defer close(sh.out)
	for {
		buf := make([]byte, 32<<10)
		n, err := sh.tty.Read(buf)
		if n > 0 {
			select {
			case sh.out <- buf[:n]:
			case <-sh.ended:
				return
			}
		}
		if err != nil { // EIO, once nobody has the other end
			return
		}
	}
}

// end ends the shell: it gets a hang-up, and a moment later what is worse.
func (sh *shell) end() {
	sh.stop.Do(func() {
		close(sh.ended)
		sh.tty.Close()
		select {
		case <-sh.proc.exited:
		case <-time.After(time.Second):
			sh.proc.kill()
		}
		<-sh.proc.drained
	})
}

// shellSet holds the shells that can be taken up again.
type shellSet struct {
	mu   sync.Mutex
	list map[string]*keptShell
	live map[string]*terminal // connections, by their shells
}

type keptShell struct {
	*shell
	in     *instance
	reaper *time.Timer
	done   func() // tells the server that nobody looks after the shell any more
}

// keep looks after a shell whose connection broke until somebody takes it up
// again or its time is over.
func (set *shellSet) keep(sh *shell, in *instance, grace time.Duration, done func()) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.list == nil {
		set.list = map[string]*keptShell{}
	}
	set.list[sh.id] = &keptShell{shell: sh, in: in, done: done, reaper: time.AfterFunc(grace, func() { set.drop(sh.id) })}
}

// drop ends a shell that nobody has taken up.
func (set *shellSet) drop(id string) {
	set.mu.Lock()
	kept := set.list[id]
	delete(set.list, id)
	set.mu.Unlock()
	if kept != nil {
		kept.reaper.Stop()
		kept.end()
		kept.done()
	}
}

// attach notes who has a shell; release ends that.
func (set *shellSet) attach(t *terminal) {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.live == nil {
		set.live = map[string]*terminal{}
	}
	set.live[t.shell.id] = t
}

func (set *shellSet) release(t *terminal) {
	set.mu.Lock()
	defer set.mu.Unlock()
	delete(set.live, t.shell.id)
	close(t.left)
}

// take gives a kept shell of an instance, or nil. One that another connection
// still has, most likely a broken one, is taken from it.
func (set *shellSet) take(id string, in *instance) *shell {
	set.mu.Lock()
	if t := set.live[id]; t != nil && t.in == in {
		set.mu.Unlock()
		t.broken.Store(true)
		t.stop()
		<-t.left
		set.mu.Lock()
	}
	kept := set.list[id]
	if kept == nil || kept.in != in {
		set.mu.Unlock()
		return nil
	}
	delete(set.list, id)
	set.mu.Unlock()
	kept.reaper.Stop()
	defer kept.done()
	select {
	case <-kept.proc.exited:
		kept.end()
		return nil
	default:
		return kept.shell
	}
}

// dropAll ends them all.
func (set *shellSet) dropAll() {
	set.mu.Lock()
	var ids []string
	for id := range set.list {
		ids = append(ids, id)
	}
	set.mu.Unlock()
	for _, id := range ids {
		set.drop(id)
	}
}
