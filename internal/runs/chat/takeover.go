package chat

import (
	"context"
	"errors"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// settle tells the other processes how a reply ended that this one sent.
func (r *reply) settle(ctx context.Context, place string) {
	if !r.over() {
		return // the process is ending: whoever takes the reply up finds all as it is
	}
	r.exit(ctx, place, r.entry.list, func(ctx context.Context) {
		switch c := r.claim(); {
		case c == nil:
		case r.neverSent():
			r.s.m.LetGo(ctx, c)
		default:
			r.s.m.NoteEnd(ctx, c, r.Live)
		}
	})
}

// repeated is what a process needs to send the message of another one that is gone.
type repeated struct {
	claim   *runs.Claim
	message string
}

// claim is the reply's hold on its idempotency key; nil: it has none.
func (r *reply) claim() (c *runs.Claim) {
	r.Locked(func() { c = r.repeated.claim })
	return c
}

// join gives the reply that an idempotency key stands for, which may be another
// process's.
func (s *Service) join(c *runs.Claim, message string) (*reply, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.takeUp(c.State, hashText(c.State.Session+"\x00"+message))
	if err != nil {
		return nil, err
	}
	r.Locked(func() {
		if r.Resumed() && r.repeated.claim == nil {
			r.repeated = repeated{c, message}
		}
	})
	return r, nil
}

// takeOver does what is left to be done of a message whose process is gone: where it
// surely was not sent, it is sent, or given up by a process that does not have its words.
// It reports whether the reply has ended.
func (r *reply) takeOver(ctx context.Context) (done bool) {
	if r.claim() == nil {
		return r.takeOverListed(ctx)
	}
	for c := r.claim(); c != nil && ctx.Err() == nil; {
		r.s.m.Own(r.Live) // before others could find nobody who has it
		err := c.TakeOver(ctx)
		if err == nil && c.Ours {
			r.Locked(func() { r.message = r.repeated.message })
			r.sendInstead(ctx)
			return true
		}
		r.s.m.Disown(r.Live)
		switch {
		case errors.Is(err, fleet.ErrChanged): // another process was faster
			if r.FollowOwner(ctx) {
				return true
			}
			continue
		case err == nil:
			if c.End(r.Live) {
				return true
			}
			r.ChangeState(func(s *runs.State) { *s = c.State })
		}
		return false
	}
	return ctx.Err() != nil
}

// sendInstead sends the message of a process that is gone.
func (r *reply) sendInstead(ctx context.Context) {
	r.Note("the process that was to send this message is gone, and had not sent it: it was sent by this one")
	place := placeOf(r.State())
	r.start(ctx, r.s.ahead(r, place))
	r.settle(ctx, place)
}

var (
	errGivenUp = errors.New("the process that was to send the message is gone, and had not sent it")
	errSent    = errors.New("it may have been sent")
)

// takeOverListed is takeOver by what the list of the place says.
func (r *reply) takeOverListed(ctx context.Context) (done bool) {
	var e entry
	var words string
	r.Locked(func() {
		if e, words = r.entry, r.message; words == "" {
			words = r.repeated.message
		}
	})
	switch {
	case !e.noted:
		return false // nobody knows
	case e.key != "":
		return r.giveUpClaim(ctx, e)
	case words != "":
		r.s.m.Own(r.Live) // before others could find nobody who has it
	}
	mine := runs.NewID()
	_, found, err := r.s.edit(ctx, e.place, r.State().ID, fleet.Fact{}, func(one *listed) (bool, error) {
		if one.By != e.by {
			return true, fleet.ErrChanged
		}
		if one.Sent {
			if state, err := r.s.m.Unpack(one.State); err == nil {
				r.ChangeState(func(s *runs.State) { *s = state })
			}
			return true, errSent
		}
		one.By = mine
		return words != "", nil
	})
	switch {
	case found && err == nil && words != "":
		r.Locked(func() { r.message, r.entry.by = words, mine })
		r.sendInstead(ctx)
		return true
	case found && err == nil:
		r.End(runs.StatusFailed, notSent(errGivenUp, "giving up its place in the session"))
		return true
	}
	r.s.m.Disown(r.Live)
	return errors.Is(err, fleet.ErrChanged) && r.FollowOwner(ctx)
}

// giveUpClaim gives up a keyed message of a process that is gone, where it surely was not
// sent: whoever repeats the call sends it.
func (r *reply) giveUpClaim(ctx context.Context, e entry) (done bool) {
	c, ok, err := r.s.m.FindClaim(ctx, e.key)
	switch {
	case err != nil:
		return false
	case !ok || c.State.ID != r.State().ID: // let go, since nothing came of it
		_ = r.s.exit(ctx, e.place, r.State().ID, fleet.Fact{})
		r.End(runs.StatusFailed, notSent(errGivenUp, "giving up its place in the session"))
		return true
	case c.End(r.Live):
		return true
	case c.Sent:
		r.ChangeState(func(s *runs.State) { *s = c.State })
		return false
	}
	if err := c.GiveUp(ctx); err != nil {
		return errors.Is(err, fleet.ErrChanged) && r.FollowOwner(ctx)
	}
	_ = r.s.exit(ctx, e.place, r.State().ID, fleet.Fact{})
	r.End(runs.StatusFailed, notSent(errGivenUp, "giving up its place in the session"))
	return true
}

// ahead gives the replies under way in a place that come before one that is taken over:
// those that began before it, or in the same second and stand before it. One that began
// later may be waiting for it.
func (s *Service) ahead(r *reply, place string) (before []*reply) {
	behind, began := false, r.State().Started
	for _, other := range s.under(place) {
		at := other.State().Started
		if behind = behind || other == r; other != r && (at.Before(began) || at.Equal(began) && !behind) {
			before = append(before, other)
		}
	}
	return before
}

// mayBeSent notes that the message is about to go out. Where another process has taken
// it over meanwhile, it follows that one, and reports false, as it does where a message
// with a key could be sent twice.
func (r *reply) mayBeSent(ctx context.Context) bool {
	const telling = "telling your other processes that the message goes out"
	c := r.claim()
	var err error
	switch {
	case c != nil:
		err = c.Sending(ctx, r.State())
	case r.entry.noted:
		var found bool
		var list fleet.Fact
		list, found, err = r.s.edit(ctx, r.entry.place, r.State().ID, r.entry.list, func(one *listed) (bool, error) {
			if one.By != r.entry.by {
				return true, fleet.ErrChanged
			}
			one.State, one.Sent = r.s.m.Pack(r.State()), true
			return true, nil
		})
		r.Locked(func() { r.entry.list = list })
		switch {
		case err == nil && !found: // taken over and ended, or given up
			err = fleet.ErrChanged
		case errors.Is(err, fleet.ErrAway): // each process for itself, then
			err = nil
		}
	}
	switch {
	case err == nil:
		return true
	case ctx.Err() != nil:
	case errors.Is(err, fleet.ErrChanged):
		r.s.m.Disown(r.Live)
		r.Note("another process has taken this message over")
		if !r.FollowOwner(ctx) && ctx.Err() == nil {
			r.Resume(ctx)
		}
	default:
		r.End(runs.StatusFailed, notSent(err, telling))
	}
	return false
}
