package transport

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// TasksExtension is the extension by which a tool call becomes a task that the client
// asks about: https://github.com/modelcontextprotocol/ext-tasks.
const TasksExtension = "io.modelcontextprotocol/tasks"

// missingCapability is the code for a request that needs a capability which the
// client did not declare (MCP 2026-07-28, basic).
const missingCapability = -32021

// resultTypeTask is the resultType of a tool call that became a task.
const resultTypeTask = "task"

// The methods of the extension.
const (
	methodTasksGet    = "tasks/get"
	methodTasksUpdate = "tasks/update"
	methodTasksCancel = "tasks/cancel"
	notificationTasks = "notifications/tasks"
)

// Tasks is the work that tool calls became. ctx carries the caller, and a task's id
// leads nobody else to it.
type Tasks interface {
	// Task gives how a task stands. It waits so long for the task to end. An error
	// means that there is no such task, or no longer.
	Task(ctx context.Context, id string, wait time.Duration) (Task, error)
	// CancelTask asks for a task's end; one that has ended stays as it is.
	CancelTask(ctx context.Context, id string) error
	// UpdateTask brings answers to what a task asks. Those that it does not ask for
	// are to be ignored.
	UpdateTask(ctx context.Context, id string, answers mcp.InputResponses) error
}

// TaskStatus is where a task stands.
type TaskStatus string

// The statuses of tasks. A tool that failed has completed: its result says so.
const (
	TaskWorking       TaskStatus = "working"
	TaskInputRequired TaskStatus = "input_required"
	TaskCompleted     TaskStatus = "completed"
	TaskCancelled     TaskStatus = "cancelled"
	TaskFailed        TaskStatus = "failed" // the call ended with a JSON-RPC error
)

func (s TaskStatus) over() bool { return s != TaskWorking && s != TaskInputRequired }

// Task is a task as the client is told of it.
type Task struct {
	ID               string
	Status           TaskStatus
	Message          string // what it does now, for a person
	Created, Updated time.Time
	TTL              time.Duration // from Created; then the task may be gone
	Poll             time.Duration // how often to ask

	Result *mcp.CallToolResult      // of a completed task
	Asks   mcp.InputRequests        // of one that needs input
	Error  *mcp.JSONRPCErrorDetails // of a failed one
}

// wireTask is a Task on the wire, as a result or as a notification's params.
type wireTask struct {
	ResultType    mcp.ResultType `json:"resultType,omitempty"`
	TaskID        string         `json:"taskId"`
	Status        TaskStatus     `json:"status"`
	StatusMessage string         `json:"statusMessage,omitempty"`
	CreatedAt     string         `json:"createdAt"`
	LastUpdatedAt string         `json:"lastUpdatedAt"`
	TTL           int64          `json:"ttlMs"`
	Poll          int64          `json:"pollIntervalMs"`
	Result        *toolResult    `json:"result,omitempty"`

	InputRequests mcp.InputRequests        `json:"inputRequests,omitempty"`
	Error         *mcp.JSONRPCErrorDetails `json:"error,omitempty"`

	Meta *mcp.Meta `json:"_meta,omitempty"`
}

func (d *dispatcher) wireTask(t Task, kind mcp.ResultType) wireTask {
	w := wireTask{
		ResultType: kind, TaskID: t.ID, Status: t.Status, StatusMessage: t.Message,
		CreatedAt: t.Created.UTC().Format(time.RFC3339Nano), LastUpdatedAt: t.Updated.UTC().Format(time.RFC3339Nano),
		TTL: t.TTL.Milliseconds(), Poll: t.Poll.Milliseconds(),
	}
	if kind != "" {
		w.Meta = &mcp.Meta{}
		w.Meta.SetServerInfo(d.Info)
	}
	if kind == resultTypeTask {
		return w // what it came to is for tasks/get
	}
	switch t.Status {
	case TaskCompleted:
		if t.Result != nil {
			d.complete(t.Result)
			result := wireResult(t.Result)
			w.Result = &result
		}
	case TaskInputRequired:
		w.InputRequests = t.Asks
	case TaskFailed:
		w.Error = t.Error
	}
	return w
}

// BecomeTask has the call answered with a task instead of its result. The client must
// have declared the extension.
func (c *Call) BecomeTask(t Task) {
	if c != nil {
		c.task = &t
	}
}

// takesTasks reports whether a request's client declared the extension.
func takesTasks(capabilities *mcp.ClientCapabilities) bool {
	return capabilities != nil && capabilities.Extensions[TasksExtension] != nil
}

// serveTask serves tasks/get, tasks/update and tasks/cancel.
func (d *dispatcher) serveTask(ctx context.Context, m *message, _ *session, _ *Call) mcp.JSONRPCMessage {
	result, err := d.taskResult(ctx, m)
	return answerOf(result, err, true)
}

func (d *dispatcher) taskResult(ctx context.Context, m *message) (any, error) {
	if err := needTasks(m); err != nil {
		return nil, err
	}
	raw := find(m.params, "taskId")
	id, ok := textOf(raw)
	switch {
	case raw == nil || ok && id == "":
		return nil, &codedError{code: mcp.INVALID_PARAMS, text: "params.taskId is missing"}
	case !ok:
		return nil, wrongKind("params.taskId", "a string", raw)
	}
	if m.Method == methodTasksGet {
		t, err := d.Tasks.Task(ctx, id, 0)
		if err != nil {
			return nil, noTask(err)
		}
		return d.wireTask(t, mcp.ResultTypeComplete), nil
	}
	var err error
	if m.Method == methodTasksCancel {
		err = d.Tasks.CancelTask(ctx, id)
	} else {
		answers, wrong := readAnswers(find(m.params, "inputResponses"))
		if wrong != nil {
			return nil, wrong
		}
		err = d.Tasks.UpdateTask(ctx, id, answers)
	}
	if err != nil {
		return nil, noTask(err)
	}
	empty := &mcp.CallToolResult{}
	d.complete(empty)
	return map[string]any{"resultType": empty.ResultType, "_meta": empty.Meta}, nil
}

func noTask(err error) error {
	return &codedError{code: mcp.INVALID_PARAMS, text: "no such task: " + err.Error(), cause: err}
}

// needTasks reports that a request needs the extension and its client did not declare
// it.
func needTasks(m *message) error {
	if takesTasks(decodeObject[mcp.ClientCapabilities](find(m.metaMembers, mcp.MetaKeyClientCapabilities))) {
		return nil
	}
	return &codedError{
		code: missingCapability, text: "missing client capability: the extension " + TasksExtension,
		data: map[string]any{"requiredCapabilities": map[string]any{"extensions": map[string]any{TasksExtension: struct{}{}}}},
	}
}

// watchInterval is how long a listen stream waits at most before it looks at a task
// again.
const watchInterval = 5 * time.Second

// watchTasks has each task's state sent, now and whenever it changes, until all have
// ended or ctx has. It gives the ids that are watched, and a channel that is closed
// when no news will come of any.
func (d *dispatcher) watchTasks(ctx context.Context, ids []string, send func(Task)) (watched []string, over <-chan struct{}) {
	share := ShareFrom(ctx)
	var watching sync.WaitGroup
	for _, id := range ids {
		if len(watched) == maxSubscriptions || slices.Contains(watched, id) {
			continue
		}
		if _, err := d.Tasks.Task(ctx, id, 0); err != nil || !d.watched.take(share) {
			continue
		}
		watched = append(watched, id)
		watching.Go(func() {
			defer d.watched.give(share, 1)
			var told Task
			for wait := time.Duration(0); ctx.Err() == nil && (told.ID == "" || !told.Status.over()); wait = watchInterval {
				t, err := d.Tasks.Task(ctx, id, wait)
				if err != nil {
					return
				}
				if ctx.Err() == nil && (told.ID == "" || t.Status != told.Status || t.Message != told.Message) {
					send(t)
				}
				told = t
			}
		})
	}
	done := make(chan struct{})
	go func() {
		watching.Wait()
		close(done)
	}()
	return watched, done
}
