package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
)

// The processes of a principal that have runs are a list which all of them share. Each
// answers for its own runs under its own name.

const (
	// presentFact is the list of those processes' names.
	presentFact = "processes"
	// maxPresent bounds that list; whoever is gone is taken out when it is asked.
	maxPresent = 256
	// presentFor is how long a process counts on being in the list. Facts last a day.
	presentFor = fleet.Day / 2
	// aloneFor is how long a process that found no other one that has runs does not
	// look again: many calls in a moment share a look.
	aloneFor = 10 * time.Millisecond
	// listTime is how long other processes are waited for.
	listTime = 3 * time.Second
)

// presence is this process in the list of those that have runs.
type presence struct {
	mu    sync.Mutex
	name  string    // "" before the first run
	noted time.Time // when it was last written
	busy  bool
	alone time.Time // when no other process was in it
}

// listed is a run as its process lists it for another one.
type listed struct {
	Handle       string       `json:"h"`
	Kind         Kind         `json:"k"`
	Status       Status       `json:"s"`
	Instance     string       `json:"i,omitempty"`
	Session      string       `json:"c,omitempty"`
	About        string       `json:"a,omitempty"`
	Started      time.Time    `json:"b"`
	LastActivity time.Time    `json:"l"`
	Err          *reportError `json:"x,omitempty"`
	Result       any          `json:"r,omitempty"` // see Listed
}

// appear has this process be asked for its runs; m.mu is held.
func (m *Manager) appear() {
	p := &m.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy || time.Since(p.noted) < presentFor {
		return
	}
	p.busy = true
	m.wg.Go(func() {
		err := m.present(p)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.busy = false; err == nil {
			p.noted = time.Now()
		} else if m.base.Err() == nil {
			m.Config.Log.Debug("other processes can't list the runs of this one", "error", err)
		}
	})
}

func (m *Manager) present(p *presence) error {
	f := m.Config.Fleet
	if p.name == "" {
		name := NewID()
		if _, err := f.Serve(processName(name), m.answerList); err != nil {
			return err
		}
		p.mu.Lock()
		p.name = name
		p.mu.Unlock()
	}
	ctx, done := context.WithTimeout(m.base, listTime)
	defer done()
	return m.changePresent(ctx, func(names []string) []string {
		names = append(slices.DeleteFunc(names, func(n string) bool { return n == p.name }), p.name)
		return names[max(0, len(names)-maxPresent):]
	})
}

func processName(name string) string { return "process/" + name + "/runs" }

// changePresent changes the list of processes.
func (m *Manager) changePresent(ctx context.Context, change func([]string) []string) error {
	f := m.Config.Fleet
	for {
		fact, ok, err := f.Find(ctx, presentFact)
		if err != nil {
			return err
		}
		var names []string
		if ok {
			if err := json.Unmarshal(fact.Value, &names); err != nil {
				return err
			}
		}
		value, err := json.Marshal(change(names))
		if err != nil {
			return err
		}
		ours := true
		if ok {
			_, err = f.Change(ctx, fact, value)
		} else {
			_, ours, err = f.Create(ctx, presentFact, value)
		}
		switch {
		case err == nil && ours:
			return nil
		case err != nil && !errors.Is(err, fleet.ErrChanged):
			return err
		case !Pause(ctx, joinPause):
			return ctx.Err()
		}
	}
}

// answerList lists the runs of this process for another one.
func (m *Manager) answerList(_ context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
	for _, u := range m.List() {
		l := listed{u.Handle, u.Kind, u.Status, u.Instance, u.Session, u.About, u.Started, u.LastActivity, tellError(u.Err), nil}
		if result, ok := u.Result.(Listed); ok {
			l.Result = result.InList()
		}
		b, err := json.Marshal(l)
		if err != nil {
			return nil, err
		}
		if err := part(b); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// ListEverywhere gives the runs that any process of the principal knows of, newest
// first. The error says which of them are missing.
func (m *Manager) ListEverywhere(ctx context.Context) ([]Update, error) {
	out := m.List()
	names, err := m.othersPresent(ctx)
	if err != nil {
		return out, fmt.Errorf("the runs of your other processes are not among these: %w", err)
	}
	if len(names) == 0 {
		return out, nil
	}
	return m.withTheirs(ctx, out, names)
}

// othersPresent names the other processes that have runs.
func (m *Manager) othersPresent(ctx context.Context) (names []string, err error) {
	p := &m.presence
	now := time.Now()
	p.mu.Lock()
	own, alone := p.name, now.Sub(p.alone) < aloneFor
	p.mu.Unlock()
	if alone {
		return nil, nil
	}
	fact, ok, err := m.Config.Fleet.Find(ctx, presentFact)
	if err != nil {
		return nil, err
	}
	if ok {
		if err := json.Unmarshal(fact.Value, &names); err != nil {
			return nil, err
		}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == own })
	if len(names) == 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.alone = now
	}
	return names, nil
}

// withTheirs adds the runs of the named processes to those of this one.
func (m *Manager) withTheirs(ctx context.Context, out []Update, names []string) ([]Update, error) {
	ctx, done := context.WithTimeout(ctx, listTime)
	defer done()
	theirs := make([][]Update, len(names))
	errs := make([]error, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() { theirs[i], errs[i] = m.askList(ctx, name) })
	}
	wg.Wait()
	have := make(map[string]int) // where a run is in the list
	for i, u := range out {
		have[m.idOf(u)] = i
	}
	var gone []string
	missing := 0
	for i, list := range theirs {
		for _, u := range list {
			id := m.idOf(u)
			switch at, ok := have[id]; {
			case id == "":
			case !ok:
				have[id] = len(out)
				out = append(out, u)
			case out[at].About == "" && u.About != "": // it knows the run from its start
				out[at] = u
			}
		}
		switch {
		case errors.Is(errs[i], fleet.ErrGone):
			gone = append(gone, names[i])
		case errs[i] != nil:
			missing++
		}
	}
	if len(gone) > 0 {
		_ = m.changePresent(ctx, func(names []string) []string {
			return slices.DeleteFunc(names, func(n string) bool { return slices.Contains(gone, n) })
		})
	}
	newestStarts(out)
	if missing > 0 {
		return out, fmt.Errorf("some or all runs of %d of your other processes are missing here, since those did not answer", missing)
	}
	return out, nil
}

func (m *Manager) idOf(u Update) string {
	state, err := m.Inspect(u.Handle)
	if err != nil {
		return ""
	}
	return state.ID
}

func (m *Manager) askList(ctx context.Context, name string) (all []Update, err error) {
	for part, err := range m.Config.Fleet.Ask(ctx, processName(name), nil) {
		if err != nil {
			return all, err
		}
		var l struct {
			listed
			Result json.RawMessage `json:"r"` // hides that of listed, whose type is not known yet
		}
		if err := json.Unmarshal(part, &l); err != nil {
			return all, err
		}
		u := Update{
			Handle: l.Handle, Kind: l.Kind, Status: l.Status, Instance: l.Instance, Session: l.Session,
			About: l.About, Started: l.Started, LastActivity: l.LastActivity, Err: l.Err.error(),
		}
		if made := m.results[l.Kind]; made != nil && len(l.Result) > 0 {
			result := made()
			if err := json.Unmarshal(l.Result, result); err != nil {
				return all, err
			}
			u.Result = result
		}
		all = append(all, u)
	}
	return all, nil
}
