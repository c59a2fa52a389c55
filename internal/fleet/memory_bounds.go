package fleet

import (
	"context"
	"errors"
	"fmt"
)

// What the facts of one caller may take in memory, in bytes. The large ones, such as
// results, may take half of it, so that there is still room for those that something
// waits for.
const (
	maxFacts  = 64 << 20
	largeFact = 4 << 10
	factCost  = 256 // of a fact besides its name and value
)

// ErrFull says that a caller has as many facts as it may have: nothing was done.
var ErrFull = errors.New("too much is remembered for this caller")

// owned is the facts of one caller.
type owned struct {
	names map[string]struct{}
	size  int
}

// own notes who made a fact; m.mu is held.
func (m *Memory) own(owner, name string, value []byte) {
	o := m.owners[owner]
	if o == nil {
		o = &owned{names: make(map[string]struct{})}
		m.owners[owner] = o
	}
	o.names[name] = struct{}{}
	o.size += sizeOf(name, value)
}

// disown is for a fact that is gone; m.mu is held.
func (m *Memory) disown(f memoryFact) {
	o := m.owners[f.owner]
	delete(o.names, f.Name)
	if o.size -= sizeOf(f.Name, f.Value); len(o.names) == 0 {
		delete(m.owners, f.owner)
	}
}

func sizeOf(name string, value []byte) int { return factCost + len(name) + len(value) }

// room reports ErrFull where an owner's facts may not grow by so much for a value of this
// size; m.mu is held.
func (m *Memory) room(owner string, more, value int) error {
	limit := maxFacts
	if value > largeFact {
		limit /= 2
	}
	used := 0
	if o := m.owners[owner]; o != nil {
		used = o.size
	}
	if owner == "" || more <= 0 || used+more <= limit {
		return nil
	}
	return fmt.Errorf("%w: %d MiB of idempotency keys and the like, which are kept for a day; go on without new ones, or later", ErrFull, limit>>20)
}

// Of is m for one caller, whose facts are bounded.
func (m *Memory) Of(caller string) Fleet { return part{m, caller} }

type part struct {
	*Memory
	owner string
}

// Create implements [Fleet].
func (p part) Create(_ context.Context, name string, value []byte) (Fact, bool, error) {
	return p.create(p.owner, name, value)
}

// ForgetAll lets all facts of a caller go, as if there had been no such caller.
func (m *Memory) ForgetAll(caller string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.owners[caller]; o != nil {
		for name := range o.names {
			m.drop(name)
		}
	}
}
