package tools

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/command"
)

// A call that waits for runs says with everything that it reports where it stands: the
// runs as it found them, and how much of them was reported. So another process can go
// on with it when this one is gone: it reports the rest, and its result is whole.

// standing is where a call that waits for runs stands.
type standing struct {
	raw, news bool // see waitRunIn
	several   bool // its result is that of wait_run
	until     time.Time
	runs      []followed
}

// followed is a run in a call that waits for it.
type followed struct {
	from runs.State // with the cursor that the call began with
	told runs.State // of it, the cursor alone: how much was reported
}

const (
	standingVersion = 1
	// maxFollowed bounds how much of a Last-Event-ID header the runs of a call take.
	maxFollowed = 20
)

func (s standing) marshal(m *runs.Manager) []byte {
	flags := byte(0)
	for i, on := range []bool{s.raw, s.news, s.several} {
		if on {
			flags |= 1 << i
		}
	}
	b := binary.AppendVarint([]byte{standingVersion, flags}, s.until.UnixMilli())
	for _, f := range s.runs {
		state := m.Pack(f.from)
		b = binary.AppendUvarint(b, uint64(len(state)))
		b = append(b, state...)
		b = binary.AppendUvarint(b, uint64(f.told.Read))
		b = binary.AppendUvarint(b, uint64(f.told.ReadErr))
		b = binary.BigEndian.AppendUint32(b, f.told.Check)
	}
	return b
}

var errStanding = errors.New("it was made by another version of openclaw-mcp, so this one can't go on with the call")

func unmarshalStanding(m *runs.Manager, b []byte) (s standing, err error) {
	if len(b) < 2 || b[0] != standingVersion {
		return s, errStanding
	}
	s.raw, s.news, s.several = b[1]&1 != 0, b[1]&2 != 0, b[1]&4 != 0
	b = b[2:]
	bad := false
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			bad, size = true, 0
		}
		b = b[size:]
		return n
	}
	until, size := binary.Varint(b)
	if size <= 0 {
		return s, errStanding
	}
	s.until, b = time.UnixMilli(until), b[size:]
	for len(b) > 0 && !bad {
		var f followed
		n := number()
		if n > uint64(len(b)) {
			return s, errStanding
		}
		if f.from, err = m.Unpack(b[:n]); err != nil {
			return s, errStanding
		}
		b = b[n:]
		f.told.Read, f.told.ReadErr = int64(number()), int64(number())
		if len(b) < 4 {
			return s, errStanding
		}
		f.told.Check, b = binary.BigEndian.Uint32(b), b[4:]
		s.runs = append(s.runs, f)
	}
	if bad || len(s.runs) == 0 || len(s.runs) > maxFollowed {
		return s, errStanding
	}
	return s, nil
}

// reading is a run that a call waits for, and how much of it was reported.
type reading struct {
	run  runs.Run
	told atomic.Pointer[runs.State] // the cursor alone; nil: that of the run
	from *runs.State                // of a call that is gone on with: where it began
}

// start gives the handle that reads what the result will have.
func (one *reading) start(r *request) string {
	if one.from == nil {
		return one.run.Handle()
	}
	return r.Runs.Seal(*one.from)
}

// wait waits for the run as a call stands, and gives what is new since it began.
func (one *reading) wait(ctx context.Context, r *request, s standing, limit int, p Progress, label string) (*runs.Update, error) {
	until := runs.UntilDone
	if s.news {
		until = runs.UntilNews
	}
	if !s.raw {
		command.ReadPlain(one.run)
	}
	u, err := one.run.Wait(ctx, until, limit, one.shown(ctx, r, s, p, label))
	if err != nil || one.from == nil {
		return u, err
	}
	whole, err := r.Runs.Open(r.Runs.Seal(*one.from))
	if err != nil {
		return nil, err
	}
	if !s.raw {
		command.ReadPlain(whole)
	}
	now, cancel := context.WithCancel(ctx)
	cancel()
	return whole.Wait(now, until, limit, nil)
}

// shown is what a wait for the run tells its progress to; nil: nobody watches.
func (one *reading) shown(ctx context.Context, r *request, s standing, p Progress, label string) runs.Progress {
	if r.Watched == nil || !r.Watched(ctx) {
		return nil
	}
	var shown runs.Progress = p
	if label != "" {
		shown = labelledProgress{p, label}
	}
	if one.run.Kind() == runs.KindCommand && !s.raw {
		shown = cleanProgress{shown}
	}
	return followedProgress{shown, p, one}
}

// resumable has another process go on with the call when this one is gone.
func (r *request) resumable(ctx context.Context, s standing, all ...*reading) {
	if r.Resumable == nil || len(all) > maxFollowed {
		return
	}
	r.Resumable(ctx, func() []byte {
		s.runs = make([]followed, len(all))
		for i, one := range all {
			state, err := r.Runs.Inspect(one.run.Handle())
			if err != nil {
				return nil
			}
			f := followed{from: state, told: state}
			if one.from != nil {
				f.from = readTo(f.from, *one.from)
			}
			if told := one.told.Load(); told != nil {
				f.told = *told
			}
			s.runs[i] = f
		}
		return s.marshal(r.Runs)
	})
}

// readTo is a state with another's cursor.
func readTo(s, cursor runs.State) runs.State {
	s.Read, s.ReadErr, s.Check = cursor.Read, cursor.ReadErr, cursor.Check
	return s
}

// followedProgress is a [runs.Follower].
type followedProgress struct {
	runs.Progress
	out Progress
	one *reading
}

// Upto implements [runs.Follower].
func (p followedProgress) Upto(at runs.State, tell func()) {
	p.out.Together(tell, func() { p.one.told.Store(&at) })
}

// leastGoOn is how long a call that is gone on with waits at least: its time may have
// passed while nobody was there.
const leastGoOn = 5 * time.Second

// lostError is the answer to a call whose process is gone, and which nothing tells of.
type lostError struct {
	tool *Tool
	why  string
}

func (e *lostError) Error() string {
	return "the server process that ran this call is gone, and " + e.why
}

// lookAfter names, by the family of a tool, what shows whether a call of it took effect.
var lookAfter = map[string]string{
	"chat":      "read_chat_history shows what was said, list_chat_sessions which sessions there are.",
	"desktop":   "take_screenshot shows what became of it.",
	"files":     "list_files or read_file shows what is there now.",
	"instances": "list_instances or get_instance shows the current state.",
	"terminal":  "read_terminal shows a terminal; what a command would have changed shows whether it ran.",
}

func (e *lostError) advice() advice {
	if e.tool.Effect == Reads {
		return advice{"nothing was changed.", "safe.", "call it again."}
	}
	return advice{"unknown: the call may have taken effect.", repeatUnknown(e.tool.Effect),
		cmp.Or(lookAfter[e.tool.Family], "list_runs and wait_run show how runs stand.")}
}

// Resume gives a function that goes on with a call of a tool that another process
// began, from the place that it gave to Deps.Resumable (in Params.RequestState); ""
// where it gave none.
func Resume(d *Deps) server.ToolHandlerFunc {
	byName := make(map[string]*Tool)
	for _, t := range All() {
		byName[t.Name] = t
	}
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		t := byName[req.Params.Name]
		if t == nil {
			return nil, fmt.Errorf("the server process that ran this call is gone, and there is no tool %q here to see what became of it", req.Params.Name)
		}
		out, err := d.resume(ctx, t, req.Params.RequestState)
		if err != nil {
			d.observer(ctx).Failed(FailureCode(err))
			return d.result(ctx, Result{Text: explain(t, err), IsError: true}), nil
		}
		return d.result(ctx, resultOf(out)), nil
	}
}

func (d *Deps) resume(ctx context.Context, t *Tool, place string) (texter, error) {
	r := &request{Deps: d, tool: t, rails: d.Rails(ctx)}
	if place == "" {
		return nil, &lostError{t, "how far the call got is not known"}
	}
	if err := errors.Join(r.rails.tool(t), d.localOnly(ctx, t)); err != nil {
		return nil, err
	}
	if r.rails.ReadOnly {
		ctx = context.WithValue(ctx, readOnlyKey{}, true)
	}
	var err error
	if r.Services, err = d.Services(ctx); err != nil {
		return nil, err
	}
	s, err := unmarshalStanding(r.Runs, []byte(place))
	if err != nil {
		return nil, &lostError{t, err.Error()}
	}
	s.until = time.Now().Add(min(max(time.Until(s.until), leastGoOn), r.SoftDeadline))
	all := make([]*reading, len(s.runs))
	for i, f := range s.runs {
		run, err := r.open(ctx, r.Runs.Seal(readTo(f.from, f.told)))
		if err != nil {
			return nil, err
		}
		all[i] = &reading{run: run, from: &f.from}
	}
	if s.raw {
		r.verbatim(ctx)
	}
	if s.several {
		return r.waitAll(ctx, s, "", all)
	}
	r.stopOnCancel(ctx, all[0].run)
	out, _, err := r.waitOne(ctx, s, "", all[0])
	if err == nil {
		r.Runs.AnsweredElsewhere(ctx, s.runs[0].from.ID)
	}
	return out, err
}
