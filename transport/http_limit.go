package transport

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"openclaw-mcp/internal/fleet"
)

// limiter bounds what one principal may ask of the server: how fast, and how
// much at once.
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
	common commonBucket
}

func newLimiter(perSecond float64, concurrency int) *limiter {
	return &limiter{rate: perSecond, concurrency: concurrency, callers: make(map[string]*allowance)}
}

// burst is two seconds' worth.
func (l *limiter) burst() int { return int(math.Ceil(max(1, 2*l.rate))) }

func (l *limiter) newAllowance() *allowance {
	if l.rate == 0 {
		return &allowance{tokens: rate.NewLimiter(rate.Inf, 0)}
	}
	return &allowance{tokens: rate.NewLimiter(rate.Limit(l.rate), l.burst())}
}

// enter lets one request of a principal in, which has to be within its rate at all
// processes of its fleet, if it has one. Call leave when it is over. Where it is beyond
// a limit, leave is nil, and wait is how long to wait.
func (l *limiter) enter(ctx context.Context, f fleet.Fleet, name string) (leave func(), wait time.Duration) {
	if l.rate == 0 && l.concurrency == 0 {
		return func() {}, 0
	}
	now := time.Now()
	leave, r, wait := l.enterHere(now, name)
	if leave == nil || f == nil || l.rate == 0 {
		return leave, wait
	}
	if wait := l.of(name).common.draw(ctx, f, name, l.rate, l.burst()); wait > 0 {
		r.CancelAt(now)
		leave()
		return nil, wait
	}
	return leave, 0
}

func (l *limiter) of(name string) *allowance {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.callers[name] // a request of it is inside
}

// enterHere is enter for this process alone.
func (l *limiter) enterHere(now time.Time, name string) (leave func(), r *rate.Reservation, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	a := l.callers[name]
	if a == nil {
		a = l.newAllowance()
		l.callers[name] = a
	}
	if l.concurrency > 0 && a.inside >= l.concurrency {
		return nil, nil, time.Second
	}
	r = a.tokens.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return nil, nil, wait
	}
	a.inside++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.inside--
	}, r, 0
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
	h.opts.Watch.limited()
	w.Header().Set("Retry-After", retryAfter(wait))
	jsonAnswer(w, http.StatusTooManyRequests, errorMessage(m.ID, codeTooMany,
		"too many requests: wait "+retryAfter(wait)+" s, then go on more slowly; nothing was done"))
}
