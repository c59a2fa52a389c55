package client

import "time"

// State is what a status word means, whatever its spelling.
type State string

// The states that the known status words fold into.
const (
	StateReady   State = "ready"   // ready, running, active, online
	StatePending State = "pending" // creating, provisioning, booting, rebooting, …
	StateOff     State = "off"     // stopped, shutdown, terminated, deleted, …
	StateFailed  State = "failed"  // error, failed
	StateUnknown State = "unknown" // anything else: shown verbatim, blocks nobody
)

// Page is one answer to a listing. Paging is not documented by the service;
// where an answer says that more exists, More is true and NextCursor is what
// it gave to read on, if anything.
type Page[T any] struct {
	Items      []T
	More       bool
	NextCursor string
	Skipped    int  // messages only: items that are not messages, which Items lacks
	Busy       bool // messages only: what is around them says that the agent is at work
}

// Instance is a hosted OpenClaw instance.
type Instance struct {
	ID        string
	Name      string
	Status    string // the service's own word, verbatim
	State     State  // what that word means
	SandboxID string
	CreatedAt time.Time // zero when unknown
	UpdatedAt time.Time // zero when unknown
}

// CreateInstanceRequest is the body of POST /instances.
type CreateInstanceRequest struct {
	InviteCode string
}

// Lifecycle is the answer to a reboot or a shutdown: every known form of
// "accepted" folded into one.
type Lifecycle struct {
	Status   string    // the status word of the answer, "" when it had none
	Instance *Instance // where the answer was a whole instance
}

// Session is a chat session of an instance.
type Session struct {
	ID        string
	Title     string
	Busy      bool // the agent is at work in it, as far as the service says
	Aside     bool // it is not one to talk to the agent in: of a sub-agent, a schedule or a group, archived, closed or deleted
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Role is who wrote a message, normalised.
type Role string

// The roles of messages. Unknown roles are kept verbatim.
const (
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
	RoleSystem    Role = "system"
	RoleTool      Role = "tool" // tool, toolResult, tool_result, function
)

// Message is one item of a session's history.
type Message struct {
	ID          string // "" when the service gave none
	SessionID   string
	Role        Role
	Text        string
	Attachments []Attachment // what goes with it
	ToolCalls   []ToolCall   // calls that an assistant message made
	ToolCallID  string       // of a tool's message: the call that it answers
	ToolName    string       // of a tool's message
	IsError     bool         // of a tool's message
	Failure     string       // of an assistant's or the system's message: why the reply broke off, "" if it did not
	Ended       bool         // of an assistant's message: it says that the agent's turn ended with it
	Cut         string       // of an assistant's message: what cut it short, [NoteLimit], [NotePartial] and the like; "" for nothing
	Shortened   bool         // the service gives only the beginning of its text, or none: [Beginning]
	Unasked     bool         // it answers nobody: it is of a heartbeat, a helper or another session, hidden or withdrawn
	Working     bool         // it says that the agent works on: it is being written, or a tool follows
	Open        bool         // of an assistant's message: its place for when, or why, it ended is empty, and so is that of all others
	Turn        string       // the run or turn that it is of, which a question and its answers share; "" when the service does not say
	ReplyTo     string       // the id of the message that it answers; "" when the service does not say
	CreatedAt   time.Time    // zero when unknown
	Draft       DraftMark    // whether it says that it is only a draft
	Mirror      bool         // it was written for a text that was delivered, which another message may have
}

// Size is roughly how many bytes a message takes.
func (m Message) Size() int {
	n := len(m.Text) + len(m.Failure) + len(m.ToolName)
	for _, c := range m.ToolCalls {
		n += len(c.Name) + len(c.Arguments) + len(c.Result)
	}
	return n
}

// ToolCall is the agent's use of one of its tools.
type ToolCall struct {
	ID        string
	Name      string
	Arguments []byte // JSON, nil when unknown
	Result    string // text, "" until it ended
	IsError   bool
}

// SendRequest is the body of POST /instances/{id}/chat and …/chat/stream.
type SendRequest struct {
	Message   string
	SessionID string // "" lets the service choose

	// Room gives how many of so many bytes the reply's text may have; nil: all of them, up
	// to 8 MiB. It is asked again as the text grows.
	Room func(size int) int

	// Linger has a stream read on behind the end of a run that no acknowledgement
	// names, for the events of another one: the end (EventFinal or EventError) comes
	// with Doubt, and then perhaps an [EventOtherRun]. Behind a failure, it is read on
	// for another attempt, and behind an end with Elsewhere for ours ([EventGoesOn]).
	Linger bool

	// Before reports whether the agent had said a text, under the id of its message, before
	// this message was sent: a service may send old ones again. nil: nothing is known.
	Before func(id, text string) bool
}

// Reply is the agent's whole answer to one message.
type Reply struct {
	SessionID string
	MessageID string
	RunID     string
	Text      string
	ToolCalls []ToolCall
	Silent    bool     // the agent chose not to answer: the reply is whole, and has no text
	Notes     []string // what to tell about the reply beside its text
}

// MessagesQuery is the query of GET /instances/{id}/chat/messages.
type MessagesQuery struct {
	SessionID string
	Tail      bool // the newest messages, not the oldest
	Limit     int  // 0 leaves it to the service
}

// EventsQuery is the query of GET /instances/{id}/chat/events.
type EventsQuery struct {
	SessionID string
	After     string // a cursor that an earlier event carried; "" from the start
}

// HistoryEvent is one persisted message as chat/events reports it.
type HistoryEvent struct {
	Message Message
	Cursor  string // what to pass as After to read on behind this event; "" if unknown
}

// ExecRequest is the body of POST /instances/{id}/terminal/exec.
type ExecRequest struct {
	Command string
	Timeout time.Duration // sent as timeout_ms; 0 leaves it to the service
}

// ExecResult is what a command left behind. Output beyond the client's limit
// (WithMaxExecOutput) is cut in the middle: head and tail are kept.
type ExecResult struct {
	Stdout    Output
	Stderr    Output
	ExitCode  *int // nil: the service did not say, which is not 0
	TimedOut  bool
	Duration  time.Duration // 0 when unknown
	Truncated bool          // the service itself says that it cut the output
	NotReady  bool          // it failed in words like those of a sandbox that is not up yet: its own, or the command's
}

// Output is one stream of a command's output, bounded in memory.
type Output struct {
	Head    string // all of it where Omitted is 0
	Tail    string
	Omitted int64 // bytes left out between Head and Tail
}

// FileInfo is one entry of a directory.
type FileInfo struct {
	Name       string
	Path       string // absolute
	IsDir      bool
	Size       int64 // bytes, -1 when unknown
	ModifiedAt time.Time
}

// Discovery is what the service says of itself at GET /. Each part may be
// missing.
type Discovery struct {
	Name      string
	Version   string
	Resources []Resource
}

// Resource is one thing that the service advertises.
type Resource struct {
	Name   string
	Method string // "" when not said
	Path   string
}
