package files

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"openclaw-mcp/internal/fleet"
)

// others lists the other processes that have sockets.
func (s *sockets) others() []string {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return nil // nobody has one
	}
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutSuffix(e.Name(), socketSuffix); ok && id != s.f.id {
			ids = append(ids, id)
		}
	}
	return ids
}

// dial connects to a process. One that is dead is cleared away.
func (s *sockets) dial(ctx context.Context, id string) (*wire, error) {
	d := net.Dialer{Timeout: silence}
	conn, err := d.DialContext(ctx, "unix", s.path(id))
	if err != nil {
		if ctx.Err() == nil {
			s.clearDead(id)
		}
		return nil, err
	}
	return &wire{conn: conn, r: bufio.NewReader(conn), stalled: stalled}, nil
}

// clearDead removes what a process left behind that ended without closing.
func (s *sockets) clearDead(id string) {
	path := filepath.Join(s.folder, id+lockSuffix)
	if _, err := os.Lstat(path); err == nil {
		lock, err := tryLock(path)
		if err != nil {
			return // it lives
		}
		_ = lock.Close()
	}
	_ = os.Remove(s.path(id))
	_ = os.Remove(path)
}

// clear removes what dead processes left behind.
func (s *sockets) clear() {
	entries, err := os.ReadDir(s.folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		// One that is only just starting has its lock made, but may not hold it yet.
		if st, err := e.Info(); err != nil || time.Since(st.ModTime()) < time.Minute {
			continue
		}
		if id, ok := strings.CutSuffix(e.Name(), lockSuffix); ok && id != s.f.id {
			s.clearDead(id)
		}
	}
}

// Serve implements [fleet.Fleet].
func (f *Fleet) Serve(name string, h fleet.Handler) (func(), error) {
	if err := f.listen(); err != nil {
		return nil, err
	}
	return f.local.Serve(name, h)
}

// Hear implements [fleet.Fleet].
func (f *Fleet) Hear(topic string, h func([]byte)) (func(), error) {
	if err := f.listen(); err != nil {
		return nil, err
	}
	return f.local.Hear(topic, h)
}

// Ask implements [fleet.Fleet]: it asks this process first, then each other one.
func (f *Fleet) Ask(ctx context.Context, name string, body []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if f.local.Serves(name) {
			gone := false
			for part, err := range f.local.Ask(ctx, name, body) {
				if gone = errors.Is(err, fleet.ErrGone); !gone && !yield(part, err) {
					return
				}
			}
			if !gone {
				return
			}
		}
		w, err := f.find(ctx, name)
		if err != nil {
			yield(nil, err)
			return
		}
		defer w.conn.Close()
		defer context.AfterFunc(ctx, func() { _ = w.conn.Close() })()
		err = w.write(frameAsk, body)
		for what := frameAlive; err == nil && what != frameEnd; {
			var part []byte
			if what, part, err = w.read(); err != nil {
				break
			}
			switch what {
			case framePart:
				if !yield(part, nil) {
					return
				}
			case frameError:
				err = fleet.AnswerError(part)
			case frameNo: // it stopped serving between the two
				err = fleet.ErrGone
			case frameLost:
				err = fleet.ErrLost
			}
		}
		if err == nil {
			return
		}
		if _, said := errors.AsType[fleet.AnswerError](err); !said && !errors.Is(err, fleet.ErrGone) {
			err = cmp.Or(ctx.Err(), fleet.ErrLost)
		}
		yield(nil, err)
	}
}

// find finds a process that serves a name, and waits for the question. They are all
// asked at once: one that is stopped takes its connections, and says nothing.
func (f *Fleet) find(ctx context.Context, name string) (*wire, error) {
	ids := f.others()
	type found struct {
		w   *wire
		err error
	}
	all := make(chan found, len(ids))
	looking, stop := context.WithCancel(ctx)
	for _, id := range ids {
		go func() {
			w, err := f.probe(looking, id, name)
			all <- found{w, err}
		}()
	}
	var first *wire
	last := fleet.ErrGone
	for range ids {
		switch one := <-all; {
		case one.w != nil && first == nil:
			first = one.w
			stop() // the others' answers come at once now
		case one.w != nil:
			_ = one.w.conn.Close()
		case one.err != nil && first == nil:
			last = one.err // it lives and does not answer: perhaps it is the one
		}
	}
	stop()
	if first != nil {
		return first, nil
	}
	return nil, cmp.Or(ctx.Err(), last)
}

// probe asks a process whether it serves a name, and gives the connection where it
// does. An error is of one that lives and does not answer.
func (f *Fleet) probe(ctx context.Context, id, name string) (*wire, error) {
	w, err := f.dial(ctx, id)
	if err != nil {
		return nil, nil // it is gone
	}
	stop := context.AfterFunc(ctx, func() { _ = w.conn.Close() })
	var what byte
	if err = w.write(frameServes, []byte(name)); err == nil {
		what, _, err = w.read()
	}
	if err == nil && what == frameYes && stop() {
		return w, nil
	}
	stop()
	_ = w.conn.Close()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, away(errors.New("a process of this user does not answer"))
	}
	return nil, nil
}

// Tell implements [fleet.Fleet]. What other processes are told is on its way when it
// returns; to each of them, it goes in order.
func (f *Fleet) Tell(topic string, body []byte) error {
	if err := f.local.Tell(topic, body); err != nil {
		return err
	}
	frame := append(binary.AppendUvarint(nil, uint64(len(topic))), topic...)
	frame = append(frame, body...)
	for _, id := range f.others() {
		f.teller(id).Tell(frame)
	}
	return nil
}

// teller gives who tells a process.
func (s *sockets) teller(id string) *fleet.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tellers[id]
	if t == nil {
		t = fleet.NewListener(func(frame []byte) {
			if !s.tell(id, frame) {
				s.mu.Lock()
				delete(s.tellers, id)
				s.mu.Unlock()
			}
		})
		if s.closed {
			t.Stop()
		}
		s.tellers[id] = t
	}
	return t
}

// tell tells a process something, and reports whether it heard.
func (s *sockets) tell(id string, frame []byte) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	s.wg.Add(1)
	s.mu.Unlock()
	defer s.wg.Done()
	w, err := s.dial(s.connected, id)
	if err != nil {
		return false
	}
	defer w.conn.Close()
	defer context.AfterFunc(s.connected, func() { _ = w.conn.Close() })()
	if err := w.write(frameTell, frame); err != nil {
		return false
	}
	what, _, err := w.read()
	return err == nil && what == frameTold
}
