package client

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
)

// What the answers that are read whole take in a process is bounded. Each begins at once. What
// a small one has beyond that is taken as it comes in, without waiting: a command's output may
// take its time, and holds nobody up. Where nothing of that is left, it waits for its turn. A
// large one waits until others have been decoded.
const (
	freeAnswer   = 64 << 10
	smallAnswer  = 4 << 20 // more than what is kept of a command's output
	smallAnswers = 24 << 20
	smallShare   = smallAnswers / 4 * 3 // of one client
	smallTurns   = 4
	largeAnswers = 64 << 20
	// waitedTime is how long the rest of an answer that waited may take. Others wait for it.
	waitedTime = time.Minute
)

// These are what all clients of a process share.
var (
	smallStock = newStock(smallAnswers)
	turnStock  = newStock(smallTurns)
	largeStock = newStock(largeAnswers)
)

type stock struct {
	mu    sync.Mutex
	free  int
	freed chan struct{} // closed when there is more
}

func newStock(n int) *stock { return &stock{free: n, freed: make(chan struct{})} }

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

// hold is what one answer has of the stocks. Who has small parts may wait for a turn, who has a
// turn may wait for the room of a large answer, and who has that waits for nothing. Two answers
// that each held something and waited for more of the same would wait for each other forever.
type hold struct {
	small, large  int
	turn          bool
	whole, beside int         // what is in memory: of the answer, and of a text that is being shortened
	rest          *time.Timer // once it has waited
}

// need takes what a small answer needs.
func (r *reply) need(whole, beside int) error {
	r.whole, r.beside = whole, beside
	more := whole + beside - freeAnswer - r.small
	switch mine := r.body.core.small; {
	case more <= 0 || r.turn || r.large > 0:
		return nil
	case !mine.takeNow(more):
	case smallStock.takeNow(more):
		r.small += more
		return nil
	default:
		mine.give(more)
	}
	err := r.await(turnStock, 1)
	r.turn = err == nil
	return err
}

// needLarge takes n bytes for a large answer.
func (r *reply) needLarge(n int) error {
	if r.large > 0 {
		return nil
	}
	err := r.await(largeStock, n)
	if err == nil {
		r.large = n
	}
	return err
}

// await waits for something; from then on, the answer must come.
func (r *reply) await(s *stock, n int) error {
	if err := s.take(r.body.inner, n); err != nil {
		return r.body.core.finish(r.body.req, r.body.failure(err))
	}
	r.calm()
	r.rest = r.body.hurry(waitedTime)
	return nil
}

// calm ends the hurry.
func (r *reply) calm() {
	if r.rest != nil {
		r.rest.Stop()
	}
}

// release gives back what the answer has.
func (r *reply) release() {
	if r.small > 0 {
		smallStock.give(r.small)
		r.body.core.small.give(r.small)
	}
	if r.turn {
		turnStock.give(1)
	}
	if r.large > 0 {
		largeStock.give(r.large)
	}
	r.hold = hold{}
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
	defer r.calm()
	err := r.need(room, 0)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 0, room)
	for {
		var n int
		n, err = from.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err == nil && len(buf) == cap(buf) {
			room := 2 * cap(buf)
			if room <= smallAnswer {
				err = r.need(room, r.beside)
			} else {
				most := largeAnswers
				if size >= 0 {
					room = max(room, int(size)+1)
					most = min(room, most)
				}
				err = r.needLarge(most)
			}
			if err == nil {
				buf = append(make([]byte, 0, room), buf...)
			}
		}
		if err != nil {
			r.release()
			return nil, err
		}
	}
}
