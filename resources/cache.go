package resources

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	maxCached = 100_000          // items kept of all answers
	errorTTL  = time.Second      // how long a failure is not tried again
	loadLimit = 20 * time.Second // of one request to the service
	maxLoads  = 1000             // requests under way: they go on for those who left
)

var errLoads = fmt.Errorf("%d lists are being read already: wait a moment, then ask again", maxLoads)

// cache keeps the service's lists for a moment, for those who ask for the same
// again and again: completions, at every key, and lists, page by page. Who asks
// while an answer is on its way waits for that one.
type cache struct {
	ttl time.Duration

	mu      sync.Mutex
	entries map[string]*cached
	loads   int // under way
	sweep   *time.Timer
}

type cached struct {
	done   chan struct{} // closed when the rest is there
	value  any
	err    error
	at     time.Time
	weight int
}

func newCache(ttl time.Duration) *cache {
	return &cache{ttl: ttl, entries: make(map[string]*cached)}
}

// load gives a list from the cache, or from the service. fresh wants it from
// the service. The request goes on when ctx ends, so that whoever asks next
// finds its answer.
func load[T any](ctx context.Context, c *caller, key string, fresh bool, get func(context.Context) ([]T, error)) ([]T, error) {
	e := c.cache.entry(key, fresh, func(e *cached) {
		up := c.spawn(func() {
			limited, cancel := context.WithTimeout(c.base, loadLimit)
			defer cancel()
			list, err := get(limited)
			c.cache.fill(e, list, len(list), err)
		})
		if !up {
			e.err = errClosed
			close(e.done)
		}
	})
	select {
	case <-e.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	list, _ := e.value.([]T)
	return list, e.err
}

// entry finds what is there or on its way, or has start bring it.
func (c *cache) entry(key string, fresh bool, start func(*cached)) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[key]; e != nil {
		select {
		case <-e.done:
			if !fresh && !c.expired(e, time.Now()) {
				return e
			}
		default:
			if !fresh {
				return e
			}
		}
	}
	e := &cached{done: make(chan struct{})}
	if c.loads >= maxLoads {
		e.err = errLoads
		close(e.done)
		return e
	}
	c.loads++
	c.entries[key] = e
	start(e)
	return e
}

func (c *cache) expired(e *cached, now time.Time) bool {
	if e.err != nil {
		return now.Sub(e.at) > min(errorTTL, c.ttl)
	}
	return now.Sub(e.at) > c.ttl
}

func (c *cache) fill(e *cached, value any, weight int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loads--
	e.value, e.weight, e.err, e.at = value, weight+1, err, time.Now()
	close(e.done)
	c.prune()
}

// prune forgets what expired, and the oldest where there is too much. It is
// called with the lock held, and again when the rest has expired.
func (c *cache) prune() {
	now, total, waiting := time.Now(), 0, false
	for key, e := range c.entries {
		select {
		case <-e.done:
			if c.expired(e, now) {
				delete(c.entries, key)
				continue
			}
			total += e.weight
			waiting = true
		default:
		}
	}
	for total > maxCached {
		oldest := ""
		for key, e := range c.entries {
			if !e.at.IsZero() && (oldest == "" || e.at.Before(c.entries[oldest].at)) {
				oldest = key
			}
		}
		total -= c.entries[oldest].weight
		delete(c.entries, oldest)
	}
	if c.sweep != nil {
		c.sweep.Stop()
		c.sweep = nil
	}
	if waiting {
		c.sweep = time.AfterFunc(c.ttl+time.Millisecond, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.prune()
		})
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	if c.sweep != nil {
		c.sweep.Stop()
	}
}
