// Package rfbtest is a VNC server for tests: its screen is an image, it speaks
// any version, security and encoding on demand, and its tests see what clients
// type and point at.
package rfbtest

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/des" //nolint:gosec // the protocol's own choice
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"io"
	"math/bits"
	"sync"
)

// The encodings that a Server can use.
const (
	Raw     = 0
	Hextile = 5
	ZRLE    = 16
)

// Pseudo-encodings of rectangles without pixels.
const (
	DesktopSize  = -223
	LastRect     = -224
	Cursor       = -239
	ExtendedSize = -308
)

// Key is a key that was pressed or released.
type Key struct {
	Sym  uint32
	Down bool
}

// Pointer is a place of the pointer, and the buttons that are down.
type Pointer struct {
	At      image.Point
	Buttons uint8
}

// Server is one desktop. Set its fields before Serve.
type Server struct {
	Version  string // the greeting's, "003.008" if empty
	Password string // of VNC authentication; none if empty
	Security []byte // to be offered instead
	Encoding int32
	Name     string
	Silent   bool // no update is ever sent

	// OnKey and OnPointer see the client's input, and may change the screen.
	OnKey     func(*Server, Key)
	OnPointer func(*Server, Pointer)

	mu      sync.Mutex
	screen  *image.RGBA
	clients map[*session]struct{}
	Keys    []Key // guarded by Lock
	Points  []Pointer
}

// New makes a Server with a screen of a size, which shows a pattern.
func New(w, h int) *Server {
	return &Server{Name: "test", screen: Pattern(w, h, 0), clients: map[*session]struct{}{}}
}

// Pattern is a picture with flat parts, few colours, many colours and noise, so
// that every kind of tile occurs.
func Pattern(w, h int, seed uint32) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, w, h))
	noise := seed*2654435761 + 12345
	for y := range h {
		for x := range w {
			i := m.PixOffset(x, y)
			var r, g, b byte
			switch (x/80 + y/80 + int(seed)) % 5 {
			case 0:
				r, g, b = 200, byte(seed), 40
			case 1:
				if (x/3+y/5)%2 == 0 {
					r, g, b = 255, 255, 255
				}
			case 2:
				r, g, b = byte(x/16*32), 128, byte(y/16*16)
			case 3:
				r, g, b = byte(x*3), byte(y*5), byte(x+y)
			default:
				noise = noise*1664525 + 1013904223
				r, g, b = byte(noise>>24), byte(noise>>16), byte(noise>>8)
			}
			m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = r, g, b, 255
		}
	}
	return m
}

// Screen is a copy of what the screen shows.
func (s *Server) Screen() *image.RGBA {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := *s.screen
	m.Pix = bytes.Clone(m.Pix)
	return &m
}

// Input is what the clients typed and pointed at so far.
func (s *Server) Input() ([]Key, []Pointer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Key(nil), s.Keys...), append([]Pointer(nil), s.Points...)
}

// Draw puts a picture on the screen, and tells the clients.
func (s *Server) Draw(at image.Point, m image.Image) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := image.Rectangle{Max: m.Bounds().Size()}.Add(at).Intersect(s.screen.Rect)
	draw.Draw(s.screen, r, m, m.Bounds().Min, draw.Src)
	for c := range s.clients {
		c.dirty = c.dirty.Union(r)
		c.flush(s)
	}
}

// Fill paints a part of the screen.
func (s *Server) Fill(r image.Rectangle, with image.Image) {
	m := image.NewRGBA(image.Rectangle{Max: r.Size()})
	draw.Draw(m, m.Rect, with, image.Point{}, draw.Src)
	s.Draw(r.Min, m)
}

// Resize gives the screen another size, with a new pattern. extended says how the
// clients are told.
func (s *Server) Resize(w, h int, extended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.screen = Pattern(w, h, 7)
	for c := range s.clients {
		head, tail := rectangle(image.Rect(0, 0, w, h), DesktopSize), []byte(nil)
		if extended {
			head, tail = rectangle(image.Rect(0, 0, w, h), ExtendedSize), make([]byte, 4+16)
			tail[0] = 1
		}
		c.dirty = s.screen.Rect
		c.send(append(append(update(1), head...), tail...))
	}
}

// Send sends bytes as they are to all clients.
func (s *Server) Send(raw []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		c.send(raw)
	}
}

// session is one client.
type session struct {
	out   io.Writer
	asked bool
	dirty image.Rectangle
	zbuf  bytes.Buffer
	z     *zlib.Writer
	err   error
}

func (c *session) send(p []byte) {
	if _, err := c.out.Write(p); err != nil && c.err == nil {
		c.err = err
	}
}

// flush answers a request that waits, if there is anything to tell.
func (c *session) flush(s *Server) {
	if s.Silent || !c.asked || c.dirty.Empty() {
		return
	}
	r := c.dirty.Intersect(s.screen.Rect)
	c.asked, c.dirty = false, image.Rectangle{}
	c.send(c.picture(s.screen, r, s.Encoding))
}

// picture is an update of one rectangle.
func (c *session) picture(screen *image.RGBA, r image.Rectangle, encoding int32) []byte {
	m := append(update(1), rectangle(r, encoding)...)
	switch encoding {
	case Hextile:
		return appendHextile(m, screen, r)
	case ZRLE:
		if c.z == nil {
			c.z = zlib.NewWriter(&c.zbuf)
		}
		c.zbuf.Reset()
		_, _ = c.z.Write(appendZRLE(nil, screen, r))
		_ = c.z.Flush()
		m = binary.BigEndian.AppendUint32(m, uint32(c.zbuf.Len()))
		return append(m, c.zbuf.Bytes()...)
	default:
		return appendPixels(m, screen, r, 4)
	}
}

func update(rectangles int) []byte {
	return binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(rectangles))
}

func rectangle(r image.Rectangle, encoding int32) []byte {
	var b []byte
	for _, v := range []int{r.Min.X, r.Min.Y, r.Dx(), r.Dy()} {
		b = binary.BigEndian.AppendUint16(b, uint16(v))
	}
	return binary.BigEndian.AppendUint32(b, uint32(encoding))
}

// Update is an update of one rectangle with raw bytes behind its header.
func Update(r image.Rectangle, encoding int32, body []byte) []byte {
	return append(append(update(1), rectangle(r, encoding)...), body...)
}

// Serve talks to one client until it leaves.
func (s *Server) Serve(rw io.ReadWriter) error {
	in := bufio.NewReader(rw)
	if err := s.handshake(in, rw); err != nil {
		return err
	}
	c := &session{out: rw}
	s.mu.Lock()
	s.clients[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.clients, c)
		s.mu.Unlock()
	}()
	for {
		if err := s.message(in, c); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// challenge is always the same, which a real server's is not.
var challenge = []byte("0123456789abcdef")

func (s *Server) handshake(in *bufio.Reader, out io.Writer) error {
	version := s.Version
	if version == "" {
		version = "003.008"
	}
	if _, err := fmt.Fprintf(out, "RFB %s\n", version); err != nil {
		return err
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(in, answer); err != nil {
		return err
	}
	offer := s.Security
	if offer == nil {
		offer = []byte{1}
		if s.Password != "" {
			offer = []byte{2}
		}
	}
	kind := offer[0]
	if string(answer[8:11]) == "003" {
		if err := binary.Write(out, binary.BigEndian, uint32(kind)); err != nil {
			return err
		}
	} else {
		if _, err := out.Write(append([]byte{byte(len(offer))}, offer...)); err != nil {
			return err
		}
		var err error
		if kind, err = in.ReadByte(); err != nil {
			return err
		}
	}
	failed := false
	if kind == 2 {
		if _, err := out.Write(challenge); err != nil {
			return err
		}
		response := make([]byte, 16)
		if _, err := io.ReadFull(in, response); err != nil {
			return err
		}
		failed = !bytes.Equal(response, Respond(s.Password))
	}
	if kind == 2 || string(answer[8:11]) == "008" {
		result := []byte{0, 0, 0, 0}
		if failed {
			result[3] = 1
			if string(answer[8:11]) == "008" {
				result = append(result, "\x00\x00\x00\x0ewrong password"...)
			}
		}
		if _, err := out.Write(result); err != nil {
			return err
		}
	}
	if failed {
		return errors.New("wrong password")
	}
	if _, err := in.ReadByte(); err != nil { // shared
		return err
	}
	size := s.Screen().Rect
	m := binary.BigEndian.AppendUint16(nil, uint16(size.Dx()))
	m = binary.BigEndian.AppendUint16(m, uint16(size.Dy()))
	m = append(m, 16, 16, 0, 1, 0, 31, 0, 63, 0, 31, 11, 5, 0, 0, 0, 0) // not what clients want
	m = binary.BigEndian.AppendUint32(m, uint32(len(s.Name)))
	_, err := out.Write(append(m, s.Name...))
	return err
}

// Respond is the right answer to the challenge.
func Respond(password string) []byte {
	key := make([]byte, 8)
	copy(key, password)
	for i := range key {
		key[i] = bits.Reverse8(key[i])
	}
	block, err := des.NewCipher(key) //nolint:gosec // see above
	if err != nil {
		panic(err)
	}
	out := make([]byte, 16)
	block.Encrypt(out, challenge)
	block.Encrypt(out[8:], challenge[8:])
	return out
}

// message handles one message of the client's.
func (s *Server) message(in *bufio.Reader, c *session) error {
	kind, err := in.ReadByte()
	if err != nil {
		return err
	}
	sizes := map[byte]int{0: 19, 2: 3, 3: 9, 4: 7, 5: 5}
	size, ok := sizes[kind]
	if !ok {
		return fmt.Errorf("unknown message %d", kind)
	}
	b := make([]byte, size)
	if _, err := io.ReadFull(in, b); err != nil {
		return err
	}
	word := func(i int) int { return int(binary.BigEndian.Uint16(b[i:])) }
	switch kind {
	case 0:
		if want := []byte{32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0}; !bytes.Equal(b[3:16], want) {
			return fmt.Errorf("pixel format % x", b[3:16])
		}
	case 2:
		_, err = io.CopyN(io.Discard, in, 4*int64(word(1)))
	case 3:
		s.mu.Lock()
		c.asked = true
		if b[0] == 0 {
			c.dirty = c.dirty.Union(image.Rect(word(1), word(3), word(1)+word(5), word(3)+word(7)))
		}
		c.flush(s)
		s.mu.Unlock()
	case 4:
		k := Key{binary.BigEndian.Uint32(b[3:]), b[0] == 1}
		s.mu.Lock()
		s.Keys = append(s.Keys, k)
		s.mu.Unlock()
		if s.OnKey != nil {
			s.OnKey(s, k)
		}
	case 5:
		p := Pointer{image.Pt(word(1), word(3)), b[0]}
		s.mu.Lock()
		s.Points = append(s.Points, p)
		s.mu.Unlock()
		if s.OnPointer != nil {
			s.OnPointer(s, p)
		}
	}
	return err
}
