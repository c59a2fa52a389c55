package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/text"
)

func runTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "wait_run", Title: "Wait for runs", Family: "runs", Effect: Reads, Page: pageWork,
			Description: "Waits for runs, and reads what is new since each handle: a reply's text, a command's output. Returns when any has ended or stalls, or the wait is over (status \"running\": call again with the new `run`).",
			Props: map[string]Prop{
				"runs":         {MaxItems: 20},
				"wait_seconds": waitProp(),
				"until":        oneOf("done", "news").or("done"),
			},
		}, waitRun),
		define(Spec{
			Name: "cancel_run", Title: "Cancel a run", Family: "runs", Effect: Destroys,
			Description: "Stops a run. A command is killed with all it started. A chat reply or a creation is just no longer followed: the service can't stop it.",
			Props:       map[string]Prop{"run": notEmpty()},
		}, cancelRun),
		define(Spec{
			Name: "list_runs", Title: "List runs", Family: "runs", Effect: Reads, Page: pageWork,
			Description: "Lists your runs, newest first: what each is, how it stands, and the `run` that reads it from the start.",
		}, listRuns),
	}
}

type waitRunIn struct {
	Runs        []string `json:"runs" jsonschema:"run handles from earlier results"`
	WaitSeconds *int     `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
	Raw         bool     `json:"raw,omitempty" jsonschema:"keep control sequences"`
	Until       string   `json:"until,omitempty" jsonschema:"done: any run ended or stalled. news: any new text, too"`
}

type runsOut struct {
	Runs  []runOut `json:"runs"`
	Notes []string `json:"notes,omitempty"`
}

// open opens a handle, within the rails.
func (r *request) open(ctx context.Context, handle string) (runs.Run, error) {
	handle, err := r.sealedHandle(ctx, ofRun, handle)
	if err != nil {
		return nil, err
	}
	if err := r.inspect(ctx, handle); err != nil {
		return nil, err
	}
	if err := r.mayTakeUp(handle); err != nil {
		return nil, err
	}
	run, err := r.Runs.Open(handle)
	if err != nil {
		return nil, err
	}
	if id := run.Instance(); id != "" {
		r.observer(ctx).Instance(id)
		if _, err := r.allowInstance(ctx, id); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// mayTakeUp refuses in read-only mode what would send commands: only a reply can be followed
// by reading, from the session's history. Who has a run here already follows it anyway.
func (r *request) mayTakeUp(handle string) error {
	if !r.rails.ReadOnly {
		return nil
	}
	state, err := r.Runs.Inspect(handle)
	if err != nil || state.Kind == runs.KindChat || state.Kind == runs.KindCreate ||
		slices.ContainsFunc(r.Runs.All(), func(l *runs.Live) bool { return l.State().ID == state.ID }) {
		return err
	}
	return badArgument("this run is of the kind %s, which is followed by commands, and read-only mode sends none: wait for it where commands may run", state.Kind)
}

// waitRun waits for all the runs at once and returns when the first of them has
// something to say; the others are then read as they stand.
func waitRun(ctx context.Context, r *request, in waitRunIn) (runsOut, error) {
	if in.Raw {
		r.verbatim(ctx)
	}
	var all []*reading
	for i, h := range in.Runs {
		if slices.Contains(in.Runs[:i], h) {
			continue
		}
		run, err := r.open(ctx, h)
		if err != nil {
			return runsOut{}, fmt.Errorf("runs[%d]: %w", i, err)
		}
		all = append(all, &reading{run: run})
	}
	wait, note := r.waitTime(in.WaitSeconds)
	return r.waitAll(ctx, standing{raw: in.Raw, news: in.Until == "news", several: true, until: time.Now().Add(wait)}, note, all)
}

// waitAll waits for runs until the first of them has something to say or the time is
// over.
func (r *request) waitAll(ctx context.Context, s standing, note string, all []*reading) (runsOut, error) {
	ctx, cancel := context.WithDeadline(ctx, s.until)
	defer cancel()
	r.resumable(ctx, s, all...)
	idle := waitingFor(all[0].run.Kind(), "")
	if len(all) > 1 {
		idle = waitingFor("", fmt.Sprintf("waiting for %d runs", len(all)))
	}
	p := r.Progress(ctx, idle)
	defer p.Close()

	handles := make([]string, len(all))
	updates := make([]*runs.Update, len(all))
	errs := make([]error, len(all))
	limit := r.MaxResultChars / len(all)
	defer r.observer(ctx).Waiting()()
	var wg sync.WaitGroup
	for i, one := range all {
		handles[i] = r.runWord(ctx, one.start(r))
		label := ""
		if len(all) > 1 {
			label = fmt.Sprintf("run %d: ", i+1)
		}
		wg.Go(func() {
			updates[i], errs[i] = one.wait(ctx, r, s, limit, p, label)
			if errs[i] != nil || updates[i].Status != runs.StatusRunning || s.news {
				cancel()
			}
		})
	}
	wg.Wait()
	out := runsOut{Runs: make([]runOut, len(all))}
	running := false
	for i, u := range updates {
		if errs[i] != nil {
			if len(all) == 1 {
				return runsOut{}, errs[i]
			}
			out.Runs[i] = runOut{Status: "unknown", Kind: string(all[i].run.Kind()), Run: handles[i], Error: errs[i].Error(),
				Next: fmt.Sprintf("its state could not be read; wait_run {\"runs\":[%q]} tries again", handles[i])}
			continue
		}
		r.updateIfStopped(ctx, u)
		out.Runs[i] = *r.runOut(ctx, u, s.raw)
		out.Runs[i].noteRedrawn(func() string { return handles[i] })
		running = running || !u.Status.Over()
	}
	if running && note != "" {
		out.Notes = append(out.Notes, note)
	}
	return out, nil
}

func (o runsOut) text() string {
	var parts []string
	for i, run := range o.Runs {
		text := run.text()
		if len(o.Runs) > 1 {
			text = fmt.Sprintf("run %d of %d:\n%s", i+1, len(o.Runs), text)
		}
		parts = append(parts, text)
	}
	for _, n := range o.Notes {
		parts = append(parts, "note: "+n)
	}
	if len(parts) == 0 {
		return "no runs"
	}
	return strings.Join(parts, "\n\n")
}

func (o runsOut) failed() bool { return len(o.Runs) == 1 && o.Runs[0].failed() }

// labelledProgress tells the runs of one wait apart.
type labelledProgress struct {
	runs.Progress
	label string
}

func (p labelledProgress) Text(s string)   { p.Progress.Line(p.label + s) }
func (p labelledProgress) Line(s string)   { p.Progress.Line(p.label + s) }
func (p labelledProgress) Now(line string) { p.Progress.Now(p.label + line) }

type cancelRunIn struct {
	Run string `json:"run" jsonschema:"run handle from an earlier result"`
}

type cancelRunOut struct {
	Status   string `json:"status"`
	Kind     string `json:"kind"`
	Instance string `json:"instance,omitempty"`
	Session  string `json:"session,omitempty"`
	Run      string `json:"run"`
	Note     string `json:"note"`

	alone  bool   // the instance goes without saying
	handle string // the sealed form of Run, where that is short
}

func cancelRun(ctx context.Context, r *request, in cancelRunIn) (cancelRunOut, error) {
	run, err := r.open(ctx, in.Run)
	if err != nil {
		return cancelRunOut{}, err
	}
	note, err := run.Cancel(ctx)
	if err != nil {
		return cancelRunOut{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	waited := r.observer(ctx).Waiting()
	u, err := run.Wait(ctx, runs.UntilDone, 1, nil)
	waited()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return cancelRunOut{}, err
	}
	out := cancelRunOut{
		Status: string(u.Status), Kind: string(run.Kind()), Instance: u.Instance, Session: u.Session, Note: note,
	}
	out.Run, out.handle = r.runHandles(ctx, run.Handle())
	out.alone = r.alone(u.Instance)
	return out, nil
}

func (o cancelRunOut) text() string {
	where := runOut{Status: o.Status, Instance: o.Instance, Session: o.Session, alone: o.alone}
	return fmt.Sprintf("[%s]\nnote: %s\nrun: %s", where.headline(), o.Note, o.Run)
}

// listedRuns are runs without what they said.
type listedRuns struct {
	runsOut

	leftOut int // the oldest
}

func listRuns(ctx context.Context, r *request, _ noInput) (listedRuns, error) {
	out := listedRuns{runsOut: runsOut{Runs: []runOut{}, Notes: []string{
		"these are the runs that this server process began or was asked about, and your others that it can ask; a command stands here as it was last seen, and wait_run looks again",
	}}}
	left := r.MaxResultChars
	all, err := r.Runs.ListEverywhere(ctx)
	if err != nil {
		out.Notes = append(out.Notes, err.Error())
	}
	all = slices.DeleteFunc(all, func(u runs.Update) bool {
		return u.Instance != "" && r.rails.instance(u.Instance) != nil
	})
	for i := range all {
		u := &all[i]
		o := r.runOut(ctx, u, false)
		o.Run, o.handle = r.runHandles(ctx, u.Handle)
		o.About, o.Notes, o.Next = u.About, nil, ""
		o.replyOut = nil
		if c := o.commandOut; c != nil {
			o.commandOut = &commandOut{ExitCode: c.ExitCode, TimedOut: c.TimedOut}
		}
		if left -= len(o.listed()) + 1; left < 0 {
			out.leftOut = len(all) - i
			out.Notes = append(out.Notes, fmt.Sprintf("%d older runs are left out", out.leftOut))
			break
		}
		out.Runs = append(out.Runs, *o)
	}
	return out, nil
}

// listed is the run in a line of a list.
func (o runOut) listed() string {
	what := o.Kind
	switch t := o.Transfer; {
	case t != nil:
		what += fmt.Sprintf(" %s, %s: %d of %d files", t.LocalPath, t.Path, t.Files, t.TotalFiles)
	case o.About != "":
		what += " " + strconv.Quote(o.About)
	}
	line := fmt.Sprintf("%s: %s [%s]", o.Run, what, o.headline())
	if o.Error != "" {
		line += " error: " + o.Error
	}
	return line
}

// failed is false: a list of what failed has not failed.
func (o listedRuns) failed() bool { return false }

func (o listedRuns) text() string {
	var b strings.Builder
	b.WriteString(text.Count(len(o.Runs), "run", "runs") + "\n")
	for _, run := range o.Runs {
		b.WriteString(run.listed() + "\n")
	}
	for _, n := range o.Notes {
		b.WriteString("note: " + n + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
