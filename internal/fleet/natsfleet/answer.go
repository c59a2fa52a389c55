package natsfleet

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"openclaw-mcp/internal/fleet"
)

// begin answers a question of another replica.
func (f *Fleet) begin(m *nats.Msg) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	name, ok := f.served[m.Sub]
	if !ok {
		_ = f.say(m.Reply, "", stateGone, 1, nil)
		return
	}
	f.wg.Go(func() { f.answer(name, m) })
}

// answer is one answer, while it is worked on.
type answer struct {
	f      *Fleet
	to     string // the asker
	here   string // where the asker reaches us
	number int
	lock   chan struct{} // holds one value while somebody speaks
	credit chan struct{} // a value for each part that may go out
}

func (a *answer) say(ctx context.Context, state string, body []byte) error {
	select {
	case a.lock <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.lock }()
	number := 0
	if state != stateAlive {
		a.number++
		number = a.number
	}
	return a.f.say(a.to, a.here, state, number, body)
}

var errStalled = errors.New("the process that asked does not read the answer")

// mayGo waits until one more part may be on its way to the asker.
func (a *answer) mayGo(ctx context.Context) error {
	select {
	case <-a.credit:
		return nil
	default:
	}
	stalled := time.NewTimer(a.f.stalled)
	defer stalled.Stop()
	select {
	case <-a.credit:
		return nil
	case <-stalled.C:
		return errStalled
	case <-ctx.Done():
		return ctx.Err()
	}
}

// part sends a part of the answer, in as many messages as it takes. final is what the
// last of these says.
func (a *answer) part(ctx context.Context, body []byte, final string) error {
	for first := true; first || len(body) > 0; first = false {
		if err := a.mayGo(ctx); err != nil {
			return err
		}
		n, state := min(chunk, len(body)), stateAnd
		if n == len(body) {
			state = final
		}
		if err := a.say(ctx, state, body[:n]); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

func (f *Fleet) answer(name string, m *nats.Msg) {
	ctx, leave := context.WithCancel(f.base)
	defer leave()
	a := &answer{f: f, to: m.Reply, lock: make(chan struct{}, 1), credit: make(chan struct{}, credit)}
	for range credit {
		a.credit <- struct{}{}
	}
	long := make(chan []byte, 1)
	var question bytes.Buffer
	here, end := f.newRoute(func(m *nats.Msg) { // one at a time: they come by one subscription
		if unheard(m) { // the asker's process is gone
			leave()
		}
		switch m.Header.Get(headState) {
		case stateStop:
			leave()
		case stateRead:
			for range credit / 2 {
				select {
				case a.credit <- struct{}{}:
				default:
				}
			}
		case stateAnd:
			question.Write(m.Data)
		case stateMore:
			question.Write(m.Data)
			select {
			case long <- question.Bytes():
			default:
			}
		}
	})
	defer end()
	a.here = here
	// It also shows whether the asker is still there.
	var living *time.Timer
	a.lock <- struct{}{} // until living is known
	living = time.AfterFunc(alive, func() {
		_ = a.say(ctx, stateAlive, nil)
		if ctx.Err() == nil {
			living.Reset(alive)
		}
	})
	<-a.lock
	defer living.Stop()
	body := m.Data
	if m.Header.Get(headState) == stateLong {
		if a.say(ctx, stateSend, nil) != nil {
			return
		}
		select {
		case body = <-long:
		case <-ctx.Done():
			return
		case <-time.After(silence):
			return
		}
	}
	last, err := f.local.Answer(ctx, name, body, func(ctx context.Context, piece []byte) error {
		return a.part(ctx, piece, stateMore)
	})
	said, isSaid := errors.AsType[fleet.AnswerError](err)
	switch {
	case ctx.Err() != nil: // nobody waits any more
	case err == nil && last != nil:
		_ = a.part(ctx, last, stateLast)
	case err == nil:
		_ = a.say(ctx, stateEnd, nil)
	case isSaid:
		_ = a.say(ctx, stateError, []byte(said))
	case errors.Is(err, fleet.ErrGone):
		_ = a.say(ctx, stateGone, nil)
	default:
		_ = a.say(ctx, stateLost, nil)
	}
}
