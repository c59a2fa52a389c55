package rfb_test

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"net"
	"strings"
	"testing"

	"openclaw-mcp/internal/rfb"
	"openclaw-mcp/internal/rfb/rfbtest"
)

// script is a server that says what it says, whatever it hears.
func script(t *testing.T, says []byte) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{}, 2)
	go func() {
		_, _ = theirs.Write(says)
		theirs.Close()
		done <- struct{}{}
	}()
	go func() {
		_, _ = io.Copy(io.Discard, theirs)
		done <- struct{}{}
	}()
	t.Cleanup(func() {
		ours.Close()
		<-done
		<-done
	})
	return ours
}

// greeting is a whole handshake of version 3.8 without security.
func greeting(w, h uint16) []byte {
	b := []byte("RFB 003.008\n\x01\x01\x00\x00\x00\x00")
	b = binary.BigEndian.AppendUint16(b, w)
	b = binary.BigEndian.AppendUint16(b, h)
	return append(append(b, make([]byte, 16)...), 0, 0, 0, 1, 'x')
}

func deflated(p []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(p)
	_ = z.Flush()
	return append(binary.BigEndian.AppendUint32(nil, uint32(b.Len())), b.Bytes()...)
}

func TestHostileGreetings(t *testing.T) {
	for name, says := range map[string]string{
		"garbage":               "HTTP/1.1 400 Bad Request\r\n\r\n",
		"short garbage":         "nope",
		"too old":               "RFB 002.000\n",
		"no number":             "RFB 003.abc\n",
		"nothing":               "",
		"half a greeting":       "RFB 00",
		"refused":               "RFB 003.008\n\x00\x00\x00\x00\x04busy",
		"refused 3.3":           "RFB 003.003\n\x00\x00\x00\x00\x00\x00\x00\x04busy",
		"endless reason":        "RFB 003.008\n\x00\xff\xff\xff\xffbusy",
		"huge screen":           string(greeting(65535, 65535)),
		"empty screen":          string(greeting(0, 5)),
		"endless name":          "RFB 003.008\n\x01\x01\x00\x00\x00\x00\x00\x01\x00\x01" + strings.Repeat("\x00", 16) + "\xff\xff\xff\xff",
		"refused with security": "RFB 003.008\n\x01\x01\x00\x00\x00\x01\x00\x00\x00\x04busy",
	} {
		c, err := rfb.Connect(within(t), script(t, []byte(says)), rfb.Options{})
		if err == nil {
			c.Close()
			t.Errorf("%s: no error", name)
			continue
		}
		if strings.HasPrefix(name, "refused") && !strings.Contains(err.Error(), "busy") {
			t.Errorf("%s: the reason is not shown: %v", name, err)
		}
		if len(err.Error()) > 300 {
			t.Errorf("%s: %d bytes of error", name, len(err.Error()))
		}
	}
}

func TestHostileUpdates(t *testing.T) {
	at := func(x, y, w, h int) image.Rectangle { return image.Rect(x, y, x+w, y+h) }
	tile := func(b ...byte) []byte { return deflated(b) }
	for name, says := range map[string][]byte{
		"outside":               rfbtest.Update(at(60, 0, 10, 10), rfbtest.Raw, nil),
		"far outside":           rfbtest.Update(at(65535, 65535, 65535, 65535), rfbtest.Raw, nil),
		"copy from outside":     rfbtest.Update(at(0, 0, 10, 10), 1, []byte{0, 60, 0, 0}),
		"unknown encoding":      rfbtest.Update(at(0, 0, 1, 1), 7, nil),
		"unknown and empty":     rfbtest.Update(at(0, 0, 0, 0), 7, nil),
		"unknown message":       {99},
		"huge clipboard":        {3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
		"resize to huge":        rfbtest.Update(at(0, 0, 65535, 65535), rfbtest.DesktopSize, nil),
		"resize to nothing":     rfbtest.Update(at(0, 0, 0, 0), rfbtest.DesktopSize, nil),
		"extended huge":         rfbtest.Update(at(0, 0, 65535, 65535), rfbtest.ExtendedSize, []byte{0, 0, 0, 0}),
		"huge pointer":          rfbtest.Update(at(0, 0, 65535, 65535), rfbtest.Cursor, nil),
		"hextile part outside":  rfbtest.Update(at(0, 0, 8, 8), rfbtest.Hextile, []byte{8 | 2 | 4, 0, 0, 0, 0, 1, 1, 1, 0, 1, 0x77, 0xff}),
		"no data":               rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, []byte{0, 0, 0, 0}),
		"not zlib":              rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, []byte{0, 0, 0, 4, 1, 2, 3, 4}),
		"unknown tile":          rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, tile(17)),
		"tile 129":              rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, tile(129)),
		"run too long":          rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, tile(128, 1, 2, 3, 64)),
		"endless run":           rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, deflated(append([]byte{128, 1, 2, 3}, bytes.Repeat([]byte{255}, 1<<20)...))),
		"palette index":         rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, tile(130, 1, 2, 3, 4, 5, 6, 2)),
		"packed index":          rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, tile(3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xff, 0xff)),
		"too little":            rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, tile(0, 1, 2, 3)),
		"too much":              rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, tile(1, 1, 2, 3, 9, 9, 9)),
		"bomb behind the tiles": rfbtest.Update(at(0, 0, 8, 8), rfbtest.ZRLE, append([]byte{0x7f, 0xff, 0xff, 0xff}, tile(1, 1, 2, 3)[4:]...)),
		"cut":                   rfbtest.Update(at(0, 0, 8, 8), rfbtest.Raw, []byte{1, 2, 3}),
	} {
		c, err := rfb.Connect(within(t), script(t, append(greeting(64, 64), says...)), rfb.Options{})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-c.Done():
		case <-within(t).Done():
			t.Fatalf("%s: the connection does not end", name)
		}
		var violation *rfb.Error
		if err := c.Err(); !errors.As(err, &violation) && (name != "cut" && name != "bomb behind the tiles" || !errors.Is(err, io.ErrUnexpectedEOF)) {
			t.Errorf("%s: got %v", name, err)
		}
		c.Close()
	}
}

// What a server may send without being asked is passed over.
func TestPassedOver(t *testing.T) {
	s := rfbtest.New(64, 64)
	c := connect(t, s, rfb.Options{})
	refresh(t, c)
	s.Send([]byte{2})                                       // bell
	s.Send([]byte("\x03\x00\x00\x00\x00\x00\x00\x05hello")) // clipboard
	s.Send([]byte("\x01\x00\x00\x00\x00\x02rrggbbrrggbb"))  // colour map
	s.Send(append([]byte{0, 0, 0xff, 0xff}, rfbtest.Update(image.Rectangle{}, rfbtest.LastRect, nil)[4:]...))
	s.Send(rfbtest.Update(image.Rect(0, 1, 9, 9), rfbtest.ExtendedSize, []byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 9, 0, 0, 0, 0})[:0])
	s.Send(rfbtest.Update(image.Rectangle{Max: image.Point{}}, rfbtest.ZRLE, []byte{0, 0, 0, 0}))
	sameImage(t, refresh(t, c), s.Screen())
	// A copy within the screen, which overlaps itself.
	s.Send(rfbtest.Update(image.Rect(10, 12, 50, 52), 1, []byte{0, 5, 0, 9}))
	want, copied := s.Screen(), s.Screen()
	for y := range 40 {
		for x := range 40 {
			want.SetRGBA(10+x, 12+y, copied.RGBAAt(5+x, 9+y))
		}
	}
	s.Send([]byte{2})
	for c.Snapshot().Image.RGBAAt(10, 12) != want.RGBAAt(10, 12) {
		if err := c.WaitChange(within(t), c.Mark(), image.Rectangle{}, 1); err != nil {
			t.Fatal(err)
		}
	}
	sameImage(t, c.Snapshot().Image, want)
}

func TestSilence(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, _ = theirs.Write([]byte("RFB 003.0"))
		cancel()
	}()
	if _, err := rfb.Connect(ctx, ours, rfb.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	s := rfbtest.New(10, 10)
	s.Silent = true
	c := connect(t, s, rfb.Options{})
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if err := c.Refresh(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c.Close()
	if err := c.Refresh(t.Context()); !errors.Is(err, rfb.ErrClosed) {
		t.Errorf("got %v", err)
	}
}

// FuzzServer has anything come from a server: nothing of it may panic, hang or
// take more memory than a screen does.
func FuzzServer(f *testing.F) {
	s := rfbtest.New(70, 40)
	for _, encoding := range encodings {
		s.Encoding = encoding
		ours, theirs := net.Pipe()
		go func() { _ = s.Serve(theirs) }()
		var seen bytes.Buffer
		tee := struct {
			io.Reader
			io.Writer
			io.Closer
		}{io.TeeReader(ours, &seen), ours, ours}
		c, err := rfb.Connect(f.Context(), tee, rfb.Options{})
		if err != nil {
			f.Fatal(err)
		}
		if err := c.Refresh(f.Context()); err != nil {
			f.Fatal(err)
		}
		c.Close()
		f.Add(seen.Bytes())
	}
	f.Add(append(greeting(64, 64), rfbtest.Update(image.Rect(0, 0, 8, 8), rfbtest.ZRLE, deflated([]byte{128, 1, 2, 3, 63}))...))
	f.Add(append(greeting(64, 64), rfbtest.Update(image.Rect(0, 0, 8, 8), 1, []byte{0, 1, 0, 1})...))
	f.Fuzz(func(t *testing.T, says []byte) {
		c, err := rfb.Connect(t.Context(), stream{bytes.NewReader(says)}, rfb.Options{MaxPixels: 1 << 16})
		if err != nil {
			return
		}
		<-c.Done()
		if c.Err() == nil {
			t.Error("the connection ended without a reason")
		}
		_ = c.Close()
	})
}

// stream is read to its end, and swallows what is written.
type stream struct{ io.Reader }

func (stream) Write(p []byte) (int, error) { return len(p), nil }
func (stream) Close() error                { return nil }
