//go:build e2e

package conformance

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/transport"
)

// jobs are the tasks of the fixtures.
type jobs struct {
	mu  sync.Mutex
	all map[string]*job
}

// job is work that a tool began.
type job struct {
	task    transport.Task
	answers mcp.InputResponses
	changed chan struct{} // closed and replaced when an answer comes
	cancel  context.CancelFunc
	ended   chan struct{}
}

var errNoJob = errors.New("there is none of this id")

func (j *jobs) find(id string) (*job, error) {
	one := j.all[id]
	if one == nil {
		return nil, errNoJob
	}
	return one, nil
}

// Task implements transport.Tasks.
func (j *jobs) Task(ctx context.Context, id string, wait time.Duration) (transport.Task, error) {
	j.mu.Lock()
	one, err := j.find(id)
	j.mu.Unlock()
	if err != nil {
		return transport.Task{}, err
	}
	if wait > 0 {
		select {
		case <-one.ended:
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return one.task, nil
}

// CancelTask implements transport.Tasks.
func (j *jobs) CancelTask(_ context.Context, id string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	one, err := j.find(id)
	if err == nil {
		one.cancel()
	}
	return err
}

// UpdateTask implements transport.Tasks.
func (j *jobs) UpdateTask(_ context.Context, id string, answers mcp.InputResponses) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	one, err := j.find(id)
	if err != nil {
		return err
	}
	for key, answer := range answers {
		if _, asked := one.task.Asks[key]; asked {
			one.answers[key] = answer
			one.task.Asks = maps.Clone(one.task.Asks)
			delete(one.task.Asks, key)
		}
	}
	close(one.changed)
	one.changed = make(chan struct{})
	return nil
}

// ask waits until all questions are answered.
func (j *jobs) ask(ctx context.Context, one *job, questions mcp.InputRequests) error {
	for {
		j.mu.Lock()
		if questions != nil {
			one.task.Status, one.task.Asks, questions = transport.TaskInputRequired, questions, nil
		}
		changed, left := one.changed, len(one.task.Asks)
		if left == 0 {
			one.task.Status = transport.TaskWorking
		}
		j.mu.Unlock()
		if left == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// become runs work as a task of the call, or at once where the client takes none.
func (j *jobs) become(ctx context.Context, work func(context.Context, *job) (*mcp.CallToolResult, error)) (*mcp.CallToolResult, error) {
	if capabilities(ctx).Extensions[transport.TasksExtension] == nil {
		return work(ctx, nil)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	now := time.Now()
	one := &job{
		task:    transport.Task{ID: rand.Text(), Status: transport.TaskWorking, Created: now, Updated: now, TTL: time.Hour, Poll: 100 * time.Millisecond},
		answers: make(mcp.InputResponses), changed: make(chan struct{}), cancel: cancel, ended: make(chan struct{}),
	}
	j.mu.Lock()
	j.all[one.task.ID] = one
	j.mu.Unlock()
	go func() {
		defer close(one.ended)
		result, err := work(running, one)
		j.mu.Lock()
		defer j.mu.Unlock()
		one.task.Updated, one.task.Asks = time.Now(), nil
		switch {
		case running.Err() != nil:
			one.task.Status = transport.TaskCancelled
		case err != nil:
			one.task.Status, one.task.Error = transport.TaskFailed, &mcp.JSONRPCErrorDetails{Code: mcp.INTERNAL_ERROR, Message: err.Error()}
		default:
			one.task.Status, one.task.Result = transport.TaskCompleted, result
		}
	}()
	transport.CallFrom(ctx).BecomeTask(one.task)
	return text("the task goes on"), nil
}

// needsTasks refuses a client that takes no tasks.
type needsTasks struct{}

func (needsTasks) Error() string { return "the client takes no tasks" }
func (needsTasks) RPCError(bool) (int, any) {
	return mcp.MISSING_REQUIRED_CLIENT_CAPABILITY, map[string]any{
		"requiredCapabilities": map[string]any{"extensions": map[string]any{transport.TasksExtension: map[string]any{}}},
	}
}

// arguments are those of all these tools.
type arguments struct {
	Name, Label string
	Seconds     float64
}

func argumentsOf(r mcp.CallToolRequest) (a arguments) {
	_ = json.Unmarshal(r.Params.RawArguments, &a)
	return a
}

func question(message string) mcp.InputRequest {
	return mcp.NewElicitationInputRequest(mcp.ElicitationParams{Message: message, RequestedSchema: object(nil, map[string]any{"name": aString})})
}

func addTaskTools(s *server.MCPServer, j *jobs) {
	s.AddTool(mcp.NewTool("greet", mcp.WithDescription("Greets somebody."), mcp.WithString("name")), func(_ context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return text("Hello, %s!", argumentsOf(r).Name), nil
	})
	s.AddTool(mcp.NewTool("slow_compute", mcp.WithDescription("Takes its time."), mcp.WithNumber("seconds"), mcp.WithString("label")), func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return j.become(ctx, func(ctx context.Context, _ *job) (*mcp.CallToolResult, error) {
			select {
			case <-time.After(time.Duration(argumentsOf(r).Seconds * float64(time.Second))):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			return text("computed %s", argumentsOf(r).Label), nil
		})
	})
	tool(s, "failing_job", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		if capabilities(ctx).Extensions[transport.TasksExtension] == nil {
			return nil, needsTasks{}
		}
		return j.become(ctx, func(context.Context, *job) (*mcp.CallToolResult, error) {
			return mcp.NewToolResultError("it failed"), nil
		})
	})
	tool(s, "protocol_error_job", func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return j.become(ctx, func(context.Context, *job) (*mcp.CallToolResult, error) {
			return nil, errors.New("it broke")
		})
	})
	for name, questions := range map[string]mcp.InputRequests{
		"confirm_delete": {"confirm": question("Delete it?")},
		"multi_input":    {"first": question("The first name?"), "second": question("The second name?")},
	} {
		s.AddTool(mcp.NewTool(name, mcp.WithDescription("Asks, as a task."), mcp.WithString("filename")), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return j.become(ctx, func(ctx context.Context, one *job) (*mcp.CallToolResult, error) {
				if one == nil {
					return text("nobody was asked"), nil
				}
				if err := j.ask(ctx, one, questions); err != nil {
					return nil, err
				}
				return text("%d answers", len(one.answers)), nil
			})
		})
	}
	// A question of the call itself comes before the task.
	tool(s, "test_tool_with_task", func(ctx context.Context, r mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		answer := server.ElicitationResponse(r.Params.InputResponses, "user_name")
		if answer == nil {
			return server.NewInputRequestBuilder("").Elicit("user_name", mcp.ElicitationParams{
				Message: "Who are you?", RequestedSchema: object([]string{"name"}, map[string]any{"name": aString}),
			}).ToolResult(), nil
		}
		content, _ := answer.Content.(map[string]any)
		return j.become(ctx, func(context.Context, *job) (*mcp.CallToolResult, error) {
			return text("%s", fmt.Sprint(content["name"])), nil
		})
	})
}
