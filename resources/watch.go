package resources

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// baselineLimit bounds how long a subscribing client waits to be told.
	baselineLimit = 5 * time.Second
	// lookLimit bounds one look at what is watched.
	lookLimit = 20 * time.Second
	// maxFollowers bounds what is followed for one caller: each costs requests to the
	// service all the time.
	maxFollowers = 1000
)

// watcher follows one thing upstream.
type watcher interface {
	// baseline notes how things stand now. Its error, if it is definitive,
	// ends the subscription; any other is made up for by watch.
	baseline(ctx context.Context) error
	// watch calls changed after each change since the baseline, until ctx ends.
	watch(ctx context.Context, changed func())
}

// follower runs a watcher for all who subscribed to the same thing.
type follower struct {
	cancel context.CancelFunc
	ready  chan struct{} // closed when the baseline is there
	err    error         // why there is none, set before
	subs   map[*subscription]struct{}
}

type subscription struct{ updated func() }

// Subscribe calls updated after each change of a resource, until stop is
// called. What happens after Subscribe returned is not missed, even while the
// service can't be reached: then there may be one call too many instead. One
// follower serves all subscriptions of a caller to the same thing.
func (s *Server) Subscribe(ctx context.Context, uri string, updated func()) (stop func(), err error) {
	r, err := parse(uri)
	if err != nil {
		return nil, err
	}
	if err := s.check(ctx, r); err != nil {
		return nil, err
	}
	c, err := s.caller(ctx)
	if err != nil {
		return nil, err
	}
	sub := &subscription{updated}
	f, err := c.join(r, sub)
	if err != nil {
		return nil, err
	}
	stop = sync.OnceFunc(func() { c.leave(r.subject(), f, sub) })
	select {
	case <-f.ready:
		if f.err != nil {
			stop()
			return nil, asCallers(uri, f.err)
		}
		return stop, nil
	case <-ctx.Done():
		stop()
		return nil, ctx.Err()
	}
}

// join subscribes to a follower, a new one if there is none.
func (c *caller) join(r ref, sub *subscription) (*follower, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.followers[r.subject()]
	if f == nil {
		if len(c.followers) >= maxFollowers {
			return nil, &Error{TooMany, r.uri, fmt.Sprintf("%d resources are watched for this caller, which is the limit: unsubscribe from some; those that are watched already can be subscribed to again", maxFollowers)}
		}
		f = &follower{ready: make(chan struct{}), subs: make(map[*subscription]struct{})}
		var ctx context.Context
		ctx, f.cancel = context.WithCancel(c.base)
		w := c.watcher(r)
		if !c.spawn(func() { c.follow(ctx, r, f, w) }) {
			f.cancel()
			return nil, errClosed
		}
		c.followers[r.subject()] = f
	}
	f.subs[sub] = struct{}{}
	return f, nil
}

// leave ends a subscription, and with the last one the following.
func (c *caller) leave(subject string, f *follower, sub *subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(f.subs, sub)
	if len(f.subs) > 0 {
		return
	}
	f.cancel()
	if c.followers[subject] == f {
		delete(c.followers, subject)
	}
}

// follow runs a follower.
func (c *caller) follow(ctx context.Context, r ref, f *follower, w watcher) {
	limited, cancel := context.WithTimeout(ctx, baselineLimit)
	err := w.baseline(limited)
	cancel()
	if definitive(err) {
		c.mu.Lock()
		f.err = err
		delete(c.followers, r.subject()) // whoever comes next tries anew
		c.mu.Unlock()
		close(f.ready)
		f.cancel()
		return
	}
	close(f.ready)
	w.watch(ctx, func() {
		c.mu.Lock()
		subs := make([]*subscription, 0, len(f.subs))
		for sub := range f.subs {
			subs = append(subs, sub)
		}
		c.mu.Unlock()
		for _, sub := range subs {
			sub.updated()
		}
	})
}

// watcher gives what follows a resource.
func (c *caller) watcher(r ref) watcher {
	if r.kind == kindMessages {
		return newChatWatch(c, r.instance, r.session)
	}
	return &pollWatch{look: c.look(r), min: c.Poll, max: c.MaxPoll}
}

// pollWatch looks at something again and again, less and less often while
// nothing happens.
type pollWatch struct {
	// look gives a text that differs when what it looks at differs.
	look     func(context.Context) (string, error)
	min, max time.Duration

	last  string
	known bool
}

func (p *pollWatch) baseline(ctx context.Context) error {
	last, err := p.look(ctx)
	if err != nil {
		return err
	}
	p.last, p.known = last, true
	return nil
}

func (p *pollWatch) watch(ctx context.Context, changed func()) {
	every := p.min
	for pause(ctx, every) {
		limited, cancel := context.WithTimeout(ctx, lookLimit)
		now, err := p.look(limited)
		cancel()
		if definitive(err) {
			now, err = "gone: "+err.Error(), nil // that is news, too
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			every = min(every*2, p.max)
		case p.known && now == p.last:
			every = min(every*3/2, p.max)
		default:
			p.last, p.known, every = now, true, p.min
			changed()
		}
	}
}

// pause waits, and reports false when ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
