package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// What the answers that are read whole take in a process is bounded: a small one is read
// at once, and a larger one waits until others have been decoded.
const (
	smallAnswer  = 4 << 20 // more than what is kept of a command's output, which may take its time
	largeAnswers = 64 << 20
	// largeTime is how long the rest of a large answer may take. Others wait for it.
	largeTime = time.Minute
)

// largeStock is what all clients of a process share.
var largeStock = stock{free: largeAnswers, freed: make(chan struct{})}

type stock struct {
	mu    sync.Mutex
	free  int
	freed chan struct{} // closed when there is more
}

// take waits for n bytes of the stock.
func (s *stock) take(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		if s.free >= n {
			s.free -= n
			s.mu.Unlock()
			return nil
		}
		freed := s.freed
		s.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// takeNow takes n bytes where there are so many.
func (s *stock) takeNow(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free < n {
		return false
	}
	s.free -= n
	return true
}

func (s *stock) give(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free += n
	close(s.freed)
	s.freed = make(chan struct{})
}

// hold is what one answer has of the stock.
type hold struct{ n int }

// takeOnce takes n bytes of the stock, for good: two answers that each held a part and waited
// for more would wait for each other forever.
func (h *hold) takeOnce(b *body, n int) error {
	if err := largeStock.take(b.inner, n); err != nil {
		return b.core.finish(b.req, b.failure(err))
	}
	h.n = n
	return nil
}

func (h *hold) release() {
	if h.n > 0 {
		largeStock.give(h.n)
		h.n = 0
	}
}

// paced lets other calls run while a large answer is read, which is much work: it rests
// for as long as each part took. Go's scheduler looks at the network only where it has
// nothing else to run, so that Gosched is not enough.
type paced struct {
	io.Reader
	read, pause int
	rested      time.Time
}

const longestRest = 2 * time.Millisecond // the network may take longer than the work

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if p.read += n; p.read > smallAnswer && p.read >= p.pause {
		time.Sleep(min(time.Since(p.rested), longestRest))
		p.pause, p.rested = p.read+32<<10, time.Now()
	}
	return n, err
}

// readWhole reads from the answer's body to its end: size bytes, less than 0 where that is
// not known. The caller releases what it read.
func (r *reply) readWhole(from io.Reader, size int64) ([]byte, error) {
	room := 512
	if size >= 0 && size < smallAnswer {
		room = int(size) + 1 // one more is to find the end
	}
	buf := make([]byte, 0, room)
	var rest *time.Timer
	for {
		n, err := from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err == nil && len(buf) == cap(buf) {
			room := 2 * cap(buf)
			if room > smallAnswer && rest == nil {
				most := largeAnswers
				if size >= 0 {
					room = max(room, int(size)+1)
					most = min(room, most)
				}
				err = r.takeOnce(r.body, most)
				rest = r.body.hurry(largeTime) // not while it waited for others
				defer rest.Stop()
			}
			buf = append(make([]byte, 0, room), buf...)
		}
		if err != nil {
			r.release()
			return nil, err
		}
	}
}
