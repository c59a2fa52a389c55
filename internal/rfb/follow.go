package rfb

import (
	"context"
	"image"
)

// Part is a copy of a part of the screen.
type Part struct {
	Image      *image.RGBA     // in the coordinates of the screen; without the pointer
	Screen     image.Rectangle // all of it
	Generation uint64
	Pointer    image.Point // where this client put it last; (-1,-1) if it did not
}

// Since copies what has changed since a generation that an earlier [Part] has; of one
// that is too old, or 0, all of the screen. Where nothing has changed, the image is
// empty.
func (c *Conn) Since(gen uint64) Part {
	c.mu.Lock()
	defer c.mu.Unlock()
	var r image.Rectangle
	if gen == 0 || gen > c.gen || c.gen-gen >= uint64(len(c.recent)) {
		r = c.front.Rect
	} else {
		for g := gen + 1; g <= c.gen; g++ {
			r = r.Union(c.recent[g%uint64(len(c.recent))])
		}
		r = r.Intersect(c.front.Rect)
	}
	m := image.NewRGBA(r)
	for y := r.Min.Y; y < r.Max.Y; y++ {
		copy(m.Pix[m.PixOffset(r.Min.X, y):], c.front.Pix[c.front.PixOffset(r.Min.X, y):c.front.PixOffset(r.Max.X, y)])
	}
	return Part{Image: m, Screen: c.front.Rect, Generation: c.gen, Pointer: c.pointer}
}

// WaitGeneration waits until the screen is of a later generation.
func (c *Conn) WaitGeneration(ctx context.Context, gen uint64) error {
	w, release, err := c.watch(ctx, func(updated) bool { return c.gen > gen }, nil)
	defer release()
	if err != nil {
		return err
	}
	c.mu.Lock()
	met := c.gen > gen
	c.mu.Unlock()
	if met {
		return nil
	}
	return c.await(ctx, w)
}

// PointerEvent puts the pointer somewhere with these buttons pressed: each event of a
// person's pointer, as it comes.
func (c *Conn) PointerEvent(ctx context.Context, at image.Point, buttons uint8) error {
	return c.pointerEvent(ctx, at, buttons)
}
