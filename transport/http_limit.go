package transport

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"time"
)

// limiter bounds what one principal may ask of the server: how fast, and how
// much at once.
type limiter struct {
	rate        float64 // a second; 0: any
	concurrency int     // 0: any

	mu      sync.Mutex
	callers map[string]*allowance
	swept   time.Time
}

// allowance is a bucket that fills with rate tokens a second, up to a burst of
// two seconds' worth.
type allowance struct {
	tokens float64
	at     time.Time
	inside int
}

func newLimiter(rate float64, concurrency int) *limiter {
	return &limiter{rate: rate, concurrency: concurrency, callers: make(map[string]*allowance)}
}

func (l *limiter) burst() float64 { return max(1, 2*l.rate) }

// enter lets one request of a principal in, to leave when it is over; or gives
// nil, and how long to wait.
func (l *limiter) enter(name string) (leave func(), wait time.Duration) {
	if l.rate == 0 && l.concurrency == 0 {
		return func() {}, 0
	}
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	a := l.callers[name]
	if a == nil {
		a = &allowance{tokens: l.burst(), at: now}
		l.callers[name] = a
	}
	if l.concurrency > 0 && a.inside >= l.concurrency {
		return nil, time.Second
	}
	if l.rate > 0 {
		a.tokens = min(l.burst(), a.tokens+now.Sub(a.at).Seconds()*l.rate)
		a.at = now
		if a.tokens < 1 {
			return nil, time.Duration((1 - a.tokens) / l.rate * float64(time.Second))
		}
		a.tokens--
	}
	a.inside++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.inside--
	}, 0
}

// sweep forgets who has not called for long enough to be as good as new.
func (l *limiter) sweep(now time.Time) {
	if now.Sub(l.swept) < time.Minute {
		return
	}
	l.swept = now
	for name, a := range l.callers {
		if a.inside == 0 && now.Sub(a.at) > time.Minute {
			delete(l.callers, name)
		}
	}
}

// smallMessage is the longest message, in bytes, that is read though its sender
// is beyond its limits: to see whether it makes room, and to name its id.
const smallMessage = 4 << 10

// codeTooMany is the JSON-RPC code beside status 429, of those that are left to
// implementations (JSON-RPC 2.0, section 5.1).
const codeTooMany = -32029

// beyondLimit answers a request beyond the limits of its principal. A cancel and
// an answer to a question are taken all the same: they let a request end that
// counts, and no client sends them again.
func (h *HTTP) beyondLimit(w http.ResponseWriter, r *http.Request, caller Principal, wait time.Duration) {
	m := &message{}
	if r.Method == http.MethodPost && r.ContentLength > 0 && r.ContentLength <= smallMessage {
		raw, err := h.readBody(w, r)
		if err == nil {
			m, _, err = parseMessage(raw)
		}
		if err == nil && (m.isCancel() || m.Method == "") {
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
