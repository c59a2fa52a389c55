package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/runs"
)

func runTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "wait_run", Title: "Wait for runs", Family: "runs", Effect: Reads,
			Description: "Waits for runs that earlier calls left behind, and reads what is new since each handle: a reply's text, a command's output. Returns when any has ended or stalls, or the wait is over (status \"running\": call again with the new `run`). Handles outlive restarts of this server. Cancelling this request stops only the waiting.",
			Props: map[string]Prop{
				"runs":         {MaxItems: 20},
				"wait_seconds": waitProp(),
				"until":        oneOf("done", "news").or("done"),
			},
		}, waitRun),
		define(Spec{
			Name: "cancel_run", Title: "Cancel a run", Family: "runs", Effect: Destroys,
			Description: "Stops a run. DESTROYS a background command: it is killed with all it started. A chat reply or a creation is only no longer followed: the service has no way to stop it.",
			Props:       map[string]Prop{"run": notEmpty()},
		}, cancelRun),
		define(Spec{
			Name: "list_runs", Title: "List runs", Family: "runs", Effect: Reads,
			Description: "Lists the runs that this server process knows of, newest first, with handles that read them from the start. Runs of other processes are not listed, but their handles work.",
		}, listRuns),
	}
}

type waitRunIn struct {
	Runs        []string `json:"runs" jsonschema:"run handles from earlier results"`
	WaitSeconds *int     `json:"wait_seconds,omitempty" jsonschema:"longest wait; default and cap: the server's"`
	Raw         bool     `json:"raw,omitempty" jsonschema:"keep control sequences in output"`
	Until       string   `json:"until,omitempty" jsonschema:"done: any run ended or stalled. news: any new text, too"`
}

type runsOut struct {
	Runs  []runOut `json:"runs"`
	Notes []string `json:"notes,omitempty"`
}

// open opens a handle, within the rails.
func (r *request) open(ctx context.Context, handle string) (*runs.Run, error) {
	if err := r.inspect(ctx, handle); err != nil {
		return nil, err
	}
	run, err := r.Runs.Open(handle)
	if err != nil {
		return nil, err
	}
	if id := run.Instance(); id != "" {
		r.observer(ctx).Instance(id)
		if err := r.rails.instance(id); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// waitRun waits for all the runs at once and returns when the first of them has
// something to say; the others are then read as they stand.
func waitRun(ctx context.Context, r *request, in waitRunIn) (runsOut, error) {
	until := runs.UntilDone
	if in.Until == "news" {
		until = runs.UntilNews
	}
	handles := slices.Compact(slices.Clone(in.Runs))
	opened := make([]*runs.Run, len(handles))
	for i, h := range handles {
		run, err := r.open(ctx, h)
		if err != nil {
			return runsOut{}, fmt.Errorf("runs[%d]: %w", i, err)
		}
		opened[i] = run
	}
	wait, note := r.waitTime(in.WaitSeconds)
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	p := r.Progress(ctx)
	defer p.Close()
	clean := cleanProgress{p}

	updates := make([]*runs.Update, len(opened))
	errs := make([]error, len(opened))
	limit := r.MaxResultChars / len(opened)
	defer r.observer(ctx).Waiting()()
	var wg sync.WaitGroup
	for i, run := range opened {
		shown := p
		if run.Kind() == runs.KindCommand {
			shown = clean
		}
		wg.Go(func() {
			updates[i], errs[i] = run.Wait(waiting, until, limit, labelled(shown, i, len(opened)))
			if errs[i] != nil || updates[i].Status != runs.StatusRunning || until == runs.UntilNews {
				cancel()
			}
		})
	}
	wg.Wait()
	out := runsOut{Runs: make([]runOut, len(opened))}
	running := false
	for i, u := range updates {
		if errs[i] != nil {
			if len(opened) == 1 {
				return runsOut{}, errs[i]
			}
			out.Runs[i] = runOut{Status: "unknown", Kind: string(opened[i].Kind()), Run: handles[i], Error: errs[i].Error(),
				Next: fmt.Sprintf("its state could not be read; wait_run {\"runs\":[%q]} tries again", handles[i])}
			continue
		}
		out.Runs[i] = *r.runOut(u, in.Raw)
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

// labelled tells the runs of one wait apart in its progress.
func labelled(p runs.Progress, i, n int) runs.Progress {
	if n == 1 {
		return p
	}
	return labelledProgress{p, fmt.Sprintf("run %d: ", i+1)}
}

type labelledProgress struct {
	runs.Progress
	label string
}

func (p labelledProgress) Text(s string) { p.Progress.Line(p.label + s) }
func (p labelledProgress) Line(s string) { p.Progress.Line(p.label + s) }

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
	return cancelRunOut{
		Status: string(u.Status), Kind: string(run.Kind()), Instance: u.Instance, Session: u.Session,
		Run: run.Handle(), Note: note,
	}, nil
}

func (o cancelRunOut) text() string {
	where := runOut{Status: o.Status, Instance: o.Instance, Session: o.Session}
	return fmt.Sprintf("[%s]\nnote: %s\nrun: %s", where.headline(), o.Note, o.Run)
}

func listRuns(_ context.Context, r *request, _ noInput) (runsOut, error) {
	out := runsOut{Runs: []runOut{}, Notes: []string{"these are the runs of this server process since it started; those of other processes are not among them, but their handles work"}}
	left := r.MaxResultChars
	all := slices.DeleteFunc(r.Runs.List(), func(u runs.Update) bool {
		return u.Instance != "" && r.rails.instance(u.Instance) != nil
	})
	for i := range all {
		u := &all[i]
		o := r.runOut(u, false)
		o.Run, o.Tools, o.Next = u.Handle, nil, ""
		if left -= len(o.text()) + 2; left < 0 {
			out.Notes = append(out.Notes, fmt.Sprintf("%d older runs are left out", len(all)-i))
			break
		}
		out.Runs = append(out.Runs, *o)
	}
	return out, nil
}
