package terminals

// Count is how many terminals are open, those that are being opened included.
func (m *Manager) Count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.open)
}
