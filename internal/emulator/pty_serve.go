package emulator

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// terminal answers WS terminal/ws: a shell on a pseudo-terminal in /workspace.
// Messages are JSON. The server sends {"type":"ready"}, {"type":"output","data"},
// {"type":"exit","code"} and {"type":"error","message"}; the client sends
// {"type":"input","data"}, {"type":"resize","cols","rows"} and {"type":"ping"}.
func (s *Server) terminal(c *call) {
	life, ok := s.beginSocket(c)
	if !ok {
		return
	}
	defer s.work.Done()

	t := &terminal{server: s, in: c.in}
	if err := t.open(c.r.URL.Query().Get("session_id")); err != nil {
		s.failWith(c.w, err)
		return
	}
	ws, err := websocket.Accept(c.w, c.r, nil)
	if err != nil { // it has answered
		t.shell.end()
		return
	}
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	t.ws = ws
	t.serve(life)
	if life.Err() != nil {
		ws.Close(websocket.StatusGoingAway, "the instance was shut down")
	}
}

// beginSocket checks a request for a WebSocket and counts it as work, whose end is
// the caller's to tell. Where it can't be served, it is answered, and ok is false.
func (s *Server) beginSocket(c *call) (life context.Context, ok bool) {
	if !s.ready(c) {
		return nil, false
	}
	if !strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") {
		c.w.Header().Set("Upgrade", "websocket")
		s.fail(c.w, http.StatusUpgradeRequired, "upgrade_required", "This is a WebSocket")
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.fail(c.w, http.StatusServiceUnavailable, "unavailable", "The service is shutting down")
		return nil, false
	}
	s.work.Add(1)
	return c.in.life, true
}

// terminal is one connection.
type terminal struct {
	server  *Server
	in      *instance
	ws      *websocket.Conn
	shell   *shell
	resumed bool
	stop    func()        // ends the connection
	left    chan struct{} // closed when the connection has let go of the shell
	broken  atomic.Bool   // the connection ended without a proper close
}

// open gives the terminal its shell: the one that it asks for, else a new one.
func (t *terminal) open(id string) error {
	if id != "" {
		if t.shell = t.server.shells.take(id, t.in); t.shell != nil {
			t.resumed = true
			return nil
		}
	}
	sh, err := t.in.machine.startShell(defaultCols, defaultRows)
	if errors.Is(err, errOff) {
		return notReady(statusStopped)
	}
	t.shell = sh
	return err
}

// leave ends the shell, or has it kept for a while. life is that of the instance.
func (t *terminal) leave(life context.Context) {
	grace := t.server.opts.TerminalGrace
	s := t.server
	s.mu.Lock()
	keep := t.broken.Load() && grace > 0 && !s.closed && life.Err() == nil
	if keep {
		s.work.Add(1)
	}
	s.mu.Unlock()
	if !keep {
		t.shell.end()
		return
	}
	s.shells.keep(t.shell, t.in, grace, s.work.Done)
}

// serve runs the terminal to its end.
func (t *terminal) serve(life context.Context) {
	ctx, stop := context.WithCancel(life)
	defer stop()
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
}

// listen passes on what the client types.
func (t *terminal) listen(ctx context.Context) {
	for {
		_, raw, err := t.ws.Read(ctx)
		if err != nil {
			if websocket.CloseStatus(err) == -1 && ctx.Err() == nil {
				t.broken.Store(true)
			}
			return
		}
		var in struct {
			Type     string `json:"type"`
			Data     string `json:"data"`
			Encoding string `json:"encoding"`
			Cols     int    `json:"cols"`
			Rows     int    `json:"rows"`
		}
		problem := ""
		if err := json.Unmarshal(raw, &in); err != nil {
			problem = "the message is not JSON"
		}
		data := []byte(in.Data)
		if in.Encoding == "base64" {
			if data, err = base64.StdEncoding.DecodeString(in.Data); err != nil {
				problem = "the data is not base64"
			}
		}
		switch {
		case problem != "" || in.Type == "ping":
		case in.Type == "input":
			if _, err := t.shell.tty.Write(data); err != nil {
				return
			}
		case in.Type != "resize":
			problem = fmt.Sprintf("unknown message type %q", in.Type)
		case in.Cols < 1 || in.Cols > maxCols || in.Rows < 1 || in.Rows > maxRows:
			problem = fmt.Sprintf("a terminal can't have %d columns and %d rows", in.Cols, in.Rows)
		default:
			_ = setWindow(t.shell.tty, in.Cols, in.Rows)
		}
		if problem != "" {
			t.send(ctx, object{"type": "error", "message": problem})
		}
	}
}

// speak passes on what the shell prints, until it ends or the client leaves.
func (t *terminal) speak(ctx context.Context) {
	ready := object{"type": "ready"}
	if t.server.opts.TerminalGrace > 0 {
		ready["session_id"] = t.shell.id
		if t.resumed {
			ready["resumed"] = true
		}
	}
	if !t.send(ctx, ready) {
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
	t.send(ctx, object{"type": "exit", "code": exitCode(t.shell.proc.cmd.ProcessState)})
	t.ws.Close(websocket.StatusNormalClosure, "")
}

// print sends output. JSON can't carry half a character, so a piece that is not
// whole text goes as base64.
func (t *terminal) print(ctx context.Context, p []byte) bool {
	if utf8.Valid(p) {
		return t.send(ctx, object{"type": "output", "data": string(p)})
	}
	return t.send(ctx, object{"type": "output", "encoding": "base64", "data": p})
}

func (t *terminal) send(ctx context.Context, v object) bool {
	return t.ws.Write(ctx, websocket.MessageText, encode(v)) == nil
}
