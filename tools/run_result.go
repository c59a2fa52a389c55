package tools

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/runs"
)

// runOut is a run in results: what a call started, or found on waiting.
type runOut struct {
	Status   string `json:"status"` // completed, running, stalled, failed, cancelled
	Kind     string `json:"kind,omitempty"`
	Run      string `json:"run,omitempty"` // the handle that reads on
	Instance string `json:"instance,omitempty"`
	Session  string `json:"session,omitempty"`

	Reply   string    `json:"reply,omitempty"` // new text of the agent's reply
	Revised bool      `json:"revised,omitempty"`
	Tools   []toolUse `json:"tools,omitempty"`

	Stdout        string `json:"stdout,omitempty"`
	Stderr        string `json:"stderr,omitempty"`
	ExitCode      *int   `json:"exit_code,omitempty"`
	TimedOut      bool   `json:"timed_out,omitempty"`
	OmittedStdout int64  `json:"omitted_stdout_bytes,omitempty"`
	OmittedStderr int64  `json:"omitted_stderr_bytes,omitempty"`

	InstanceStatus string `json:"instance_status,omitempty"`

	Transfer *transferOut `json:"transfer,omitempty"`

	Started      string   `json:"started,omitempty"`
	LastActivity string   `json:"last_activity,omitempty"`
	More         bool     `json:"more,omitempty"`
	Notes        []string `json:"notes,omitempty"`
	Error        string   `json:"error,omitempty"`
	Next         string   `json:"next,omitempty"`
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
// renders what it found.
func (r *request) waitFor(ctx context.Context, run *runs.Run, seconds *int, raw bool) (*runOut, error) {
	wait, note := r.waitTime(seconds)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	p := r.progress(ctx, run)
	defer p.Close()
	waited := r.observer(ctx).Waiting()
	u, err := run.Wait(ctx, runs.UntilDone, r.MaxResultChars, p)
	waited()
	if err != nil {
		return nil, err
	}
	out := r.runOut(u, raw)
	if note != "" && !u.Status.Over() {
		out.Notes = append(out.Notes, note)
	}
	return out, nil
}

// progress reports on a call that waits for a run.
func (r *request) progress(ctx context.Context, run *runs.Run) Progress {
	p := r.Progress(ctx)
	if run.Kind() == runs.KindCommand {
		return cleanProgress{p}
	}
	return p
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
func (r *request) stopOnCancel(ctx context.Context, run *runs.Run) {
	r.OnCancel(ctx, func(reason string) {
		if lostPatience(reason) {
			return
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		run.CancelUnlessShared(ctx)
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
func (r *request) runOut(u *runs.Update, raw bool) *runOut {
	o := &runOut{
		Status: string(u.Status), Kind: string(u.Kind), Run: u.Handle, Instance: u.Instance, Session: u.Session,
		Reply: u.Text, Revised: u.Revised, More: u.More,
		Started: stamp(u.Started), LastActivity: stamp(u.LastActivity), Notes: u.Notes,
	}
	for i, t := range u.Tools {
		if i == maxToolUses {
			o.Notes = append(o.Notes, fmt.Sprintf("the agent used %d more tools; read_chat_history has them", len(u.Tools)-i))
			break
		}
		o.Tools = append(o.Tools, toolUse{Name: t.Name, Input: clip(string(t.Arguments), 200), Failed: t.IsError})
	}
	if e := u.Exec; e != nil {
		r.fillExec(o, u, e, raw)
	}
	if u.Created != nil {
		o.InstanceStatus = u.Created.Status
	}
	if u.Moved != nil {
		o.Transfer = transferOutOf(u.Moved)
	}
	if u.Err != nil {
		o.Error = u.Err.Error()
		effect := Writes
		if a := adviceFor(effect, u.Err); a != (advice{}) {
			o.Notes = append(o.Notes, "What happened: "+a.happened, "Repeat: "+a.repeat)
			o.Next = a.next
		}
	}
	if o.Next == "" {
		o.Next = nextOf(u, o)
	}
	if u.Status.Over() && !u.More && o.OmittedStdout+o.OmittedStderr == 0 {
		o.Run = "" // nothing is left to read with it
	}
	return o
}

// fillExec puts a command's output within the budget, two thirds of it for the
// start, one third for the end.
func (r *request) fillExec(o *runOut, u *runs.Update, e *runs.Exec, raw bool) {
	o.ExitCode, o.TimedOut = e.ExitCode, e.TimedOut
	stdout, stderr := e.Stdout, e.Stderr
	if !raw {
		stdout, stderr = cleaned(stdout), cleaned(stderr)
	}
	limit := r.MaxResultChars
	if e.Dir != "" {
		// Of a detached command no more was read than fits; what is read is
		// shown whole, since the handle goes on behind it.
		limit = max(limit, outputLen(stdout)+outputLen(stderr))
	}
	errLimit := max(limit/4, limit-outputLen(stdout))
	o.Stderr, o.OmittedStderr = fitOutput(stderr, errLimit)
	o.Stdout, o.OmittedStdout = fitOutput(stdout, limit-len(o.Stderr))
	switch {
	case u.Status == runs.StatusCompleted && e.ExitCode == nil && !e.TimedOut:
		o.Notes = append(o.Notes, "the service did not say the exit code: whether the command succeeded is unknown")
	case e.TimedOut:
		o.Notes = append(o.Notes, "the command was ended at its time limit; give it more with timeout_seconds, or background: true")
	}
	if o.OmittedStdout+o.OmittedStderr > 0 && e.Dir == "" {
		o.Run = ""
		o.Notes = append(o.Notes, "what was left out is not kept; to read all of it, run the command again with background: true, or with its output in a file for read_file")
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
		head, tail, omitted := headTail(o.Head+o.Tail, limit)
		return head + omission(int64(omitted)) + tail, int64(omitted)
	}
	head, tail, omitted := o.Head, o.Tail, o.Omitted
	if h := runeCut(head, limit*2/3); h < len(head) {
		omitted += int64(len(head) - h)
		head = head[:h]
	}
	if t := limit / 3; len(tail) > t {
		cut := len(tail) - t
		for cut < len(tail) && !utf8.RuneStart(tail[cut]) {
			cut++
		}
		omitted += int64(cut)
		tail = tail[cut:]
	}
	return head + omission(omitted) + tail, omitted
}

// nextOf is the call that goes on from a run's state.
func nextOf(u *runs.Update, o *runOut) string {
	switch {
	case u.More && u.Status.Over():
		return fmt.Sprintf("there is more to read: wait_run {\"runs\":[%q]}", u.Handle)
	case u.Status == runs.StatusRunning:
		return fmt.Sprintf("it goes on; wait for it with wait_run {\"runs\":[%q]}", u.Handle)
	case u.Status == runs.StatusStalled:
		return fmt.Sprintf("nothing was heard of it since %s; it may still go on: wait_run {\"runs\":[%q]}, or cancel_run", o.LastActivity, u.Handle)
	}
	return ""
}

// text renders a run for a model that sees nothing else.
func (o runOut) links() []Link {
	if o.Kind != string(runs.KindChat) {
		return nil
	}
	return messagesLink(o.Instance, o.Session)
}

func (o runOut) text() string {
	var b strings.Builder
	switch {
	case o.Kind == string(runs.KindChat):
		if o.Revised {
			b.WriteString("[the reply was revised; this is all of it so far]\n")
		}
		b.WriteString(o.Reply)
	case o.Kind == string(runs.KindCommand):
		b.WriteString(o.Stdout)
		if o.Stderr != "" {
			endLine(&b)
			b.WriteString("stderr:\n" + o.Stderr)
		}
	case o.Transfer != nil:
		o.Transfer.write(&b, o.Kind)
	case o.InstanceStatus != "":
		fmt.Fprintf(&b, "instance %s is %s", o.Instance, o.InstanceStatus)
	}
	endLine(&b)
	b.WriteString("[" + o.headline() + "]")
	for _, t := range o.Tools {
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
	parts := []string{"status: " + o.Status}
	add := func(name, value string) {
		if value != "" {
			parts = append(parts, name+" "+value)
		}
	}
	if o.ExitCode != nil {
		parts = append(parts, fmt.Sprintf("exit code %d", *o.ExitCode))
	}
	if o.TimedOut {
		parts = append(parts, "timed out")
	}
	add("instance", o.Instance)
	add("session", o.Session)
	if o.Status != string(runs.StatusCompleted) {
		add("started", o.Started)
		add("last activity", o.LastActivity)
	}
	return strings.Join(parts, ", ")
}
