package emulator

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// OpenTerminals gives the number of terminal/ws sockets that are open now.
func (s *Server) OpenTerminals() int { return int(s.shells.open.Load()) }

// terminal answers WS terminal/ws: a shell on a pseudo-terminal in /workspace.
func (s *Server) terminal(c *call) {
	if !s.ready(c) {
		return
	}
	if !strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") {
		c.w.Header().Set("Upgrade", "websocket")
		s.fail(c.w, http.StatusUpgradeRequired, "upgrade_required", "This is a WebSocket")
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.fail(c.w, http.StatusServiceUnavailable, "unavailable", "The service is shutting down")
		return
	}
	life := c.in.life
	s.work.Add(1)
	s.mu.Unlock()
	defer s.work.Done()

	t := &terminal{server: s, in: c.in, family: s.opts.Terminal, fault: socketFault(c.w)}
	// ttyd and line mode have no shell before the client's first word.
	if t.family != TerminalT4 && t.family != TerminalT5 {
		if err := t.open(c.r.URL.Query().Get("session_id"), defaultCols, defaultRows); err != nil {
			s.failWith(c.w, err)
			return
		}
	}
	opts := &websocket.AcceptOptions{}
	if t.family == TerminalT4 {
		opts.Subprotocols = []string{"tty"}
	}
	ws, err := websocket.Accept(c.w, c.r, opts)
	if err != nil { // it has answered
		if t.shell != nil {
			t.shell.end()
		}
		return
	}
	s.shells.open.Add(1)
	defer s.shells.open.Add(-1)
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	ctx, cancel := context.WithCancel(life)
	defer cancel()
	t.ws = ws
	t.serve(ctx, cancel)
	if life.Err() != nil {
		ws.Close(websocket.StatusGoingAway, "the instance was shut down")
	}
}

// terminal is one connection.
type terminal struct {
	server  *Server
	in      *instance
	family  TerminalFamily
	fault   SocketFault
	ws      *websocket.Conn
	shell   *shell
	resumed bool
	sent    int           // bytes of output
	stop    func()        // ends the connection
	left    chan struct{} // the shell was left
	broken  atomic.Bool   // the connection ended in another way than by a proper close
}

// open gives the terminal its shell: the one that it asks for, else a new one.
func (t *terminal) open(id string, cols, rows int) error {
	if id != "" {
		if t.shell = t.server.shells.take(id, t.in); t.shell != nil {
			t.resumed = true
			return nil
		}
	}
	sh, err := t.in.machine.startShell(cols, rows)
	if errors.Is(err, errOff) {
		return notReady(statusStopped)
	}
	t.shell = sh
	return err
}

// leave ends the shell, or has it kept for a while.
func (t *terminal) leave(ctx context.Context) {
	sh := t.shell
	if sh == nil {
		return
	}
	grace := t.server.opts.TerminalGrace
	s := t.server
	s.mu.Lock()
	keep := t.broken.Load() && grace > 0 && !s.closed && ctx.Err() == nil
	if keep {
		s.work.Add(1)
	}
	s.mu.Unlock()
	if !keep {
		sh.end()
		return
	}
	s.shells.keep(sh, t.in, grace, s.work.Done)
}

// serve runs the terminal to its end.
func (t *terminal) serve(life context.Context, cancel context.CancelFunc) {
	ctx, stop := context.WithCancel(life)
	defer stop()
	if t.fault.Silent || t.family == TerminalT4 && t.ws.Subprotocol() == "" {
		if t.shell != nil {
			t.shell.end()
		}
		<-t.ws.CloseRead(ctx).Done()
		return
	}
	if t.family == TerminalT5 {
		t.lines(ctx)
		return
	}
	if t.family == TerminalT4 && !t.hello(ctx) {
		return
	}
	t.stop, t.left = stop, make(chan struct{})
	t.server.shells.attach(t)
	defer t.server.shells.release(t)
	var both sync.WaitGroup
	both.Go(func() {
		defer stop()
		t.listen(ctx)
	})
	t.speak(ctx)
	stop()
	t.ws.CloseNow()
	// The shell may be too busy to take what was typed.
	if t.shell.tty.SetWriteDeadline(time.Now()) != nil {
		t.shell.end()
	}
	both.Wait()
	_ = t.shell.tty.SetWriteDeadline(time.Time{})
	t.leave(life)
	cancel()
}

// hello waits for the first message of a ttyd client.
func (t *terminal) hello(ctx context.Context) bool {
	_, raw, err := t.ws.Read(ctx)
	if err != nil {
		return false
	}
	size := readSize(raw)
	if size.problem != "" || !bytes.Contains(raw, []byte(`"AuthToken"`)) {
		t.ws.Close(websocket.StatusPolicyViolation, "the first message has to be the handshake")
		return false
	}
	if err := t.open("", size.cols, size.rows); err != nil {
		t.ws.Close(websocket.StatusInternalError, err.Error())
		return false
	}
	return true
}

// listen passes on what the client types.
func (t *terminal) listen(ctx context.Context) {
	for {
		kind, raw, err := t.ws.Read(ctx)
		if err != nil {
			if websocket.CloseStatus(err) == -1 && ctx.Err() == nil {
				t.broken.Store(true)
			}
			return
		}
		in := t.family.readInput(message{kind, raw})
		switch {
		case in.problem != "":
			t.complain(ctx, in.problem)
		case in.cols > 0:
			setWindow(t.shell.tty, in.cols, in.rows)
		case len(in.data) > 0:
			if _, err := t.shell.tty.Write(in.data); err != nil {
				return
			}
		}
	}
}

func (t *terminal) complain(ctx context.Context, problem string) {
	if t.family == TerminalT1 || t.family == TerminalT3 || t.family == TerminalT5 {
		t.send(ctx, jsonMessage(object{"type": "error", "message": problem}))
	}
}

// speak passes on what the shell prints, until it ends, the client leaves, or a
// fault says so.
func (t *terminal) speak(ctx context.Context) {
	if !t.fault.begin(ctx, t.ws) {
		return
	}
	for _, m := range t.family.greeting(t.shell, t.server.opts.TerminalGrace > 0, t.resumed) {
		if !t.send(ctx, m) {
			return
		}
	}
	if !t.flood(ctx) {
		return
	}
	for {
		select {
		case p, ok := <-t.shell.out:
			if !ok {
				<-t.shell.proc.exited
				t.farewell(ctx)
				return
			}
			if !t.print(ctx, p) {
				return
			}
		case <-t.shell.proc.exited:
			// What it left behind may hold the terminal for ever.
			grace := time.NewTimer(drainGrace)
			defer grace.Stop()
			for {
				select {
				case p, ok := <-t.shell.out:
					if ok && t.print(ctx, p) {
						continue
					}
				case <-grace.C:
				}
				t.farewell(ctx)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

func (t *terminal) farewell(ctx context.Context) {
	for _, m := range t.family.farewell(exitCode(t.shell.proc.cmd.ProcessState)) {
		t.send(ctx, m)
	}
	t.ws.Close(websocket.StatusNormalClosure, "")
}

func (t *terminal) send(ctx context.Context, m message) bool {
	return t.ws.Write(ctx, m.kind, m.data) == nil
}

// print sends output, as the fault has it.
func (t *terminal) print(ctx context.Context, p []byte) bool {
	for len(p) > 0 {
		n := len(p)
		if t.fault.Split > 0 {
			n = min(n, t.fault.Split)
		}
		if t.fault.CutBytes > 0 {
			if t.sent >= t.fault.CutBytes {
				t.fault.end(t.ws)
				t.broken.Store(true)
				return false
			}
			n = min(n, t.fault.CutBytes-t.sent)
		}
		if !t.send(ctx, t.family.outputMessage(p[:n])) {
			return false
		}
		t.sent += n
		p = p[n:]
	}
	return true
}

// floodLine is what a flood is made of.
const floodLine = "The quick brown fox jumps over the lazy dog; 0123456789.\r\n"

// flood sends output without a pause.
func (t *terminal) flood(ctx context.Context) bool {
	chunk := bytes.Repeat([]byte(floodLine), 512)
	for left := t.fault.Flood; left > 0; left -= int64(len(chunk)) {
		if !t.print(ctx, chunk[:min(left, int64(len(chunk)))]) {
			return false
		}
	}
	return true
}

// lines runs commands one by one.
func (t *terminal) lines(ctx context.Context) {
	if !t.fault.begin(ctx, t.ws) || !t.flood(ctx) {
		return
	}
	t.send(ctx, jsonMessage(object{"type": "result", "stdout": "", "stderr": "", "exit_code": 0}))
	for {
		kind, raw, err := t.ws.Read(ctx)
		if err != nil {
			return
		}
		in := t.family.readInput(message{kind, raw})
		if in.command == nil {
			t.complain(ctx, in.problem)
			continue
		}
		res, err := t.server.runCommand(ctx, t.in, *in.command, defaultTimeout, false)
		if err != nil {
			t.complain(ctx, err.Error())
			continue
		}
		t.send(ctx, jsonMessage(object{
			"type": "result", "stdout": res.stdout.String(), "stderr": res.stderr.String(), "exit_code": res.code,
		}))
	}
}
