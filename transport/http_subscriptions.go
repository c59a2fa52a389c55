package transport

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
)

// A legacy client may subscribe at one process and have its stream at another. So what
// a session subscribes to is a fact that its processes share, and the one that has the
// stream watches it.

// subscriptionsFact names what a session subscribes to: a list of URIs.
func subscriptionsFact(session string) string { return "subscriptions/" + session }

// maxTries bounds how often a fact is written again that others write at the same time.
const maxTries = 20

// noteSubscription adds a URI to what the session's processes share of it, or takes it
// away, and tells them.
func (s *session) noteSubscription(ctx context.Context, uri string, on bool) error {
	if s.shared == nil {
		return nil
	}
	f := s.shared()
	if f == nil {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, peerPatience)
	defer done()
	for range maxTries {
		err := changeURIs(ctx, f, subscriptionsFact(s.id), uri, on)
		switch {
		case err == nil:
			return tell(f, news{Subscribed: s.id})
		case !errors.Is(err, fleet.ErrChanged):
			return err
		}
	}
	return fleet.ErrChanged
}

// noteSubscription does so for a subscription that holds in this process in any case,
// and reports whether the others know.
func (d *dispatcher) noteSubscription(ctx context.Context, s *session, uri string, on bool) bool {
	err := s.noteSubscription(ctx, uri, on)
	if err != nil {
		d.Log.Warn("a subscription holds at this server only: the others could not be told", "error", err)
	}
	return err == nil
}

func changeURIs(ctx context.Context, f fleet.Fleet, name, uri string, on bool) error {
	fact, uris, err := readURIs(ctx, f, name)
	if err != nil || slices.Contains(uris, uri) == on {
		return err
	}
	if on {
		uris = append(uris, uri)
	} else {
		uris = slices.DeleteFunc(uris, func(u string) bool { return u == uri })
	}
	value, err := json.Marshal(uris)
	if err != nil {
		return err
	}
	if fact.Name != "" {
		_, err = f.Change(ctx, fact, value)
		return err
	}
	_, ours, err := f.Create(ctx, name, value)
	if err == nil && !ours {
		return fleet.ErrChanged
	}
	return err
}

// readURIs gives a fact of URIs; it has no name where there is none.
func readURIs(ctx context.Context, f fleet.Fleet, name string) (fact fleet.Fact, uris []string, err error) {
	fact, ok, err := f.Find(ctx, name)
	if err != nil || !ok {
		return fleet.Fact{}, nil, err
	}
	return fact, uris, json.Unmarshal(fact.Value, &uris)
}

// shareSubscriptions has this process watch what a session subscribed to anywhere, for
// as long as it has the session. It reports false where that is not known.
func (h *HTTP) shareSubscriptions(ctx context.Context, s *session) bool {
	if h.peers.get(s.principal) == nil {
		return false
	}
	s.mu.Lock()
	s.watching = withServed(context.WithoutCancel(ctx), s.principal, nil)
	s.mu.Unlock()
	return h.watchShared(s)
}

// watchShared watches what a session subscribes to now, where this process has had its
// stream.
func (h *HTTP) watchShared(s *session) bool {
	s.sharing.Lock()
	defer s.sharing.Unlock()
	s.mu.Lock()
	ctx := s.watching
	s.mu.Unlock()
	f := h.peers.get(s.principal)
	if ctx == nil || f == nil {
		return false
	}
	ctx, done := context.WithTimeout(ctx, peerPatience)
	defer done()
	_, uris, err := readURIs(ctx, f, subscriptionsFact(s.id))
	if err != nil {
		return false
	}
	subs := s.subscriptions(h.Subscriber, h.watched)
	for _, uri := range subs.sharedButNot(uris) {
		subs.unsubscribe(uri)
	}
	for _, uri := range uris {
		if subs.has(uri) {
			subs.share(uri)
			continue
		}
		if err := subs.subscribe(ctx, uri); err != nil {
			h.Log.Debug("what a session subscribed to at another server can't be watched here", "error", err)
			continue
		}
		subs.share(uri)
		subs.changed(uri) // nobody knows what happened before
	}
	s.streams.subscribed(subs, h.opts.ParkAfter)
	return true
}

// share notes that other processes know of a subscription.
func (s *subscriptions) share(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.watches[uri]; w != nil {
		w.shared = true
	}
}

func (s *subscriptions) has(uri string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.watches[uri] != nil
}

// sharedButNot gives the shared subscriptions that are not among these.
func (s *subscriptions) sharedButNot(uris []string) (gone []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for uri, w := range s.watches {
		if w.shared && !slices.Contains(uris, uri) {
			gone = append(gone, uri)
		}
	}
	return gone
}

// changed notes that there may be news of uri.
func (s *subscriptions) changed(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches[uri] != nil {
		s.add(uri)
	}
}

// announce sends the next update. What a broken stream does not take is kept
// for the next one.
func announce(stream *postStream, subs *subscriptions) bool {
	uri, event, ok := subs.take()
	if !ok {
		return true
	}
	msg, err := updatedMessage(uri, nil)
	if err == nil {
		err = stream.event(eventID(subs.stream, event, ""), msg)
	}
	if err != nil {
		subs.untake(uri)
	}
	return err == nil
}

// streams counts the GET streams of a session. While there is none, nobody can
// be told of updates, so after a while nobody looks for them either.
type streams struct {
	mu    sync.Mutex
	count int
	park  *time.Timer
	over  bool
}

// open counts one more, and reports whether it is the only one.
func (s *streams) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if s.park != nil {
		s.park.Stop()
		s.park = nil
	}
	return s.count == 1
}

func (s *streams) close(subs *subscriptions, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	s.wait(subs, after)
}

// wait parks subscriptions after a while, unless a stream is opened before. It
// is called with the lock held.
func (s *streams) wait(subs *subscriptions, after time.Duration) {
	if s.count > 0 || s.over || s.park != nil {
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(after, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.park == timer {
			s.park = nil
			subs.park()
		}
	})
	s.park = timer
}

// subscribed starts the wait of a client that subscribes with no stream open.
func (s *streams) subscribed(subs *subscriptions, after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait(subs, after)
}

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.park != nil {
		s.park.Stop()
		s.park = nil
	}
}

// park stops the watching of a client that can't be told anything, and has
// been out of reach for a while, without forgetting what it watches.
func (s *subscriptions) park() {
	s.mu.Lock()
	var stops []func()
	for _, w := range s.watches {
		if w.stop != nil {
			stops = append(stops, w.stop)
		}
		w.stop, w.parked = nil, true
	}
	s.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
}

// unpark takes the watching up again. What was parked counts as updated, since
// nobody looked meanwhile; so does what can't be watched any more, since reading
// it will tell the client why.
func (s *subscriptions) unpark(ctx context.Context) {
	s.mu.Lock()
	again := make(map[string]*watch)
	for uri, w := range s.watches {
		if w.parked {
			w.parked = false
			again[uri] = w
		}
	}
	s.mu.Unlock()
	for uri, w := range again {
		if err := s.start(ctx, uri, w); err != nil {
			s.mu.Lock()
			w.parked = true
			s.mu.Unlock()
		}
		s.updated(uri, w)
	}
}
