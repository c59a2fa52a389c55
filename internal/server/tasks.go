package server

import (
	"context"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/runs"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// tasks serves the runs of tools as tasks.
type tasks struct{ deps *tools.Deps }

func (t tasks) Task(ctx context.Context, id string, wait time.Duration) (transport.Task, error) {
	task, err := t.deps.Task(ctx, id, wait)
	return taskOf(task), err
}

// UpdateTask brings answers to nothing: no task of the tools asks.
func (t tasks) UpdateTask(ctx context.Context, id string, _ mcp.InputResponses) error {
	_, err := t.deps.Task(ctx, id, 0)
	return err
}

func (t tasks) CancelTask(ctx context.Context, id string) error { return t.deps.CancelTask(ctx, id) }

// taskOf gives a task the status that the protocol has for its run's: a run that
// failed is a task that completed with a result that says so.
func taskOf(t tools.Task) transport.Task {
	status := transport.TaskWorking
	switch {
	case t.Status == runs.StatusCancelled:
		status = transport.TaskCancelled
	case t.Status.Over():
		status = transport.TaskCompleted
	}
	return transport.Task{
		ID: t.ID, Status: status, Message: t.Message, Created: t.Created, Updated: t.Updated,
		TTL: tools.TaskTTL, Poll: tools.TaskPoll, Result: t.Result,
	}
}
