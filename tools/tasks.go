package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/client"
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

// runTime is waitTime for a call that begins a run, and whether the call then goes on as a
// task. Who says how long to wait wants an answer then.
func (r *request) runTime(ctx context.Context, seconds *int) (wait time.Duration, note string, mayBeTask bool) {
	wait, note = r.waitTime(seconds)
	if seconds == nil && takesTasks(ctx) {
		return min(wait, r.TaskAfter), "", true
	}
	return wait, note, false
}

// Task gives how a task stands, and waits so long for its end. An error means that
// there is no such task for ctx's caller, or no longer.
func (d *Deps) Task(ctx context.Context, id string, wait time.Duration) (Task, error) {
	r, run, state, err := d.openTask(ctx, id, "wait_run")
	if err != nil {
		if _, ok := errors.AsType[*client.Error](err); ok && !runs.Permanent(err) { // where instances are excluded, they are listed first
			now := time.Now()
			return Task{ID: id, Status: runs.StatusRunning, Message: taskUnseen, Created: cmp.Or(state.Started, now), Updated: now}, nil
		}
		return Task{}, err
	}
	if age := time.Since(state.Started); age > TaskTTL {
		return Task{}, fmt.Errorf("it has expired: it began %s ago, and is kept for %s", age.Round(time.Minute), TaskTTL)
	}
	raw := command.IsRaw(state) // as the call that became the task asked
	if raw {
		r.verbatim(ctx)
	} else {
		command.ReadPlain(run)
	}
	if t, ok := r.endedTask(ctx, state); ok {
		t.ID = id
		return t, nil
	}
	r.Runs.FirstLook(ctx, state.ID)
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	u, err := run.Wait(waiting, runs.UntilDone, r.MaxResultChars, nil)
	if err != nil {
		t := Task{ID: id, Status: runs.StatusRunning, Message: taskUnseen, Created: state.Started, Updated: time.Now()}
		if runs.Permanent(err) {
			t.Status, t.Message = runs.StatusFailed, fitMessage("failed: "+err.Error())
			t.Result = d.result(ctx, Result{Text: explain(r.tool, err), IsError: true})
		}
		return t, nil
	}
	r.updateIfStopped(ctx, u)
	out := r.runOut(ctx, u, raw)
	out.noteRedrawn(func() string { return id })
	t := out.asTask(id, u)
	if o, ok := u.Result.(*command.Output); ok && o.Unseen {
		t.Message = taskUnseen
	}
	if t.Status.Over() {
		if t.Status != runs.StatusCancelled {
			t.Result = d.result(ctx, resultOf(out))
		}
		if e, ok := errors.AsType[*client.Error](u.Err); !ok || e.Outcome != client.OutcomeUnknown { // else another look may tell more
			r.keepEnd(ctx, state, t)
		}
	}
	return t, nil
}

// taskUnseen is the message of a task while nothing can be learned of it.
const taskUnseen = "its state could not be read just now"

// maxKeptTask is how large an ended task is that is kept, in bytes of JSON.
const maxKeptTask = 512 << 10

// keptTask is an ended task as the caller's processes keep it. It stays as it was first seen,
// also while the service that its result came from does not answer.
type keptTask struct {
	Status  runs.Status         `json:"s"`
	Message string              `json:"m"`
	Created time.Time           `json:"c"`
	Updated time.Time           `json:"u"`
	Result  *mcp.CallToolResult `json:"r,omitempty"`
}

func (r *request) endedFact(ctx context.Context, state runs.State) string {
	return fmt.Sprintf("task/%s/%v", state.ID, r.wantsStructured(ctx))
}

// keepEnd keeps how a task ended.
func (r *request) keepEnd(ctx context.Context, state runs.State, t Task) {
	b, err := json.Marshal(keptTask{t.Status, t.Message, t.Created, t.Updated, t.Result})
	if err == nil && len(b) <= maxKeptTask {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fleetPatience)
		defer cancel()
		_, _, err = r.Fleet.Create(ctx, r.endedFact(ctx, state), b)
	}
	if err != nil {
		r.Runs.Config.Log.Debug("the end of a task could not be kept", "error", err)
	}
}

// endedTask gives a task that keepEnd kept.
func (r *request) endedTask(ctx context.Context, state runs.State) (Task, bool) {
	ctx, cancel := context.WithTimeout(ctx, fleetPatience)
	defer cancel()
	fact, ok, err := r.Fleet.Find(ctx, r.endedFact(ctx, state))
	var k keptTask
	if err != nil || !ok || json.Unmarshal(fact.Value, &k) != nil {
		return Task{}, false
	}
	return Task{Status: k.Status, Message: k.Message, Created: k.Created, Updated: k.Updated, Result: k.Result}, true
}

// CancelTask asks for the end of a task's run.
func (d *Deps) CancelTask(ctx context.Context, id string) error {
	_, run, _, err := d.openTask(ctx, id, "cancel_run")
	if err != nil {
		return err
	}
	_, err = run.Cancel(ctx)
	return err
}

// openTask opens a task's run within the limits of the tool that does the same.
func (d *Deps) openTask(ctx context.Context, id, tool string) (*request, runs.Run, runs.State, error) {
	r := &request{Deps: d, rails: d.Rails(ctx)}
	for _, t := range runTools() {
		if t.Name == tool {
			r.tool = t
		}
	}
	if err := r.rails.tool(r.tool); err != nil {
		return nil, nil, runs.State{}, err
	}
	var err error
	if r.Services, err = d.Services(ctx); err != nil {
		return nil, nil, runs.State{}, err
	}
	run, err := r.open(ctx, id)
	if err != nil {
		var said runs.State // by the handle itself
		if sealed, unsealed := r.sealedHandle(ctx, ofRun, id); unsealed == nil {
			said, _ = r.Runs.Inspect(sealed)
		}
		return nil, nil, said, err
	}
	state, err := r.Runs.Inspect(run.Handle())
	return r, run, state, err
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

// maxMessage is how long a task's message is, in bytes: with what shows that it was cut, it
// has less than 128 characters.
const maxMessage = 120

// fitMessage makes a message one line, as it is going to be seen.
func fitMessage(s string) string { return text.Line(text.Outgoing(s), maxMessage) }

// taskMessage says what a run does now, or how it ended and why.
func (o *runOut) taskMessage(u *runs.Update) string {
	said := ""
	switch {
	case o.replyOut != nil:
		said = o.Reply
	case o.commandOut != nil:
		said = o.Stdout + o.Stderr
	}
	seconds := int(time.Since(u.Started).Seconds())
	lines := strings.FieldsFunc(strings.TrimSpace(said), func(c rune) bool { return c == '\n' || c == '\r' })
	switch {
	case u.Status.Over():
		return o.endMessage()
	case u.Status == runs.StatusStalled && o.LastActivity != "":
		return "nothing has been heard of it since " + o.LastActivity
	case u.Status == runs.StatusStalled:
		return "nothing has been heard of it for a while"
	case u.More:
		return "at work; it has written much"
	case len(lines) > 0:
		return fitMessage(lines[len(lines)-1])
	case o.commandOut != nil:
		return fmt.Sprintf("no output yet, %d s", seconds)
	}
	return waitingFor(u.Kind, "")(seconds)
}

// endMessage says how a run ended.
func (o *runOut) endMessage() string {
	said := strings.ReplaceAll(o.Status, "_", " ")
	if c := o.commandOut; c != nil && c.ExitCode != nil {
		said += fmt.Sprintf(", exit code %d", *c.ExitCode)
	}
	if o.creationOut != nil && o.InstanceStatus != "" {
		said += ", the instance is " + o.InstanceStatus
	}
	why := o.Error
	if e, ok := errors.AsType[*client.Error](o.err); ok && e.Message != "" {
		why = e.Message // without the endpoint, which takes much of the room
	}
	if why != "" {
		said += ": " + why
	}
	return fitMessage(said)
}
