package tools

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/terminals"
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
			Name: "open_terminal", Title: "Open a terminal", Family: "terminal", Effect: Writes,
			Description: "Opens an interactive shell for programs that ask or draw (vim, top, a REPL); exec_command suits the rest. Returns its screen and the handle `terminal`.",
			Props: map[string]Prop{
				"cols": between(20, 400).or(80),
				"rows": between(2, 200).or(24),
			},
		}, openTerminal),
		define(Spec{
			Name: "write_terminal", Title: "Type into a terminal", Family: "terminal", Effect: Destroys,
			Description: "Types text, then presses keys (a command needs enter), waits (by default for 300 ms of quiet) and returns the screen. What is typed can DESTROY anything there.",
			Props:       waits(map[string]Prop{}),
		}, writeTerminal),
		define(Spec{
			Name: "read_terminal", Title: "Read a terminal", Family: "terminal", Effect: Reads,
			Description: "Shows a terminal, at once or after a wait: its screen, output since a cursor, or what scrolled off.",
			Props: waits(map[string]Prop{
				"cursor": atLeast(0),
				"view":   oneOf(string(terminals.PartScreen), string(terminals.PartNew), string(terminals.PartHistory)).or(string(terminals.PartScreen)),
			}),
		}, readTerminal),
		define(Spec{
			Name: "close_terminal", Title: "Close a terminal", Family: "terminal", Effect: Destroys,
			Description: "Closes a terminal. DESTROYS its shell and what runs in it.",
		}, closeTerminal),
	}
}

type openTerminalIn struct {
	Instance string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Cols     int    `json:"cols,omitempty"`
	Rows     int    `json:"rows,omitempty"`
	Command  string `json:"command,omitempty" jsonschema:"to run first"`
}

type waitIn struct {
	WaitFor     string `json:"wait_for,omitempty" jsonschema:"regular expression that ends the wait"`
	QuietMS     *int   `json:"quiet_ms,omitempty" jsonschema:"silence that ends the wait"`
	WaitSeconds *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
}

type writeTerminalIn struct {
	Terminal string   `json:"terminal"`
	Text     string   `json:"text,omitempty"`
	Keys     []string `json:"keys,omitempty" jsonschema:"enter, tab, escape, backspace, delete, up, page_up, home, f1, ctrl-c, alt-x, …"`
	waitIn
}

type readTerminalIn struct {
	Terminal string `json:"terminal"`
	View     string `json:"view,omitempty"`
	Cursor   *int64 `json:"cursor,omitempty" jsonschema:"from an earlier result; default: unread (new), end (scrollback)"`
	waitIn
}

type closeTerminalIn struct {
	Terminal string `json:"terminal"`
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
	return r.terminalOut(handle, terminals.PartScreen, v, settle), nil
}

// terminal finds the terminal of a handle, within the rails.
func (r *request) terminal(ctx context.Context, handle string) (terminals.Session, error) {
	if r.Terminals == nil {
		return nil, errNoTerminals
	}
	s, instance, err := r.Terminals.Find(handle)
	if err != nil {
		return nil, err
	}
	r.observer(ctx).Instance(instance)
	return s, r.rails.instance(instance)
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

func writeTerminal(ctx context.Context, r *request, in writeTerminalIn) (terminalOut, error) {
	if err := r.rails.shell(); err != nil {
		return terminalOut{}, err
	}
	s, err := r.terminal(ctx, in.Terminal)
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
	waited := r.observer(ctx).Waiting()
	v, err := s.Write(ctx, terminals.Input{Text: in.Text, Keys: in.Keys}, w)
	waited()
	if err != nil {
		return terminalOut{}, terminalError(err)
	}
	return r.terminalOut(in.Terminal, terminals.PartScreen, v, w), nil
}

func readTerminal(ctx context.Context, r *request, in readTerminalIn) (terminalOut, error) {
	s, err := r.terminal(ctx, in.Terminal)
	if err != nil {
		return terminalOut{}, err
	}
	w, err := r.terminalWait(in.waitIn, 0)
	if err != nil {
		return terminalOut{}, err
	}
	q := terminals.Query{Part: terminals.Part(in.View), Cursor: -1, Limit: r.MaxResultChars, Wait: w}
	if in.Cursor != nil {
		q.Cursor = *in.Cursor
	}
	waited := r.observer(ctx).Waiting()
	v, err := s.Read(ctx, q)
	waited()
	if err != nil {
		return terminalOut{}, terminalError(err)
	}
	return r.terminalOut(in.Terminal, q.Part, v, w), nil
}

func closeTerminal(ctx context.Context, r *request, in closeTerminalIn) (terminalOut, error) {
	s, err := r.terminal(ctx, in.Terminal)
	if err != nil {
		return terminalOut{}, err
	}
	v, err := s.Close(ctx)
	if err != nil {
		return terminalOut{}, err
	}
	return r.terminalOut(in.Terminal, terminals.PartScreen, v, terminals.Wait{}), nil
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
	Status   string   `json:"status"` // open, exited, lost, closed
	ExitCode *int     `json:"exit_code,omitempty"`
	Text     string   `json:"text"`
	Position string   `json:"position"`        // of the cursor, and the size
	Cursor   int64    `json:"cursor"`          // where to read on
	Ended    string   `json:"ended,omitempty"` // what ended the wait: pattern, quiet, time, ended
	Notes    []string `json:"notes,omitempty"`
	Next     string   `json:"next,omitempty"`

	part terminals.Part
}

// terminalOut renders a view within the budget.
func (r *request) terminalOut(handle string, part terminals.Part, v terminals.View, w terminals.Wait) terminalOut {
	o := terminalOut{
		Terminal: handle, Status: string(v.Status), ExitCode: v.ExitCode,
		Cursor: v.Cursor, Ended: v.Ended, Notes: v.Notes, part: part,
		Position: fmt.Sprintf("row %d of %d, column %d of %d", v.Row, v.Rows, v.Col, v.Cols),
	}
	if v.FullScreen {
		o.Position += ", full-screen program"
	}
	if v.Hidden {
		o.Position += ", cursor hidden"
	}
	if v.Title != "" {
		o.Position += ", title " + strconv.Quote(clip(showHidden(v.Title), 80))
	}
	text := showHidden(v.Text)
	if part == terminals.PartNew {
		text = cleanOutput(v.Text)
	}
	head, tail, omitted := headTail(text, r.MaxResultChars)
	if o.Text = text; omitted > 0 {
		o.Text = head + omission(int64(omitted)) + tail
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
		if v.Status != terminals.StatusClosed {
			o.Next = "open_terminal starts a new shell"
		}
	case v.Ended == terminals.EndTime && w.Pattern != "":
		note("the pattern did not come within %s", w.For)
		o.Next = "to wait on: " + read.call("read_terminal", arg{"wait_for", w.Pattern})
	case v.More:
		o.Next = "there is more: " + read.call("read_terminal", arg{"view", string(part)}, arg{"cursor", v.Cursor})
	case part == terminals.PartScreen && !v.FullScreen && v.Ended != "" && v.Pending > int64(v.Cols*v.Rows):
		o.Next = "more was printed than the screen holds: " + read.call("read_terminal", arg{"view", "new"}, arg{"cursor", v.Cursor})
	}
	return o
}

func (o terminalOut) text() string {
	var b strings.Builder
	b.WriteString(o.Text)
	switch {
	case o.Text != "":
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
	if o.part != terminals.PartScreen {
		fmt.Fprintf(&b, ", read up to %d", o.Cursor)
	}
	if o.Ended != "" {
		fmt.Fprintf(&b, ", wait ended by %s", o.Ended)
	}
	b.WriteString("]")
	for _, n := range o.Notes {
		b.WriteString("\nnote: " + n)
	}
	return withNext(b.String(), o.Next)
}
