package auth

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// pace is how often keys are fetched from an issuer.
type pace struct {
	refresh    time.Duration // between fetches while all is well
	unknown    time.Duration // shortest time between fetches that unknown keys cause
	minBackoff time.Duration // after the first failure; doubles with each further one
	maxBackoff time.Duration
}

var standardPace = pace{15 * time.Minute, 10 * time.Second, time.Second, 30 * time.Second}

// keySet holds an issuer's keys. One goroutine fetches them, so that there is only
// one fetch at a time, however many requests wait for it. During an outage the
// last good keys stay in use, and an unknown key is answered at once with the time
// of the next attempt.
//
// MicahParks/jwkset (v0.11.4) does not keep these rules: starting waits for the
// issuer, a fetch that failed is not repeated before the next refresh, one
// malformed key spoils the set, and callers wait for the rate limit.
type keySet struct {
	issuer *issuer
	pace   pace
	log    *slog.Logger
	ctx    context.Context // ends the goroutine
	wanted chan *keyState  // asks the goroutine for the state after this one, before its time
	state  atomic.Pointer[keyState]
}

// keyState is the outcome of a fetch. Only next changes: it is closed later.
type keyState struct {
	keys    []jose.JSONWebKey // of the last fetch that succeeded
	at      time.Time         // when the fetch ended; zero: none did yet
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
				k.log.Error("the issuer's keys can't be fetched; the known ones stay in use", "issuer", k.issuer.url, "known", len(s.keys), "error", err)
			}
		} else {
			if logged != "" || old.at.IsZero() {
				k.log.Info("the issuer's keys were fetched", "issuer", k.issuer.url, "usable", len(keys))
			}
			backoff, logged = 0, ""
			if len(keys) == 0 {
				k.log.Error("the issuer has no usable key, so every access token is refused", "issuer", k.issuer.url)
			}
		}
		k.state.Store(s)
		close(old.next)
		if !k.pause(s, wait) {
			return
		}
	}
}

// pause waits until it is time for the next fetch; false: the server ends.
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
			// A caller that asked about an older state has got its answer already.
			if asked == s && k.mayAsk(s) {
				return true
			}
		}
	}
}

func (k *keySet) mayAsk(s *keyState) bool { return !s.failed && time.Since(s.at) >= k.pace.unknown }

// search calls found with the keys, and if it reports false, once more with newer
// ones if they may be fetched now. A result above zero means that the issuer does
// not answer, and is the time after which to try again.
func (k *keySet) search(ctx context.Context, found func([]jose.JSONWebKey) bool) (retryAfter time.Duration) {
	s := k.state.Load()
	if found(s.keys) {
		return 0
	}
	mayAsk := k.mayAsk(s)
	// After a failure the goroutine fetches again by itself, at its time.
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
	// Whole seconds, rounded up, since Retry-After has no fractions.
	return max((time.Until(s.retryAt) + time.Second - 1).Truncate(time.Second), time.Second)
}

// await waits for a state newer than s, and asks the goroutine for it if ask is
// true. It reports false if the caller left or the server ended first.
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
