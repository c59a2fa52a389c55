package rfb

import (
	"context"
	"encoding/binary"
	"image"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Button is a button of the pointer. The wheel is buttons, too.
type Button uint8

// The buttons.
const (
	Left Button = 1 << iota
	Middle
	Right
	WheelUp
	WheelDown
	WheelLeft
	WheelRight
)

// pointerEvent puts the pointer somewhere, with the buttons given pressed.
func (c *Conn) pointerEvent(ctx context.Context, at image.Point, buttons uint8) error {
	c.mu.Lock()
	size := c.front.Rect
	c.mu.Unlock()
	at.X = min(max(at.X, 0), size.Max.X-1)
	at.Y = min(max(at.Y, 0), size.Max.Y-1)
	m := []byte{5, buttons}
	m = binary.BigEndian.AppendUint16(m, uint16(at.X))
	m = binary.BigEndian.AppendUint16(m, uint16(at.Y))
	if err := c.write(ctx, m); err != nil {
		return err
	}
	c.mu.Lock()
	c.pointer, c.buttons, c.cursor.placed = at, buttons, false
	c.mu.Unlock()
	return nil
}

// Move puts the pointer at a place of the screen. Places outside of it are
// brought to its edge.
func (c *Conn) Move(ctx context.Context, to image.Point) error {
	return c.pointerEvent(ctx, to, 0)
}

// pressTime is how long a button stays down: programs that look at the pointer
// now and then would miss less.
const pressTime = 30 * time.Millisecond

// Click presses and releases a button at a place, several times in a row.
func (c *Conn) Click(ctx context.Context, at image.Point, b Button, times int) (err error) {
	if err := c.Move(ctx, at); err != nil {
		return err
	}
	for i := range times {
		if i > 0 {
			if err := pause(ctx, pressTime); err != nil {
				return err
			}
		}
		if err := c.press(ctx, at, b); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) press(ctx context.Context, at image.Point, b Button) error {
	if err := c.pointerEvent(ctx, at, uint8(b)); err != nil {
		return err
	}
	err := pause(ctx, pressTime)
	return first(err, c.letGo(ctx, at))
}

// letGo releases all buttons, even when ctx has ended: nobody else would.
func (c *Conn) letGo(ctx context.Context, at image.Point) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return c.pointerEvent(ctx, at, 0)
}

// dragSteps is how many moves a drag is made of: programs recognise one by the
// moves, and not by its ends.
const dragSteps = 16

// Drag moves to a place, presses the left button, moves on and releases it.
func (c *Conn) Drag(ctx context.Context, from, to image.Point) error {
	if err := c.Move(ctx, from); err != nil {
		return err
	}
	err := c.pointerEvent(ctx, from, uint8(Left))
	at := from
	for i := 1; i <= dragSteps && err == nil; i++ {
		if err = pause(ctx, pressTime/2); err == nil {
			at = from.Add(to.Sub(from).Mul(i).Div(dragSteps))
			err = c.pointerEvent(ctx, at, uint8(Left))
		}
	}
	if err == nil {
		err = pause(ctx, pressTime)
	}
	return first(err, c.letGo(ctx, at))
}

// Scroll turns the wheel at a place by so many notches.
func (c *Conn) Scroll(ctx context.Context, at image.Point, wheel Button, notches int) error {
	if err := c.Move(ctx, at); err != nil {
		return err
	}
	for range notches {
		if err := c.pointerEvent(ctx, at, uint8(wheel)); err != nil {
			return err
		}
		if err := c.letGo(ctx, at); err != nil {
			return err
		}
		if err := pause(ctx, max(0, c.opts.KeyPause)); err != nil {
			return err
		}
	}
	return nil
}

// KeyEvent presses or releases one key.
func (c *Conn) KeyEvent(ctx context.Context, k Keysym, down bool) error {
	m := []byte{4, 0, 0, 0}
	if down {
		m[1] = 1
	}
	return c.write(ctx, binary.BigEndian.AppendUint32(m, uint32(k)))
}

// Press presses keys one after the other and releases them in reverse, as for
// "ctrl+c".
func (c *Conn) Press(ctx context.Context, keys ...Keysym) error {
	return c.Hold(ctx, keys, func() error { return pause(ctx, max(0, c.opts.KeyPause)) })
}

// Hold does something while keys are held down. They are released in any case.
func (c *Conn) Hold(ctx context.Context, keys []Keysym, do func() error) (err error) {
	var down []Keysym
	for _, k := range keys {
		if err = c.KeyEvent(ctx, k, true); err != nil {
			break
		}
		down = append(down, k)
	}
	if err == nil {
		err = do()
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for _, k := range slices.Backward(down) {
		err = first(err, c.KeyEvent(end, k, false))
	}
	return err
}

// Type types a text, character by character. It gives how many characters were
// typed where that is not all.
func (c *Conn) Type(ctx context.Context, text string) (typed int, err error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r > 0x7e }) {
		// A key that is new to the server is lost if it is the first of all.
		if err := c.Press(ctx, keyShift); err != nil {
			return 0, err
		}
	}
	for _, r := range text {
		if err := c.Press(ctx, keysOf(r)...); err != nil {
			return typed, err
		}
		typed++
	}
	return typed, nil
}

// keysOf gives the keys that type a character, with shift where a person would
// hold it: servers that press shift themselves may get characters wrong that
// their keyboard does not have and that they add to it later.
func keysOf(r rune) []Keysym {
	if unicode.IsUpper(r) && unicode.ToLower(r) != r || r < 0x7f && strings.IndexByte(shifted, byte(r)) >= 0 {
		return []Keysym{keyShift, KeysymOf(r)}
	}
	return []Keysym{KeysymOf(r)}
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
