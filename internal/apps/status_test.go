package apps

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestStatusIsAskedRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var asked int
		var answer error
		c := newChecker(func(context.Context) error {
			asked++
			time.Sleep(time.Second)
			return answer
		}, slog.New(slog.DiscardHandler))
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if got := c.get(t.Context()); got != Up {
					t.Errorf("got %q, want %q", got, Up)
				}
			})
		}
		wg.Wait()
		answer = errors.New("gone")
		time.Sleep(statusAge - time.Millisecond)
		if got := c.get(t.Context()); got != Up || asked != 1 {
			t.Errorf("just before it is too old: %q after %d questions, want %q after 1", got, asked, Up)
		}
		time.Sleep(time.Millisecond)
		if got := c.get(t.Context()); got != Down || asked != 2 {
			t.Errorf("when it is too old: %q after %d questions, want %q after 2", got, asked, Down)
		}
	})
}

func TestStatusKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		c := newChecker(func(ctx context.Context) error {
			asked++
			<-ctx.Done()
			return ctx.Err()
		}, slog.New(slog.DiscardHandler))
		start := time.Now()
		if got := c.get(t.Context()); got != Slow || time.Since(start) != statusWait {
			t.Errorf("got %q after %v, want %q after %v", got, time.Since(start), Slow, statusWait)
		}
		// A visitor who leaves waits no longer, and does not end the question.
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if got := c.get(ctx); got != Slow || time.Since(start) != statusWait {
			t.Errorf("got %q after %v", got, time.Since(start))
		}
		time.Sleep(statusLimit - statusWait)
		synctest.Wait()
		if got := c.get(t.Context()); got != Down || asked != 1 {
			t.Errorf("after the question's limit: %q after %d questions, want %q after 1", got, asked, Down)
		}
	})
}

func TestPageSaysThatTheServiceIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newPage(t, Info{Status: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}})
		w := get(t, h, func(r *http.Request) { *r = *r.WithContext(t.Context()) })
		if w.Code != 200 || !strings.Contains(w.Body.String(), "takes long to answer") {
			t.Errorf("status %d, want the page to say that the service is slow", w.Code)
		}
		time.Sleep(statusLimit) // the question ends
	})
}
