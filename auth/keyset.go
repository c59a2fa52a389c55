package auth

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// pace is how often an issuer is asked.
type pace struct {
	refresh    time.Duration // keys that are known are fetched again
	unknown    time.Duration // least time between fetches for the sake of unknown keys
	minBackoff time.Duration // after a first failure; doubled with each further one
	maxBackoff time.Duration
}

var standardPace = pace{15 * time.Minute, 10 * time.Second, time.Second, 30 * time.Second}

// keySet holds an issuer's keys. One goroutine fetches, so there is never more
// than one fetch at a time, however many requests wait for its end.
type keySet struct {
	issuer *issuer
	pace   pace
	log    *slog.Logger
	ctx    context.Context // of the goroutine
	wanted chan *keyState  // asks the goroutine for what comes after a state, before its time
	state  atomic.Pointer[keyState]
}

// keyState is the outcome of a fetch. All but its channel's closing is constant.
type keyState struct {
	keys    []jose.JSONWebKey // those of the last fetch that went well
	at      time.Time         // of the end of the fetch; zero: none yet
	failed  bool
	retryAt time.Time     // of the next fetch, after a failure
	next    chan struct{} // closed when there is a newer state
}

func startKeySet(ctx context.Context, issuer *issuer, p pace, log *slog.Logger) *keySet {
	k := &keySet{issuer: issuer, pace: p, log: log, ctx: ctx, wanted: make(chan *keyState)}
	k.state.Store(&keyState{next: make(chan struct{})})
	go k.run()
	return k
}

func (k *keySet) run() {
	backoff, logged := time.Duration(0), ""
	for {
		keys, err := k.issuer.fetchKeys(k.ctx)
		if k.ctx.Err() != nil {
			return
		}
		old := k.state.Load()
		s := &keyState{keys: keys, at: time.Now(), next: make(chan struct{})}
		wait := k.pace.refresh
		if err != nil {
			backoff = min(max(2*backoff, k.pace.minBackoff), k.pace.maxBackoff)
			wait = backoff
			s.keys, s.failed, s.retryAt = old.keys, true, s.at.Add(wait)
			if err.Error() != logged {
				logged = err.Error()
				k.log.Error("the issuer's keys can't be fetched; those that are known still hold", "issuer", k.issuer.url, "known", len(s.keys), "error", err)
			}
		} else {
			if logged != "" || old.at.IsZero() {
				k.log.Info("the issuer's keys are fetched", "issuer", k.issuer.url, "usable", len(keys))
			}
			backoff, logged = 0, ""
			if len(keys) == 0 {
				k.log.Error("the issuer has no key that can be used, so no access token is good", "issuer", k.issuer.url)
			}
		}
		k.state.Store(s)
		close(old.next)
		if !k.pause(s, wait) {
			return
		}
	}
}

// pause waits for the time of the next fetch; false: there is none.
func (k *keySet) pause(s *keyState, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-k.ctx.Done():
			return false
		case <-timer.C:
			return true
		case asked := <-k.wanted:
			// Who asks for what came after an older state has it by now.
			if asked == s && k.mayAsk(s) {
				return true
			}
		}
	}
}

func (k *keySet) mayAsk(s *keyState) bool { return !s.failed && time.Since(s.at) >= k.pace.unknown }

// search gives the keys to found, and if it says no, gives it newer ones when
// they may be asked for. A time above zero says that the issuer does not answer,
// and when to try again.
func (k *keySet) search(ctx context.Context, found func([]jose.JSONWebKey) bool) (retryAfter time.Duration) {
	s := k.state.Load()
	if found(s.keys) {
		return 0
	}
	mayAsk := k.mayAsk(s)
	// After a failure the next fetch comes by itself, at its time.
	if mayAsk || s.failed && !time.Now().Before(s.retryAt) {
		if !k.await(ctx, s, mayAsk) {
			return time.Second
		}
		s = k.state.Load()
		if found(s.keys) {
			return 0
		}
	}
	if !s.failed {
		return 0
	}
	// Whole seconds, rounded up, as Retry-After has them.
	return max((time.Until(s.retryAt) + time.Second - 1).Truncate(time.Second), time.Second)
}

// await waits for a newer state than s, and asks for it if it should; false: the
// caller or the server ended first.
func (k *keySet) await(ctx context.Context, s *keyState, ask bool) bool {
	var wanted chan<- *keyState
	if ask {
		wanted = k.wanted
	}
	for {
		select {
		case wanted <- s:
			wanted = nil
		case <-s.next:
			return true
		case <-ctx.Done():
			return false
		case <-k.ctx.Done():
			return false
		}
	}
}
