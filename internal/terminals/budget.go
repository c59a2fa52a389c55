package terminals

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// DefaultBytes is a budget for one process, in bytes: 40 terminals of 400 columns and 200
// rows, or 300 of the usual size.
const DefaultBytes = 64 << 20

const (
	// bareBytes is what a terminal takes besides its screens and what it keeps of its output.
	bareBytes = 64 << 10
	// leastKept is what it keeps of that in any case, in its logs, its scrollback and the
	// marks on its screens.
	leastKept = 96 << 10
	// shrunkBytes is how much is left of each log of one that has to make room.
	shrunkBytes = 8 << 10
)

// Budget bounds what all terminals of a process take, whoever they belong to. Where what they
// keep of their output is too much, those that nobody has looked at for longest forget all but
// the newest of it. What they take at least is kept for them: where there is no room for
// that, those that have ended are forgotten, and then none is opened.
type Budget struct {
	limit int

	mu     sync.Mutex // taken last of all
	least  int
	used   int
	shares map[string]*share // by id of the terminal
}

// share is what one terminal takes.
type share struct {
	t           *terminal // nil while it is being opened, or taken up
	least, used int
}

// NewBudget makes a budget of so many bytes.
func NewBudget(limit int) *Budget { return &Budget{limit: limit, shares: make(map[string]*share)} }

// leastOf is what a terminal of a size takes at least.
func leastOf(cols, rows int) int { return bareBytes + leastKept + 2*cols*rows*cellBytes }

// reserve keeps room for a terminal of a size, which may have had another. No lock is held.
func (b *Budget) reserve(id string, cols, rows int) error {
	need := leastOf(cols, rows)
	for !b.set(id, need) {
		if !b.forgetEnded() {
			return fmt.Errorf("%w: those of all callers of this server take as much memory as they may; "+
				"close_terminal ends one, and a smaller one may still have room", ErrLimit)
		}
	}
	b.fit()
	return nil
}

func (b *Budget) set(id string, need int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.shares[id]
	if s == nil {
		s = &share{}
	}
	if b.least-s.least+need > b.limit {
		return false
	}
	b.shares[id] = s
	b.count(s, need, need)
	return true
}

// count is called with mu held.
func (b *Budget) count(s *share, least, used int) {
	b.least, b.used = b.least-s.least+least, b.used-s.used+used
	s.least, s.used = least, used
}

// release gives back all of a terminal's.
func (b *Budget) release(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.shares[id]; s != nil {
		b.count(s, 0, 0)
		delete(b.shares, id)
	}
}

// settle counts what a terminal has, whose lock is not held, and makes room for it.
func (b *Budget) settle(t *terminal) {
	b.measure(t)
	b.fit()
}

func (b *Budget) measure(t *terminal) {
	t.mu.Lock()
	least := leastOf(t.screen.cols, t.screen.rows)
	used := least - leastKept + t.kept()
	t.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.shares[t.id]; s != nil {
		s.t = t
		b.count(s, least, used)
	}
}

// fit has terminals forget output until they take no more than they may.
func (b *Budget) fit() {
	for _, t := range longestUnseen(b.large()) {
		t.shrink()
		b.measure(t)
		if b.large() == nil {
			return
		}
	}
}

// large gives the terminals that can make room where there is too little of it.
func (b *Budget) large() (list []*terminal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used <= b.limit {
		return nil
	}
	for _, s := range b.shares {
		if s.t != nil && s.used > s.least {
			list = append(list, s.t)
		}
	}
	return list
}

// forgetEnded forgets one that has ended, and reports false where there is none.
func (b *Budget) forgetEnded() bool {
	b.mu.Lock()
	var all []*terminal
	for _, s := range b.shares {
		if s.t != nil {
			all = append(all, s.t)
		}
	}
	b.mu.Unlock()
	all = slices.DeleteFunc(all, func(t *terminal) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.status == StatusOpen
	})
	if len(all) == 0 {
		return false
	}
	t := longestUnseen(all)[0]
	t.manager.forget(t.id)
	return true
}

// longestUnseen sorts terminals by when somebody looked at them last.
func longestUnseen(list []*terminal) []*terminal {
	seen := make(map[*terminal]time.Time, len(list))
	for _, t := range list {
		t.mu.Lock()
		seen[t] = t.looked
		t.mu.Unlock()
	}
	slices.SortFunc(list, func(a, b *terminal) int { return seen[a].Compare(seen[b]) })
	return list
}

// kept is what the terminal keeps of its output, in bytes. It holds t.mu.
func (t *terminal) kept() int {
	n := cap(t.log.buf) + t.screen.history.bytes + cap(t.screen.history.lines)*stringBytes + len(t.screen.marks.list)*markedBytes
	for _, c := range t.raw.chunks {
		n += cap(c.data) + len(c.modes)
	}
	return n
}

// What values take besides what they refer to.
const (
	cellBytes   = 8
	stringBytes = 16
	markedBytes = 96
)

// shrink forgets all of the output but the newest.
func (t *terminal) shrink() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log.cut(len(t.log.buf) - shrunkBytes)
	t.raw.cut(shrunkBytes)
	t.screen.history.cut(shrunkBytes)
}
