package transport

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/seal"
)

// The id of an event names its stream and its number there, and carries, sealed for
// the session, how its call can be gone on with. The process that has the stream
// replays it byte for byte. Any other process that has the caller's key goes on with
// the call, also after a kill -9 and a restart of all: nothing has to be stored.

// cursor is how a call can be gone on with behind one of its events.
type cursor struct {
	kind  cursorKind
	steps float64 // of progress, so that it goes on rising

	request []byte // cursorAgain: the whole request

	id, token json.RawMessage // cursorPlace and cursorUnknown: of the request, and of its progress
	tool      string
	place     []byte // cursorPlace: see Call.Resumable
}

type cursorKind byte

const (
	cursorOver    cursorKind = iota + 1 // the event is the answer
	cursorAgain                         // nothing was done: the request is served again
	cursorPlace                         // the tool knows how
	cursorUnknown                       // nothing is known of what was done
)

const (
	cursorVersion = 1
	// maxAgain bounds a request that travels with each event of its answer, in bytes.
	maxAgain = 2 << 10
	// maxCursor bounds a sealed cursor: proxies refuse headers of more than 8 KiB.
	maxCursor = 7 << 10
)

func (c *cursor) marshal() []byte {
	b := binary.AppendUvarint([]byte{cursorVersion, byte(c.kind)}, uint64(c.steps))
	for _, part := range [][]byte{c.request, c.id, c.token, []byte(c.tool), c.place} {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	return b
}

func unmarshalCursor(b []byte) (*cursor, bool) {
	if len(b) < 2 || b[0] != cursorVersion || b[1] < byte(cursorOver) || b[1] > byte(cursorUnknown) {
		return nil, false
	}
	c := &cursor{kind: cursorKind(b[1])}
	steps, n := binary.Uvarint(b[2:])
	if n <= 0 {
		return nil, false
	}
	c.steps, b = float64(steps), b[2+n:]
	var tool []byte
	for _, part := range []*[]byte{&c.request, (*[]byte)(&c.id), (*[]byte)(&c.token), &tool, &c.place} {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, false
		}
		if size > 0 {
			*part = b[n : n+int(size)]
		}
		b = b[n+int(size):]
	}
	c.tool = string(tool)
	return c, len(b) == 0
}

// What the ids of streams begin with; the rest is random.
const (
	requestStream = "r" // of a request
	sessionStream = "s" // of what a session subscribed to
)

// eventRef is an event as a client names it in Last-Event-ID: its stream, its number
// there and, of a request's stream, how the request can be gone on with.
type eventRef struct {
	whole  string
	stream string
	seq    int64
	sealed string
}

// eventID names an event of a stream.
func eventID(stream string, seq int64, sealed string) string {
	id := stream + "-" + strconv.FormatInt(seq, 10)
	if sealed != "" {
		id += "." + sealed
	}
	return id
}

func parseEventID(s string) (ref eventRef, ok bool) {
	ref.whole = s
	place, sealed, _ := strings.Cut(s, ".")
	stream, number, ok := strings.Cut(place, "-")
	if !ok || stream == "" {
		return eventRef{}, false
	}
	seq, err := strconv.ParseInt(number, 10, 64)
	ref.stream, ref.seq, ref.sealed = stream, seq, sealed
	return ref, err == nil && seq >= 0
}

// sealedCursor gives what seals how a call can be gone on with behind its next event,
// which is the answer where over is true. Most calls have no events: nothing is made
// ready for them.
func (h *HTTP) sealedCursor(in *incoming, call *Call) func(over bool) string {
	var sealer *seal.Sealer
	var again bool
	return func(over bool) string {
		if sealer == nil {
			var err error
			if sealer, err = h.cursorSealer(in.session); err != nil {
				return ""
			}
			again = h.repeatable(in)
		}
		sealed := sealer.Seal(call.cursor(in, again, over).marshal())
		if len(sealed) > maxCursor {
			return ""
		}
		return sealed
	}
}

// cursorSealer seals the cursors of a session.
func (h *HTTP) cursorSealer(s *session) (*seal.Sealer, error) {
	return seal.New(h.ids.secret(s.principal), "event id v1", s.principal.Name+"\x00"+s.id, "", maxCursor)
}

// cursor is how the call can be gone on with behind what it says next; writing is held.
func (c *Call) cursor(in *incoming, again, over bool) *cursor {
	now := &cursor{kind: cursorOver}
	if over {
		return now
	}
	now.steps = c.steps
	place := c.place.Load()
	switch {
	case place == nil && len(in.raw) > 0 && len(in.raw) <= maxAgain && (again || c.asking.Load()):
		now.kind, now.request = cursorAgain, in.raw
		return now
	case place == nil:
		now.kind = cursorUnknown
	default:
		now.kind, now.place = cursorPlace, (*place)()
	}
	now.id, now.token, now.tool = in.ID, c.token, in.tool()
	return now
}

// tool is the tool that a message calls, "" where it calls none.
func (in *incoming) tool() string {
	if in.takeOver != nil {
		return in.takeOver.tool
	}
	if in.Method != string(mcp.MethodToolsCall) {
		return ""
	}
	name, _ := textOf(find(in.params, "name"))
	return name
}

// repeatable reports whether a request changes nothing, so that another process may
// serve it again.
func (d *dispatcher) repeatable(in *incoming) bool {
	if in.takeOver != nil {
		return false
	}
	if in.Method != string(mcp.MethodToolsCall) {
		return true
	}
	tool := d.mcp.GetTool(in.tool())
	return tool != nil && tool.Tool.Annotations.ReadOnlyHint != nil && *tool.Tool.Annotations.ReadOnlyHint
}

var errCantResume = errors.New("this stream can't be resumed: its request ended a while ago, or it belongs to another session or server; a run goes on, and its handle still reads it (list_runs, wait_run)")

// takeOver goes on with a call whose stream no process has, from the event that the
// client saw last.
func (h *HTTP) takeOver(w http.ResponseWriter, r *http.Request, s *session, last eventRef, stream *postStream) {
	in, err := h.cursorOf(s, last.sealed)
	if err != nil {
		if !stream.begun() {
			jsonAnswer(w, http.StatusBadRequest, errorMessage(nil, mcp.INVALID_REQUEST, err.Error()))
		}
		return
	}
	if in == nil { // the client has the answer
		_ = stream.comment("open")
		stream.ended()
		return
	}
	stream.from = last.whole
	h.run(w, r, in, stream)
}

// cursorOf gives what a sealed cursor has to be gone on with: nil where nothing is left.
func (h *HTTP) cursorOf(s *session, sealed string) (*incoming, error) {
	sealer, err := h.cursorSealer(s)
	if err != nil {
		return nil, err
	}
	plain, ok := sealer.Open(sealed)
	if !ok || sealed == "" {
		return nil, errCantResume
	}
	c, ok := unmarshalCursor(plain)
	if !ok {
		return nil, errors.New("this stream can't be resumed: its event's id was made by another version of openclaw-mcp; a run goes on, and its handle still reads it (list_runs, wait_run)")
	}
	in := &incoming{session: s, scope: s.id, steps: c.steps}
	switch {
	case c.kind == cursorOver:
		return nil, nil
	case c.kind == cursorAgain:
		m, wrong := parseMessage(c.request)
		if wrong != nil || !m.isRequest() {
			return nil, errCantResume
		}
		in.message, in.raw, in.meta = m, c.request, m.meta()
	case h.opts.Resume == nil:
		return nil, errCantResume
	default:
		in.message, in.takeOver = &message{ID: c.id, Method: string(mcp.MethodToolsCall)}, c
		in.meta.ProgressToken = c.token
	}
	return in, nil
}

// goOn goes on with a call that another process began.
func (d *dispatcher) goOn(ctx context.Context, id json.RawMessage, c *Call) mcp.JSONRPCMessage {
	if c.takeOver.tool == "" {
		return failed(&codedError{code: mcp.INTERNAL_ERROR, text: "the process that served this request is gone: send it again, which is safe since it changes nothing"}, false)
	}
	ctx = server.WithRequestProtocolInfo(ctx, &server.RequestProtocolInfo{})
	result, err := d.resumeCall(ctx, c.takeOver.tool, c.takeOver.place)
	if err != nil {
		if d.OnError != nil {
			d.OnError(ctx, id, mcp.MethodToolsCall, nil, err)
		}
		return failed(err, false)
	}
	return mcp.JSONRPCResponse{JSONRPC: mcp.JSONRPC_VERSION, Result: result}
}
