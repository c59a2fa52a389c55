package rfb

import "image"

// maxCursor bounds a pointer's picture in each direction.
const maxCursor = 1024

// cursor is the picture of the pointer, which some servers send apart from the
// screen and leave to the client to draw.
type cursor struct {
	shape  *image.RGBA // nil: the server draws it, or it shows none
	hot    image.Point // the pixel of shape that points
	at     image.Point // where the server says that it is
	placed bool        // it has said so
}

// covers gives what draw changes of a picture at the most.
func (k *cursor) covers(m *image.RGBA, moved image.Point) image.Rectangle {
	at := moved
	if k.placed {
		at = k.at
	}
	if k.shape == nil || !at.In(m.Rect) {
		return image.Rectangle{}
	}
	return k.shape.Rect.Add(at.Sub(k.hot)).Intersect(m.Rect)
}

// draw puts the pointer on a picture of the screen: where the server says that
// it is, else where this client moved it.
func (k *cursor) draw(m *image.RGBA, moved image.Point) {
	if k.covers(m, moved).Empty() {
		return
	}
	at := moved
	if k.placed {
		at = k.at
	}
	at = at.Sub(k.hot)
	for y := range k.shape.Rect.Dy() {
		for x := range k.shape.Rect.Dx() {
			p := image.Pt(at.X+x, at.Y+y)
			if i := k.shape.PixOffset(x, y); k.shape.Pix[i+3] != 0 && p.In(m.Rect) {
				copy(m.Pix[m.PixOffset(p.X, p.Y):], k.shape.Pix[i:i+4])
			}
		}
	}
}

// readCursor reads a new picture of the pointer: its pixels, then a bit for each
// that says whether it shows.
func (c *Conn) readCursor(hot image.Point, w, h int) error {
	if w > maxCursor || h > maxCursor {
		return violation("the server sends a pointer of %d×%d pixels", w, h)
	}
	stride := (w + 7) / 8
	raw := c.buffer(4*w*h + stride*h)
	if err := c.read(raw); err != nil {
		return err
	}
	pixels, mask := raw[:4*w*h], raw[4*w*h:]
	var shape *image.RGBA
	if w*h > 0 {
		shape = image.NewRGBA(image.Rect(0, 0, w, h))
		for i := range w * h {
			if x, y := i%w, i/w; mask[y*stride+x/8]&(0x80>>(x%8)) != 0 {
				with := colourAt(pixels[4*i:])
				copy(shape.Pix[4*i:], []byte{with[0], with[1], with[2], 255})
			}
		}
	}
	c.mu.Lock()
	c.cursor.shape, c.cursor.hot = shape, hot
	c.mu.Unlock()
	return nil
}
