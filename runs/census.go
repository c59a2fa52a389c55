package runs

import (
	"context"
	"time"
)

// Census counts the runs in memory by kind and status.
func (m *Manager) Census() map[Kind]map[Status]int {
	counts := make(map[Kind]map[Status]int)
	add := func(k Kind, s Status) {
		if counts[k] == nil {
			counts[k] = make(map[Status]int)
		}
		counts[k][s]++
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	m.sweep(now)
	for _, u := range m.detached {
		add(u.Kind, u.Status)
	}
	for _, l := range m.live {
		l.mu.Lock()
		kind, status := l.state.Kind, l.statusAt(now)
		l.mu.Unlock()
		add(kind, status)
	}
	return counts
}

// carried has the run's work go on with what its call hands on; m.mu is held,
// and the work has not begun.
func (l *live) carried(call context.Context) *live {
	if carry := l.m.cfg.Carry; carry != nil {
		l.ctx = carry(call, l.ctx)
	}
	return l
}
