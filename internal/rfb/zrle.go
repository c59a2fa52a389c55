package rfb

import (
	"bufio"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"image"
	"io"
)

// maxUnread bounds what may be left of a rectangle's data once its pixels are
// decoded: the few bytes with which compressors end a flush.
const maxUnread = 64 << 10

// zrleStream is the one zlib stream that all rectangles of a connection share.
// Each brings a piece of it; nothing is read beyond that piece, which the rest
// of the connection follows. A piece is decoded as it arrives, so its size
// takes no memory.
type zrleStream struct {
	from    *bufio.Reader
	piece   int64  // bytes that are left of the rectangle's data
	unread  []byte // of earlier pieces
	pixels  *bufio.Reader
	started bool
}

// Read implements [io.Reader].
func (z *zrleStream) Read(p []byte) (int, error) {
	if len(z.unread) > 0 {
		n := copy(p, z.unread)
		z.unread = z.unread[n:]
		return n, nil
	}
	if z.piece == 0 {
		return 0, io.EOF
	}
	n, err := z.from.Read(p[:min(int64(len(p)), z.piece)])
	z.piece -= int64(n)
	return n, err
}

// ReadByte implements [io.ByteReader], without which the decompressor would
// read ahead.
func (z *zrleStream) ReadByte() (byte, error) {
	if len(z.unread) > 0 {
		b := z.unread[0]
		z.unread = z.unread[1:]
		return b, nil
	}
	if z.piece == 0 {
		return 0, io.EOF
	}
	z.piece--
	return z.from.ReadByte()
}

// begin reads the length of a rectangle's data.
func (z *zrleStream) begin(c *Conn) error {
	var word [4]byte
	if err := c.read(word[:]); err != nil {
		return err
	}
	z.from, z.piece = c.r, int64(binary.BigEndian.Uint32(word[:]))
	if z.started {
		return nil
	}
	if z.piece == 0 {
		return nil
	}
	inflated, err := zlib.NewReader(z)
	if err != nil {
		return z.broken(err)
	}
	z.pixels = bufio.NewReaderSize(inflated, 16<<10)
	z.started = true
	return nil
}

// end keeps what the decompressor has not wanted yet.
func (z *zrleStream) end() error {
	if z.pixels != nil && z.pixels.Buffered() > 0 || z.piece+int64(len(z.unread)) > maxUnread {
		return violation("the server sends more data than the rectangle has pixels")
	}
	rest := make([]byte, z.piece)
	if _, err := io.ReadFull(z.from, rest); err != nil {
		return err
	}
	z.unread, z.piece = append(z.unread, rest...), 0
	return nil
}

// broken tells a stream that breaks off from one that makes no sense.
func (z *zrleStream) broken(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if z.piece > 0 { // there was more to read, but reading it failed
		if _, err := z.from.Peek(1); err != nil {
			return err
		}
	}
	return violation("the server's compressed data can't be decoded: %v", err)
}

func (c *Conn) decodeZRLE(r image.Rectangle) error {
	z := &c.zrle
	if err := z.begin(c); err != nil {
		return err
	}
	if z.pixels == nil {
		return violation("the server sends no data for a rectangle of %v", r.Size())
	}
	for y := r.Min.Y; y < r.Max.Y; y += 64 {
		for x := r.Min.X; x < r.Max.X; x += 64 {
			if err := c.zrleTile(z.pixels, image.Rect(x, y, x+64, y+64).Intersect(r)); err != nil {
				return z.broken(err)
			}
		}
	}
	return z.end()
}

func readColour(in *bufio.Reader) (colour, error) {
	var p [3]byte
	_, err := io.ReadFull(in, p[:])
	return colourAt(p[:]), err
}

// zrleTile reads one tile. What its first byte says: 0 pixels, 1 one colour,
// 2–16 a palette and packed indices, 128 runs, 130–255 a palette and runs.
func (c *Conn) zrleTile(in *bufio.Reader, tile image.Rectangle) error {
	kind, err := in.ReadByte()
	if err != nil {
		return err
	}
	var palette [128]colour
	n := int(kind & 0x7f)
	if kind == 128 {
		n = 0
	}
	if kind > 16 && kind < 128 || kind == 129 {
		return violation("the server sends a tile of the unknown kind %d", kind)
	}
	for i := range palette[:n] {
		if palette[i], err = readColour(in); err != nil {
			return err
		}
	}
	switch {
	case kind == 0:
		return c.zrlePixels(in, tile)
	case kind == 1:
		c.fill(tile, palette[0])
		return nil
	case kind <= 16:
		return c.zrlePacked(in, tile, palette[:n])
	}
	return c.zrleRuns(in, tile, palette[:n])
}

func (c *Conn) zrlePixels(in *bufio.Reader, tile image.Rectangle) error {
	for y := tile.Min.Y; y < tile.Max.Y; y++ {
		row := c.buffer(3 * tile.Dx())
		if _, err := io.ReadFull(in, row); err != nil {
			return err
		}
		dst := c.back.Pix[c.back.PixOffset(tile.Min.X, y):]
		for i := range tile.Dx() {
			dst[4*i], dst[4*i+1], dst[4*i+2] = row[3*i+2], row[3*i+1], row[3*i]
		}
	}
	return nil
}

func (c *Conn) zrlePacked(in *bufio.Reader, tile image.Rectangle, palette []colour) error {
	bits := 4
	if len(palette) == 2 {
		bits = 1
	} else if len(palette) <= 4 {
		bits = 2
	}
	for y := tile.Min.Y; y < tile.Max.Y; y++ {
		row := c.buffer((tile.Dx()*bits + 7) / 8)
		if _, err := io.ReadFull(in, row); err != nil {
			return err
		}
		dst := c.back.Pix[c.back.PixOffset(tile.Min.X, y):]
		for i := range tile.Dx() {
			index := int(row[i*bits/8]) >> (8 - bits - i*bits%8) & (1<<bits - 1)
			if index >= len(palette) {
				return violation("the server sends the colour %d of a palette of %d", index, len(palette))
			}
			with := palette[index]
			dst[4*i], dst[4*i+1], dst[4*i+2] = with[0], with[1], with[2]
		}
	}
	return nil
}

// zrleRuns reads runs of one colour, which go on from row to row: with an empty
// palette each begins with its colour.
func (c *Conn) zrleRuns(in *bufio.Reader, tile image.Rectangle, palette []colour) error {
	w, left := tile.Dx(), tile.Dx()*tile.Dy()
	for at := 0; left > 0; {
		var with colour
		var err error
		long := true
		if len(palette) == 0 {
			with, err = readColour(in)
		} else {
			var index byte
			if index, err = in.ReadByte(); err == nil {
				long = index&0x80 != 0
				if index &= 0x7f; int(index) >= len(palette) {
					return violation("the server sends the colour %d of a palette of %d", index, len(palette))
				}
				with = palette[index]
			}
		}
		if err != nil {
			return err
		}
		run := 1
		for more := long; more; {
			b, err := in.ReadByte()
			if err != nil {
				return err
			}
			run += int(b)
			more = b == 255 && run <= left
		}
		if run > left {
			return violation("the server sends a run of pixels beyond the end of its tile")
		}
		left -= run
		for ; run > 0; run, at = run-1, at+1 {
			dst := c.back.Pix[c.back.PixOffset(tile.Min.X+at%w, tile.Min.Y+at/w):]
			dst[0], dst[1], dst[2] = with[0], with[1], with[2]
		}
	}
	return nil
}
