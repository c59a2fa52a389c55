package rfb

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/draw"
	"slices"
	"time"
)

// Screen is a picture of the desktop.
type Screen struct {
	Image *image.RGBA // with the pointer, where the server leaves drawing it to us
	// Generation is another one whenever a pixel or the size has changed. The
	// pointer does not count.
	Generation uint64
	Pointer    image.Point // where this client put it last; (-1,-1) if it did not

	under *image.RGBA // what the pointer was drawn over
}

// Mark gives a mark of the screen as it was then. The image is the mark's from here
// on: the pointer is taken off it.
func (s Screen) Mark() Mark {
	if s.under != nil {
		draw.Draw(s.Image, s.under.Rect, s.under, s.under.Rect.Min, draw.Src)
	}
	return Mark{s.Image}
}

// Snapshot copies the screen as it was after the last update that came whole;
// [Conn.Refresh] brings it up to date.
func (c *Conn) Snapshot() Screen {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Screen{Image: clone(c.front), Generation: c.gen, Pointer: c.pointer}
	if r := c.cursor.covers(s.Image, c.pointer); !r.Empty() {
		s.under = image.NewRGBA(r)
		draw.Draw(s.under, r, s.Image, r.Min, draw.Src)
	}
	c.cursor.draw(s.Image, c.pointer)
	return s
}

func clone(m *image.RGBA) *image.RGBA {
	return &image.RGBA{Pix: bytes.Clone(m.Pix), Stride: m.Stride, Rect: m.Rect}
}

// Mark remembers the screen, without the pointer, for [Conn.Diff] and
// [Conn.WaitChange].
type Mark struct{ image *image.RGBA }

// Mark gives a mark of the screen as [Conn.Snapshot] would show it now.
func (c *Conn) Mark() Mark {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Mark{clone(c.front)}
}

// Diff counts the pixels within region that are not as they were at the mark,
// and gives the smallest rectangle that holds them. If the size has changed,
// that is all of the screen.
func (c *Conn) Diff(m Mark, region image.Rectangle) (pixels int, where image.Rectangle) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.diffLocked(m, region)
}

func (c *Conn) diffLocked(m Mark, region image.Rectangle) (pixels int, where image.Rectangle) {
	if m.image == nil || m.image.Rect != c.front.Rect {
		return c.front.Rect.Dx() * c.front.Rect.Dy(), c.front.Rect
	}
	return diff(m.image, c.front, region.Intersect(c.front.Rect))
}

// diff compares two pictures of the same size.
func diff(a, b *image.RGBA, r image.Rectangle) (pixels int, where image.Rectangle) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		i, j := a.PixOffset(r.Min.X, y), a.PixOffset(r.Max.X, y)
		p, q := a.Pix[i:j], b.Pix[i:j]
		if bytes.Equal(p, q) {
			continue
		}
		first, last := -1, 0
		for x := 0; x < len(p); x += 4 {
			if [4]byte(p[x:]) != [4]byte(q[x:]) {
				if first < 0 {
					first = x / 4
				}
				last = x / 4
				pixels++
			}
		}
		where = where.Union(image.Rect(r.Min.X+first, y, r.Min.X+last+1, y+1))
	}
	return pixels, where
}

// syncPixel is what Refresh asks for whether it has changed or not.
var syncPixel = image.Rect(0, 0, 1, 1)

// refreshPatience is after how long Refresh asks again, for all pixels.
const refreshPatience = 3 * time.Second

// Refresh brings the screen up to date with what the server knew when it was
// called, at the least. It returns an error when ctx or the connection ends
// before that.
//
// A server answers a request for changes only when there are some. So one pixel
// is asked for in any case, along with them.
func (c *Conn) Refresh(ctx context.Context) error {
	c.mu.Lock()
	ask := request(false, syncPixel)
	if c.missing != nil {
		ask = request(false, c.front.Rect)
	}
	c.mu.Unlock()
	synced := false
	w, release, err := c.watch(ctx, func(u updated) bool {
		synced = synced || u.touches(syncPixel)
		return synced && c.missing == nil
	}, ask)
	defer release()
	if err != nil {
		return err
	}
	again := time.NewTimer(refreshPatience)
	defer again.Stop()
	for {
		select {
		case <-w.met:
			return nil
		case <-c.done:
			return c.Err()
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
			if err := c.write(ctx, request(false, c.bounds())); err != nil {
				return err
			}
		}
	}
}

// WaitChange waits until at least so many pixels within region are not as they
// were at the mark. An empty region is all of the screen.
func (c *Conn) WaitChange(ctx context.Context, m Mark, region image.Rectangle, pixels int) error {
	enough := func(updated) bool {
		r := region
		if r.Empty() {
			r = c.front.Rect
		}
		n, _ := c.diffLocked(m, r)
		return n >= max(pixels, 1)
	}
	w, release, err := c.watch(ctx, enough, nil)
	defer release()
	if err != nil {
		return err
	}
	c.mu.Lock()
	met := enough(updated{})
	c.mu.Unlock()
	if met {
		return nil
	}
	return c.await(ctx, w)
}

// Settle waits until nothing has changed for the time given.
func (c *Conn) Settle(ctx context.Context, quiet time.Duration) error {
	// One watcher for all of it, so that no update falls between two.
	moved := make(chan struct{}, 1)
	_, release, err := c.watch(ctx, func(u updated) bool {
		if u.changed {
			select {
			case moved <- struct{}{}:
			default:
			}
		}
		return false
	}, nil)
	defer release()
	if err != nil {
		return err
	}
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		select {
		case <-moved:
			timer.Reset(quiet)
		case <-timer.C:
			return nil
		case <-c.done:
			return c.Err()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (c *Conn) await(ctx context.Context, w *waiter) error {
	select {
	case <-w.met:
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// updated is what an update brought.
type updated struct {
	rects   []image.Rectangle
	changed bool // some pixel, or the size
}

func (u updated) touches(r image.Rectangle) bool {
	return slices.ContainsFunc(u.rects, r.In)
}

// waiter waits for an update that meets a condition, which is asked with c.mu
// held.
type waiter struct {
	condition func(updated) bool
	met       chan struct{}
}

// watch has updates asked for, one after the other, until release is called.
// Without a watcher the server is left alone, whatever moves on its screen.
// With more, that is sent, too.
func (c *Conn) watch(ctx context.Context, condition func(updated) bool, more []byte) (w *waiter, release func(), err error) {
	w = &waiter{condition, make(chan struct{})}
	c.mu.Lock()
	c.waiters[w] = struct{}{}
	c.watchers++
	c.wake()
	var ask []byte
	if !c.asked {
		ask = request(true, c.front.Rect)
	}
	c.asked = true
	c.mu.Unlock()
	release = func() {
		c.mu.Lock()
		c.watchers--
		delete(c.waiters, w)
		c.mu.Unlock()
	}
	if ask = append(ask, more...); len(ask) > 0 {
		err = c.write(ctx, ask)
	}
	return w, release, err
}

func (c *Conn) bounds() image.Rectangle {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.front.Rect
}

// request asks for an update of r: of what has changed, or of all.
func request(incremental bool, r image.Rectangle) []byte {
	m := []byte{3, 0}
	if incremental {
		m[1] = 1
	}
	for _, v := range []int{r.Min.X, r.Min.Y, r.Dx(), r.Dy()} {
		m = binary.BigEndian.AppendUint16(m, uint16(v))
	}
	return m
}

// commit shows what an update brought, and asks for the next one if somebody
// waits for it.
func (c *Conn) commit() {
	c.mu.Lock()
	u := updated{rects: c.touched, changed: c.resized}
	if c.resized {
		c.front = newScreen(c.back.Rect.Dx(), c.back.Rect.Dy())
		c.missing = newMissing(c.back.Rect.Dx(), c.back.Rect.Dy())
	}
	var part image.Rectangle
	for _, r := range c.touched {
		r = r.Intersect(c.front.Rect) // of a screen that has shrunk since
		if n, where := diff(c.front, c.back, r); n > 0 {
			u.changed = true
			part = part.Union(where)
			for y := where.Min.Y; y < where.Max.Y; y++ {
				i, j := c.front.PixOffset(where.Min.X, y), c.front.PixOffset(where.Max.X, y)
				copy(c.front.Pix[i:j], c.back.Pix[i:j])
			}
		}
		if c.missing != nil && c.missing.receive(r) {
			c.missing = nil
		}
	}
	if u.changed {
		c.gen++
		if c.resized {
			part = c.front.Rect
		}
		c.recent[c.gen%uint64(len(c.recent))] = part
	}
	for w := range c.waiters {
		if w.condition(u) {
			delete(c.waiters, w)
			close(w.met)
		}
	}
	c.asked = c.watchers > 0
	if c.asked {
		c.whole = c.whole || c.resized
		select {
		case c.wanted <- struct{}{}:
		default:
		}
	}
	c.mu.Unlock()
	c.touched, c.resized = c.touched[:0], false
}

// ask sends the requests that follow updates. The reading goroutine must not
// send them: a server that waits for it to read would wait forever.
func (c *Conn) ask() {
	for {
		select {
		case <-c.done:
			return
		case <-c.wanted:
		}
		c.mu.Lock()
		m := request(!c.whole, c.front.Rect)
		c.whole = false
		c.mu.Unlock()
		if c.send(m) != nil {
			return
		}
	}
}

// missing is the pixels that were not received yet, a bit for each.
type missing struct {
	width int
	left  int
	bits  []uint64
}

func newMissing(w, h int) *missing {
	return &missing{width: w, left: w * h, bits: make([]uint64, (w*h+63)/64)}
}

// receive notes a rectangle, and reports whether nothing is missing any more.
func (m *missing) receive(r image.Rectangle) bool {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for i := y*m.width + r.Min.X; i < y*m.width+r.Max.X; i++ {
			if bit := uint64(1) << (i % 64); m.bits[i/64]&bit == 0 {
				m.bits[i/64] |= bit
				m.left--
			}
		}
	}
	return m.left == 0
}
