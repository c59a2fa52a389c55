package files

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// What a frame says, in its first byte.
const (
	frameServes byte = iota // asker: do you serve this name?
	frameYes                // server: ask
	frameNo                 // server: no
	frameAsk                // asker: the question
	framePart               // server: a part of the answer
	frameAlive              // server: still at it
	frameEnd                // server: that was all
	frameError              // server: the handler's error
	frameLost               // server: it is ending, and the handler did not finish
	frameTell               // teller: topic and news
	frameTold               // server: heard
)

// wire is one end of a connection: who writes may be several.
type wire struct {
	conn    net.Conn
	r       *bufio.Reader
	stalled time.Duration // how long a frame may take
	mu      sync.Mutex
}

func (w *wire) write(what byte, pieces ...[]byte) error {
	body := bytes.Join(pieces, nil)
	if len(body) > maxFrame {
		return fmt.Errorf("%d bytes are too many to send to another process at once; the limit is %d", len(body), maxFrame)
	}
	b := make([]byte, 5, 5+len(body))
	b[0] = what
	binary.BigEndian.PutUint32(b[1:], uint32(len(body)))
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(w.stalled)); err != nil {
		return err
	}
	_, err := w.conn.Write(append(b, body...))
	return err
}

// read reads a frame, for which it waits as long as whoever lives is silent.
func (w *wire) read() (what byte, body []byte, err error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
		return 0, nil, err
	}
	var head [5]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxFrame {
		return 0, nil, fmt.Errorf("a frame of %d bytes", n)
	}
	body = make([]byte, n)
	_, err = io.ReadFull(w.r, body)
	return head[0], body, err
}
