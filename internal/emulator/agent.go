package emulator

import (
	"context"
	"time"
)

// An Agent answers one user message. It calls emit for each step, in order;
// emit takes as long as Options.Pace for a text and fails once the reply is
// aborted. A client that leaves does not abort it. Reply has to return when ctx
// ends. An error ends the reply with the stream family's form of an error.
type Agent interface {
	Reply(ctx context.Context, turn Turn, emit func(AgentEvent) error) error
}

// AgentFunc makes an Agent of a function.
type AgentFunc func(ctx context.Context, turn Turn, emit func(AgentEvent) error) error

// Reply calls f.
func (f AgentFunc) Reply(ctx context.Context, turn Turn, emit func(AgentEvent) error) error {
	return f(ctx, turn, emit)
}

// Turn is what an agent gets to work with.
type Turn struct {
	Instance, Session string
	Message           string
	History           []Message // of the session, before Message
	Workspace         string    // directory of this machine that is /workspace

	// Run executes a shell command in the instance, as terminal/exec does. A
	// time-out of 0 means the default one.
	Run func(ctx context.Context, command string, timeout time.Duration) (ExecOutput, error)
}

// AgentEventKind says what an AgentEvent reports.
type AgentEventKind string

// The kinds of agent events.
const (
	Status     AgentEventKind = "status"      // Text says what goes on; not part of the reply
	Text       AgentEventKind = "text"        // Text is the next piece of the reply
	ToolStart  AgentEventKind = "tool_start"  // Tool.ID, Name and Args
	ToolUpdate AgentEventKind = "tool_update" // Tool.Result is the result so far
	ToolEnd    AgentEventKind = "tool_end"    // Tool.Result and IsError; becomes a message of the history
)

// AgentEvent is one step of a reply. Each becomes at most one event of the
// stream, so that tests control how a text is cut.
type AgentEvent struct {
	Kind AgentEventKind
	Text string
	Tool *ToolCall // of the tool kinds
}

// ToolCall is one use of a tool by the agent.
type ToolCall struct {
	ID, Name string
	Args     map[string]any
	Result   string
	IsError  bool
}

// ExecOutput is the result of a command.
type ExecOutput struct {
	Stdout, Stderr string
	ExitCode       int  // 124 after a time-out, 128+n after signal n
	TimedOut       bool // the process group was killed
	Truncated      bool // more was printed than is kept
	Duration       time.Duration
}
