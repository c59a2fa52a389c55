package runs

import "iter"

// KeepResult keeps the result of a run that its kind follows and lists by itself, and that has
// ended, for as long as ended runs are kept: it makes room for others like them.
func (m *Manager) KeepResult(state State, begin func(*Live) Work) {
	l := m.NewLive(state)
	l.work = begin(l)
	l.End(StatusCompleted, nil)
	m.mu.Lock()
	m.started++
	l.number = m.started
	m.kept[state.ID] = l
	m.mu.Unlock()
	m.Config.Texts.settle(l)
}

// Kept gives what KeepResult keeps of a run; nil: it keeps nothing, or no longer.
func (m *Manager) Kept(id string) Work {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l := m.kept[id]; l != nil {
		return l.work
	}
	return nil
}

// all gives all that is kept; m.mu is held.
func (m *Manager) all() iter.Seq[*Live] {
	return func(yield func(*Live) bool) {
		for _, some := range []map[string]*Live{m.live, m.kept} {
			for _, l := range some {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// drop forgets a run that is kept; m.mu is held.
func (m *Manager) drop(l *Live) {
	l.withdrawn()
	delete(m.live, l.state.ID)
	delete(m.kept, l.state.ID)
	m.Config.Texts.setDropped(l, true)
}

// Forget drops a run, so that it is taken up anew: what is known of it here is not true any
// more.
func (m *Manager) Forget(l *Live) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live[l.state.ID] == l || m.kept[l.state.ID] == l {
		m.drop(l)
	}
}
