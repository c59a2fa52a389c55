package files

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"openclaw-mcp/internal/fleet"
)

const (
	// alive is how often a process that works on an answer says so. One that is
	// stopped keeps its connections, so silence is the only sign.
	alive   = 500 * time.Millisecond
	silence = 2 * time.Second
	// stalled is how long an asker that is there may take nothing of an answer: it may be
	// stopped.
	stalled = time.Minute
	// maxFrame is how long a question or a part of an answer may be.
	maxFrame = 64 << 20
	// maxPath is how long a socket's path may be: on some systems 104 bytes with
	// the zero behind it.
	maxPath = 100

	socketSuffix, lockSuffix = ".s", ".l"
)

// sockets is how processes reach each other: each that serves or hears anything
// listens on a socket in one folder, and has a lock beside it for as long as it
// lives.
type sockets struct {
	f       *Fleet
	folder  string
	stalled time.Duration

	mu        sync.Mutex
	ln        net.Listener
	lock      *os.File
	closed    bool
	conns     map[net.Conn]bool
	tellers   map[string]*fleet.Listener // by process: news on its way there, in order
	wg        sync.WaitGroup
	connected context.Context // of the answers
	end       context.CancelFunc
}

func (s *sockets) init(f *Fleet) {
	s.f, s.stalled, s.conns, s.tellers = f, stalled, make(map[net.Conn]bool), make(map[string]*fleet.Listener)
	s.connected, s.end = context.WithCancel(context.Background())
	s.folder = filepath.Join(f.dir, "sockets")
	if len(s.path(f.id)) > maxPath {
		// The name tells which folder it belongs to; whose it is, is checked.
		s.folder = filepath.Join(shortFolder(), "openclaw-mcp-"+strconv.Itoa(max(os.Getuid(), 0))+"-"+fleet.Address(f.dir)[:8])
	}
}

func (s *sockets) path(id string) string { return filepath.Join(s.folder, id+socketSuffix) }

// listen makes this process's socket, at the first thing that it serves or hears.
func (s *sockets) listen() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil {
		return nil
	}
	if s.closed {
		return fleet.ErrAway
	}
	if err := ownFolder(s.folder); err != nil {
		return away(err)
	}
	// The lock first: a socket without one is a dead process's.
	lock, err := tryLock(filepath.Join(s.folder, s.f.id+lockSuffix))
	if err != nil {
		return away(err)
	}
	ln, err := net.Listen("unix", s.path(s.f.id))
	if err != nil {
		_ = lock.Close()
		_ = os.Remove(lock.Name())
		return away(err)
	}
	s.lock, s.ln = lock, ln
	s.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				if errors.Is(err, net.ErrClosed) {
					return
				}
				time.Sleep(10 * time.Millisecond) // out of file descriptors, for one
				continue
			}
			s.begin(conn)
		}
	})
	return nil
}

// begin serves one connection.
func (s *sockets) begin(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return
	}
	s.conns[conn] = true
	s.wg.Go(func() {
		s.serve(conn)
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		_ = conn.Close()
	})
}

func (s *sockets) serve(conn net.Conn) {
	w := &wire{conn: conn, r: bufio.NewReader(conn), stalled: s.stalled}
	what, body, err := w.read()
	if err != nil {
		return
	}
	switch what {
	case frameTell:
		n, size := binary.Uvarint(body)
		if size <= 0 || n > uint64(len(body)-size) {
			return
		}
		topic, news := string(body[size:size+int(n)]), body[size+int(n):]
		_ = s.f.local.Tell(topic, news)
		_ = w.write(frameTold)
	case frameServes:
		s.answer(w, string(body))
	}
}

// answer answers a question about a name that this process may serve. Until the
// asker has heard that it does, it says nothing that could be done.
func (s *sockets) answer(w *wire, name string) {
	if !s.f.local.Serves(name) {
		_ = w.write(frameNo)
		return
	}
	if w.write(frameYes) != nil {
		return
	}
	what, question, err := w.read()
	if err != nil || what != frameAsk {
		return
	}
	ctx, leave := context.WithCancel(s.connected)
	defer leave()
	var helpers sync.WaitGroup
	defer helpers.Wait()
	if w.conn.SetReadDeadline(time.Time{}) != nil {
		return
	}
	helpers.Go(func() { // who hangs up leaves
		_, _ = w.r.ReadByte()
		leave()
	})
	defer func() { _ = w.conn.SetReadDeadline(time.Now()) }()
	helpers.Go(func() {
		tick := time.NewTicker(alive)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if w.write(frameAlive) != nil {
					leave()
				}
			case <-ctx.Done():
				return
			}
		}
	})
	defer leave()
	for part, err := range s.f.local.Ask(ctx, name, question) {
		said, isSaid := errors.AsType[fleet.AnswerError](err)
		switch {
		case err == nil:
			if w.write(framePart, part) != nil {
				return
			}
			continue
		case isSaid:
			_ = w.write(frameError, []byte(said))
		case errors.Is(err, fleet.ErrGone): // it stopped between the two
			_ = w.write(frameNo)
		default:
			_ = w.write(frameLost)
		}
		return
	}
	_ = w.write(frameEnd)
}

// Close implements [fleet.Fleet].
func (f *Fleet) Close() error {
	s := &f.sockets
	_ = f.local.Close() // askers learn that their handlers are ending
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	for _, t := range s.tellers {
		t.Stop()
	}
	s.mu.Unlock()
	if closed {
		return nil
	}
	if s.ln != nil {
		_ = s.ln.Close() // and its file goes
	}
	s.end()
	// A moment for the last word to who is asking.
	defer time.AfterFunc(alive, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for conn := range s.conns {
			_ = conn.Close()
		}
	}).Stop()
	s.wg.Wait()
	if s.lock != nil {
		_ = s.lock.Close()
		_ = os.Remove(s.lock.Name())
	}
	return nil
}

var _ fleet.Fleet = (*Fleet)(nil)
