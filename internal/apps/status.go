package apps

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Status is what is known of the service.
type Status string

// What the page says of the service.
const (
	Unknown Status = "" // nobody can be asked
	Up      Status = "up"
	Down    Status = "down"
	Slow    Status = "slow" // no answer yet
)

const (
	statusAge   = 5 * time.Second // how long an answer is good for
	statusWait  = 2 * time.Second // how long a visitor waits for one
	statusLimit = 8 * time.Second // how long the service may take
)

// checker asks for the status, rarely, and one question at a time however many
// visitors there are.
type checker struct {
	ask func(context.Context) error
	log *slog.Logger

	mu      sync.Mutex
	last    Status
	at      time.Time     // of last
	running chan struct{} // closed when the question that is out is answered; nil: none is
}

func newChecker(ask func(context.Context) error, log *slog.Logger) *checker {
	return &checker{ask: ask, log: log, last: Slow}
}

// get gives a status that is statusAge old at most, or Slow when there is none
// within statusWait.
func (c *checker) get(ctx context.Context) Status {
	if c.ask == nil {
		return Unknown
	}
	c.mu.Lock()
	if !c.at.IsZero() && time.Since(c.at) < statusAge {
		defer c.mu.Unlock()
		return c.last
	}
	if c.running == nil {
		c.running = make(chan struct{})
		// The answer is for all who wait, so it does not end with this visitor.
		go c.run(context.WithoutCancel(ctx), c.running)
	}
	running := c.running
	c.mu.Unlock()

	limit := time.NewTimer(statusWait)
	defer limit.Stop()
	select {
	case <-running:
	case <-ctx.Done():
	case <-limit.C:
		return Slow
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *checker) run(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, statusLimit)
	defer cancel()
	err := c.ask(ctx)
	status := Up
	if err != nil {
		status = Down
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if status != c.last {
		log := c.log.With("status", status)
		if err != nil {
			log = log.With("error", err)
		}
		log.Info("front page: the service's status")
	}
	c.last, c.at, c.running = status, time.Now(), nil
	close(done)
}
