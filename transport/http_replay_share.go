package transport

import (
	"slices"
	"sync"
	"sync/atomic"
)

// replayTotal is what all streams of this process keep, in bytes, and replayShares
// how many callers they are of.
var replayTotal, replayShares atomic.Int64

// replayShare is what the streams of one caller keep.
type replayShare struct {
	mu    sync.Mutex
	bytes int
	ended []*replay // oldest first
}

func (s *replayShare) count(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.bytes
	s.bytes += n
	replayTotal.Add(int64(n))
	switch {
	case before == 0 && s.bytes > 0:
		replayShares.Add(1)
	case before > 0 && s.bytes == 0:
		replayShares.Add(-1)
	}
}

// tooMuch reports whether the caller keeps more than it may.
func (s *replayShare) tooMuch() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes > replayMine || replayTotal.Load() > replayAll && int64(s.bytes)*replayShares.Load() > replayAll
}

// keep keeps an ended stream, and gives those that have to go for it.
func (s *replayShare) keep(r *replay) (drop []*replay) {
	s.mu.Lock()
	s.ended = append(s.ended, r)
	s.mu.Unlock()
	for s.tooMuch() {
		s.mu.Lock()
		if len(s.ended) < 2 {
			s.mu.Unlock()
			break
		}
		oldest := s.ended[0]
		s.ended = s.ended[1:]
		s.mu.Unlock()
		oldest.free()
		drop = append(drop, oldest)
	}
	return drop
}

func (s *replayShare) remove(r *replay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = slices.DeleteFunc(s.ended, func(other *replay) bool { return other == r })
}
