package fleet

import "sync"

// maxTold is how much a listener may be behind. What is told are hints to look
// again, and a listener that far behind looks at everything anyway.
const maxTold = 4096

// A Listener is for engines: it calls one function of [Fleet.Hear], in order, and
// whoever tells never waits for it.
type Listener struct {
	f func([]byte)

	mu      sync.Mutex
	told    [][]byte
	running bool
	stopped bool
}

// NewListener makes a listener for f.
func NewListener(f func([]byte)) *Listener { return &Listener{f: f} }

// Tell has f called with body soon.
func (l *Listener) Tell(body []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || len(l.told) >= maxTold {
		return
	}
	l.told = append(l.told, body)
	if !l.running {
		l.running = true
		go l.run() // lives only while there is something to hear
	}
}

func (l *Listener) run() {
	for {
		l.mu.Lock()
		if len(l.told) == 0 {
			l.running = false
			l.mu.Unlock()
			return
		}
		body := l.told[0]
		l.told = l.told[1:]
		l.mu.Unlock()
		l.f(body)
	}
}

// Stop ends the calls; one may still be under way.
func (l *Listener) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped, l.told = true, nil
}
