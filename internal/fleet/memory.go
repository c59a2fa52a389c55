package fleet

import (
	"bytes"
	"context"
	"iter"
	"strconv"
	"sync"
	"time"
)

// Alone is the fleet of a process that shares nothing with another one.
func Alone() *Memory {
	m := &Memory{served: make(map[string][]*service), heard: make(map[string][]*Listener), facts: make(map[string]memoryFact), owners: make(map[string]*owned)}
	m.base, m.stop = context.WithCancel(context.Background())
	return m
}

// Memory is a fleet of one process.
type Memory struct {
	base context.Context // of the handlers
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	served  map[string][]*service // the next one to ask first
	heard   map[string][]*Listener
	facts   map[string]memoryFact
	owners  map[string]*owned // who made the facts
	written int64
	swept   time.Time
}

type service struct{ handler Handler }

// end is what a handler returned.
type end struct {
	last []byte
	err  error
}

type memoryFact struct {
	Fact
	at    time.Time
	owner string // who made it
}

// Serve implements [Fleet].
func (m *Memory) Serve(name string, h Handler) (func(), error) {
	s := &service{h}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, ErrAway
	}
	m.served[name] = append(m.served[name], s)
	return func() { remove(&m.mu, m.served, name, s) }, nil
}

// Serves reports whether anybody serves a name.
func (m *Memory) Serves(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.served[name]) > 0
}

// remove takes an entry out of a list.
func remove[T comparable](mu *sync.Mutex, lists map[string][]T, name string, entry T) {
	mu.Lock()
	defer mu.Unlock()
	var left []T
	for _, e := range lists[name] {
		if e != entry {
			left = append(left, e)
		}
	}
	if left == nil {
		delete(lists, name)
	} else {
		lists[name] = left
	}
}

// begin gives the handler for one question, nil where nobody serves the name. Whoever
// gets it says m.wg.Done when it has returned.
func (m *Memory) begin(name string) Handler {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := m.served[name]
	if len(list) == 0 || m.base.Err() != nil {
		return nil
	}
	m.served[name] = append(list[1:len(list):len(list)], list[0])
	m.wg.Add(1)
	return list[0].handler
}

// Ask implements [Fleet].
func (m *Memory) Ask(ctx context.Context, name string, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(nil, err)
			return
		}
		h := m.begin(name)
		if h == nil {
			yield(nil, ErrGone)
			return
		}
		asked, leave := context.WithCancel(m.base)
		defer leave()
		parts, done := make(chan []byte), make(chan end, 1)
		go func() {
			defer m.wg.Done()
			last, err := h(asked, bytes.Clone(body), func(part []byte) error {
				select {
				case parts <- bytes.Clone(part):
					return nil
				case <-asked.Done():
					return asked.Err()
				}
			})
			done <- end{last, err}
		}()
		for {
			select {
			case part := <-parts:
				if !yield(part, nil) {
					return
				}
			case end := <-done:
				if err := m.endError(end.err); err != nil {
					yield(nil, err)
				} else if end.last != nil {
					yield(bytes.Clone(end.last), nil)
				}
				return
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

// Answer is for engines that carry questions from elsewhere: whoever serves the name
// answers, on the caller's goroutine. part's context is the handler's. The last piece is
// that of a [Handler], the error that of [Fleet.Ask].
func (m *Memory) Answer(ctx context.Context, name string, body []byte, part func(ctx context.Context, piece []byte) error) (last []byte, err error) {
	h := m.begin(name)
	if h == nil {
		return nil, ErrGone
	}
	defer m.wg.Done()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	defer context.AfterFunc(m.base, leave)()
	last, err = h(ctx, body, func(piece []byte) error { return part(ctx, piece) })
	return last, m.endError(err)
}

// endError is the asker's error for that of a handler.
func (m *Memory) endError(err error) error {
	switch {
	case err == nil:
		return nil
	case m.base.Err() != nil:
		return ErrLost
	}
	return AnswerError(err.Error())
}

// Hear implements [Fleet].
func (m *Memory) Hear(topic string, f func([]byte)) (func(), error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.base.Err() != nil {
		return nil, ErrAway
	}
	l := NewListener(f)
	m.heard[topic] = append(m.heard[topic], l)
	return func() {
		remove(&m.mu, m.heard, topic, l)
		l.Stop()
	}, nil
}

// Tell implements [Fleet].
func (m *Memory) Tell(topic string, body []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.heard[topic] {
		l.Tell(bytes.Clone(body))
	}
	return nil
}

// look gives a fact that is not too old; m.mu is held.
func (m *Memory) look(name string) (Fact, bool) {
	f, ok := m.facts[name]
	if !ok || time.Since(f.at) >= Day {
		return Fact{}, false
	}
	return NewFact(name, bytes.Clone(f.Value), f.version), true
}

// write notes a fact; m.mu is held.
func (m *Memory) write(owner, name string, value []byte) Fact {
	m.drop(name)
	m.written++
	f := NewFact(name, bytes.Clone(value), strconv.FormatInt(m.written, 10))
	m.facts[name] = memoryFact{f, time.Now(), owner}
	m.own(owner, name, value)
	return f
}

// drop lets a fact go; m.mu is held.
func (m *Memory) drop(name string) {
	f, ok := m.facts[name]
	if !ok {
		return
	}
	delete(m.facts, name)
	m.disown(f)
}

// Find implements [Fleet].
func (m *Memory) Find(_ context.Context, name string) (Fact, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.look(name)
	return f, ok, nil
}

// Create implements [Fleet].
func (m *Memory) Create(_ context.Context, name string, value []byte) (Fact, bool, error) {
	return m.create("", name, value)
}

func (m *Memory) create(owner, name string, value []byte) (Fact, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := time.Now(); now.Sub(m.swept) > time.Hour {
		m.swept = now
		for name := range m.facts {
			if _, ok := m.look(name); !ok {
				m.drop(name)
			}
		}
	}
	if f, ok := m.look(name); ok {
		return f, false, nil
	}
	if err := m.room(owner, sizeOf(name, value), len(value)); err != nil {
		return Fact{}, false, err
	}
	return m.write(owner, name, value), true, nil
}

// Change implements [Fleet].
func (m *Memory) Change(_ context.Context, fact Fact, value []byte) (Fact, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.look(fact.Name)
	if !ok || f.version != fact.version {
		return Fact{}, ErrChanged
	}
	owner := m.facts[fact.Name].owner
	if err := m.room(owner, len(value)-len(f.Value), len(value)); err != nil {
		return Fact{}, err
	}
	return m.write(owner, fact.Name, value), nil
}

// Forget implements [Fleet].
func (m *Memory) Forget(_ context.Context, fact Fact) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.look(fact.Name)
	if ok && f.version != fact.version {
		return ErrChanged
	}
	m.drop(fact.Name)
	return nil
}

// Close ends all that was served and heard.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.stop()
	for _, list := range m.heard {
		for _, l := range list {
			l.Stop()
		}
	}
	clear(m.heard)
	clear(m.served)
	m.mu.Unlock()
	m.wg.Wait()
	return nil
}
