package chat

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// What is under way in a session, all processes of a principal know: a fact lists the
// replies, in the order in which they were asked for. Whether a reply is still under way,
// the process that has it says, or the session's history. Where that process is gone, the
// list, or the claim of an idempotency key, says whether the message had been sent.

const (
	// tries is how often a list is written that others write, too.
	tries = 100
	// noteTime is how long a note to the other processes may take at a run's end.
	noteTime = 5 * time.Second
	// awayTime is for how long a note is tried again that the other processes can't be
	// given, and awayPause how long between two tries.
	awayTime  = time.Minute
	awayPause = time.Second
	// lookTime is how long it may take to find out whether a reply of a process that is
	// gone is under way.
	lookTime = 3 * time.Second
)

// listed is a reply in the list of a place.
type listed struct {
	State []byte `json:"s"`
	What  uint64 `json:"w"`           // hash of its message and session
	By    string `json:"b"`           // of whoever is to send it: changed by a take-over
	Sent  bool   `json:"e,omitempty"` // it may have been sent
	Key   string `json:"k,omitempty"` // what its claim is called: then that says whether it was sent
}

// entry is what a reply knows of its place in a list.
type entry struct {
	place string
	by    string
	key   string
	noted bool       // it stands in the list
	list  fleet.Fact // the list as this process wrote it last; its zero value: it did not
}

func placeName(place string) string { return "place/" + place }

// enter adds a reply to the list of its place. Before that, decide is called with the
// replies that are under way there, of any process, and may end it with an error. Where
// the other processes can't be asked, those of this one have to do.
func (s *Service) enter(ctx context.Context, r *reply, state runs.State, decide func(before []*reply) error) error {
	place := r.entry.place
	own := listed{State: s.m.Pack(state), What: r.what, By: r.entry.by, Key: r.entry.key}
	others := true // they may know more
	var fact fleet.Fact
	for range tries {
		all := []listed{own}
		if others {
			value, _ := json.Marshal(all)
			var ours bool
			var err error
			if fact, ours, err = s.m.Config.Fleet.Create(ctx, placeName(place), value); err != nil {
				s.m.Config.Log.Debug("other processes can't be asked what is under way", "error", err)
				others = false
			} else if !ours {
				if all, err = s.takeUpListed(fact, r, own); err != nil {
					return err
				}
			}
			others = others && !ours
			if r.entry.noted = ours && err == nil; r.entry.noted {
				r.entry.list = fact
			}
		}
		before := s.under(place)
		if err := decide(before); err != nil {
			_ = s.exit(ctx, place, state.ID, r.entry.list) // where it had been the first
			return err
		}
		if !others {
			return nil
		}
		value, _ := json.Marshal(all)
		list, err := s.m.Config.Fleet.Change(ctx, fact, value)
		if r.entry.noted = err == nil; r.entry.noted {
			r.entry.list = list
		}
		if !errors.Is(err, fleet.ErrChanged) {
			return nil // where it could not be noted, the others know less
		}
	}
	return nil
}

// edit changes a reply's entry in the list of a place, if it is there; an entry that
// change does not keep is taken off. Where somebody else changes the list meanwhile,
// change is called again. seen is the list as it was seen last, which need not be read
// again if nobody has changed it since; its zero value: it has to be read. now is what it
// has become.
func (s *Service) edit(ctx context.Context, place, id string, seen fleet.Fact, change func(e *listed) (keep bool, err error)) (now fleet.Fact, found bool, err error) {
	for range tries {
		fact, old := seen, seen.Name != ""
		seen = fleet.Fact{}
		if !old {
			var ok bool
			if fact, ok, err = s.m.Config.Fleet.Find(ctx, placeName(place)); err != nil || !ok {
				return fleet.Fact{}, false, err
			}
		}
		var left []listed
		if left, found, err = s.changed(fact, id, change); !found || err != nil {
			if old {
				continue
			}
			return fleet.Fact{}, found, err
		}
		if left == nil {
			now, err = fleet.Fact{}, s.m.Config.Fleet.Forget(ctx, fact)
		} else {
			value, _ := json.Marshal(left)
			now, err = s.m.Config.Fleet.Change(ctx, fact, value)
		}
		if !errors.Is(err, fleet.ErrChanged) {
			return now, true, err
		}
	}
	return fleet.Fact{}, found, fleet.ErrChanged
}

// changed gives what is left of a list once change has been called with an entry.
func (s *Service) changed(list fleet.Fact, id string, change func(e *listed) (keep bool, err error)) (left []listed, found bool, err error) {
	var all []listed
	if err := json.Unmarshal(list.Value, &all); err != nil {
		return nil, false, err
	}
	for _, one := range all {
		if state, err := s.m.Unpack(one.State); err == nil && state.ID == id {
			found = true
			keep, err := change(&one)
			if err != nil {
				return nil, true, err
			}
			if !keep {
				continue
			}
		}
		left = append(left, one)
	}
	return left, found, nil
}

// exit takes a reply that has ended off the list, which was seen last as seen.
func (s *Service) exit(ctx context.Context, place, id string, seen fleet.Fact) error {
	_, _, err := s.edit(ctx, place, id, seen, func(*listed) (bool, error) { return false, nil })
	if err != nil {
		s.m.Config.Log.Debug("the end of a reply could not be noted", "error", err)
	}
	return err
}

// exitLater is exit again and again, as long as the other processes can't be told.
func (s *Service) exitLater(ctx context.Context, err error, place, id string) {
	for began := time.Now(); errors.Is(err, fleet.ErrAway) && time.Since(began) < awayTime && runs.Pause(ctx, awayPause); {
		brief, cancel := context.WithTimeout(ctx, noteTime)
		err = s.exit(brief, place, id, fleet.Fact{})
		cancel()
	}
}

// under gives the replies under way in a place that this process knows of.
func (s *Service) under(place string) []*reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight(place)
}

// takeUpListed follows the replies of a list, and gives those that may be under way,
// with own behind them. Where one can't be followed, since too many are, nobody knows
// what own would come behind.
func (s *Service) takeUpListed(fact fleet.Fact, mine *reply, own listed) ([]listed, error) {
	var all, left []listed
	if err := json.Unmarshal(fact.Value, &all); err != nil {
		s.m.Config.Log.Warn("what is under way in a session can't be read", "error", err)
		return []listed{own}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range all {
		state, err := s.m.Unpack(one.State)
		if err != nil {
			continue // of a newer version
		}
		r, err := s.takeUp(state, one.What)
		if errors.Is(err, runs.ErrLimit) {
			return nil, err
		}
		if err != nil || r.over() {
			continue
		}
		left = append(left, one)
		r.Locked(func() {
			if r.Resumed() && r.entry.place == "" {
				r.entry = entry{place: mine.entry.place, by: one.By, key: one.Key, noted: true}
			}
			if r.Resumed() && one.What == own.What && r.repeated.message == "" {
				r.repeated.message = mine.message // should its process be gone, this one has the words
			}
		})
	}
	return append(left, own), nil
}

// underWay reports whether a reply is under way. Of one that another process began,
// that one is asked, or the history.
func (s *Service) underWay(ctx context.Context, r *reply) bool {
	look, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	for r.Resumed() && !r.Owned() && !r.over() && runs.Pause(look, s.timing.pollMin/10) {
	}
	return !r.over()
}
