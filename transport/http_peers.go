package transport

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
)

// Several processes may serve one caller. What one of them has (a call under way, a
// stream, a question to the user) is found by its name in the caller's part of the
// fleet, and what all must know, such as the end of a session, is told there.

// peers are this process's part of the fleet for each caller that it serves.
type peers struct {
	join func(Principal) (fleet.Fleet, error) // HTTPOptions.Fleet
	hear func(Principal, []byte)

	mu    sync.Mutex
	of    map[Principal]*peer
	over  bool
	tasks sync.WaitGroup // what is done about news
}

type peer struct {
	fleet.Fleet
	used time.Time
}

const (
	// maxPeers bounds for how many callers news are heard.
	maxPeers = 1024
	// newsTopic is where the processes of a caller tell each other news.
	newsTopic = "transport"
	// peerPatience bounds how long another process is waited for.
	peerPatience = 10 * time.Second
)

// get gives the caller's part of the fleet, nil where this process is alone.
func (p *peers) get(who Principal) fleet.Fleet {
	if p.join == nil {
		return nil
	}
	f, isNew := p.have(who)
	if isNew {
		// Where news can't be heard now, the rest may work all the same.
		_, _ = f.Hear(newsTopic, func(body []byte) { p.hear(who, body) })
	}
	return f
}

// have is get without hearing news: that may take a while, in which nobody else is to
// wait.
func (p *peers) have(who Principal) (f fleet.Fleet, isNew bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.of[who]; one != nil {
		one.used = time.Now()
		return one.Fleet, false
	}
	if p.over {
		return nil, false
	}
	f, err := p.join(who)
	if err != nil {
		return nil, false
	}
	p.makeRoom()
	p.of[who] = &peer{f, time.Now()}
	return f, true
}

// makeRoom lets the caller go that was longest unused, where there are too many; mu is
// held.
func (p *peers) makeRoom() {
	if len(p.of) < maxPeers {
		return
	}
	var oldest Principal
	var out *peer
	for who, one := range p.of {
		if out == nil || one.used.Before(out.used) {
			oldest, out = who, one
		}
	}
	delete(p.of, oldest)
	p.tasks.Go(func() { _ = out.Close() })
}

// do does something about news, which must not wait.
func (p *peers) do(task func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		p.tasks.Go(task)
	}
}

func (p *peers) close() {
	p.mu.Lock()
	p.over = true
	all := p.of
	p.of = nil
	p.mu.Unlock()
	for _, one := range all {
		_ = one.Close()
	}
	p.tasks.Wait()
}

// news is what processes tell each other about a caller.
type news struct {
	Ended  string      `json:"ended,omitempty"` // a session
	Cancel *cancelNews `json:"cancel,omitempty"`

	Subscribed string `json:"subscribed,omitempty"` // a session whose subscriptions have changed

	Entered *enteredNews `json:"entered,omitempty"`
}

// enteredNews says how many of the caller's requests a process has let in since it said
// so last.
type enteredNews struct {
	By       string `json:"by"`
	Requests int    `json:"requests"`
}

// cancelNews asks for the call that a cancel means.
type cancelNews struct {
	Scope  string `json:"scope"`
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
	Claims string `json:"claims,omitempty"` // the name at which whoever has such a call says so; "": the id is good for one call
}

func tell(f fleet.Fleet, n news) error {
	body, err := json.Marshal(n)
	if err == nil {
		err = f.Tell(newsTopic, body)
	}
	return err
}

// heard takes in what another process of a caller's, or this one, tells.
func (h *HTTP) heard(who Principal, body []byte) {
	var n news
	if json.Unmarshal(body, &n) != nil {
		return
	}
	if n.Ended != "" {
		h.endSession(sessionKey{who.Name, n.Ended})
	}
	if n.Subscribed != "" {
		h.mu.Lock()
		s := h.sessions[sessionKey{who.Name, n.Subscribed}]
		h.mu.Unlock()
		if s != nil && s.principal == who {
			h.peers.do(func() { h.watchShared(s) })
		}
	}
	if e := n.Entered; e != nil && e.By != h.id {
		h.limiter.take(who.Name, e.Requests)
	}
	if c := n.Cancel; c != nil {
		h.peers.do(func() { h.claimCancel(who, *c) })
	}
}

// claim is what a process has of the calls that a cancel may mean.
type claim struct {
	Calls int  `json:"calls"`
	Ended bool `json:"ended,omitempty"` // one was answered a moment ago
}

// firstClaim is how long it may take until somebody says that a call is its own, and
// claimTime how long, behind the first, others are waited for.
const (
	firstClaim = 3 * time.Second
	claimTime  = 500 * time.Millisecond
)

// cancelUnique cancels a call that may be in any process, whose id is good for one call.
// Where the process that had it is gone, and the client has not come back for its stream
// yet, whoever goes on with the call finds the fact.
func (h *HTTP) cancelUnique(f fleet.Fleet, key callID, reason string) {
	if h.inflight.cancel(key, reason) {
		return
	}
	ctx, done := context.WithTimeout(h.base, peerPatience)
	defer done()
	// First: a call that is gone on with just now is either found in its process, or finds this.
	_, _, _ = f.Create(ctx, cancelledFact(key), []byte(reason))
	_ = tell(f, news{Cancel: &cancelNews{Scope: key.scope, ID: key.id, Reason: reason}})
}

// cancelledFact is the fact that a call was cancelled at a process that did not have it.
func cancelledFact(key callID) string { return "cancelled/" + key.scope + "\x00" + key.id }

// cancelledBefore cancels a call that is gone on with here, if its cancel came before it.
func (h *HTTP) cancelledBefore(ctx context.Context, who Principal, key callID, call *Call) {
	f := h.peers.get(who)
	if f == nil {
		return
	}
	ctx, done := context.WithTimeout(ctx, peerPatience)
	defer done()
	if fact, found, _ := f.Find(ctx, cancelledFact(key)); found {
		call.cancelled(string(fact.Value))
	}
}

// cancelAt cancels a call that may be in any process. All who have one like it say so first,
// and only a single one is cancelled: the other may be another client's.
func (h *HTTP) cancelAt(f fleet.Fleet, key callID, reason string) {
	claims := make(chan claim)
	decided := make(chan struct{})
	only := false // there is one such call; set before decided is closed
	name := "cancel/" + rand.Text()
	stop, err := f.Serve(name, func(ctx context.Context, body []byte, part func([]byte) error) ([]byte, error) {
		var c claim
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, err
		}
		select {
		case claims <- c:
		case <-decided:
			return nil, errors.New("too late")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case <-decided:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !only || c.Calls != 1 {
			return nil, errors.New("more than one call is meant")
		}
		return nil, part(nil)
	})
	if err == nil {
		defer stop()
		err = tell(f, news{Cancel: &cancelNews{key.scope, key.id, reason, name}})
	}
	if err != nil { // the others can't be asked, so this process decides
		h.inflight.cancel(key, reason)
		return
	}
	timer := time.NewTimer(firstClaim)
	defer timer.Stop()
	calls, ended := 0, false
	for waiting := true; waiting; {
		select {
		case c := <-claims:
			if calls == 0 {
				timer.Reset(claimTime)
			}
			calls += c.Calls
			ended = ended || c.Ended
		case <-timer.C:
			waiting = false
		case <-h.base.Done():
			waiting = false
		}
	}
	only = calls == 1 && !ended
	close(decided)
}

// claimCancel cancels a call of this process that a cancel elsewhere means.
func (h *HTTP) claimCancel(who Principal, c cancelNews) {
	key := callID{c.Scope, c.ID}
	if c.Claims == "" {
		h.inflight.cancel(key, c.Reason)
		return
	}
	f := h.peers.get(who)
	mine := h.inflight.claim(key)
	if f == nil || mine == (claim{}) {
		return
	}
	body, err := json.Marshal(mine)
	if err != nil {
		return
	}
	ctx, done := context.WithTimeout(h.base, peerPatience)
	defer done()
	for _, err := range f.Ask(ctx, c.Claims, body) {
		if err == nil {
			h.inflight.cancel(key, c.Reason)
		}
	}
}

// answerAt hands a client's answer to the process whose question it answers. An error
// says that it may not have arrived there.
func (h *HTTP) answerAt(ctx context.Context, in *incoming) error {
	f := h.peers.get(in.session.principal)
	if f == nil {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, peerPatience)
	defer done()
	for _, err := range f.Ask(ctx, questionName(in.session, string(in.ID)), in.raw) {
		// Where nobody asks, nobody waits any more.
		if err != nil && !errors.Is(err, fleet.ErrGone) {
			return err
		}
	}
	return nil
}

func questionName(s *session, id string) string { return "question/" + s.id + "/" + id }

// takeAnswers has answers that reach other processes come to a question of this one,
// until stop is called.
func (s *session) takeAnswers(id string) (stop func()) {
	if s.shared == nil {
		return func() {}
	}
	f := s.shared()
	if f == nil {
		return func() {}
	}
	stop, err := f.Serve(questionName(s, id), func(_ context.Context, body []byte, _ func([]byte) error) ([]byte, error) {
		m, wrong := parseMessage(body)
		if wrong != nil {
			return nil, wrong
		}
		s.answer(m)
		return nil, nil
	})
	if err != nil {
		return func() {}
	}
	return stop
}

// endedFact is the fact that a session was ended.
func endedFact(id string) string { return "ended/" + id }

// endAt tells the other processes that a session has ended.
func (h *HTTP) endAt(ctx context.Context, s *session) error {
	f := h.peers.get(s.principal)
	if f == nil {
		return nil
	}
	ctx, done := context.WithTimeout(ctx, peerPatience)
	defer done()
	_, _, err := f.Create(ctx, endedFact(s.id), nil)
	return errors.Join(err, tell(f, news{Ended: s.id}))
}

// endedAt reports whether a session that this process does not know was ended by
// another. While that can't be found out, it counts as going on.
func (h *HTTP) endedAt(ctx context.Context, who Principal, id string) bool {
	f := h.peers.get(who)
	if f == nil {
		return false
	}
	ctx, done := context.WithTimeout(ctx, peerPatience)
	defer done()
	_, ended, _ := f.Find(ctx, endedFact(id))
	return ended
}
