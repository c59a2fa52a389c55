//go:build e2e && linux

package chaos

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"openclaw-mcp/e2e/program"
)

// pipe is a server over stdio, as each client of one user starts one for itself, again
// whenever it has ended. They share a state folder.
type pipe struct {
	w      *world
	name   string
	env    []string
	log    *program.Log
	deaths atomic.Int64

	starting sync.Mutex
	mu       sync.Mutex
	running  *piped
}

// piped is one process of a pipe.
type piped struct {
	cmd  *exec.Cmd
	done chan struct{} // all that it wrote was read

	writing sync.Mutex
	in      io.WriteCloser

	mu      sync.Mutex
	waiting map[string]*awaited // by the id of the request
}

// awaited is a request that waits for its answer.
type awaited struct {
	lines chan string
	gone  chan struct{} // nobody waits any more
}

func (w *world) newPipe(name string) *pipe {
	p := &pipe{w: w, name: name, log: &program.Log{}}
	server := &http.Server{ErrorLog: quietLog, Handler: w.serveTo(func(at place) { w.reached(p, at) })}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	go func() { _ = server.Serve(l) }()
	w.t.Cleanup(func() { _ = server.Close() })
	state := w.state
	if *alone {
		state = filepath.Join(state, name)
	}
	home := filepath.Join(scratch, name)
	_ = os.MkdirAll(home, 0o700)
	p.env = append(w.environment(l.Addr()), "HOME="+home, "TMPDIR="+home,
		"OPENCLAW_MCP_STATE_DIR="+state, "OPENCLAW_MCP_TRANSFER_ROOTS="+w.root)
	w.pipes = append(w.pipes, p)
	return p
}

// process gives the running process, which is started where there is none.
func (p *pipe) process(ctx context.Context, c *client) (*piped, error) {
	p.starting.Lock()
	defer p.starting.Unlock()
	p.mu.Lock()
	run := p.running
	p.mu.Unlock()
	if run != nil {
		select {
		case <-run.done:
		default:
			return run, nil
		}
	}
	path, err := binary()
	if err != nil {
		return nil, err
	}
	run = &piped{cmd: exec.Command(path), done: make(chan struct{}), waiting: make(map[string]*awaited)}
	run.cmd.Env, run.cmd.Stderr = p.env, p.log
	run.cmd.WaitDelay = 10 * time.Second
	if run.in, err = run.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := run.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := run.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		run.read(out)
		_ = run.cmd.Wait()
		p.deaths.Add(1)
		close(run.done)
	}()
	p.mu.Lock()
	p.running = run
	p.mu.Unlock()
	if c.era == legacy {
		if o := run.ask(ctx, `"init"`, c.message(`"init"`, "initialize", initialize(c.name))); !o.done() {
			return nil, fmt.Errorf("initialize: %s", o)
		}
		return run, run.write(c.message("", "notifications/initialized", nil))
	}
	return run, nil
}

// read gives each line to the request that it belongs to.
func (r *piped) read(out io.Reader) {
	for lines := bufio.NewReaderSize(out, 64<<10); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		var m wireMessage
		if json.Unmarshal([]byte(line), &m) != nil {
			continue
		}
		id := string(m.ID)
		if m.Method != "" {
			id = string(m.Params.ProgressToken)
		}
		r.mu.Lock()
		to := r.waiting[id]
		r.mu.Unlock()
		if to != nil {
			select {
			case to.lines <- line:
			case <-to.gone:
			}
		}
	}
}

func (r *piped) write(message []byte) error {
	r.writing.Lock()
	defer r.writing.Unlock()
	_, err := r.in.Write(append(message, '\n'))
	return err
}

// ask sends a request and reads its answer.
func (r *piped) ask(ctx context.Context, id string, message []byte) (o outcome) {
	a := &awaited{lines: make(chan string), gone: make(chan struct{})}
	r.mu.Lock()
	r.waiting[id] = a
	r.mu.Unlock()
	defer func() {
		close(a.gone)
		r.mu.Lock()
		delete(r.waiting, id)
		r.mu.Unlock()
	}()
	if err := r.write(message); err != nil {
		return outcome{err: err}
	}
	for {
		select {
		case line := <-a.lines:
			if o.event(line, id) {
				return o
			}
		case <-r.done:
			o.err = errors.New("the process ended")
			return o
		case <-ctx.Done():
			o.err = ctx.Err()
			return o
		}
	}
}

// signal implements [victim].
func (p *pipe) signal(s syscall.Signal) {
	p.mu.Lock()
	run := p.running
	p.mu.Unlock()
	if run != nil {
		_ = run.cmd.Process.Signal(s)
	}
}

// end ends the process as clients do, by the end of its input.
func (p *pipe) end() {
	p.mu.Lock()
	run := p.running
	p.mu.Unlock()
	if run == nil {
		return
	}
	_ = run.in.Close()
	select {
	case <-run.done:
	case <-time.After(patience):
		p.w.violation("I9: %s does not end with its input", p.name)
		_ = run.cmd.Process.Kill()
		<-run.done
	}
}
