package transport

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limiter bounds what one principal may ask of the server: how fast, and how
// much at once. How much at once is for this process; how fast is for all that serve
// the principal: each has the whole allowance, and takes from it what the others tell
// that they took from theirs. What several took before they heard of each other is a
// debt, so that over some seconds no more is let in than by a single process.
type limiter struct {
	rate        float64 // requests a second; 0: any
	concurrency int     // requests at once; 0: any

	mu      sync.Mutex
	callers map[string]*allowance
	swept   time.Time
}

// allowance is what one principal may ask.
type allowance struct {
	tokens *rate.Limiter
	inside int // requests being served
}

func newLimiter(perSecond float64, concurrency int) *limiter {
	return &limiter{rate: perSecond, concurrency: concurrency, callers: make(map[string]*allowance)}
}

// newAllowance allows bursts of two seconds' worth.
func (l *limiter) newAllowance() *allowance {
	if l.rate == 0 {
		return &allowance{tokens: rate.NewLimiter(rate.Inf, 0)}
	}
	return &allowance{tokens: rate.NewLimiter(rate.Limit(l.rate), int(math.Ceil(max(1, 2*l.rate))))}
}

// enter lets one request of a principal in. Call leave when it is over. Where it
// is beyond a limit, leave is nil, and wait is how long to wait.
func (l *limiter) enter(name string) (leave func(), wait time.Duration) {
	if l.rate == 0 && l.concurrency == 0 {
		return func() {}, 0
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	a := l.of(name)
	if l.concurrency > 0 && a.inside >= l.concurrency {
		return nil, time.Second
	}
	r := a.tokens.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, wait
	}
	a.inside++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.inside--
	}, 0
}

// of gives the allowance of a principal; l.mu is held.
func (l *limiter) of(name string) *allowance {
	a := l.callers[name]
	if a == nil {
		a = l.newAllowance()
		l.callers[name] = a
	}
	return a
}

// take takes requests that other processes have let in from a principal's allowance.
func (l *limiter) take(name string, requests int) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	tokens := l.of(name).tokens
	for requests > 0 {
		n := min(requests, tokens.Burst())
		tokens.ReserveN(now, n)
		requests -= n
	}
}

// sweep forgets callers whose allowance is whole again.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	for name, a := range l.callers {
		if a.inside == 0 && a.tokens.TokensAt(now) >= float64(a.tokens.Burst()) {
			delete(l.callers, name)
		}
	}
}

// untold counts the requests that this process has let in and not yet told the others
// of.
type untold struct {
	mu sync.Mutex
	of map[Principal]int // an entry, also of 0, has a goroutine that tells
}

// toldPause is how often the others are told at most: what comes together travels
// together.
const toldPause = 10 * time.Millisecond

// tellEntered tells the other processes of a request that was let in, and does not wait
// for that.
func (h *HTTP) tellEntered(who Principal) {
	if h.limiter.rate == 0 || h.peers.join == nil {
		return
	}
	h.untold.mu.Lock()
	defer h.untold.mu.Unlock()
	n, telling := h.untold.of[who]
	h.untold.of[who] = n + 1
	if !telling {
		h.peers.do(func() { h.tellUntold(who) })
	}
}

// tellUntold tells until there is nothing more to tell. What can't be told now is not
// told later: while the others can't be reached, each process limits by itself.
func (h *HTTP) tellUntold(who Principal) {
	next := func() int {
		h.untold.mu.Lock()
		defer h.untold.mu.Unlock()
		n := h.untold.of[who]
		if h.untold.of[who] = 0; n == 0 {
			delete(h.untold.of, who)
		}
		return n
	}
	pause := time.NewTicker(toldPause)
	defer pause.Stop()
	for n := next(); n > 0; n = next() {
		if f := h.peers.get(who); f != nil {
			_ = tell(f, news{Entered: &enteredNews{h.id, n}})
		}
		select {
		case <-pause.C:
		case <-h.base.Done():
		}
	}
}

// smallMessage is the longest message, in bytes, that is still read when its sender
// is beyond a limit: to see whether it makes room, and to answer with its id.
const smallMessage = 4 << 10

// codeTooMany is the JSON-RPC code beside status 429, of those that are left to
// implementations (JSON-RPC 2.0, section 5.1).
const codeTooMany = -32029

// beyondLimit answers a request beyond the limits of its principal. A cancel and
// an answer to a question are served all the same: they end a request that counts,
// and no client sends them again.
func (h *HTTP) beyondLimit(w http.ResponseWriter, r *http.Request, caller Principal, wait time.Duration) {
	m := &message{}
	if r.Method == http.MethodPost && r.ContentLength > 0 && r.ContentLength <= smallMessage {
		load := h.room.of(ShareFrom(r.Context()))
		defer load.release()
		raw, err := h.readBody(w, r, load)
		wrong := &codedError{}
		if err == nil {
			m, wrong = parseMessage(raw)
		}
		if wrong == nil && (m.isCancel() || m.Method == "") {
			r.Body = io.NopCloser(bytes.NewReader(raw))
			h.post(w, r, caller)
			return
		}
	}
	w.Header().Set("Retry-After", retryAfter(wait))
	jsonAnswer(w, http.StatusTooManyRequests, h.tooMany(m.ID, wait))
}

// tooMany answers a message beyond the limits of its principal.
func (h *HTTP) tooMany(id json.RawMessage, wait time.Duration) []byte {
	h.opts.Watch.limited()
	return errorMessage(id, codeTooMany, "too many requests: wait "+retryAfter(wait)+" s, then go on more slowly; nothing was done")
}
