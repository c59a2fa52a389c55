package rfb

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"sync"
	"time"
)

// DefaultMaxPixels bounds a screen: 16 Mi pixels, such as 4096×4096, take 64 MiB
// twice.
const DefaultMaxPixels = 16 << 20

// Options change how [Connect] behaves. The zero value works.
type Options struct {
	Password  string        // for VNC authentication
	MaxPixels int           // the largest screen (DefaultMaxPixels)
	KeyPause  time.Duration // between the keys of a text; 0: 8 ms, negative: none
	// Reserve, where set, is told by how many pixels the screen grows, or shrinks, and
	// may refuse: what a screen takes in memory is the server's to say. At the end of
	// the connection all are given back.
	Reserve func(pixels int) error
	// Wrap is applied to the error that ends the connection (nil: none).
	Wrap func(error) error
}

// Conn is a connection to a VNC server. It is safe for concurrent use; the keys
// and pointer events of two callers may mix.
type Conn struct {
	rw   io.ReadWriteCloser
	r    *bufio.Reader
	opts Options
	name string

	writing sync.Mutex // one message at a time

	// The reading goroutine's own: the screen as far as it was received, and
	// what the current update touched.
	back    *image.RGBA
	touched []image.Rectangle
	resized bool
	zrle    zrleStream
	scratch []byte

	reserved int // pixels, the reading goroutine's own

	done   chan struct{}
	came   chan struct{} // holds a value when somebody has begun to watch
	wanted chan struct{} // holds a value while an update is to be asked for
	asks   sync.WaitGroup

	mu       sync.Mutex
	front    *image.RGBA         // the screen after the last whole update
	gen      uint64              // counts the updates that changed a pixel, and resizes
	recent   [64]image.Rectangle // what the newest generations changed, by gen modulo its length
	missing  *missing            // what was never received of front; nil: nothing
	asked    bool                // an incremental request is unanswered
	whole    bool                // the next one is to be for all pixels
	watchers int
	waiters  map[*waiter]struct{}
	cursor   cursor
	pointer  image.Point // where the pointer was put last
	buttons  uint8       // that are pressed
	err      error
	closed   bool
}

// Connect greets the server, logs in and starts to receive. ctx bounds this
// alone. The stream belongs to the connection from here on, and is closed also
// when Connect fails.
func Connect(ctx context.Context, rw io.ReadWriteCloser, opts Options) (*Conn, error) {
	if opts.MaxPixels <= 0 {
		opts.MaxPixels = DefaultMaxPixels
	}
	if opts.KeyPause == 0 {
		opts.KeyPause = 8 * time.Millisecond
	}
	if opts.Wrap == nil {
		opts.Wrap = func(err error) error { return err }
	}
	c := &Conn{rw: rw, r: bufio.NewReaderSize(rw, 32<<10), opts: opts,
		done: make(chan struct{}), came: make(chan struct{}, 1), wanted: make(chan struct{}, 1), waiters: make(map[*waiter]struct{}), pointer: image.Pt(-1, -1)}
	// A stream has no deadlines: closing it is what ends a read.
	stop := context.AfterFunc(ctx, func() { _ = rw.Close() })
	err := c.handshake()
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		_ = rw.Close()
		_ = c.reserve(0)
		return nil, opts.Wrap(err)
	}
	go c.receive()
	c.asks.Go(c.ask)
	return c, nil
}

// Name is what the server calls its desktop.
func (c *Conn) Name() string { return c.name }

// Size is the screen's size now.
func (c *Conn) Size() image.Point {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.front.Rect.Size()
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err says why the connection has ended; nil while it has not.
func (c *Conn) Err() error {
	select {
	case <-c.done:
	default:
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// ErrClosed is what a connection ends with that its user closed.
var ErrClosed = errors.New("rfb: the connection was closed")

// Close ends the connection and waits until nothing of it runs any more.
func (c *Conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wake()
	err := c.rw.Close()
	<-c.done
	c.asks.Wait()
	return err
}

// receive handles the server's messages until the connection ends.
func (c *Conn) receive() {
	err := c.messages()
	_ = c.rw.Close()
	c.back, c.scratch = nil, nil
	_ = c.reserve(0)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	c.mu.Lock()
	if c.closed {
		err = ErrClosed
	}
	c.err = c.opts.Wrap(err)
	c.mu.Unlock()
	close(c.done)
}

// The server's messages.
const (
	msgUpdate    = 0
	msgColourMap = 1
	msgBell      = 2
	msgCutText   = 3
)

// maxCutText bounds what of a server's clipboard is skipped.
const maxCutText = 64 << 20

func (c *Conn) messages() error {
	for {
		kind, err := c.r.ReadByte()
		if err != nil {
			return err
		}
		switch kind {
		case msgUpdate:
			began := time.Now()
			err = c.update()
			c.rest(time.Since(began))
		case msgColourMap: // of no use with true colour
			var head [5]byte
			if err = c.read(head[:]); err == nil {
				err = c.skip(6 * int64(binary.BigEndian.Uint16(head[3:])))
			}
		case msgBell:
		case msgCutText:
			var head [7]byte
			if err = c.read(head[:]); err == nil {
				n := binary.BigEndian.Uint32(head[3:])
				if n > maxCutText {
					return violation("the server sends a clipboard of %d bytes", n)
				}
				err = c.skip(int64(n))
			}
		default:
			return violation("the server sends a message of the unknown type %d", kind)
		}
		if err != nil {
			return err
		}
	}
}

// restFactor is how much longer than it worked a connection rests that nobody looks
// at, and maxRest the longest that it does.
const (
	restFactor = 20
	maxRest    = 5 * time.Second
)

// rest pauses after some work where nobody watches: a server may send updates that
// nobody asked for. It ends as soon as somebody does.
func (c *Conn) rest(worked time.Duration) {
	c.mu.Lock()
	idle := c.watchers == 0 && !c.closed
	if idle {
		select {
		case <-c.came: // of an earlier one
		default:
		}
	}
	c.mu.Unlock()
	if !idle {
		return
	}
	timer := time.NewTimer(min(restFactor*worked, maxRest))
	defer timer.Stop()
	select {
	case <-c.came:
	case <-timer.C:
	}
}

// wake ends a rest.
func (c *Conn) wake() {
	select {
	case c.came <- struct{}{}:
	default:
	}
}

// reserve asks for room for a screen of so many pixels.
func (c *Conn) reserve(pixels int) error {
	if c.opts.Reserve == nil || pixels == c.reserved {
		return nil
	}
	if err := c.opts.Reserve(pixels - c.reserved); err != nil {
		return err
	}
	c.reserved = pixels
	return nil
}

func (c *Conn) read(p []byte) error {
	_, err := io.ReadFull(c.r, p)
	return err
}

func (c *Conn) skip(n int64) error {
	_, err := io.CopyN(io.Discard, c.r, n)
	return err
}

// send writes one message whole. An error says only that the connection is at
// its end; the reading goroutine knows why.
func (c *Conn) send(p []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	_, err := c.rw.Write(p)
	if err != nil {
		_ = c.rw.Close()
	}
	return err
}

// write is send for callers. ctx ending in the middle of a message ends the
// connection, for the server could not make sense of the next one.
func (c *Conn) write(ctx context.Context, p []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.Err(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.rw.Close() })
	err := c.send(p)
	if !stop() {
		return ctx.Err()
	}
	if err != nil {
		<-c.done
		return c.Err()
	}
	return nil
}
