package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/text"
	"openclaw-mcp/internal/transfers"
)

// runOut is a run in results: what every run has, and what its kind has.
type runOut struct {
	Status   string `json:"status"` // completed, timed_out, running, stalled, failed, cancelled
	Kind     string `json:"kind,omitempty"`
	Run      string `json:"run,omitempty"` // the handle that reads on, as the caller gets it
	Instance string `json:"instance,omitempty"`
	Session  string `json:"session,omitempty"`

	*replyOut
	*commandOut
	*creationOut
	Transfer *transferOut `json:"transfer,omitempty"`

	About        string   `json:"about,omitempty"` // in lists: the beginning of the message or command
	Started      string   `json:"started,omitempty"`
	LastActivity string   `json:"last_activity,omitempty"`
	More         bool     `json:"more,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	Error        string   `json:"error,omitempty"`
	Next         string   `json:"next,omitempty"`

	err       error  // of a failed run
	alone     bool   // the instance goes without saying
	handle    string // the sealed form of Run, where that is short
	taskOffer *Task  // the run goes on as a task instead
}

// replyOut is what a result tells of an agent's reply.
type replyOut struct {
	Reply   string    `json:"reply,omitempty"` // new text
	Revised bool      `json:"revised,omitempty"`
	Tools   []toolUse `json:"tools,omitempty"`
}

// commandOut is what a result tells of a command.
type commandOut struct {
	Stdout        string `json:"stdout,omitempty"`
	Stderr        string `json:"stderr,omitempty"`
	ExitCode      *int   `json:"exit_code,omitempty"`
	TimedOut      bool   `json:"timed_out,omitempty"`
	OmittedStdout int64  `json:"omitted_stdout_bytes,omitempty"`
	OmittedStderr int64  `json:"omitted_stderr_bytes,omitempty"`

	redrawn bool // of redrawn lines the last state is shown
}

// creationOut is what a result tells of the creation of an instance.
type creationOut struct {
	InstanceStatus string `json:"instance_status,omitempty"`
}

type toolUse struct {
	Name   string `json:"name"`
	Input  string `json:"input,omitempty"`
	Failed bool   `json:"failed,omitempty"`
}

// maxToolUses bounds how many of an agent's tool uses a result lists.
const maxToolUses = 20

func (o runOut) failed() bool { return o.Status == string(runs.StatusFailed) }

// waitProp bounds how long a call may be asked to wait. What the server's own
// cap cuts short is said in the result.
func waitProp() Prop { return between(0, 3600) }

// waitFor waits for a run within the limits of a call, with progress, and
// renders what it found. title says in short what the run does, for a person; "": its
// kind says it.
func (r *request) waitFor(ctx context.Context, run runs.Run, title string, seconds *int, raw bool) (*runOut, error) {
	wait, note, mayBeTask := r.runTime(ctx, seconds)
	until := time.Now().Add(wait)
	if mayBeTask {
		until = r.began.Add(wait)
		command.EndInTime(run)
	}
	out, u, err := r.waitOne(ctx, standing{raw: raw, until: until}, title, &reading{run: run})
	if err != nil {
		return nil, err
	}
	if mayBeTask && !u.Status.Over() {
		t := out.asTask(r.taskID(ctx, run.Handle()), u) // by now it names the session
		out.taskOffer = &t
		r.Runs.KeepEnd(run.Handle())
	}
	if note != "" && !u.Status.Over() {
		out.Notes = append(out.Notes, note)
	}
	return out, nil
}

// waitOne waits for one run until its time is over, and renders what it found.
func (r *request) waitOne(ctx context.Context, s standing, title string, one *reading) (*runOut, *runs.Update, error) {
	ctx, cancel := context.WithDeadline(ctx, s.until)
	defer cancel()
	r.resumable(ctx, s, one)
	p := r.Progress(ctx, waitingFor(one.run.Kind(), title))
	defer p.Close()
	from := one.start(r)
	waited := r.observer(ctx).Waiting()
	u, err := one.wait(ctx, r, s, r.MaxResultChars, p, "")
	waited()
	if err != nil {
		return nil, nil, err
	}
	r.updateIfStopped(ctx, u)
	out := r.runOut(ctx, u, s.raw)
	out.noteRedrawn(func() string { return r.runWord(ctx, from) })
	return out, u, nil
}

// waitingFor is what a person sees while there is no news of a run.
func waitingFor(kind runs.Kind, title string) func(seconds int) string {
	switch {
	case title != "":
	case kind == runs.KindChat:
		return func(seconds int) string { return fmt.Sprintf("waiting for a reply, %d s", seconds) }
	case kind == runs.KindCreate:
		title = "starting the instance"
	default:
		title = string(kind)
	}
	return func(seconds int) string { return fmt.Sprintf("%s (%d s)", title, seconds) }
}

// waitTime is how long a call may wait, and a note where that is less than it
// asked for.
func (r *request) waitTime(seconds *int) (time.Duration, string) {
	if seconds == nil {
		return r.SoftDeadline, ""
	}
	wait := time.Duration(*seconds) * time.Second
	if wait > r.SoftDeadline {
		return r.SoftDeadline, fmt.Sprintf("waited %s instead of %s, the longest that this server lets a call wait", r.SoftDeadline, wait)
	}
	return wait, ""
}

// stopOnCancel stops a run when the client cancels the request that started it,
// except where it only lost patience: then it will ask again.
func (r *request) stopOnCancel(ctx context.Context, run runs.Run) {
	r.OnCancel(ctx, func(reason string) {
		if lostPatience(reason) {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		if err := runs.CancelUnlessShared(ctx, run); err != nil {
			r.Runs.Config.Log.Warn("a cancelled request's run could not be stopped", "error", err)
		}
	})
}

// lostPatience recognises the reasons that MCP clients give when a request took
// them too long.
func lostPatience(reason string) bool {
	reason = strings.ToLower(reason)
	for _, word := range []string{"timed out", "timeout", "time out", "time-out", "timedout", "deadline"} {
		if strings.Contains(reason, word) {
			return true
		}
	}
	return false
}

// runOut renders an update. A command's output is made plain text, except where
// raw asks for it as it is.
func (r *request) runOut(ctx context.Context, u *runs.Update, raw bool) *runOut {
	o := &runOut{
		Status: string(u.Status), Kind: string(u.Kind), Instance: u.Instance, Session: u.Session, More: u.More,
		Started: stamp(u.Started), LastActivity: stamp(u.LastActivity), Notes: u.Notes,
	}
	o.alone = r.alone(u.Instance)
	readOn := u.More || !u.Status.Over()
	switch result := u.Result.(type) {
	case []client.ToolCall:
		o.replyOut = o.reply(u, result)
	case *command.Output:
		o.commandOut = r.command(result, raw)
		if result.TimedOut && u.Status == runs.StatusCompleted {
			o.Status = "timed_out"
		}
		if o.omitted() > 0 && u.Status.Over() {
			readOn = result.Kept
		}
		o.addCommandNotes(u.Status, result)
	case *client.Instance:
		o.creationOut = &creationOut{result.Status}
	case *transfers.Transfer:
		o.Transfer = transferOutOf(result)
	}
	if readOn {
		o.Run, o.handle = r.runHandles(ctx, u.Handle)
	}
	if u.Err != nil {
		o.err, o.Error = u.Err, u.Err.Error()
		if a := adviceFor(Writes, u.Err); a != (advice{}) {
			o.Notes = append(o.Notes, "What happened: "+a.happened, "Repeat: "+a.repeat)
			o.Next = a.next
		}
	}
	if o.Next == "" {
		o.Next = nextOf(u, o)
	}
	return o
}

func (o *runOut) reply(u *runs.Update, used []client.ToolCall) *replyOut {
	reply := &replyOut{Reply: u.Text, Revised: u.Revised}
	for i, t := range used {
		if i == maxToolUses {
			o.Notes = append(o.Notes, fmt.Sprintf("the agent used %d more tools; read_chat_history has them", len(used)-i))
			break
		}
		reply.Tools = append(reply.Tools, toolUse{Name: t.Name, Input: text.Line(string(t.Arguments), 200), Failed: t.IsError})
	}
	return reply
}

// command puts a command's output within the budget, two thirds of it for the
// start, one third for the end.
func (r *request) command(e *command.Output, raw bool) *commandOut {
	o := &commandOut{ExitCode: e.ExitCode, TimedOut: e.TimedOut}
	stdout, stderr := e.Stdout, e.Stderr
	if !raw {
		o.redrawn = e.Redrawn
		for _, part := range []string{stdout.Head, stdout.Tail, stderr.Head, stderr.Tail} {
			o.redrawn = o.redrawn || text.Redrawn(part)
		}
		stdout, stderr = cleaned(stdout), cleaned(stderr)
	}
	limit := r.MaxResultChars
	if e.Kept {
		// Of a detached command no more was read than fits; what is read is
		// shown whole, since the handle goes on behind it.
		limit = max(limit, outputLen(stdout)+outputLen(stderr))
	}
	errLimit := max(limit/4, limit-outputLen(stdout))
	o.Stderr, o.OmittedStderr = fitOutput(stderr, errLimit)
	o.Stdout, o.OmittedStdout = fitOutput(stdout, limit-len(o.Stderr))
	return o
}

func (o *commandOut) omitted() int64 { return o.OmittedStdout + o.OmittedStderr }

func (o *runOut) addCommandNotes(status runs.Status, e *command.Output) {
	switch {
	case status == runs.StatusCompleted && e.ExitCode == nil && !e.TimedOut:
		o.Notes = append(o.Notes, "the service did not say the exit code: whether the command succeeded is unknown")
	case e.TimedOut && !e.Ended:
		o.Notes = append(o.Notes, "the command reached its time limit, and nobody saw it end: it may run on; give it more with timeout_seconds, or background: true")
	case e.TimedOut:
		o.Notes = append(o.Notes, "the command was ended at its time limit; give it more with timeout_seconds, or background: true")
	}
	if e.Truncated {
		o.Notes = append(o.Notes, "the service says that it cut the output: not all of it is here")
	}
	if o.omitted() > 0 && !e.Kept {
		o.Notes = append(o.Notes, "what was left out is not kept; to read all of it, run the command again with background: true, or with its output in a file for read_file")
	}
}

// noteRedrawn says how to read all of an output that from is the handle of.
func (o *runOut) noteRedrawn(from func() string) {
	if o.commandOut != nil && o.redrawn {
		o.Notes = append(o.Notes, fmt.Sprintf("lines that were redrawn (with carriage returns) are shown in their last state; raw: true gives all: wait_run {\"runs\":[%q],\"raw\":true}", from()))
	}
}

func cleaned(o client.Output) client.Output {
	o.Head, o.Tail = cleanOutput(o.Head), cleanOutput(o.Tail)
	return o
}

func outputLen(o client.Output) int { return len(o.Head) + len(o.Tail) }

// fitOutput makes one text of an output, within limit bytes.
func fitOutput(o client.Output, limit int) (string, int64) {
	if o.Omitted == 0 {
		if outputLen(o) <= limit {
			return o.Head + o.Tail, 0
		}
		head, tail, omitted := text.HeadTail(o.Head+o.Tail, limit)
		return head + text.Omission(int64(omitted)) + tail, int64(omitted)
	}
	head, tail := text.Head(o.Head, limit*2/3), text.Tail(o.Tail, limit/3)
	omitted := o.Omitted + int64(outputLen(o)-len(head)-len(tail))
	return head + text.Omission(omitted) + tail, omitted
}

// nextOf is the call that goes on from a run's state.
func nextOf(u *runs.Update, o *runOut) string {
	switch {
	case u.More && u.Status.Over():
		return fmt.Sprintf("there is more to read: wait_run {\"runs\":[%q]}", o.Run)
	case u.Status == runs.StatusRunning:
		return fmt.Sprintf("it goes on; wait for it with wait_run {\"runs\":[%q]}", o.Run)
	case u.Status == runs.StatusStalled:
		return fmt.Sprintf("nothing has been heard of it since %s; it may still go on: wait_run {\"runs\":[%q]}, or cancel_run", o.LastActivity, o.Run)
	}
	return ""
}

func (o runOut) links() []Link {
	if o.Kind != string(runs.KindChat) {
		return nil
	}
	return messagesLink(o.Instance, o.Session)
}

// text renders a run for a model that sees nothing else.
func (o runOut) text() string {
	var b strings.Builder
	var used []toolUse
	switch {
	case o.replyOut != nil:
		if o.Revised {
			b.WriteString("[the reply was revised; this is all of it so far]\n")
		}
		b.WriteString(o.Reply)
		used = o.Tools
	case o.commandOut != nil:
		b.WriteString(o.Stdout)
		if o.Stderr != "" {
			endLine(&b)
			b.WriteString("stderr:\n" + o.Stderr)
		}
	case o.Transfer != nil:
		o.Transfer.write(&b, o.Kind)
	case o.creationOut != nil:
		fmt.Fprintf(&b, "instance %s is %s", o.Instance, o.InstanceStatus)
	}
	endLine(&b)
	b.WriteString("[" + o.headline() + "]")
	for _, t := range used {
		fmt.Fprintf(&b, "\ntool: %s %s", t.Name, t.Input)
		if t.Failed {
			b.WriteString(" (failed)")
		}
	}
	if o.Error != "" {
		b.WriteString("\nerror: " + o.Error)
	}
	for _, n := range o.Notes {
		b.WriteString("\nnote: " + n)
	}
	if o.Run != "" && o.Next == "" {
		b.WriteString("\nrun: " + o.Run)
	}
	return withNext(b.String(), o.Next)
}

func endLine(b *strings.Builder) {
	if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
		b.WriteByte('\n')
	}
}

// headline is the run in one line.
func (o runOut) headline() string {
	parts := []string{"status: " + strings.ReplaceAll(o.Status, "_", " ")}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	if c := o.commandOut; c != nil {
		if c.ExitCode != nil {
			parts = append(parts, fmt.Sprintf("exit code %d", *c.ExitCode))
		}
	}
	if !o.alone {
		add("instance", o.Instance)
	}
	add("session", o.Session)
	if o.Status != string(runs.StatusCompleted) {
		add("started", o.Started)
		add("last activity", o.LastActivity)
	}
	return strings.Join(parts, ", ")
}
