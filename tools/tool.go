// Package tools is the MCP tools: what they take, what they do through the
// client and the runs of the calling principal, and what they answer. A family
// is a file; All lists them.
//
// To add a tool: write its In and Out types, its handler and its Spec in the
// family's file, add it to the family's list, run the golden tests with
// -update, and call it in a test.
package tools

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/chat"
	"openclaw-mcp/internal/runs/command"
	"openclaw-mcp/internal/runs/create"
	"openclaw-mcp/internal/terminals"
	"openclaw-mcp/internal/transfers"
)

// Effect is what a tool may do at its worst. The MCP annotations follow from it.
type Effect string

// The effects of tools.
const (
	Reads    Effect = "reads"    // changes nothing
	Writes   Effect = "writes"   // adds or changes, but takes nothing away
	Destroys Effect = "destroys" // may overwrite, delete or interrupt
)

// Spec is what a client is told of a tool.
type Spec struct {
	Name        string
	Title       string
	Description string
	Family      string
	Effect      Effect
	LocalOnly   bool   // touches files of this machine: only over stdio, and only where that is configured
	Page        string // that a client shows beside the results, if it shows pages; "": none
	AppOnly     bool   // for pages alone: no model sees it
	As          string // with AppOnly: the tool whose limits it is held to
	// Props says of each argument what its Go type can't: bounds, defaults and
	// allowed values.
	Props map[string]Prop
}

// Prop narrows an argument.
type Prop struct {
	Min, Max  *float64
	Default   any
	Enum      []any
	MaxLength int
	MaxItems  int
	NotEmpty  bool // "" is refused
	Long      bool // it may have more bytes than maxShort
}

// Tool is a tool ready to be registered and called.
type Tool struct {
	Spec
	Input  *jsonschema.Schema
	Output *jsonschema.Schema

	checker *argumentChecker // of Input
	call    func(ctx context.Context, d *Deps, args json.RawMessage, x Exchange) (Result, error)
}

// Result is what a tool answers: as text for a model, and as data for programs
// that ask for it; each is complete without the other.
type Result struct {
	Text       string
	Structured any
	Facts      any // the short part of Structured, for programs beside the text; nil: there is none
	IsError    bool
	Images     []Image   // beside the text
	Links      []Link    // to resources that go on where the text ends
	Ask        *Question // instead of an answer: something to ask the user first
	Task       *Task     // instead of an answer: the work goes on as a task
}

// Question is a yes-or-no question that the client is to put to its user. The
// call is then made again, with the answer.
type Question struct {
	Text  string
	State string // comes back with the answer
	URL   string // a page where the user does something before the yes; "": a form asks
}

// Exchange is what a call knows of the client beyond its arguments.
type Exchange struct {
	CanAsk  bool    // the client can put a question to its user
	CanOpen bool    // the client can send its user to a page
	Answer  *Answer // to the question of the call before this one
}

// Answer is the user's answer to a Question, as far as there is one: a client
// that can't or won't ask has not been told "no" by anybody.
type Answer struct {
	Yes      bool
	Declined bool // the user said no
	State    string
}

// texter renders a tool's output as the text of its result. What an output
// holds is within the budget already (Deps.MaxResultChars), so its text is.
type texter interface{ text() string }

// failer is an output that may report a failure and still has something to
// show.
type failer interface{ failed() bool }

// Deps is what tools work with; the program wires it.
type Deps struct {
	// Services gives what belongs to the principal that ctx's call is from.
	Services func(ctx context.Context) (*Services, error)
	// Progress reports on ctx's call; waiting says what it waits for after so many
	// seconds. It is closed before the call returns.
	Progress func(ctx context.Context, waiting func(seconds int) string) Progress
	// Principal names who ctx's call is from.
	Principal func(ctx context.Context) string
	// Rails gives the limits that ctx's call is held to.
	Rails func(ctx context.Context) *Rails
	// Watched reports whether ctx's call wants progress; nil: none does.
	Watched func(ctx context.Context) bool
	// Structured reports whether the client of ctx's call is a program that wants
	// results as data, too, and links to resources; nil: none does.
	Structured func(ctx context.Context) bool
	// Resumable says how another process goes on with ctx's call (see [Resume]): place
	// is asked for with each message that goes out about it; nil: it ends with this one.
	Resumable func(ctx context.Context, place func() []byte)
	// Begins tells the client of ctx's call the handle of what it is about to begin, with
	// a message for a person; nil: it learns that from the result.
	Begins func(ctx context.Context, message, handle string)
	// BecomeTask has ctx's call answered with a task.
	BecomeTask func(ctx context.Context, t Task)
	// OnCancel has f called when the client cancels ctx's call explicitly.
	OnCancel func(ctx context.Context, f func(reason string))
	// Transfers reports whether ctx's call may touch files of this machine; nil:
	// none may.
	Transfers func(ctx context.Context) bool
	// Verbatim has the texts of ctx's result go out as they are: else they are made
	// plain. nil: there is nobody to tell.
	Verbatim func(ctx context.Context)
	// Observe gives what is told about ctx's call for those who run the server;
	// nil: nothing is.
	Observe func(ctx context.Context) Observer

	Confirm        *Confirmer    // asks before what destroys
	Handles        *ShortHandles // nil: callers get sealed handles
	Website        string        // where people subscribe to the service; "" where that is not known
	Instance       string        // used when a call names none; "" to find one
	SoftDeadline   time.Duration // the longest that a call waits
	TaskAfter      time.Duration // how long a call waits before it becomes a task, where the client takes tasks
	MaxResultChars int           // budget of a result's text
	Version        string        // of this program
}

// verbatim is for calls that ask for texts as they are.
func (d *Deps) verbatim(ctx context.Context) {
	if d.Verbatim != nil {
		d.Verbatim(ctx)
	}
}

// Observer is told about a call: nothing that the call says.
type Observer interface {
	// Failed says why the call failed: one of few words, as FailureCode has them.
	Failed(code string)
	// Instance says which instance the call is about.
	Instance(id string)
	// Waiting says that the call only waits from now on, until end is called.
	Waiting() (end func())
}

// nobody observes where the program does not.
type nobody struct{}

func (nobody) Failed(string)   {}
func (nobody) Instance(string) {}
func (nobody) Waiting() func() { return func() {} }

func (d *Deps) wantsStructured(ctx context.Context) bool {
	return d.Structured != nil && d.Structured(ctx)
}

func (d *Deps) observer(ctx context.Context) Observer {
	if d.Observe == nil {
		return nobody{}
	}
	return d.Observe(ctx)
}

// Progress tells the client how a call goes on.
type Progress interface {
	runs.Progress
	// Together has tell report some news, which go out all at once, and calls sending
	// right before that.
	Together(tell, sending func())
	Close()
}

// Services is what one principal works with. It is kept between calls.
type Services struct {
	Client    *client.Client
	Runs      *runs.Manager
	Fleet     fleet.Fleet // what the principal's processes share, sealed
	Chat      *chat.Service
	Commands  *command.Service
	Creations *create.Service
	Files     *transfers.Service // nil: no files may be transferred
	Desktops  desktops.Desktops  // nil: there are none
	Terminals *terminals.Manager // nil: there are none
	found     instanceCache
	edits     editLocks
	rooms     answerRooms
	screens   shownScreens
}

// NewServices makes the services of one principal.
func NewServices(c *client.Client, r *runs.Manager) *Services {
	return &Services{Client: c, Runs: r, Fleet: r.Config.Fleet, Chat: chat.New(r), Commands: command.New(r), Creations: create.New(r)}
}

// request is one call of a tool.
type request struct {
	*Deps
	*Services
	tool     *Tool
	rails    *Rails
	exchange Exchange
	began    time.Time
	used     string     // the instance that the call is about, once that is decided
	paths    []filePath // that it names there
	large    bool       // it has a large file in memory
}

// define makes a tool of a handler.
func define[In any, Out texter](spec Spec, handle func(context.Context, *request, In) (Out, error)) *Tool {
	t := &Tool{Spec: spec, Input: inputSchema[In](spec), Output: outputSchema[Out]()}
	t.checker = newArgumentChecker(t.Input, spec.Props, reflect.TypeFor[In]())
	t.call = func(ctx context.Context, d *Deps, raw json.RawMessage, x Exchange) (Result, error) {
		began, rails := time.Now(), d.Rails(ctx)
		if err := rails.tool(t); err != nil {
			return Result{}, err
		}
		if err := cmp.Or(d.localOnly(ctx, t), onlyForApps(ctx, t)); err != nil {
			return Result{}, err
		}
		if rails.ReadOnly {
			ctx = context.WithValue(ctx, readOnlyKey{}, true)
		}
		var in In
		if err := t.checker.decode(raw, &in); err != nil {
			return Result{}, err
		}
		s, err := d.Services(ctx)
		if err != nil {
			return Result{}, err
		}
		req := &request{Deps: d, Services: s, tool: t, rails: rails, exchange: x, began: began}
		defer req.end()
		out, err := handle(ctx, req, in)
		if err != nil {
			return Result{}, req.aboutPath(ctx, req.ifStopped(ctx, req.used, err))
		}
		return resultOf(out), nil
	}
	return t
}

// resultOf renders a tool's output.
func resultOf(out texter) Result {
	if o, ok := out.(*runOut); ok && o.taskOffer != nil {
		return Result{Task: o.taskOffer}
	}
	r := Result{Text: out.text(), Structured: out}
	if f, ok := out.(factual); ok {
		r.Facts = f.facts()
	}
	if i, ok := out.(imager); ok {
		r.Images = i.images()
	}
	if l, ok := out.(linker); ok {
		r.Links = l.links()
	}
	if f, ok := out.(failer); ok {
		r.IsError = f.failed()
	}
	return r
}

// Call runs the tool. Errors are answers, too: they come as a Result that says
// what failed, what happened, and what to do.
func (t *Tool) Call(ctx context.Context, d *Deps, args json.RawMessage, x Exchange) Result {
	r, err := t.call(ctx, d, args, x)
	var unconfirmed *unconfirmedError
	if errors.As(err, &unconfirmed) && unconfirmed.ask != nil {
		return Result{Ask: unconfirmed.ask}
	}
	if err != nil {
		d.observer(ctx).Failed(FailureCode(err))
		return Result{Text: explain(t, err), IsError: true}
	}
	return r
}

// All lists every tool, in the order in which clients see them. They are made
// once, since their schemas take longer than the rest of the program's start.
func All() []*Tool { return slices.Clone(all()) }

var all = sync.OnceValue(func() []*Tool {
	var all []*Tool
	for _, family := range [][]*Tool{
		instanceTools(), chatTools(), runTools(), terminalTools(), fileTools(), transferTools(), desktopTools(), serviceTools(),
	} {
		all = append(all, family...)
	}
	return all
})
