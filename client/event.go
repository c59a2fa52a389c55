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
	EventOtherRun                    // behind an end with Doubt: another run of the session is on the stream, which may be the one that answers; behind one that is Abrupt, the stream goes on with that run
	EventGoesOn                      // behind an EventFinal or EventError: it was that of an attempt, or of another run, and the reply follows. It comes only with [SendRequest.Linger]
	EventAccepted                    // the service took the message; the reply will be in the history, not here. Text is its remark
)

// Event is one step of a chat reply, whatever family of stream it came in.
type Event struct {
	Kind      EventKind
	Text      string
	Replace   bool   // of EventText: Text is the whole reply so far, not an addition
	Silent    bool   // of EventFinal: the agent chose not to answer, so the reply has no text
	Check     bool   // of EventFinal: the end had no text, and words before it may be missing: the history tells
	Doubt     bool   // nothing but its place on the stream tells that its run answers the message
	Rivals    bool   // with Doubt: the stream has had more than one run that may
	Abrupt    bool   // with Doubt: its end is all that came of the run, which may be one from before the message
	Calling   bool   // of a tool that was called no end came, and no text since: the agent is at work
	Elsewhere bool   // the stream calls its session otherwise than the message's: with an end, and Linger, an EventGoesOn may follow
	Rested    bool   // the model has ended its message, and nothing has come since: only a mark of the stream's end may be missing
	Note      string // of EventFinal: what to tell about the reply, "" for nothing
	Unsure    string // of EventFinal and EventAccepted without a text: what came and may be a mark of the end, or the message again; the history tells whether the agent said it
	Tool      ToolCall
	SessionID string // where the event carried it
	MessageID string
	RunID     string
	Err       *Error // of EventError
	Raw       []byte // the event's data as it came
}
