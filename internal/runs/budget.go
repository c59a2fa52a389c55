package runs

import (
	"sync"
	"time"
)

// DefaultTexts is a budget for one process, in bytes: the longest message that there may
// be, or eight of the longest replies.
const DefaultTexts = 128 << 20

const (
	// maxText bounds the text of one reply, in bytes.
	maxText = 8 << 20
	// freeText is how many bytes of a run's message and reply always find room.
	freeText = 16 << 10
	// textStep is how many bytes room is made for at once.
	textStep = 64 << 10
	// textCopies is how often a run under way has its message and its reply: they are also
	// with who sends the one and reads the other.
	textCopies = 2
)

// Budget bounds what the texts of all runs in a process take, whoever they belong to, and
// what ended runs are kept with. Those make room for others: their handles lead to the
// history.
type Budget struct {
	limit int // in bytes
	mine  int // of one caller

	mu   sync.Mutex // taken last of all
	used int
	of   map[*Manager]int // and how much of it by whose runs
}

// NewBudget makes a budget of so many bytes, of which one caller may have seven eighths, or
// one run that takes more.
func NewBudget(limit int) *Budget {
	return &Budget{limit: limit, mine: limit / 8 * 7, of: make(map[*Manager]int)}
}

func (b *Budget) join(m *Manager) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.of[m] = 0
}

func (b *Budget) leave(m *Manager) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= b.of[m]
	delete(b.of, m)
}

// reserve has room for a run that takes size bytes, and reports whether there is any. No
// lock of a manager or a run is held.
func (b *Budget) reserve(l *Live, size int) bool {
	for {
		ok, crowd := b.take(l, size)
		if ok || !dropOldest(crowd) {
			return ok
		}
	}
}

// take is reserve with what room there is; crowd are those who have too much of it.
func (b *Budget) take(l *Live, size int) (ok bool, crowd []*Manager) {
	b.mu.Lock()
	defer b.mu.Unlock()
	more := size - textCopies*freeText - l.room
	_, open := b.of[l.m]
	switch {
	case more <= 0 || l.dropped || !open:
		return true, nil
	case b.of[l.m] > 0 && b.of[l.m]+more > b.mine:
		return false, []*Manager{l.m}
	case b.used+more > b.limit:
		for m, n := range b.of {
			if n > 0 {
				crowd = append(crowd, m)
			}
		}
		return false, crowd
	}
	b.add(l, more)
	return true, nil
}

// add is called with mu held.
func (b *Budget) add(l *Live, n int) {
	l.room += n
	b.of[l.m] += n
	b.used += n
}

// shrink gives back what a run has beyond size.
func (b *Budget) shrink(l *Live, size int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, open := b.of[l.m]; open {
		b.add(l, -max(0, l.room-size))
	}
}

// settle has room for what a run takes that nobody follows any more. All of one that has
// ended counts. Where there is no room for it, what ended before is forgotten, and in the end
// the run itself.
func (b *Budget) settle(l *Live) {
	size := l.size()
	b.shrink(l, size)
	if _, over := l.endedAt(); over && !b.reserve(l, size+textCopies*freeText) && size > freeText {
		l.m.Forget(l)
	}
}

// setDropped notes whether a run is kept by its manager: one that is not takes no room.
func (b *Budget) setDropped(l *Live, dropped bool) {
	b.shrink(l, 0)
	b.mu.Lock()
	defer b.mu.Unlock()
	l.dropped, l.allowed = dropped, 0
}

// dropOldest forgets the run that ended first, and reports false where none has ended.
func dropOldest(of []*Manager) bool {
	var owner *Manager
	var oldest *Live
	var since time.Time
	for _, m := range of {
		m.mu.Lock()
		for l := range m.all() {
			if at, over := l.endedAt(); over && (oldest == nil || at.Before(since)) && m.Config.Texts.has(l) {
				owner, oldest, since = m, l, at
			}
		}
		m.mu.Unlock()
	}
	if oldest == nil {
		return false
	}
	owner.mu.Lock()
	defer owner.mu.Unlock()
	owner.drop(oldest)
	return true
}

// has reports whether a run takes room.
func (b *Budget) has(l *Live) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return l.room > 0
}

// Room gives how many of so many bytes the text of the reply may have, and keeps room for
// them.
func (l *Live) Room(size int) int {
	size = min(size, maxText)
	b := l.m.Config.Texts
	b.mu.Lock()
	allowed := max(freeText, l.allowed)
	b.mu.Unlock()
	if size <= allowed {
		return size
	}
	next := min((size+textStep-1)/textStep*textStep, maxText)
	if !b.reserve(l, textCopies*(l.message+next)) {
		return allowed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l.allowed = next
	return size
}
