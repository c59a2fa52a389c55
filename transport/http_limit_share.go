package transport

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
)

// The processes that serve a caller draw from one bucket, a fact. Each takes several
// requests' worth at a time, so that few requests have to wait for that.

const (
	// drawPatience is how long the fact is waited for. Then each process limits the
	// caller for itself.
	drawPatience = 2 * time.Second
	// drawnFor is how long what was drawn is good for: who draws and stays away must not
	// come back with more than there is by then.
	drawnFor = time.Second
	// drawTries bounds how often others may be faster. Each time, one of them is.
	drawTries = 100
)

// bucket is the fact.
type bucket struct {
	Tokens float64   `json:"t"`
	At     time.Time `json:"at"` // when that was so, by the fastest clock
}

// fill adds what has come in since.
func (b *bucket) fill(now time.Time, rate float64, burst int) {
	if past := now.Sub(b.At); past > 0 {
		b.Tokens, b.At = min(float64(burst), b.Tokens+past.Seconds()*rate), now
	}
}

// commonBucket is this process's access to it.
type commonBucket struct {
	mu    sync.Mutex // one at a time draws; the caller's others wait for what it gets
	drawn int
	until time.Time // when drawn has lapsed
	dry   time.Time // until when there is nothing to be had
}

// draw takes one request's worth, or says when there is some.
func (c *commonBucket) draw(ctx context.Context, f fleet.Fleet, name string, rate float64, burst int) (wait time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.drawn > 0 && now.Before(c.until) {
		c.drawn--
		return 0
	}
	if wait := c.dry.Sub(now); wait > 0 {
		return wait
	}
	ctx, done := context.WithTimeout(ctx, drawPatience)
	defer done()
	for range drawTries {
		n, wait, err := take(ctx, f, "allowance/"+name, rate, burst)
		switch {
		case errors.Is(err, fleet.ErrChanged):
			continue
		case err != nil:
			return 0
		case wait > 0:
			c.dry = time.Now().Add(wait)
			return wait
		}
		c.drawn, c.until = n-1, time.Now().Add(drawnFor)
		break
	}
	return 0
}

// take takes a tenth of the bucket, or what there is of that.
func take(ctx context.Context, f fleet.Fleet, name string, rate float64, burst int) (n int, wait time.Duration, err error) {
	now := time.Now()
	b := bucket{Tokens: float64(burst), At: now}
	fact, found, err := f.Find(ctx, name)
	if err != nil {
		return 0, 0, err
	}
	if found {
		if err := json.Unmarshal(fact.Value, &b); err != nil {
			return 0, 0, err
		}
		b.fill(now, rate, burst)
	}
	if n = min(max(1, burst/10), int(b.Tokens)); n < 1 {
		return 0, time.Duration((1 - b.Tokens) / rate * float64(time.Second)), nil
	}
	b.Tokens -= float64(n)
	value, err := json.Marshal(b)
	if err != nil {
		return 0, 0, err
	}
	if found {
		_, err = f.Change(ctx, fact, value)
		return n, 0, err
	}
	_, ours, err := f.Create(ctx, name, value)
	if err == nil && !ours {
		err = fleet.ErrChanged
	}
	return n, 0, err
}
