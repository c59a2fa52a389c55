package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/terminals"
	"openclaw-mcp/internal/text"
)

// AppsExtension is how a client says that it shows pages (MCP Apps).
const AppsExtension = "io.modelcontextprotocol/ui"

// The pages that clients show beside results.
const (
	pageTerminal = "terminal"
	pageDesktop  = "desktop"
	pageWork     = "work"
)

// PageURI is the resource that a page is.
func PageURI(page string) string { return "ui://openclaw-mcp/" + page }

// ShowsApps reports whether the client of ctx's request shows pages.
func ShowsApps(ctx context.Context) bool {
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern {
		return info.ClientCapabilities != nil && info.ClientCapabilities.Extensions[AppsExtension] != nil
	}
	s, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo)
	return ok && s.GetClientCapabilities().Extensions[AppsExtension] != nil
}

// appMeta is what a client that shows pages is told of a tool; nil: nothing.
func (t *Tool) appMeta() *mcp.Meta {
	switch {
	case t.AppOnly:
		return &mcp.Meta{AdditionalFields: map[string]any{"ui": map[string]any{"visibility": []string{"app"}}}}
	case t.Page != "":
		uri := PageURI(t.Page)
		return &mcp.Meta{AdditionalFields: map[string]any{
			"ui":             map[string]any{"resourceUri": uri},
			"ui/resourceUri": uri, // for older hosts
		}}
	}
	return nil
}

// onlyForApps refuses the tools of the pages to clients that show none.
func onlyForApps(ctx context.Context, t *Tool) error {
	if t.AppOnly && !ShowsApps(ctx) {
		return badArgument("%s is for the pages of clients that show them: this one has not declared the extension %s", t.Name, AppsExtension)
	}
	return nil
}

// AppTools lists the tools that the pages call and no model sees. Each is held to the
// limits of the tool that it stands beside.
func AppTools() []*Tool { return slices.Clone(appTools()) }

// maxFollow is the longest that a page waits in one call: hosts end calls, too.
const maxFollow = 25

var appTools = sync.OnceValue(func() []*Tool {
	page := func(name, title, as string, e Effect) Spec {
		return Spec{
			Name: name, Title: title, Effect: e, AppOnly: true, As: as, Family: familyOf(as),
			Description: "For the pages of this server, beside " + as + ".",
			Props:       map[string]Prop{},
		}
	}
	with := func(s Spec, props map[string]Prop) Spec {
		s.Props = props
		return s
	}
	wait := between(0, maxFollow)
	return []*Tool{
		define(with(page("follow_terminal", "Follow a terminal", "read_terminal", Reads), map[string]Prop{"cursor": atLeast(-1), "wait_seconds": wait}), followTerminal),
		define(with(page("use_terminal", "Type into a terminal by hand", "write_terminal", Destroys), map[string]Prop{
			"data": {MaxLength: 100_000, Long: true}, "cols": between(20, 400), "rows": between(2, 200), "turn": oneOf("take", "give"),
		}), useTerminal),
		define(with(page("follow_desktop", "Follow a desktop", "take_screenshot", Reads), map[string]Prop{"wait_seconds": wait}), followDesktop),
		define(with(page("use_desktop", "Use a desktop by hand", "control_desktop", Destroys), map[string]Prop{
			"events": {MaxItems: maxEvents}, "turn": oneOf("take", "give"),
		}), useDesktop),
		define(page("list_work", "List instances, runs and sessions", "list_runs", Reads), listWork),
		define(with(page("follow_run", "Follow a run", "wait_run", Reads), map[string]Prop{"runs": {MaxItems: maxFollowedRuns}, "wait_seconds": wait}), followRun),
		define(with(page("answer_run", "Answer the agent by hand", "send_chat_message", Writes), map[string]Prop{"message": {NotEmpty: true, Long: true}}), answerRun),
		define(page("reboot_by_hand", "Reboot an instance by hand", "reboot_instance", Destroys), byHand((*request).reboot)),
		define(page("shutdown_by_hand", "Shut an instance down by hand", "shutdown_instance", Destroys), byHand((*request).shutdown)),
	}
})

func familyOf(name string) string {
	for _, t := range all() {
		if t.Name == name {
			return t.Family
		}
	}
	panic("there is no tool " + name)
}

type followTerminalIn struct {
	Terminal    string `json:"terminal"`
	Cursor      *int64 `json:"cursor,omitempty"`
	WaitSeconds int    `json:"wait_seconds,omitempty"`
	Seen        string `json:"seen,omitempty"`
}

type followTerminalOut struct {
	terminals.State
	Data     string `json:"data,omitempty"`
	Cursor   int64  `json:"cursor"`
	Reset    bool   `json:"reset,omitempty"`
	More     bool   `json:"more,omitempty"`
	Seen     string `json:"seen"`
	TurnLeft int64  `json:"turn_left_ms,omitempty"`
}

func (o followTerminalOut) text() string {
	return fmt.Sprintf("%d bytes of output up to %d; the terminal is %s", len(o.Data), o.Cursor, o.Status)
}

func followTerminal(ctx context.Context, r *request, in followTerminalIn) (followTerminalOut, error) {
	s, _, err := r.terminal(ctx, in.Terminal)
	if err != nil {
		return followTerminalOut{}, err
	}
	r.verbatim(ctx)
	f := terminals.Follow{Cursor: -1, Wait: min(time.Duration(in.WaitSeconds)*time.Second, r.SoftDeadline), Seen: in.Seen}
	if in.Cursor != nil {
		f.Cursor = *in.Cursor
	}
	defer r.observer(ctx).Waiting()()
	p, err := s.Follow(ctx, f)
	return followTerminalOut{p.State, p.Data, p.Cursor, p.Reset, p.More, p.Seen, p.Left.Milliseconds()}, err
}

type useTerminalIn struct {
	Terminal string `json:"terminal"`
	Data     string `json:"data,omitempty"`
	Cols     int    `json:"cols,omitempty"`
	Rows     int    `json:"rows,omitempty"`
	Turn     string `json:"turn,omitempty"`
}

type useTerminalOut struct{ terminals.State }

func (o useTerminalOut) text() string { return "done; the terminal is " + string(o.Status) }

func useTerminal(ctx context.Context, r *request, in useTerminalIn) (useTerminalOut, error) {
	if err := r.rails.shell(); err != nil {
		return useTerminalOut{}, err
	}
	s, _, err := r.terminal(ctx, in.Terminal)
	if err != nil {
		return useTerminalOut{}, err
	}
	r.verbatim(ctx)
	state, err := s.Use(ctx, terminals.Use{Data: in.Data, Cols: in.Cols, Rows: in.Rows, Take: in.Turn == "take", Give: in.Turn == "give"})
	return useTerminalOut{state}, terminalError(err)
}

// maxEvents bounds what a page sends at once.
const maxEvents = 256

type followDesktopIn struct {
	Instance    string `json:"instance,omitempty"`
	Seen        string `json:"seen,omitempty"`
	WaitSeconds int    `json:"wait_seconds,omitempty"`
}

type followDesktopOut struct {
	Instance string `json:"instance"`
	Screen   area   `json:"screen"`
	Part     area   `json:"part"` // of the screen, that the picture shows
	Picture  string `json:"picture,omitempty"`
	MIME     string `json:"mime,omitempty"`
	Pointer  *place `json:"pointer,omitempty"`
	Seen     string `json:"seen"`
	Person   bool   `json:"person"`
	TurnLeft int64  `json:"turn_left_ms,omitempty"`
}

func (o followDesktopOut) text() string {
	return fmt.Sprintf("a picture of %d×%d of the desktop's %d×%d pixels", o.Part.Width, o.Part.Height, o.Screen.Width, o.Screen.Height)
}

func followDesktop(ctx context.Context, r *request, in followDesktopIn) (followDesktopOut, error) {
	id, err := r.desktop(ctx, in.Instance)
	if err != nil {
		return followDesktopOut{}, err
	}
	defer r.observer(ctx).Waiting()()
	f, err := r.Desktops.Live(ctx, id, parseSeen(in.Seen), min(time.Duration(in.WaitSeconds)*time.Second, r.SoftDeadline))
	if err != nil {
		return followDesktopOut{}, desktopError(err)
	}
	o := followDesktopOut{
		Instance: id, Screen: areaOf(image.Rectangle{Max: f.Screen}), Part: areaOf(f.Part), Picture: base64.StdEncoding.EncodeToString(f.Data), MIME: f.MIME,
		Seen:   fmt.Sprintf("%d.%d", f.Seen.Connection, f.Seen.Generation),
		Person: f.Left > 0, TurnLeft: f.Left.Milliseconds(),
	}
	if f.Pointer != nil {
		o.Pointer = &place{f.Pointer.X, f.Pointer.Y}
	}
	return o, nil
}

// parseSeen reads what a page has; of anything else, it has nothing.
func parseSeen(s string) desktops.Seen {
	before, after, _ := strings.Cut(s, ".")
	connection, err := strconv.Atoi(before)
	generation, err2 := strconv.ParseUint(after, 10, 64)
	if errors.Join(err, err2) != nil {
		return desktops.Seen{}
	}
	return desktops.Seen{Connection: connection, Generation: generation}
}

type useDesktopIn struct {
	Instance string   `json:"instance"`
	Events   []string `json:"events,omitempty"` // "at X Y BUTTONS", "down KEY", "up KEY"
	Turn     string   `json:"turn,omitempty"`
}

// parseEvent reads an event of a page.
func parseEvent(s string) (desktops.Event, error) {
	kind, rest, _ := strings.Cut(s, " ")
	switch kind {
	case "down", "up":
		if rest != "" {
			return desktops.Event{Key: rest, Down: kind == "down"}, nil
		}
	case "at":
		var n [3]int
		parts := strings.Fields(rest)
		for i := range min(len(n), len(parts)) {
			var err error
			if n[i], err = strconv.Atoi(parts[i]); err != nil {
				n[i] = -1
			}
		}
		if len(parts) == len(n) && min(n[0], n[1], n[2]) >= 0 && max(n[0], n[1]) <= maxCoordinates && n[2] <= math.MaxUint8 {
			return desktops.Event{At: &image.Point{X: n[0], Y: n[1]}, Buttons: uint8(n[2])}, nil
		}
	}
	return desktops.Event{}, badArgument("event %q is not one of \"at X Y BUTTONS\", \"down KEY\" or \"up KEY\"", text.Line(s, 80))
}

type useDesktopOut struct {
	Instance string `json:"instance"`
	Person   bool   `json:"person"`
	TurnLeft int64  `json:"turn_left_ms,omitempty"`
}

func (o useDesktopOut) text() string { return "done on the desktop of instance " + o.Instance }

func useDesktop(ctx context.Context, r *request, in useDesktopIn) (useDesktopOut, error) {
	id, err := r.desktop(ctx, in.Instance)
	if err != nil {
		return useDesktopOut{}, err
	}
	events := make([]desktops.Event, len(in.Events))
	for i, e := range in.Events {
		if events[i], err = parseEvent(e); err != nil {
			return useDesktopOut{}, err
		}
	}
	left, err := r.Desktops.Use(ctx, id, events, in.Turn == "take", in.Turn == "give")
	return useDesktopOut{id, left > 0, left.Milliseconds()}, desktopError(err)
}
