package desktops

import (
	"context"
	"errors"
	"fmt"
	"image"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/rfb"
)

// A page that shows a desktop to a person follows it beside the calls of the model:
// what it sees is not "the last picture" that those refer to, and it does not wait
// for them.

// Seen is what a page has of a desktop. The zero value is nothing.
type Seen struct {
	Connection int
	Generation uint64
}

// Frame is the part of a desktop that has changed since what a page had seen.
type Frame struct {
	Data    []byte // a JPEG or PNG of Part, in full size; nil: nothing has changed
	MIME    string
	Part    image.Rectangle
	Screen  image.Point
	Pointer *image.Point // where the model or a page put it last
	Seen    Seen
	Left    time.Duration // of the person's turn; 0: it is the model's
}

// Event is what a person does: an event of the pointer, or of a key by the name that
// [rfb.ParseKeys] knows or by its character.
type Event struct {
	At      *image.Point // the pointer's, on the screen
	Buttons uint8        // bits as in RFB: left, middle, right, wheel up, down, left, right
	Key     string
	Down    bool
}

const (
	// frameBytes bounds a frame: pictures follow each other quickly, and a better one
	// comes when the screen is calm.
	frameBytes = 400_000
	// framePause collects what changes in many small parts.
	framePause = 25 * time.Millisecond
)

// Live implements [Desktops].
func (l *Local) Live(ctx context.Context, instance string, seen Seen, wait time.Duration) (Frame, error) {
	conn, serial, done, err := l.borrow(ctx, instance)
	if err != nil {
		return Frame{}, err
	}
	defer done()
	if seen.Connection != serial {
		seen = Seen{Connection: serial}
	}
	if left := l.left(ctx, instance); left > 0 {
		wait = min(wait, left+time.Millisecond) // the page is to know when it ends
	}
	if seen.Generation > 0 {
		limited, cancel := context.WithTimeout(ctx, wait)
		err := conn.WaitGeneration(limited, seen.Generation)
		if err == nil {
			still, end := context.WithTimeout(limited, 3*framePause)
			err = conn.Settle(still, framePause)
			end()
		}
		cancel()
		if err := unlessOver(ctx, err); err != nil {
			if ctx.Err() != nil {
				return Frame{}, ctx.Err()
			}
			return Frame{}, l.problem(err, "following the desktop failed", client.OutcomeNotSent)
		}
	}
	part := conn.Since(seen.Generation)
	f := Frame{Part: part.Image.Rect, Screen: part.Screen.Size(), Seen: Seen{serial, part.Generation}, Left: l.left(ctx, instance)}
	if part.Pointer.In(part.Screen) {
		f.Pointer = &part.Pointer
	}
	if !f.Part.Empty() {
		f.Data, f.MIME, err = encode(part.Image, Request{Format: "jpeg", MaxBytes: frameBytes})
	}
	return f, err
}

// Use implements [Desktops].
func (l *Local) Use(ctx context.Context, instance string, events []Event, take, give bool) (left time.Duration, err error) {
	keys := make([]rfb.Keysym, len(events))
	for i, e := range events {
		if e.At == nil {
			if keys[i], err = keyOf(e.Key); err != nil {
				return 0, &InputError{fmt.Sprintf("event %d: %v", i, err)}
			}
		}
	}
	if take || len(events) > 0 {
		l.take(ctx, instance)
	}
	if len(events) > 0 {
		conn, _, done, err := l.borrow(ctx, instance)
		if err != nil {
			return l.left(ctx, instance), err
		}
		defer done()
		for i, e := range events {
			if e.At != nil {
				err = conn.PointerEvent(ctx, *e.At, e.Buttons)
			} else {
				err = conn.KeyEvent(ctx, keys[i], e.Down)
			}
			if err != nil {
				return l.left(ctx, instance), l.problem(err, fmt.Sprintf("%d of %d events were sent, and then the connection or the call ended", i, len(events)), client.OutcomeUnknown)
			}
		}
	}
	if give {
		l.give(ctx, instance)
	}
	return l.left(ctx, instance), nil
}

func keyOf(name string) (rfb.Keysym, error) {
	if r, n := utf8.DecodeRuneInString(name); n == len(name) && n > 0 && r != utf8.RuneError {
		return rfb.KeysymOf(r), nil
	}
	keys, err := rfb.ParseKeys(name)
	if err == nil && len(keys) != 1 {
		err = errors.New("name exactly one key")
	}
	if err != nil {
		return 0, err
	}
	return keys[0], nil
}

// borrow gives a desktop's connection, beside a call that may be using it. Until done
// is called it counts as used.
func (l *Local) borrow(ctx context.Context, instance string) (conn *rfb.Conn, serial int, done func(), err error) {
	for {
		l.mu.Lock()
		d := l.all[instance]
		if d != nil && d.conn != nil && d.conn.Err() == nil && !l.closed {
			d.calls++
			conn, serial = d.conn, d.serial
			l.mu.Unlock()
			return conn, serial, func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				d.used = time.Now()
				d.calls--
				if !l.closed {
					d.idle.Reset(l.cfg.Idle)
				}
			}, nil
		}
		l.mu.Unlock()
		if err := l.use(ctx, instance, func(*desktop) error { return nil }); err != nil {
			return nil, 0, nil, err
		}
	}
}
