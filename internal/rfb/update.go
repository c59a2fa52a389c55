package rfb

import (
	"encoding/binary"
	"image"
	"image/draw"
	"time"
)

// maxTouched is how many rectangles of an update are kept apart.
const maxTouched = 256

// update reads one update of the screen.
func (c *Conn) update() error {
	var head [3]byte
	if err := c.read(head[:]); err != nil {
		return err
	}
	for range binary.BigEndian.Uint16(head[1:]) {
		began := time.Now()
		last, err := c.rectangle()
		if err != nil {
			return err
		}
		if worked := time.Since(began); worked > time.Millisecond { // an update may be as long as it likes
			c.rest(worked)
		}
		if last {
			break
		}
	}
	c.commit()
	return nil
}

// rectangle reads one part of an update. last is true where the server ends an
// update that it announced as longer.
func (c *Conn) rectangle() (last bool, err error) {
	var head [12]byte
	if err := c.read(head[:]); err != nil {
		return false, err
	}
	at := func(i int) int { return int(binary.BigEndian.Uint16(head[i:])) }
	x, y, w, h := at(0), at(2), at(4), at(6)
	switch encoding := int32(binary.BigEndian.Uint32(head[8:])); encoding {
	case encLastRect:
		return true, nil
	case encDesktopSize:
		return false, c.resize(w, h)
	case encExtendedSize:
		var n [4]byte
		if err := c.read(n[:]); err != nil {
			return false, err
		}
		if err := c.skip(16 * int64(n[0])); err != nil {
			return false, err
		}
		if refused := x == 1 && y != 0; refused {
			return false, nil
		}
		return false, c.resize(w, h)
	case encCursor:
		return false, c.readCursor(image.Pt(x, y), w, h)
	case encPointerPos:
		c.mu.Lock()
		c.cursor.at = image.Pt(x, y)
		c.cursor.placed = true
		c.mu.Unlock()
		return false, nil
	default:
		r := image.Rect(x, y, x+w, y+h)
		if !r.In(c.back.Rect) {
			return false, violation("the server sends pixels at %v, outside of its screen of %v", r, c.back.Rect.Size())
		}
		if r.Empty() {
			return false, c.decodeEmpty(encoding)
		}
		if err := c.decode(encoding, r); err != nil {
			return false, err
		}
		if len(c.touched) < maxTouched {
			c.touched = append(c.touched, r)
		} else {
			c.touched[maxTouched-1] = c.touched[maxTouched-1].Union(r)
		}
		return false, nil
	}
}

// resize starts over with another size.
func (c *Conn) resize(w, h int) error {
	if err := c.checkSize(w, h); err != nil {
		return err
	}
	if c.back.Rect.Dx() == w && c.back.Rect.Dy() == h {
		return nil
	}
	if err := c.reserve(w * h); err != nil {
		return err
	}
	old := c.back
	c.back = newScreen(w, h)
	draw.Draw(c.back, c.back.Rect, old, image.Point{}, draw.Src)
	c.resized = true
	c.touched = c.touched[:0]
	return nil
}

// decodeEmpty reads what an encoding has even for no pixels.
func (c *Conn) decodeEmpty(encoding int32) error {
	switch encoding {
	case encCopyRect:
		return c.skip(4)
	case encZRLE:
		return c.zrle.begin(c)
	case encRaw, encHextile:
		return nil
	}
	return violation("the server uses the encoding %d, which it was not offered", encoding)
}

func (c *Conn) decode(encoding int32, r image.Rectangle) error {
	switch encoding {
	case encRaw:
		return c.decodeRaw(r)
	case encCopyRect:
		return c.decodeCopy(r)
	case encHextile:
		return c.decodeHextile(r)
	case encZRLE:
		return c.decodeZRLE(r)
	}
	return violation("the server uses the encoding %d, which it was not offered", encoding)
}

// buffer gives n bytes to read into, good until the next call.
func (c *Conn) buffer(n int) []byte {
	if cap(c.scratch) < n {
		c.scratch = make([]byte, n)
	}
	return c.scratch[:n]
}

func (c *Conn) decodeRaw(r image.Rectangle) error {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := c.buffer(4 * r.Dx())
		if err := c.read(row); err != nil {
			return err
		}
		dst := c.back.Pix[c.back.PixOffset(r.Min.X, y):]
		for i := 0; i < len(row); i += 4 {
			dst[i], dst[i+1], dst[i+2] = row[i+2], row[i+1], row[i]
		}
	}
	return nil
}

func (c *Conn) decodeCopy(r image.Rectangle) error {
	var head [4]byte
	if err := c.read(head[:]); err != nil {
		return err
	}
	from := image.Pt(int(binary.BigEndian.Uint16(head[:])), int(binary.BigEndian.Uint16(head[2:])))
	if src := (image.Rectangle{from, from.Add(r.Size())}); !src.In(c.back.Rect) {
		return violation("the server copies pixels from %v, outside of its screen of %v", src, c.back.Rect.Size())
	}
	draw.Draw(c.back, r, c.back, from, draw.Src) // minds an overlap
	return nil
}

// colour is a pixel as it is in an image.RGBA, without alpha.
type colour [3]byte

// colourAt reads a pixel, which has blue first.
func colourAt(p []byte) colour { return colour{p[2], p[1], p[0]} }

// fill paints a rectangle that lies on the screen.
func (c *Conn) fill(r image.Rectangle, with colour) {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		row := c.back.Pix[c.back.PixOffset(r.Min.X, y):c.back.PixOffset(r.Max.X, y)]
		for i := 0; i < len(row); i += 4 {
			row[i], row[i+1], row[i+2] = with[0], with[1], with[2]
		}
	}
}

// The parts of a tile in Hextile.
const (
	hexRaw        = 1
	hexBackground = 2
	hexForeground = 4
	hexSubrects   = 8
	hexColoured   = 16
)

func (c *Conn) decodeHextile(r image.Rectangle) error {
	var back, fore colour
	var pixel [4]byte
	for y := r.Min.Y; y < r.Max.Y; y += 16 {
		for x := r.Min.X; x < r.Max.X; x += 16 {
			tile := image.Rect(x, y, x+16, y+16).Intersect(r)
			mask, err := c.r.ReadByte()
			if err != nil {
				return err
			}
			if mask&hexRaw != 0 {
				if err := c.decodeRaw(tile); err != nil {
					return err
				}
				continue
			}
			if mask&hexBackground != 0 {
				if err := c.read(pixel[:]); err != nil {
					return err
				}
				back = colourAt(pixel[:])
			}
			c.fill(tile, back)
			if mask&hexForeground != 0 {
				if err := c.read(pixel[:]); err != nil {
					return err
				}
				fore = colourAt(pixel[:])
			}
			if mask&hexSubrects == 0 {
				continue
			}
			if err := c.hextileSubrects(tile, fore, mask&hexColoured != 0); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *Conn) hextileSubrects(tile image.Rectangle, fore colour, coloured bool) error {
	n, err := c.r.ReadByte()
	if err != nil {
		return err
	}
	size := 2
	if coloured {
		size = 6
	}
	all := c.buffer(int(n) * size)
	if err := c.read(all); err != nil {
		return err
	}
	for ; len(all) > 0; all = all[size:] {
		with, box := fore, all[size-2:]
		if coloured {
			with = colourAt(all)
		}
		x, y := tile.Min.X+int(box[0]>>4), tile.Min.Y+int(box[0]&15)
		part := image.Rect(x, y, x+int(box[1]>>4)+1, y+int(box[1]&15)+1)
		if !part.In(tile) {
			return violation("the server sends a part of a tile that lies outside of it")
		}
		c.fill(part, with)
	}
	return nil
}
