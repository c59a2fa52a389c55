package client

// EventKind says what an [Event] of a chat stream is.
type EventKind int

// The kinds of chat events that the seven known stream families fold into.
const (
	EventUnknown    EventKind = iota // something new: Raw holds it, nobody fails
	EventText                        // Text is appended to the reply, or replaces it (Replace)
	EventToolStart                   // Tool began
	EventToolUpdate                  // Tool has a partial result
	EventToolEnd                     // Tool ended, with its result
	EventStatus                      // Text is a line for the person who waits
	EventFinal                       // the reply ended; Text, where not empty, is the whole of it
	EventError                       // the agent failed; Err says how, the text so far stands
	EventHeartbeat                   // nothing but a sign of life
)

// Event is one step of a chat reply, whatever family of stream it came in.
type Event struct {
	Kind      EventKind
	Text      string
	Replace   bool // of EventText: Text is the whole reply so far, not an addition
	Tool      ToolCall
	SessionID string // where the event carried it
	MessageID string
	RunID     string
	Err       *Error // of EventError
	Raw       []byte // the event's data as it came
}
