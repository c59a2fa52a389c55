package terminals

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

const (
	// keeperPatience is how long an instance may take to find or to end a shell,
	// and then to connect with it.
	keeperPatience = 20 * time.Second
	// promptPatience is how long a new shell may take to say anything before
	// something is typed into it.
	promptPatience = 2 * time.Second
)

// place is where a shell lives that outlives its connection: within the care of
// a keeper (tmux, abduco, dtach or screen), with a folder in the instance. The
// zero place is none: the shell is the connection's own.
type place struct {
	keeper, dir string
	cols, rows  int
	age         time.Duration
}

// folder names a terminal's folder in the instance.
func folder(id string) string { return "t-" + hex.EncodeToString([]byte(id)) }

// shellGone says that a kept shell has ended.
type shellGone struct{ code *int }

func (e *shellGone) Error() string {
	if e.code == nil {
		return "its shell has ended, or was ended with its instance"
	}
	return fmt.Sprintf("its shell has ended with exit code %d", *e.code)
}

// prepare makes the place of a new terminal, or finds that of an earlier one. Its
// error is a *shellGone where there is none any more.
func (m *Manager) prepare(ctx context.Context, instance, id string, fresh bool, cols, rows int) (place, error) {
	p := sandbox.Params{"id": folder(id), "new": fresh, "cols": cols, "rows": rows, "keep": int(m.cfg.Idle / time.Second), "start": "", "lead": "", "watch": ""}
	if fresh {
		for _, name := range []string{"start", "lead", "watch"} {
			p[name] = sandbox.Text("terminal_" + name)
		}
	}
	r, err := sandbox.New("terminal_prepare", p).Run(ctx, m.cfg.Client.Terminal, instance, keeperPatience)
	if err != nil {
		return place{}, err
	}
	switch r.Verb {
	case "ready":
		made := place{keeper: r.Word(0), dir: r.Word(1), cols: int(r.Number(2)), rows: int(r.Number(3)), age: time.Duration(max(r.Number(4), 0)) * time.Second}
		if made.cols > 0 && made.rows > 0 {
			return made, nil
		}
	case "plain":
		m.cfg.Log.Debug("nothing in the instance can keep a terminal's shell", "instance", instance, "why", strings.Join(r.Words, " "))
		return place{}, nil
	case "gone":
		gone := &shellGone{}
		if n, err := strconv.Atoi(r.Word(0)); err == nil {
			gone.code = &n
		}
		return place{}, gone
	}
	return place{}, fmt.Errorf("the instance reports %s %v of the terminal", r.Verb, r.Words)
}

// end ends a kept shell, and sees to it that nothing of it runs any more.
func (m *Manager) end(ctx context.Context, instance, id string) error {
	r, err := sandbox.New("terminal_end", sandbox.Params{"id": folder(id)}).Run(ctx, m.cfg.Client.Terminal, instance, keeperPatience)
	switch {
	case err != nil:
		return fmt.Errorf("the terminal may still be open, since its end was not seen; it is safe to close it again: %w", err)
	case r.Verb != "over" && r.Verb != "gone":
		return fmt.Errorf("the terminal is still open: something that runs in it can't be ended (%s); it is safe to close it again", r.Verb)
	}
	return nil
}

// link is a connection to a shell: the service's own, or one to a keeper.
type link interface {
	Next(ctx context.Context) (client.TerminalEvent, error)
	Write(ctx context.Context, data string) error
	Close() error
	Family() client.TerminalFamily
	Session() string
	CanResize() bool
	Resize(ctx context.Context, cols, rows int) error
}

// keeperLink is a connection to a kept shell.
type keeperLink struct {
	*client.TerminalConn
	marker *regexp.Regexp // what the script says of the terminal
	text   text.UTF8Stream
	tmux   *control // nil: the keeper passes on the bytes as they are
	events []client.TerminalEvent
	over   *int  // the shell's exit code, once it has ended
	gone   error // why there is nothing more to come, without an exit code
}

// errNotKept says that the keeper could not be reached through the service's shell.
var errNotKept = errors.New("what was to keep the shell did not answer")

// errCut says that the service ended its shell, but not ours.
var errCut = errors.New("the service ended the connection")

// errLetGo says that the keeper ended, or that another process is connected with it now.
var errLetGo = errors.New("the shell's keeper let go of this connection")

// attach opens a connection and has its shell become the keeper's client. The snapshot is
// nil where the keeper has none. An error that is not a *client.Error says that the service's
// shell did not do it.
func (m *Manager) attach(ctx context.Context, instance, id string, o client.TerminalOptions, p place, fresh bool) (*keeperLink, *snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, keeperPatience)
	defer cancel()
	o.Cols, o.Rows, o.Bytes, o.Session = p.cols, p.rows, true, ""
	conn, err := m.cfg.Client.Terminal.Open(ctx, instance, o)
	if err != nil {
		return nil, nil, err
	}
	k := &keeperLink{TerminalConn: conn, marker: regexp.MustCompile(`openclaw-mcp:` + folder(id) + `:([^\r\n]*)\r?\n`)}
	s, err := k.begin(ctx, p, fresh)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return k, s, nil
}

// begin types the one line that leads to the keeper, and waits for it to speak.
func (k *keeperLink) begin(ctx context.Context, p place, fresh bool) (*snapshot, error) {
	if k.Family() == client.TerminalLines {
		return nil, errNotKept
	}
	how := "again"
	if fresh {
		how = "new"
	}
	first := make(chan struct{})
	typed := make(chan error, 1)
	go func() {
		// A shell that is not there yet may drop what is typed.
		timer := time.NewTimer(promptPatience)
		defer timer.Stop()
		select {
		case <-first:
		case <-timer.C:
		case <-ctx.Done():
		}
		typed <- k.TerminalConn.Write(ctx, " sh "+sandbox.Quote(p.dir+"/start")+" "+how+"; exit\r")
	}()
	rest, err := k.ready(ctx, first)
	if e := <-typed; e != nil && err == nil {
		err = e
	}
	if err != nil {
		return nil, err
	}
	if p.keeper != "tmux" {
		k.feed(rest)
		return nil, nil
	}
	k.tmux = &control{}
	k.feed(rest)
	// Before it has attached, tmux obeys commands and shows nothing of their effect.
	if err := k.until(ctx, func() bool { return k.tmux.attached }); err != nil {
		return nil, err
	}
	if err := k.TerminalConn.Write(ctx, snapshotCommands); err != nil {
		return nil, err
	}
	if err := k.until(ctx, func() bool { return len(k.tmux.replies) >= snapshotReplies }); err != nil {
		return nil, err
	}
	s, ok := newSnapshot(k.tmux.replies)
	if !ok {
		return nil, fmt.Errorf("%w: tmux shows %q", errNotKept, k.tmux.replies[0])
	}
	return s, nil
}

// until reads on until tmux has said something.
func (k *keeperLink) until(ctx context.Context, said func() bool) error {
	for !said() {
		ev, err := k.TerminalConn.Next(ctx)
		if err != nil {
			return fmt.Errorf("%w: %w", errNotKept, err)
		}
		k.feed(ev.Output)
		if k.over != nil || k.gone != nil {
			return errNotKept
		}
	}
	return nil
}

// ready waits until the script says that the keeper speaks, and gives what came behind that.
// first is closed once the shell has said anything, at the latest at the end.
func (k *keeperLink) ready(ctx context.Context, first chan struct{}) (rest string, err error) {
	heard := sync.OnceFunc(func() { close(first) })
	defer heard()
	var said []byte
	for {
		ev, err := k.TerminalConn.Next(ctx)
		if ev.Output != "" {
			heard()
		}
		said = append(said, ev.Output...)
		at := k.marker.FindSubmatchIndex(said)
		switch {
		case at != nil && bytes.HasPrefix(said[at[2]:at[3]], []byte("ready ")):
			return string(said[at[1]:]), nil
		case at != nil:
			return "", fmt.Errorf("%w: %s", errNotKept, said[at[2]:at[3]])
		case err != nil:
			return "", fmt.Errorf("%w: %w", errNotKept, err)
		case len(said) > maxLog:
			return "", errNotKept
		}
	}
}

// Next implements [link].
func (k *keeperLink) Next(ctx context.Context) (client.TerminalEvent, error) {
	for {
		if len(k.events) > 0 {
			ev := k.events[0]
			k.events = k.events[1:]
			return ev, nil
		}
		if k.over != nil {
			return client.TerminalEvent{}, io.EOF
		}
		if k.gone != nil {
			return client.TerminalEvent{}, k.gone
		}
		ev, err := k.TerminalConn.Next(ctx)
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = errCut
			}
			return ev, err
		}
		k.feed(ev.Output)
		ev.Output = ""
		// The end of the service's shell is not that of ours.
		if ev.Exited && k.gone == nil {
			k.gone = errCut
		}
		if ev.Exited = false; ev != (client.TerminalEvent{}) {
			k.events = append(k.events, ev)
		}
	}
}

// feed takes what the service's shell printed: the keeper's words, and in the end the
// script's.
func (k *keeperLink) feed(out string) {
	if k.tmux != nil {
		k.tmux.feed(out, k.print)
		out = k.tmux.after
	}
	if at := k.marker.FindStringSubmatchIndex(out); at != nil && k.over == nil {
		verb, code, _ := strings.Cut(out[at[2]:at[3]], " ")
		if n, err := strconv.Atoi(code); err == nil && verb == "over" {
			k.over = &n
			k.events = append(k.events, client.TerminalEvent{Exited: true, ExitCode: k.over})
		} else {
			k.gone = errLetGo
		}
		out = strings.TrimSuffix(out[:at[0]], "\r\n")
	}
	if k.tmux == nil {
		k.print([]byte(out))
	}
}

func (k *keeperLink) print(data []byte) {
	if out := k.text.Decode(data); out != "" {
		k.events = append(k.events, client.TerminalEvent{Output: out})
	}
}

// Write implements [link].
func (k *keeperLink) Write(ctx context.Context, data string) error {
	if k.tmux != nil {
		data = typing(data)
	}
	return k.TerminalConn.Write(ctx, data)
}

// CanResize implements [link].
func (k *keeperLink) CanResize() bool { return k.tmux != nil || k.TerminalConn.CanResize() }

// Resize implements [link].
func (k *keeperLink) Resize(ctx context.Context, cols, rows int) error {
	if k.tmux == nil {
		return k.TerminalConn.Resize(ctx, cols, rows)
	}
	return k.TerminalConn.Write(ctx, fmt.Sprintf("resize-window -x %d -y %d\n", cols, rows))
}

// answers reports whether the keeper itself answers the questions that programs put to a
// terminal.
func (k *keeperLink) answers() bool { return k.tmux != nil }

// tidyLink is a connection that was made after a keeper could not be reached. The service may have
// one shell for all of them, or show what came before: then the line that was typed for the keeper,
// and what the shell said of it, are left out until somebody types.
type tidyLink struct {
	link
	dir   string // of the keeper, which is in these lines
	typed atomic.Bool
}

// Next implements [link].
func (l *tidyLink) Next(ctx context.Context) (client.TerminalEvent, error) {
	ev, err := l.link.Next(ctx)
	if l.typed.Load() || !strings.Contains(ev.Output, l.dir) {
		return ev, err
	}
	var out strings.Builder
	for line := range strings.Lines(ev.Output) {
		if !strings.Contains(line, l.dir) {
			out.WriteString(line)
		}
	}
	ev.Output = out.String()
	return ev, err
}

// Write implements [link].
func (l *tidyLink) Write(ctx context.Context, data string) error {
	l.typed.Store(true)
	return l.link.Write(ctx, data)
}
