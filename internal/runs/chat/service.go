// Package chat is the runs of chat messages: it sends one, follows the reply
// live, and reads from the session's history whatever the stream left open.
package chat

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
)

// Service sends messages, and takes replies up from their handles.
type Service struct {
	m        *runs.Manager
	c        *client.Client
	timing   timing
	sessions sessions

	places turnstiles // of messages to one session

	mu   sync.Mutex          // taken before the manager's lock and a run's
	busy map[string][]*reply // replies under way by instance and session, in order

	givesNewest map[string]bool      // by instance: whether it gives the newest of a long history
	wholeSince  map[string]time.Time // by instance: when it was found not to stream
}

// timing is the pauses and patience of a service, which tests shorten.
type timing struct {
	pollMin, pollMax time.Duration // bounds of the pause between two looks upstream

	// settle is how long a reply must stand unchanged in the history to count
	// as complete when no end marker said so: the service may store a reply in
	// several messages, or while it is being written. glance is enough where the
	// service's own times say that it is old, and brief where the end
	// is marked, or where the reply is as old as old: few take so long to write.
	settle, glance, brief, old time.Duration
	// appear is how long a message of unknown fate may take to show up in the
	// history of a service that answers.
	appear time.Duration
	// lag is how long a history may be behind a stream that has ended.
	lag time.Duration
	// unclear is how long to look at a history in which the message can't be
	// found, or its reply can't be told from that to another message.
	unclear time.Duration
	// patience is how long the history may have nothing new while the agent may
	// be at work, and how long it may be away.
	patience time.Duration
	// giveUp ends the following of what never comes.
	giveUp time.Duration
	// tick is how often to say that a reply that comes whole is waited for.
	tick time.Duration
	// idle ends the following of a run that was taken up and then left.
	idle time.Duration
}

var defaultTiming = timing{
	pollMin: 100 * time.Millisecond, pollMax: 3 * time.Second,
	settle: stillness, glance: 2500 * time.Millisecond, brief: 500 * time.Millisecond, old: 10 * time.Minute,
	appear: 10 * time.Second, lag: 5 * time.Second, unclear: time.Minute,
	patience: 30 * time.Minute, giveUp: 2 * time.Hour, idle: 5 * time.Minute, tick: 10 * time.Second,
}

// New makes the service, and registers it with the manager.
func New(m *runs.Manager) *Service {
	s := &Service{
		m: m, c: m.Config.Client, timing: defaultTiming,
		busy: make(map[string][]*reply), givesNewest: make(map[string]bool), wholeSince: make(map[string]time.Time),
		sessions: sessions{c: m.Config.Client, fleet: m.Config.Fleet, known: make(map[string]string), gone: make(map[string]string), served: make(map[string]func())},
	}
	m.Register(runs.Family{Open: s.open, Sweep: s.sweep}, runs.KindChat)
	return s
}

// IfBusy says what a message does whose session has a reply under way.
type IfBusy string

// What a message may do while the session is busy.
const (
	IfBusyQueue  IfBusy = "queue"  // is sent when the reply under way has ended
	IfBusyReject IfBusy = "reject" // is refused
	IfBusySend   IfBusy = "send"   // is sent anyway
)

// Request is a message to an instance's agent.
type Request struct {
	Instance       string
	Session        string // "" is the newest session, or a new one where there is none
	Message        string
	IdempotencyKey string
	IfBusy         IfBusy // "" is IfBusyQueue
}

// joinWindow is how long after its start a reply that is under way takes in a
// repetition of its message that has no idempotency key: clients repeat a call
// that they gave up on.
const joinWindow = 10 * time.Minute

// ErrKeyReused is the answer to an idempotency key that comes with another
// message than before.
var ErrKeyReused = errors.New("this idempotency_key was used before with another message or session: nothing was sent; use a new key for a new message")

// ErrBusy is the answer of IfBusyReject.
var ErrBusy = errors.New("the session has a reply under way: nothing was sent; wait for it with wait_run, or pass if_busy: queue or send")

// Send sends a message and follows the reply. Where the call repeats an earlier
// one (the same idempotency key; or, without one, the same message to the same
// session while its reply is under way), nothing is sent and the earlier run is
// returned, with joined saying why.
func (s *Service) Send(ctx context.Context, req Request) (run runs.Run, joined string, err error) {
	s.m.Sweep()
	state := runs.NewState(runs.KindChat, req.Instance)
	if state.Session = req.Session; state.Session == "" {
		if state.Session, err = s.sessions.find(ctx, req.Instance); err != nil {
			return nil, "", err
		}
	}
	place := placeOf(state)
	// One after the other, here: what one finds under way, the next one knows.
	leave, err := s.places.take(ctx, place)
	if err != nil {
		return nil, "", notSent(err, "waiting for another message to this session")
	}
	defer leave()
	if s.m.Base().Err() != nil {
		return nil, "", runs.ErrClosed
	}
	r := &reply{
		s: s, instance: req.Instance, message: req.Message, sum: hashMessage(req.Message),
		what: hashText(state.Session + "\x00" + req.Message),
	}
	state.Own, state.Flags = own(0, r.sum), flagUnseen
	if req.IdempotencyKey != "" {
		earlier, err := s.claim(ctx, req, state, r)
		if err != nil {
			return nil, "", err
		}
		if earlier != nil {
			return earlier.fromStart(), "an earlier call with this idempotency_key sent the message; nothing was sent again", nil
		}
	}
	return s.start(ctx, req, state, r)
}

// start begins a reply, unless another one stands in for it.
func (s *Service) start(ctx context.Context, req Request, state runs.State, r *reply) (run runs.Run, joined string, err error) {
	place := placeOf(state)
	started := false
	defer func() {
		if c := r.repeated.claim; !started && c != nil {
			_ = c.Forget(context.WithoutCancel(ctx))
		}
		if errors.Is(err, runs.ErrLimit) {
			_ = s.exit(context.WithoutCancel(ctx), place, state.ID, r.entry.list)
		}
	}()
	var before []*reply
	var same *reply
	r.entry = entry{place: place, by: runs.NewID()}
	if req.IdempotencyKey != "" {
		r.entry.key = claimName(req)
	}
	err = s.enter(ctx, r, state, func(under []*reply) error {
		before = under
		if req.IdempotencyKey == "" && req.IfBusy != IfBusySend {
			if same = s.same(before, r.what); same != nil {
				return errJoined
			}
		}
		if req.IfBusy == IfBusyReject && slices.ContainsFunc(before, func(other *reply) bool { return s.underWay(ctx, other) }) {
			return ErrBusy
		}
		return nil
	})
	switch {
	case same != nil:
		return same.fromStart(), "the same message to this session is being answered already; nothing was sent again (pass a new idempotency_key to send it once more)", nil
	case err != nil:
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.Live = s.m.NewLive(state)
	r.Describe(req.Message)
	if req.IfBusy == IfBusySend {
		for _, other := range before {
			other.Locked(func() { other.concurrent = append(other.concurrent, r) })
		}
		r.concurrent, before = before, nil
	}
	if err = s.m.Start(ctx, r.Live, r, func(ctx context.Context) { r.start(ctx, before); r.settle(ctx, place) }); err != nil {
		return nil, "", err // where the process ends, the list keeps it: the others will find it gone
	}
	started = true
	s.queue(place, r)
	return r.fromStart(), "", nil
}

// same finds the reply to the same message, if it is a young one.
func (s *Service) same(under []*reply, what uint64) *reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, other := range under {
		if other.what == what && time.Since(other.State().Started) < joinWindow {
			return other
		}
	}
	return nil
}

// errJoined ends the entry of a message whose reply is under way.
var errJoined = errors.New("joined")

// claimName is what the claim of a message's idempotency key is called.
func claimName(req Request) string { return "chat/" + req.Instance + "\x00" + req.IdempotencyKey }

// claim claims a message's idempotency key for a reply, or gives the reply that has it.
func (s *Service) claim(ctx context.Context, req Request, state runs.State, r *reply) (earlier *reply, err error) {
	const asking = "asking your other processes about the idempotency_key"
	what := hashText(req.Message)
	for {
		c, err := s.m.Claim(ctx, claimName(req), what, state)
		if err != nil {
			return nil, notSent(err, asking)
		}
		if !c.Ours {
			same := c.What == what && (req.Session == "" || c.State.Session == "" || c.State.Session == req.Session)
			if !same && !s.m.Knows(c.State.ID) {
				return nil, ErrKeyReused
			}
			sent, ended := c.Sent, c.Ended() // the run that joins may change the claim
			earlier, err := s.join(c, req.Message)
			if err == nil && sent && earlier.gaveUp() { // another process had the words, and sent them
				s.m.Forget(earlier.Live)
				earlier, err = s.join(c, req.Message)
			}
			switch {
			case err != nil:
				return nil, err
			case !earlier.isVoid(sent, ended):
				if !same {
					return nil, ErrKeyReused
				}
				return earlier, nil
			}
			// Nothing came of it.
			if err := c.Replace(ctx, what, state); errors.Is(err, fleet.ErrChanged) {
				continue
			} else if err != nil {
				return nil, notSent(err, asking)
			}
		}
		r.repeated = repeated{c, req.Message}
		return nil, nil
	}
}

// isVoid reports whether nothing came of the reply that has a claim, so that the claim is
// free, by what the claim said: that it may have been sent, and how it ended. Of one that may
// have been sent, only the process knows that sent it, or the claim.
func (r *reply) isVoid(sent, ended bool) bool {
	if sent && r.Resumed() {
		return ended && r.neverSent()
	}
	return r.neverSent() || r.Resumed() && r.over()
}

// gaveUp reports whether this process ended the run as one that nobody would send.
func (r *reply) gaveUp() bool { return r.over() && errors.Is(r.Err(), errGivenUp) }

func (r *reply) fromStart() runs.Run { return r.Reader(runs.State{}) }

func (s *Service) open(state runs.State) (runs.Run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.takeUp(state, 0)
	if err != nil {
		return nil, err
	}
	return r.Reader(state), nil
}

// takeUp gives the reply of a state, and begins to follow it where this process
// does not. what is the hash of its message and session, 0 where that is not known;
// s.mu is held.
func (s *Service) takeUp(state runs.State, what uint64) (*reply, error) {
	d := runs.NewDecoder(state.Own)
	fresh := &reply{s: s, instance: state.Instance, what: what, was: beforeOf(state, d.Uint64()), sum: d.Uint64(), hintRead: state.Read, hintCheck: state.Check}
	if err := d.End(); err != nil {
		return nil, err
	}
	l, err := s.m.TakeUp(state, func(l *runs.Live) runs.Work { fresh.Live = l; return fresh })
	if err != nil {
		return nil, err
	}
	r := l.Work().(*reply)
	if r.what == 0 {
		r.what = what
	}
	if fresh.Live != nil {
		s.queue(placeOf(state), fresh)
	}
	return r, nil
}

// placeOf is where messages wait for each other: a session of an instance.
func placeOf(state runs.State) string { return state.Instance + "\x00" + state.Session }

// queue notes that a reply is under way; s.mu is held.
func (s *Service) queue(place string, r *reply) {
	s.busy[place] = append(slices.Clip(s.inFlight(place)), r)
}

// nameSession notes the session that the service itself chose for a message: the
// next one goes there, too, and waits for this one.
func (s *Service) nameSession(r *reply, session string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.ChangeState(func(state *runs.State) { state.Session = session })
	s.sessions.name(r.instance, session)
	r.what = hashText(session + "\x00" + r.message)
	s.queue(placeOf(r.State()), r)
}

// useNamedSession sends a message that waited to the session that the service
// has named since.
func (r *reply) useNamedSession() {
	if r.sessionID() != "" {
		return
	}
	if session := r.s.sessions.named(r.instance); session != "" {
		r.s.nameSession(r, session)
	}
}

// inFlight gives the replies of a place that have not ended; s.mu is held.
func (s *Service) inFlight(place string) []*reply {
	var list []*reply
	for _, r := range s.busy[place] {
		if !r.over() {
			list = append(list, r)
		}
	}
	if list == nil {
		delete(s.busy, place)
	} else {
		s.busy[place] = list
	}
	return list
}

// sweep forgets what ended or left memory.
func (s *Service) sweep(time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for place := range s.busy {
		s.inFlight(place)
	}
}
