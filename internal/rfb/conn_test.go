package rfb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"openclaw-mcp/internal/rfb"
	"openclaw-mcp/internal/rfb/rfbtest"
)

// limit is how long a test waits for what must come.
const limit = 2 * time.Minute

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// chopped is a stream that gives at most so many bytes at a time.
type chopped struct {
	net.Conn
	n int
}

func (c chopped) Read(p []byte) (int, error) { return c.Conn.Read(p[:min(len(p), c.n)]) }

// serve has a server at the other end of a pipe.
func serve(t *testing.T, s *rfbtest.Server) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(theirs); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			t.Logf("server: %v", err)
		}
		theirs.Close()
	}()
	t.Cleanup(func() {
		ours.Close()
		<-done
	})
	return ours
}

func connect(t *testing.T, s *rfbtest.Server, o rfb.Options) *rfb.Conn {
	t.Helper()
	c, err := rfb.Connect(within(t), serve(t, s), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func refresh(t *testing.T, c *rfb.Conn) *image.RGBA {
	t.Helper()
	if err := c.Refresh(within(t)); err != nil {
		t.Fatal(err)
	}
	return c.Snapshot().Image
}

func sameImage(t *testing.T, got, want *image.RGBA) {
	t.Helper()
	if got.Rect != want.Rect {
		t.Fatalf("got a picture of %v, want %v", got.Rect, want.Rect)
	}
	if bytes.Equal(got.Pix, want.Pix) {
		return
	}
	for i := range got.Pix {
		if got.Pix[i] != want.Pix[i] {
			at := image.Pt(i/4%got.Rect.Dx(), i/4/got.Rect.Dx())
			t.Fatalf("the pixel at %v is %v, want %v", at, got.At(at.X, at.Y), want.At(at.X, at.Y))
		}
	}
}

var encodings = map[string]int32{"raw": rfbtest.Raw, "hextile": rfbtest.Hextile, "zrle": rfbtest.ZRLE}

// Every version, security and encoding, with the bytes as they come and split
// anywhere: the picture is the server's to the last pixel, and stays so.
func TestPictures(t *testing.T) {
	for _, version := range []string{"003.003", "003.007", "003.008", "003.889", "004.001", "003.005"} {
		for _, password := range []string{"", "s3cret"} {
			for name, encoding := range encodings {
				for _, split := range []int{1 << 20, 7, 1} {
					if split == 1 && version != "003.003" && version != "003.008" {
						continue
					}
					t.Run(fmt.Sprintf("%s/password=%q/%s/split=%d", version, password, name, split), func(t *testing.T) {
						t.Parallel()
						w, h := 223, 165
						if split == 1 {
							w, h = 90, 85
						}
						s := rfbtest.New(w, h)
						s.Version, s.Password, s.Encoding = version, password, encoding
						c, err := rfb.Connect(within(t), chopped{serve(t, s), split}, rfb.Options{Password: password})
						if err != nil {
							t.Fatal(err)
						}
						defer c.Close()
						sameImage(t, refresh(t, c), s.Screen())
						if c.Name() != "test" || c.Size() != image.Pt(w, h) {
							t.Errorf("name %q, size %v", c.Name(), c.Size())
						}
						before := c.Snapshot().Generation
						for seed := range uint32(4) {
							s.Draw(image.Pt(3, 5), rfbtest.Pattern(w-10, h-20, seed+1))
							sameImage(t, refresh(t, c), s.Screen())
						}
						if after := c.Snapshot().Generation; after <= before {
							t.Errorf("the generation went from %d to %d", before, after)
						}
						again := c.Snapshot().Generation
						refresh(t, c)
						if after := c.Snapshot().Generation; after != again {
							t.Errorf("nothing changed, but the generation went from %d to %d", again, after)
						}
					})
				}
			}
		}
	}
}

func TestPasswords(t *testing.T) {
	for _, version := range []string{"003.003", "003.007", "003.008"} {
		s := rfbtest.New(4, 4)
		s.Version, s.Password = version, "right"
		_, err := rfb.Connect(within(t), serve(t, s), rfb.Options{Password: "wrong"})
		var auth *rfb.AuthError
		if !errors.As(err, &auth) || !auth.Password {
			t.Errorf("%s: got %v", version, err)
		}
	}
	s := rfbtest.New(4, 4)
	s.Security = []byte{19, 30}
	_, err := rfb.Connect(within(t), serve(t, s), rfb.Options{})
	var auth *rfb.AuthError
	if !errors.As(err, &auth) || auth.Password {
		t.Errorf("unknown security: got %v", err)
	}
	// Without authentication goes first.
	s.Security, s.Password = []byte{19, 2, 1}, "right"
	c := connect(t, s, rfb.Options{})
	sameImage(t, refresh(t, c), s.Screen())
}

func TestWait(t *testing.T) {
	s := rfbtest.New(200, 100)
	c := connect(t, s, rfb.Options{})
	refresh(t, c)
	mark := c.Mark()
	waited := make(chan error, 1)
	part := image.Rect(100, 50, 150, 80)
	go func() { waited <- c.WaitChange(within(t), mark, part, 20) }()
	red := image.NewUniform(color.RGBA{1, 2, 3, 255})
	s.Fill(image.Rect(0, 0, 50, 50), red)     // elsewhere
	s.Fill(image.Rect(100, 50, 103, 53), red) // too little
	refresh(t, c)
	select {
	case err := <-waited:
		t.Fatalf("it returned early: %v", err)
	default:
	}
	s.Fill(image.Rect(90, 40, 120, 60), red)
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	if n, where := c.Diff(mark, part); n < 20 || !where.In(part) {
		t.Errorf("%d pixels in %v", n, where)
	}
	if err := c.Settle(within(t), time.Millisecond); err != nil {
		t.Error(err)
	}
	short, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.WaitChange(short, c.Mark(), image.Rectangle{}, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestResize(t *testing.T) {
	for _, extended := range []bool{false, true} {
		s := rfbtest.New(120, 90)
		s.Encoding = rfbtest.ZRLE
		c := connect(t, s, rfb.Options{})
		refresh(t, c)
		mark := c.Mark()
		for _, size := range []image.Point{{200, 50}, {64, 128}} {
			s.Resize(size.X, size.Y, extended)
			// The server tells of it in its own time.
			for c.Size() != size {
				if err := c.WaitChange(within(t), c.Mark(), image.Rectangle{}, 1); err != nil {
					t.Fatal(err)
				}
			}
			sameImage(t, refresh(t, c), s.Screen())
		}
		if n, where := c.Diff(mark, mark0); n != 64*128 || where != image.Rect(0, 0, 64, 128) {
			t.Errorf("after a resize, %d pixels in %v differ", n, where)
		}
	}
}

var mark0 = image.Rect(0, 0, 1, 1)

func TestInput(t *testing.T) {
	s := rfbtest.New(100, 100)
	c := connect(t, s, rfb.Options{KeyPause: -1})
	ctx := within(t)
	if n, err := c.Type(ctx, "aB\n€"); n != 4 || err != nil {
		t.Errorf("typed %d, %v", n, err)
	}
	for _, combination := range []string{"ctrl+shift+t", "^T", "Alt-F4", "+", "ctrl++", "shift+1", "ö", "BackTab", "\x03", "{enter}"} {
		keys, err := rfb.ParseKeys(combination)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Press(ctx, keys...); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Click(ctx, image.Pt(7, 8), rfb.Right, 2); err != nil {
		t.Error(err)
	}
	if err := c.Drag(ctx, image.Pt(10, 20), image.Pt(42, 84)); err != nil {
		t.Error(err)
	}
	if err := c.Scroll(ctx, image.Pt(200, -3), rfb.WheelUp, 2); err != nil {
		t.Error(err)
	}
	refresh(t, c) // comes after all of it
	keys, points := s.Input()
	var got []string
	for _, k := range keys {
		got = append(got, fmt.Sprintf("%x%s", k.Sym, map[bool]string{true: "+", false: "-"}[k.Down]))
	}
	want := []string{"ffe1+", "ffe1-", "61+", "61-", "ffe1+", "42+", "42-", "ffe1-", "ff0d+", "ff0d-", "10020ac+", "10020ac-",
		"ffe3+", "ffe1+", "54+", "54-", "ffe1-", "ffe3-", "ffe3+", "74+", "74-", "ffe3-", "ffe9+", "ffc1+", "ffc1-", "ffe9-",
		"2b+", "2b-", "ffe3+", "2b+", "2b-", "ffe3-", "ffe1+", "21+", "21-", "ffe1-", "f6+", "f6-",
		"ffe1+", "ff09+", "ff09-", "ffe1-", "ffe3+", "63+", "63-", "ffe3-", "ff0d+", "ff0d-"}
	if !slices.Equal(got, want) {
		t.Errorf("keys:\ngot  %v\nwant %v", got, want)
	}
	p := func(x, y int, b uint8) rfbtest.Pointer { return rfbtest.Pointer{At: image.Pt(x, y), Buttons: b} }
	if want := []rfbtest.Pointer{p(7, 8, 0), p(7, 8, 4), p(7, 8, 0), p(7, 8, 4), p(7, 8, 0)}; !slices.Equal(points[:5], want) {
		t.Errorf("click: got %v, want %v", points[:5], want)
	}
	drag := points[5 : len(points)-5]
	if drag[0] != p(10, 20, 0) || drag[1] != p(10, 20, 1) || drag[len(drag)-2] != p(42, 84, 1) || drag[len(drag)-1] != p(42, 84, 0) || len(drag) < 10 {
		t.Errorf("drag: got %v", drag)
	}
	if want := []rfbtest.Pointer{p(99, 0, 0), p(99, 0, 8), p(99, 0, 0), p(99, 0, 8), p(99, 0, 0)}; !slices.Equal(points[len(points)-5:], want) {
		t.Errorf("scroll: got %v, want %v", points[len(points)-5:], want)
	}
	for _, bad := range []string{"", "  ", "ctrl+", "strg+c", "f25", "a+b+c+d+e+f+g+h+i"} {
		if keys, err := rfb.ParseKeys(bad); err == nil {
			t.Errorf("%q gives %x", bad, keys)
		}
	}
}

// A combination is let go of also when the call ends in the middle of it.
func TestKeysAreReleased(t *testing.T) {
	s := rfbtest.New(10, 10)
	c := connect(t, s, rfb.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Hold(ctx, []rfb.Keysym{0xffe3, 'c'}, func() error {
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	refresh(t, c)
	keys, _ := s.Input()
	if want := []rfbtest.Key{{Sym: 0xffe3, Down: true}, {Sym: 'c', Down: true}, {Sym: 'c'}, {Sym: 0xffe3}}; !slices.Equal(keys, want) {
		t.Errorf("got %v", keys)
	}
}

func TestCursor(t *testing.T) {
	s := rfbtest.New(50, 50)
	s.Fill(image.Rect(0, 0, 50, 50), image.Black)
	c := connect(t, s, rfb.Options{})
	refresh(t, c)
	// Two by two pixels, of which those of one diagonal show; it points with
	// its second pixel.
	shape := append(bytes.Repeat([]byte{30, 20, 10, 0}, 4), 0x80, 0x40)
	s.Send(rfbtest.Update(image.Rect(1, 0, 3, 2), rfbtest.Cursor, shape))
	if err := c.Move(within(t), image.Pt(20, 30)); err != nil {
		t.Fatal(err)
	}
	got := refresh(t, c)
	want := color.RGBA{10, 20, 30, 255}
	if got.RGBAAt(19, 30) != want || got.RGBAAt(20, 31) != want || got.RGBAAt(20, 30) == want || got.RGBAAt(19, 31) == want {
		t.Error("the pointer is not drawn as it should be")
	}
	if n, _ := c.Diff(c.Mark(), image.Rect(0, 0, 50, 50)); n != 0 {
		t.Errorf("the pointer counts as %d pixels", n)
	}
}
