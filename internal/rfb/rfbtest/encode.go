package rfbtest

import (
	"image"
)

type pixel [3]byte

func at(m *image.RGBA, x, y int) pixel {
	i := m.PixOffset(x, y)
	return pixel{m.Pix[i], m.Pix[i+1], m.Pix[i+2]}
}

func (p pixel) append(b []byte, size int) []byte {
	b = append(b, p[2], p[1], p[0])
	if size == 4 {
		b = append(b, 0)
	}
	return b
}

func appendPixels(b []byte, m *image.RGBA, r image.Rectangle, size int) []byte {
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			b = at(m, x, y).append(b, size)
		}
	}
	return b
}

// tiles calls f for each tile of a rectangle.
func tiles(r image.Rectangle, size int, f func(image.Rectangle)) {
	for y := r.Min.Y; y < r.Max.Y; y += size {
		for x := r.Min.X; x < r.Max.X; x += size {
			f(image.Rect(x, y, x+size, y+size).Intersect(r))
		}
	}
}

// palette lists the colours of a tile, up to a number.
func palette(m *image.RGBA, r image.Rectangle, limit int) (list []pixel, index map[pixel]int) {
	index = map[pixel]int{}
	for y := r.Min.Y; y < r.Max.Y; y++ {
		for x := r.Min.X; x < r.Max.X; x++ {
			if p := at(m, x, y); index[p] == 0 {
				if len(list) == limit {
					return nil, nil
				}
				list = append(list, p)
				index[p] = len(list)
			}
		}
	}
	return list, index
}

// appendHextile uses raw tiles, backgrounds that carry over, and parts of one
// colour and of several.
func appendHextile(b []byte, m *image.RGBA, r image.Rectangle) []byte {
	var back, fore pixel
	known := false // back, from the tile before
	tiles(r, 16, func(t image.Rectangle) {
		colours, _ := palette(m, t, 40)
		if colours == nil {
			b = appendPixels(append(b, 1), m, t, 4)
			known = false
			return
		}
		var parts []byte
		n, coloured := 0, len(colours) != 2
		for y := t.Min.Y; y < t.Max.Y; y++ {
			for x := t.Min.X; x < t.Max.X; {
				p, end := at(m, x, y), x+1
				for end < t.Max.X && at(m, end, y) == p {
					end++
				}
				if p != colours[0] {
					if coloured {
						parts = p.append(parts, 4)
					}
					parts = append(parts, byte((x-t.Min.X)<<4|(y-t.Min.Y)), byte((end-x-1)<<4))
					n++
				}
				x = end
			}
		}
		if n > 255 {
			b = appendPixels(append(b, 1), m, t, 4)
			known = false
			return
		}
		mask := byte(0)
		if !known || back != colours[0] {
			mask |= 2
		}
		back, known = colours[0], true
		if n > 0 {
			mask |= 8
			if coloured {
				mask |= 16
			} else {
				mask |= 4
				fore = colours[1]
			}
		}
		b = append(b, mask)
		if mask&2 != 0 {
			b = back.append(b, 4)
		}
		if mask&4 != 0 {
			b = fore.append(b, 4)
		}
		if n > 0 {
			b = append(append(b, byte(n)), parts...)
		}
	})
	return b
}

// appendZRLE uses every kind of tile in turn, as far as the colours allow.
func appendZRLE(b []byte, m *image.RGBA, r image.Rectangle) []byte {
	turn := 0
	tiles(r, 64, func(t image.Rectangle) {
		turn++
		colours, index := palette(m, t, 127)
		switch {
		case len(colours) == 1:
			b = colours[0].append(append(b, 1), 3)
		case colours != nil && len(colours) <= 16 && turn%2 == 0:
			b = appendPacked(b, m, t, colours, index)
		case colours != nil:
			b = append(b, byte(128+len(colours)))
			for _, c := range colours {
				b = c.append(b, 3)
			}
			runs(m, t, func(p pixel, n int) {
				if n == 1 {
					b = append(b, byte(index[p]-1))
					return
				}
				b = appendRun(append(b, byte(index[p]-1)|0x80), n)
			})
		case turn%2 == 0:
			b = append(b, 128)
			runs(m, t, func(p pixel, n int) { b = appendRun(p.append(b, 3), n) })
		default:
			b = appendPixels(append(b, 0), m, t, 3)
		}
	})
	return b
}

func appendPacked(b []byte, m *image.RGBA, t image.Rectangle, colours []pixel, index map[pixel]int) []byte {
	b = append(b, byte(len(colours)))
	for _, c := range colours {
		b = c.append(b, 3)
	}
	bits := 4
	if len(colours) <= 2 {
		bits = 1
	} else if len(colours) <= 4 {
		bits = 2
	}
	for y := t.Min.Y; y < t.Max.Y; y++ {
		row := make([]byte, (t.Dx()*bits+7)/8)
		for x := range t.Dx() {
			row[x*bits/8] |= byte(index[at(m, t.Min.X+x, y)]-1) << (8 - bits - x*bits%8)
		}
		b = append(b, row...)
	}
	return b
}

func runs(m *image.RGBA, t image.Rectangle, f func(pixel, int)) {
	var last pixel
	n := 0
	for y := t.Min.Y; y < t.Max.Y; y++ {
		for x := t.Min.X; x < t.Max.X; x++ {
			if p := at(m, x, y); n > 0 && p == last {
				n++
			} else {
				if n > 0 {
					f(last, n)
				}
				last, n = p, 1
			}
		}
	}
	f(last, n)
}

func appendRun(b []byte, n int) []byte {
	n--
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(n))
}
