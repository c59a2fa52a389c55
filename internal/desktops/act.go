package desktops

import (
	"context"
	"errors"
	"fmt"
	"image"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/rfb"
)

// The kinds of actions.
const (
	Click       = "click"
	DoubleClick = "double_click"
	RightClick  = "right_click"
	MiddleClick = "middle_click"
	Drag        = "drag"
	Scroll      = "scroll"
	Move        = "move"
	Type        = "type"
	Key         = "key"
	Wait        = "wait"
)

// Action is one use of a desktop. Places are pixels of a picture.
type Action struct {
	Kind      string
	Of        string       // the name of the picture; "": the one returned last
	At        *image.Point // click, drag from, scroll, move; wait: a corner of the part to watch
	To        *image.Point // drag; wait: the opposite corner
	Text      string       // type
	Keys      string       // key: combinations with spaces between; else held down meanwhile
	Direction string       // scroll: up, down (default), left, right
	Amount    int          // scroll: notches (3); key: times (1); wait: pixels (100)
	Wait      time.Duration
	Shot      *Request // a picture afterwards
}

// Outcome is what an action led to.
type Outcome struct {
	At, To  *image.Point    // on the screen, where the action has places
	Typed   int             // characters
	Changed int             // pixels that are not as they were before
	Where   image.Rectangle // of the screen, that holds them
	Moving  bool            // the screen still changed at the end
	Screen  image.Point
	Picture *Picture
}

const (
	// reaction is how long a screen may take to begin to change after an
	// action, and then quiet long nothing more must happen for it to be done;
	// but not longer than patience.
	reaction = 600 * time.Millisecond
	quiet    = 150 * time.Millisecond
	patience = 2 * time.Second

	defaultNotches = 3
	defaultPixels  = 100
	defaultWait    = 10 * time.Second
)

// Act implements [Desktops].
func (l *Local) Act(ctx context.Context, instance string, a Action) (Outcome, error) {
	var out Outcome
	do, err := prepare(a)
	if err != nil {
		return out, err
	}
	err = l.use(ctx, instance, func(d *desktop) error {
		if a.Kind != Wait {
			if err := l.check(ctx, instance); err != nil {
				return err
			}
		}
		var p places
		if a.At != nil || a.To != nil {
			var err error
			if p.view, err = d.view(a.Of); err != nil {
				return err
			}
		}
		out.At, out.To = p.screen(a.At), p.screen(a.To)
		if p.err != nil {
			return p.err
		}
		var err error
		before := d.mark
		if a.Kind != Wait || !d.known {
			d.forget() // frees one picture before the next
			before = d.conn.Mark()
		}
		if a.Kind == Wait {
			err = d.wait(ctx, a, out, before)
		} else {
			if err = do(ctx, d.conn, &out); err == nil {
				out.Moving, err = d.settle(ctx, before)
			}
		}
		if err != nil {
			return l.interrupted(ctx, a, out, err)
		}
		if err := d.conn.Refresh(ctx); err != nil {
			return l.interrupted(ctx, a, out, err)
		}
		out.Changed, out.Where = changeOf(d.conn, before)
		out.Screen = d.conn.Size()
		d.mark, d.known = d.conn.Mark(), true
		if a.Shot != nil {
			r := *a.Shot
			if r.MaxWidth == 0 {
				r.MaxWidth = d.width
			}
			picture, err := d.capture(r, image.Rectangle{Max: out.Screen})
			if err != nil {
				return err
			}
			out.Picture = &picture
		}
		return nil
	})
	return out, err
}

// interrupted says how far an action came that did not come to its end.
func (l *Local) interrupted(ctx context.Context, a Action, out Outcome, err error) error {
	if a.Kind == Wait {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return l.problem(err, "waiting for the desktop failed", client.OutcomeNotSent)
	}
	what := "the " + strings.ReplaceAll(a.Kind, "_", " ") + " was sent at least in part"
	if a.Kind == Type {
		what = fmt.Sprintf("%d of %d characters were typed", out.Typed, len([]rune(a.Text)))
	}
	return l.problem(err, what+", and then the connection or the call ended", client.OutcomeUnknown)
}

// places translates places of a picture.
type places struct {
	view *view
	err  error
}

func (p *places) screen(at *image.Point) *image.Point {
	if at == nil || p.err != nil {
		return nil
	}
	if !at.In(image.Rectangle{Max: p.view.size}) {
		p.err = &InputError{fmt.Sprintf("the place %d,%d lies outside the picture, which is %d×%d pixels and shows the part of the screen from %d,%d to %d,%d; take a screenshot of the part that you mean first",
			at.X, at.Y, p.view.size.X, p.view.size.Y, p.view.region.Min.X, p.view.region.Min.Y, p.view.region.Max.X, p.view.region.Max.Y)}
		return nil
	}
	q := p.view.at(*at)
	return &q
}

// deed does an action whose places have been found.
type deed func(ctx context.Context, c *rfb.Conn, out *Outcome) error

// prepare checks an action before anything is connected or sent.
func prepare(a Action) (deed, error) {
	bad := func(format string, args ...any) (deed, error) {
		return nil, &InputError{"action " + a.Kind + ": " + fmt.Sprintf(format, args...)}
	}
	buttons := map[string]rfb.Button{Click: rfb.Left, DoubleClick: rfb.Left, RightClick: rfb.Right, MiddleClick: rfb.Middle}
	var keys [][]rfb.Keysym
	for combination := range strings.FieldsSeq(a.Keys) {
		k, err := rfb.ParseKeys(combination)
		if err != nil {
			return bad("keys: %v", err)
		}
		keys = append(keys, k)
	}
	if a.Kind != Key && len(keys) > 1 {
		return bad("keys that are held down are one combination, such as ctrl+shift")
	}
	var held []rfb.Keysym
	if len(keys) > 0 {
		held = keys[0]
	}
	pointing := func(do deed) (deed, error) {
		if a.At == nil {
			return bad("x and y are needed")
		}
		return func(ctx context.Context, c *rfb.Conn, out *Outcome) error {
			return c.Hold(ctx, held, func() error { return do(ctx, c, out) })
		}, nil
	}
	switch a.Kind {
	case Click, DoubleClick, RightClick, MiddleClick:
		times := 1
		if a.Kind == DoubleClick {
			times = 2
		}
		return pointing(func(ctx context.Context, c *rfb.Conn, out *Outcome) error {
			return c.Click(ctx, *out.At, buttons[a.Kind], times)
		})
	case Move:
		return pointing(func(ctx context.Context, c *rfb.Conn, out *Outcome) error { return c.Move(ctx, *out.At) })
	case Drag:
		if a.To == nil {
			return bad("to_x and to_y are needed")
		}
		return pointing(func(ctx context.Context, c *rfb.Conn, out *Outcome) error { return c.Drag(ctx, *out.At, *out.To) })
	case Scroll:
		wheel, ok := map[string]rfb.Button{"": rfb.WheelDown, "down": rfb.WheelDown, "up": rfb.WheelUp, "left": rfb.WheelLeft, "right": rfb.WheelRight}[a.Direction]
		if !ok {
			return bad("direction is %q; it must be up, down, left or right", a.Direction)
		}
		return pointing(func(ctx context.Context, c *rfb.Conn, out *Outcome) error {
			return c.Scroll(ctx, *out.At, wheel, orDefault(a.Amount, defaultNotches))
		})
	case Type:
		text := strings.ReplaceAll(a.Text, "\r\n", "\n")
		if text == "" {
			return bad("text is needed")
		}
		return func(ctx context.Context, c *rfb.Conn, out *Outcome) (err error) {
			out.Typed, err = c.Type(ctx, text)
			return err
		}, nil
	case Key:
		if len(keys) == 0 {
			return bad("keys are needed, such as enter or ctrl+shift+t")
		}
		return func(ctx context.Context, c *rfb.Conn, _ *Outcome) error {
			for range orDefault(a.Amount, 1) {
				for _, k := range keys {
					if err := c.Press(ctx, k...); err != nil {
						return err
					}
				}
			}
			return nil
		}, nil
	case Wait:
		if (a.At == nil) != (a.To == nil) {
			return bad("a part of the screen to watch needs x, y, to_x and to_y")
		}
		return nil, nil
	}
	return bad("there is no such action")
}

func orDefault(n, def int) int {
	if n > 0 {
		return n
	}
	return def
}

// settle gives programs the time to show what an action has led to.
func (d *desktop) settle(ctx context.Context, before rfb.Mark) (moving bool, err error) {
	first, cancel := context.WithTimeout(ctx, reaction)
	err = d.conn.WaitChange(first, before, image.Rectangle{}, 1)
	cancel()
	if err != nil {
		return false, unlessOver(ctx, err) // nothing has changed
	}
	return d.still(ctx)
}

// still waits until the screen is.
func (d *desktop) still(ctx context.Context) (moving bool, err error) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = d.conn.Settle(limited, quiet)
	return err != nil && limited.Err() != nil, unlessOver(ctx, err)
}

// wait waits until enough of the screen, or of a part of it, is not as it was
// at the end of the call before.
func (d *desktop) wait(ctx context.Context, a Action, out Outcome, before rfb.Mark) error {
	limit := a.Wait
	if limit <= 0 {
		limit = defaultWait
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var part image.Rectangle
	if out.At != nil && out.To != nil {
		part = image.Rectangle{*out.At, *out.To}.Canon()
		part.Max = part.Max.Add(image.Pt(1, 1))
	}
	if err := d.conn.WaitChange(limited, before, part, orDefault(a.Amount, defaultPixels)); err != nil {
		return unlessOver(ctx, err)
	}
	_, err := d.still(limited)
	return unlessOver(ctx, err)
}

// unlessOver drops the error of a limit of our own.
func unlessOver(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}
