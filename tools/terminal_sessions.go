package tools

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/internal/terminals"
	"openclaw-mcp/internal/text"
)

const (
	// settleQuiet is the silence after which a program is taken to have said what
	// it had to say.
	settleQuiet = 300 * time.Millisecond
	// settleWait is the longest that a call waits for that.
	settleWait = 10 * time.Second
	// quietWait is the longest that a call waits for a silence that it asked for.
	quietWait = 30 * time.Second
)

func terminalSessionTools() []*Tool {
	waits := func(more map[string]Prop) map[string]Prop {
		more["wait_seconds"] = waitProp()
		more["quiet_ms"] = between(1, 60_000)
		return more
	}
	return []*Tool{
		define(Spec{
			Name: "open_terminal", Title: "Open a terminal", Family: "terminal", Effect: Writes, Page: pageTerminal,
			Description: "Opens an interactive shell for programs that ask or draw (vim, top, a REPL); exec_command suits the rest.",
			Props: map[string]Prop{
				"cols": between(20, 400).or(80),
				"rows": between(2, 200).or(24),
			},
		}, openTerminal),
		define(Spec{
			Name: "write_terminal", Title: "Type into a terminal", Family: "terminal", Effect: Destroys, Page: pageTerminal,
			Description: "Types text, then presses keys (a command needs enter), waits (300 ms of quiet) and shows the screen, or what has changed on it. What is typed can change or delete anything there.",
			Props:       waits(map[string]Prop{"text": {Long: true}}),
		}, writeTerminal),
		define(Spec{
			Name: "read_terminal", Title: "Read a terminal", Family: "terminal", Effect: Reads, Page: pageTerminal,
			Description: "Shows a terminal, at once or after a wait: its screen, output since a cursor, or what scrolled off.",
			Props: waits(map[string]Prop{
				"cursor": atLeast(0),
				"view":   oneOf(string(terminals.PartScreen), string(terminals.PartNew), string(terminals.PartHistory)).or(string(terminals.PartScreen)),
			}),
		}, readTerminal),
		define(Spec{
			Name: "close_terminal", Title: "Close a terminal", Family: "terminal", Effect: Destroys,
			Description: "Closes a terminal. Its shell and what runs in it end.",
		}, closeTerminal),
	}
}

type openTerminalIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Cols     int    `json:"cols,omitempty" jsonschema:"width in characters"`
	Rows     int    `json:"rows,omitempty" jsonschema:"height in lines"`
	Command  string `json:"command,omitempty" jsonschema:"to run first"`
}

type waitIn struct {
	WaitFor     string `json:"wait_for,omitempty" jsonschema:"regular expression that ends the wait"`
	QuietMS     *int   `json:"quiet_ms,omitempty" jsonschema:"silence that ends the wait"`
	WaitSeconds *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
}

type writeTerminalIn struct {
	Terminal string   `json:"terminal" jsonschema:"from open_terminal"`
	Text     string   `json:"text,omitempty" jsonschema:"to type; a line end is enter"`
	Keys     []string `json:"keys,omitempty" jsonschema:"such as enter, escape, ctrl-c, up, shift-tab, page_up, f1"`
	waitIn
}

type readTerminalIn struct {
	Terminal string `json:"terminal" jsonschema:"from open_terminal"`
	View     string `json:"view,omitempty" jsonschema:"new: output since cursor; scrollback: above the screen"`
	Cursor   *int64 `json:"cursor,omitempty" jsonschema:"of an earlier result; default: unread (new), newest (scrollback)"`
	waitIn
}

type closeTerminalIn struct {
	Terminal string `json:"terminal" jsonschema:"from open_terminal"`
}

// shell refuses terminals where commands are limited by patterns: what is typed
// into a shell can't be held to them.
func (r *Rails) shell() error {
	return r.each(func(r *Rails) error {
		if len(r.Commands)+len(r.ExcludeCommands) > 0 {
			return forbidden("terminals are not allowed: this server limits commands by patterns, and what is typed into a terminal can't be held to them; use exec_command")
		}
		return nil
	})
}

var errNoTerminals = errors.New("this server has no terminals")

func openTerminal(ctx context.Context, r *request, in openTerminalIn) (terminalOut, error) {
	if err := r.rails.shell(); err != nil {
		return terminalOut{}, err
	}
	if r.Terminals == nil {
		return terminalOut{}, errNoTerminals
	}
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return terminalOut{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, max(r.SoftDeadline, 10*time.Second))
	defer cancel()
	handle, s, err := r.Terminals.Open(ctx, id, in.Cols, in.Rows)
	if err != nil {
		return terminalOut{}, err
	}
	settle := terminals.Wait{Quiet: settleQuiet, For: min(settleWait, r.SoftDeadline)}
	v, err := s.Read(ctx, terminals.Query{Part: terminals.PartScreen, Wait: settle})
	if err == nil && in.Command != "" && v.Status == terminals.StatusOpen {
		v, err = s.Write(ctx, terminals.Input{Text: in.Command, Keys: []string{"enter"}}, settle)
	}
	if err != nil {
		// Nobody would ever know the handle.
		_, closeErr := s.Close(context.WithoutCancel(ctx))
		return terminalOut{}, errors.Join(err, closeErr)
	}
	return r.terminalOut(ctx, handle, terminals.PartScreen, v, settle, false), nil
}

// terminal finds the terminal of a handle, within the rails, and gives its sealed handle.
func (r *request) terminal(ctx context.Context, handle string) (s terminals.Session, sealed string, err error) {
	if r.Terminals == nil {
		return nil, "", errNoTerminals
	}
	if sealed, err = r.sealedHandle(ctx, ofTerminal, handle); err != nil {
		return nil, "", err
	}
	s, instance, err := r.Terminals.Find(sealed)
	if err != nil {
		return nil, "", err
	}
	r.observer(ctx).Instance(instance)
	_, err = r.allowInstance(ctx, instance)
	return s, sealed, err
}

// terminalWait gives the terms of a wait; standard is the silence that is waited
// for where the call says nothing.
func (r *request) terminalWait(in waitIn, standard time.Duration) (terminals.Wait, error) {
	w := terminals.Wait{Pattern: in.WaitFor}
	switch {
	case in.QuietMS != nil:
		w.Quiet, w.For = time.Duration(*in.QuietMS)*time.Millisecond, quietWait
	case in.WaitFor == "" && in.WaitSeconds == nil && standard > 0:
		w.Quiet, w.For = standard, settleWait
	}
	if in.WaitFor != "" {
		w.For = r.SoftDeadline
	}
	if in.WaitSeconds != nil {
		w.For = time.Duration(*in.WaitSeconds) * time.Second
	}
	w.For = min(w.For, r.SoftDeadline)
	return w, nil
}

// showTerminal shows a person the line that a terminal is at while a call waits for it.
func (r *request) showTerminal(ctx context.Context, w *terminals.Wait) (waited func()) {
	p := r.Progress(ctx, func(seconds int) string { return fmt.Sprintf("waiting for the terminal, %d s", seconds) })
	w.Show = p.Now
	over := r.observer(ctx).Waiting()
	return func() {
		over()
		p.Close()
	}
}

func writeTerminal(ctx context.Context, r *request, in writeTerminalIn) (terminalOut, error) {
	if err := r.rails.shell(); err != nil {
		return terminalOut{}, err
	}
	s, sealed, err := r.terminal(ctx, in.Terminal)
	if err != nil {
		return terminalOut{}, err
	}
	if in.Text == "" && len(in.Keys) == 0 {
		return terminalOut{}, badArgument("nothing to type: give \"text\", \"keys\" or both; read_terminal reads without typing")
	}
	w, err := r.terminalWait(in.waitIn, settleQuiet)
	if err != nil {
		return terminalOut{}, err
	}
	waited := r.showTerminal(ctx, &w)
	v, err := s.Write(ctx, terminals.Input{Text: in.Text, Keys: in.Keys}, w)
	waited()
	if err != nil {
		return terminalOut{}, terminalError(err)
	}
	return r.terminalOut(ctx, sealed, terminals.PartScreen, v, w, true), nil
}

func readTerminal(ctx context.Context, r *request, in readTerminalIn) (terminalOut, error) {
	s, sealed, err := r.terminal(ctx, in.Terminal)
	if err != nil {
		return terminalOut{}, err
	}
	w, err := r.terminalWait(in.waitIn, 0)
	if err != nil {
		return terminalOut{}, err
	}
	waited := r.showTerminal(ctx, &w)
	defer waited()
	q := terminals.Query{Part: terminals.Part(in.View), Cursor: -1, Limit: r.MaxResultChars, Wait: w}
	if in.Cursor != nil {
		q.Cursor = *in.Cursor
	}
	v, err := s.Read(ctx, q)
	if err != nil {
		return terminalOut{}, terminalError(err)
	}
	return r.terminalOut(ctx, sealed, q.Part, v, w, false), nil
}

func closeTerminal(ctx context.Context, r *request, in closeTerminalIn) (terminalOut, error) {
	s, sealed, err := r.terminal(ctx, in.Terminal)
	if err != nil {
		return terminalOut{}, err
	}
	v, err := s.Close(ctx)
	if err != nil {
		return terminalOut{}, err
	}
	return r.terminalOut(ctx, sealed, terminals.PartScreen, v, terminals.Wait{}, true), nil
}

// terminalError makes a mistake in the arguments one of the call.
func terminalError(err error) error {
	var input *terminals.InputError
	if errors.As(err, &input) {
		return badArgument("%v", input)
	}
	return err
}

// terminalOut is a terminal in results.
type terminalOut struct {
	Terminal string   `json:"terminal"`
	Status   string   `json:"status"` // open, exited, lost, moved, closed
	ExitCode *int     `json:"exit_code,omitempty"`
	Text     string   `json:"text"`
	Position string   `json:"position"`        // of the cursor, and the size
	Cursor   int64    `json:"cursor"`          // where to read on
	Ended    string   `json:"ended,omitempty"` // what ended the wait: pattern, quiet, time, ended
	Notes    []string `json:"notes,omitempty"`
	Next     string   `json:"next,omitempty"`

	part   terminals.Part
	partly bool   // Text is what has changed on the screen
	handle string // the sealed form of Terminal, where that is short
}

// terminalOut renders a view within the budget. changed: of the screen, what has changed is
// enough where that is little.
func (r *request) terminalOut(ctx context.Context, sealed string, part terminals.Part, v terminals.View, w terminals.Wait, changed bool) terminalOut {
	handle := r.terminalWord(ctx, sealed)
	o := terminalOut{
		Terminal: handle, Status: string(v.Status), ExitCode: v.ExitCode,
		Cursor: v.Cursor, Ended: v.Ended, Notes: v.Notes, part: part,
		Position: fmt.Sprintf("row %d of %d, column %d of %d", v.Row, v.Rows, v.Col, v.Cols),
	}
	if handle != sealed {
		o.handle = sealed
	}
	if v.FullScreen {
		o.Position += ", full-screen program"
	}
	if v.Hidden {
		o.Position += ", cursor hidden"
	}
	if v.Title != "" {
		o.Position += ", title " + strconv.Quote(text.Line(showHidden(v.Title), 80))
	}
	screen := showHidden(v.Text)
	if part == terminals.PartNew {
		screen = cleanOutput(v.Text)
	}
	if part == terminals.PartScreen {
		changes, few := r.changes(ctx, sealed, screen)
		if o.partly = few && changed; o.partly {
			screen = changes
		}
	}
	head, tail, omitted := text.HeadTail(screen, r.MaxResultChars)
	if o.Text = screen; omitted > 0 {
		o.Text = head + text.Omission(int64(omitted)) + tail
	}
	note := func(format string, a ...any) { o.Notes = append(o.Notes, fmt.Sprintf(format, a...)) }
	if v.Dropped > 0 {
		unit := "bytes"
		if part == terminals.PartHistory {
			unit = "lines"
		}
		note("%d %s before this are no longer kept", v.Dropped, unit)
	}
	if part == terminals.PartNew && v.FullScreen {
		note("a full-screen program is running; what it draws is on the screen only (view \"screen\")")
	}
	if part == terminals.PartHistory && v.First > 0 {
		note("this begins with line %d; a lower cursor shows lines above it", v.First)
	}
	read := callArgs{{"terminal", handle}}
	switch {
	case v.Status != terminals.StatusOpen:
		if v.Reason != string(v.Status) {
			note("%s", v.Reason)
		}
		switch v.Status {
		case terminals.StatusClosed:
		case terminals.StatusMoved:
			o.Next = "any call with this handle takes it up again: " + read.call("read_terminal")
		default:
			o.Next = "open_terminal starts a new shell"
		}
	case v.Ended == terminals.EndTime && w.Pattern != "":
		note("the pattern did not come within %s", w.For)
		o.Next = "to wait on: " + read.call("read_terminal", arg{"wait_for", w.Pattern})
	case v.More:
		o.Next = "there is more: " + read.call("read_terminal", arg{"view", string(part)}, arg{"cursor", v.Cursor})
	case part == terminals.PartScreen && !v.FullScreen && v.Ended != "" && v.Left:
		o.Next = "more was printed than the screen holds: " + read.call("read_terminal", arg{"view", "new"}, arg{"cursor", v.Cursor})
	}
	return o
}

func (o terminalOut) text() string {
	var b strings.Builder
	b.WriteString(o.Text)
	switch {
	case o.Text != "":
	case o.partly:
		b.WriteString("(the screen is as it was)")
	case o.part == terminals.PartScreen:
		b.WriteString("(the screen is empty)")
	default:
		b.WriteString("(nothing)")
	}
	endLine(&b)
	fmt.Fprintf(&b, "[terminal %s: %s", o.Terminal, o.Status)
	if o.ExitCode != nil {
		fmt.Fprintf(&b, ", exit code %d", *o.ExitCode)
	}
	fmt.Fprintf(&b, ", cursor at %s", o.Position)
	if o.partly && o.Text != "" {
		b.WriteString(", the rest of the screen is as shown before")
	}
	if o.part != terminals.PartScreen {
		fmt.Fprintf(&b, ", read up to %d", o.Cursor)
	}
	if o.Ended != "" && o.Ended != terminals.EndShell { // that is said already
		fmt.Fprintf(&b, ", wait ended by %s", o.Ended)
	}
	b.WriteString("]")
	for _, n := range o.Notes {
		b.WriteString("\nnote: " + n)
	}
	return withNext(b.String(), o.Next)
}
