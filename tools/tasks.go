package tools

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/text"
)

// A tool call whose run outlasts Deps.TaskAfter becomes a task, where the client takes
// tasks. A handle of the run is the task's id, so a task survives this process and is
// everybody's who has the same key.

// Task is a run as a task.
type Task struct {
	ID               string
	Status           runs.Status
	Message          string // what it does now, in less than 128 characters
	Created, Updated time.Time
	Result           *mcp.CallToolResult // of one that is over and was not cancelled
}

const (
	// TaskTTL is how long a task can be asked about: as long as the files of a
	// command are kept.
	TaskTTL = 24 * time.Hour
	// TaskPoll is how often a client should ask.
	TaskPoll = 2 * time.Second
)

// tasksExtension is how a client says that it takes tasks.
const tasksExtension = "io.modelcontextprotocol/tasks"

func takesTasks(ctx context.Context) bool {
	info := server.RequestProtocolInfoFromContext(ctx)
	return info != nil && info.Modern && info.ClientCapabilities != nil && info.ClientCapabilities.Extensions[tasksExtension] != nil
}

// Task gives how a task stands, and waits so long for its end. An error means that
// there is no such task for ctx's caller, or no longer.
func (d *Deps) Task(ctx context.Context, id string, wait time.Duration) (Task, error) {
	r, run, err := d.openTask(ctx, id, "wait_run")
	if err != nil {
		return Task{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	raw := false
	if state, err := r.Runs.Inspect(run.Handle()); err == nil {
		raw = command.IsRaw(state) // as the call that became the task asked
	}
	if raw {
		r.verbatim(ctx)
	} else {
		command.ReadPlain(run)
	}
	u, err := run.Wait(ctx, runs.UntilDone, r.MaxResultChars, nil)
	if err != nil {
		t := Task{ID: id, Status: runs.StatusRunning, Message: "its state could not be read just now", Created: time.Now(), Updated: time.Now()}
		if runs.Permanent(err) {
			t.Status, t.Message = runs.StatusFailed, ""
			t.Result = d.result(ctx, Result{Text: explain(r.tool, err), IsError: true})
		}
		return t, nil
	}
	if age := time.Since(u.Started); age > TaskTTL {
		return Task{}, fmt.Errorf("it has expired: it began %s ago, and is kept for %s", age.Round(time.Minute), TaskTTL)
	}
	r.updateIfStopped(ctx, u)
	out := r.runOut(ctx, u, raw)
	out.noteRedrawn(func() string { return id })
	t := out.asTask(id, u)
	if t.Status.Over() && t.Status != runs.StatusCancelled {
		t.Result = d.result(ctx, resultOf(out))
	}
	return t, nil
}

// CancelTask asks for the end of a task's run.
func (d *Deps) CancelTask(ctx context.Context, id string) error {
	_, run, err := d.openTask(ctx, id, "cancel_run")
	if err != nil {
		return err
	}
	_, err = run.Cancel(ctx)
	return err
}

// openTask opens a task's run within the limits of the tool that does the same.
func (d *Deps) openTask(ctx context.Context, id, tool string) (*request, runs.Run, error) {
	r := &request{Deps: d, rails: d.Rails(ctx)}
	for _, t := range runTools() {
		if t.Name == tool {
			r.tool = t
		}
	}
	if err := r.rails.tool(r.tool); err != nil {
		return nil, nil, err
	}
	var err error
	if r.Services, err = d.Services(ctx); err != nil {
		return nil, nil, err
	}
	run, err := r.open(ctx, id)
	return r, run, err
}

// asTask is a run's state as a task's.
func (o *runOut) asTask(id string, u *runs.Update) Task {
	t := Task{ID: id, Status: u.Status, Created: u.Started, Updated: u.LastActivity}
	if t.Updated.IsZero() {
		t.Updated = time.Now()
	}
	t.Message = o.taskMessage(u)
	return t
}

// taskMessage says what a run does now.
func (o *runOut) taskMessage(u *runs.Update) string {
	said := ""
	switch {
	case o.replyOut != nil:
		said = o.Reply
	case o.commandOut != nil:
		said = o.Stdout + o.Stderr
	}
	seconds := int(time.Since(u.Started).Seconds())
	lines := strings.FieldsFunc(said, func(c rune) bool { return c == '\n' || c == '\r' })
	switch {
	case u.Status.Over():
		return o.headline()[:min(len(o.headline()), 120)]
	case u.Status == runs.StatusStalled:
		return "nothing was heard of it since " + o.LastActivity
	case u.More:
		return "at work; it has written much"
	case len(lines) > 0:
		return text.Line(lines[len(lines)-1], 120)
	case o.commandOut != nil:
		return fmt.Sprintf("no output yet, %d s", seconds)
	}
	return waitingFor(u.Kind, "")(seconds)
}
