package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
)

type listWorkIn struct {
	Instance string `json:"instance,omitempty"` // whose sessions are wanted
}

// workRun is a run in a page, which knows it by its id: handles of one run differ.
type workRun struct {
	ID string `json:"id"`
	runOut
}

type listWorkOut struct {
	Instances []Instance `json:"instances"`
	Runs      []workRun  `json:"runs"`
	Sessions  []Session  `json:"sessions"`
	Notes     []string   `json:"notes,omitempty"` // what could not be read

	InstancesLeftOut int  `json:"instances_left_out,omitempty"` // for want of room
	MoreInstances    bool `json:"more_instances,omitempty"`     // than the service lists
	RunsLeftOut      int  `json:"runs_left_out,omitempty"`
	MoreSessions     bool `json:"more_sessions,omitempty"` // older ones

	May        []string `json:"may,omitempty"`         // reboot, shutdown: what the person may do to instances
	KeyRefused bool     `json:"key_refused,omitempty"` // the service does not know the caller's key
}

func (o listWorkOut) text() string {
	return fmt.Sprintf("%d instances, %d runs, %d sessions", len(o.Instances), len(o.Runs), len(o.Sessions))
}

// listWork gives a page all that it lists in one call. What one list can't be read
// for says so beside the others.
func listWork(ctx context.Context, r *request, in listWorkIn) (listWorkOut, error) {
	out := listWorkOut{Instances: []Instance{}, Runs: []workRun{}, Sessions: []Session{}}
	part := func(name string, read func() error) {
		i := slices.IndexFunc(all(), func(t *Tool) bool { return t.Name == name })
		err := r.rails.tool(all()[i])
		if err == nil {
			err = read()
		}
		if err != nil {
			out.Notes = append(out.Notes, err.Error())
			var e *client.Error
			out.KeyRefused = out.KeyRefused || errors.As(err, &e) && e.Status == http.StatusUnauthorized
		}
	}
	part("list_instances", func() error {
		o, err := listInstances(ctx, r, noInput{})
		out.Instances = append(out.Instances, o.Instances...)
		out.InstancesLeftOut, out.MoreInstances = o.leftOut, o.More
		return err
	})
	part("list_runs", func() error {
		o, err := listRuns(ctx, r, noInput{})
		out.RunsLeftOut = o.leftOut
		for _, one := range o.Runs {
			sealed := cmp.Or(one.handle, one.Run)
			if state, err := r.Runs.Inspect(sealed); err == nil {
				out.Runs = append(out.Runs, workRun{state.ID, one})
			}
		}
		return err
	})
	if in.Instance != "" {
		part("list_chat_sessions", func() error {
			o, err := listChatSessions(ctx, r, sessionsIn{Instance: in.Instance, Limit: 50})
			out.Sessions, out.MoreSessions = append(out.Sessions, o.Sessions...), o.More
			return err
		})
	}
	for _, t := range all() {
		if do, ok := byHandOf[t.Name]; ok && r.Confirm.policy != ConfirmDeny && r.rails.tool(t) == nil {
			out.May = append(out.May, do)
		}
	}
	return out, nil
}

// byHandOf names the tools that a page calls for these, without their ending _by_hand.
var byHandOf = map[string]string{"reboot_instance": "reboot", "shutdown_instance": "shutdown"}

type byHandIn struct {
	Instance string `json:"instance"`
	Confirm  string `json:"confirm,omitempty"`
}

// byHandOut is what was done to an instance, or what would be.
type byHandOut struct {
	Instance string `json:"instance"`
	Asks     string `json:"asks,omitempty"`    // what it would do; nothing was done yet
	Confirm  string `json:"confirm,omitempty"` // goes back with the person's yes
	Status   string `json:"status,omitempty"`
}

func (o byHandOut) text() string {
	if o.Asks != "" {
		return o.Asks + " Nothing was done yet."
	}
	return "instance " + o.Instance + ": " + o.Status
}

// byHand interrupts an instance for the person at a page, once they have said yes.
func byHand(what func(*request) lifecycle) func(context.Context, *request, byHandIn) (byHandOut, error) {
	return func(ctx context.Context, r *request, in byHandIn) (byHandOut, error) {
		id, err := r.instance(ctx, in.Instance)
		if err != nil {
			return byHandOut{}, err
		}
		do := what(r)
		asks := fmt.Sprintf(do.warning, "instance "+id)
		fresh, err := r.askPerson(ctx, asks, in.Confirm)
		switch {
		case err != nil:
			return byHandOut{}, err
		case fresh != "":
			return byHandOut{Instance: id, Asks: asks, Confirm: fresh}, nil
		}
		done, err := r.interrupt(ctx, id, do)
		return byHandOut{Instance: id, Status: done.Status}, err
	}
}

// maxFollowedRuns bounds how many runs a page reads in one call.
const maxFollowedRuns = 100

type followRunIn struct {
	Runs        []string `json:"runs"`
	WaitSeconds int      `json:"wait_seconds,omitempty"`
}

// followedRuns are runs as a page follows them.
type followedRuns struct{ runsOut }

// failed is false: of a run that failed, a page is told in its place.
func (followedRuns) failed() bool { return false }

// followRun reads all the runs that a page follows in one call: browsers allow few
// connections. What one run can't be read for, it says of itself.
func followRun(ctx context.Context, r *request, in followRunIn) (followedRuns, error) {
	out := followedRuns{runsOut{Runs: make([]runOut, len(in.Runs))}}
	var all []*reading
	var places []int
	unknown := func(i int, err error) {
		out.Runs[i] = runOut{Status: "unknown", Run: in.Runs[i], Error: err.Error()}
	}
	for i, handle := range in.Runs {
		run, err := r.open(ctx, handle)
		if err != nil {
			unknown(i, err)
			continue
		}
		all, places = append(all, &reading{run: run}), append(places, i)
	}
	if len(all) == 0 {
		return out, nil
	}
	wait, _ := r.waitTime(&in.WaitSeconds)
	got, err := r.waitAll(ctx, standing{news: true, several: true, until: time.Now().Add(wait)}, "", all)
	if err != nil { // of the only one
		unknown(places[0], err)
	}
	for i, run := range got.Runs {
		out.Runs[places[i]] = run
	}
	return out, nil
}

type answerRunIn struct {
	Run     string `json:"run"`
	Message string `json:"message"`
}

// answerRun sends the agent a person's answer to what it asked at the end of a reply.
func answerRun(ctx context.Context, r *request, in answerRunIn) (*runOut, error) {
	asked, err := r.open(ctx, in.Run)
	if err != nil {
		return nil, err
	}
	state, err := r.Runs.Inspect(asked.Handle())
	switch {
	case err != nil:
		return nil, err
	case state.Kind != runs.KindChat:
		return nil, badArgument("this run is of the kind %s: only what the agent asked can be answered", state.Kind)
	}
	run, err := r.Chat.Answer(ctx, state, in.Message)
	if err != nil {
		return nil, err
	}
	at := 0
	return r.waitFor(ctx, run, "", &at, false)
}
