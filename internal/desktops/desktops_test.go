package desktops_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/rfb/rfbtest"
)

// rig is a desktop behind the embedded service, which relays to a scripted
// server.
type rig struct {
	*testing.T
	vnc   *rfbtest.Server
	srv   *emulatortest.Server
	id    string
	cfg   desktops.Config
	local *desktops.Local
}

func rigged(t *testing.T, w, h int, cfg desktops.Config) *rig {
	t.Helper()
	r := &rig{T: t, vnc: rfbtest.New(w, h)}
	r.vnc.Encoding = rfbtest.ZRLE
	r.vnc.Fill(image.Rect(0, 0, w, h), image.White)
	var err error
	if r.srv, err = emulatortest.New(emulatortest.Options{VNC: r.vnc.Listen(t)}); err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(r.srv)
	c, err := client.New(nil, web.URL, "key", client.WithRetry(1, time.Millisecond, time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Client = c
	r.cfg, r.local = cfg, desktops.NewLocal(cfg)
	t.Cleanup(func() {
		r.local.Close()
		if err := r.srv.Close(); err != nil {
			t.Error(err)
		}
		c.CloseIdleConnections()
		web.Close()
	})
	if r.id, err = r.srv.AddInstance("key"); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) capture(req desktops.Request) (desktops.Picture, image.Image) {
	r.Helper()
	p, err := r.local.Capture(r.Context(), r.id, req)
	if err != nil {
		r.Fatal(err)
	}
	img, format, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil || "image/"+format != p.MIME || img.Bounds().Size() != p.Size {
		r.Fatalf("%v, %s, %v and not %s, %v", err, format, img.Bounds().Size(), p.MIME, p.Size)
	}
	return p, img
}

func pt(x, y int) *image.Point { return &image.Point{X: x, Y: y} }

var red = image.NewUniform(color.RGBA{255, 0, 0, 255})

func TestPictures(t *testing.T) {
	t.Parallel()
	r := rigged(t, 1600, 900, desktops.Config{})
	r.vnc.Fill(image.Rect(800, 300, 1000, 500), red)
	p, img := r.capture(desktops.Request{})
	if p.Size != image.Pt(1280, 720) || p.Screen != image.Pt(1600, 900) || p.MIME != "image/png" || p.Pointer != nil {
		t.Errorf("got %+v", p)
	}
	if c := color.RGBAModel.Convert(img.At(720, 320)).(color.RGBA); c != (color.RGBA{255, 0, 0, 255}) {
		t.Errorf("the square is %v", c)
	}
	if c := color.RGBAModel.Convert(img.At(600, 320)).(color.RGBA); c != (color.RGBA{255, 255, 255, 255}) {
		t.Errorf("the ground is %v", c)
	}
	// A part, named in the picture's pixels, comes at the screen's own scale.
	part := image.Rect(640, 240, 800, 400)
	p, img = r.capture(desktops.Request{Crop: &part})
	if p.Region != image.Rect(800, 300, 1000, 500) || p.Size != image.Pt(200, 200) {
		t.Errorf("got %v of %v", p.Size, p.Region)
	}
	for _, at := range []image.Point{{0, 0}, {199, 199}} {
		if c := color.RGBAModel.Convert(img.At(at.X, at.Y)).(color.RGBA); c != (color.RGBA{255, 0, 0, 255}) {
			t.Errorf("%v of the part is %v", at, c)
		}
	}
	// And a part of that part.
	part = image.Rect(100, 100, 150, 120)
	if p, _ = r.capture(desktops.Request{Crop: &part, Format: "jpeg"}); p.Region != image.Rect(900, 400, 950, 420) || p.MIME != "image/jpeg" {
		t.Errorf("got %v, %s", p.Region, p.MIME)
	}
	part = image.Rect(500, 500, 600, 600)
	var input *desktops.InputError
	if _, err := r.local.Capture(t.Context(), r.id, desktops.Request{Crop: &part}); !errors.As(err, &input) || !strings.Contains(err.Error(), "50×20") {
		t.Errorf("got %v", err)
	}
}

// A picture that is too large in bytes becomes a JPEG, and then a smaller one.
func TestPictureBytes(t *testing.T) {
	t.Parallel()
	r := rigged(t, 640, 480, desktops.Config{})
	r.vnc.Draw(image.Point{}, rfbtest.Pattern(640, 480, 4))
	p, _ := r.capture(desktops.Request{})
	if p.MIME != "image/jpeg" || p.Size != image.Pt(640, 480) {
		t.Errorf("noise comes as %s of %v, %d bytes", p.MIME, p.Size, len(p.Data))
	}
	for _, format := range []string{"auto", "png", "jpeg"} {
		p, _ = r.capture(desktops.Request{MaxBytes: 20_000, Format: format})
		if len(p.Data) > 20_000 || p.Size.X >= 640 || p.Region.Dx() != 640 {
			t.Errorf("%s: %d bytes, %v of %v", format, len(p.Data), p.Size, p.Region)
		}
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	r := rigged(t, 1600, 900, desktops.Config{})
	r.vnc.OnPointer = func(s *rfbtest.Server, p rfbtest.Pointer) {
		if p.Buttons == 1 {
			s.Fill(image.Rectangle{p.At, p.At.Add(image.Pt(40, 30))}, red)
		}
	}
	r.capture(desktops.Request{MaxWidth: 800})
	out, err := r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Click, At: pt(400, 200), Keys: "ctrl", Shot: &desktops.Request{}})
	if err != nil {
		t.Fatal(err)
	}
	if *out.At != image.Pt(801, 401) || out.Changed != 40*30 || out.Where != image.Rect(801, 401, 841, 431) || out.Moving {
		t.Errorf("got %+v", out)
	}
	if out.Picture == nil || out.Picture.Size != image.Pt(800, 450) || out.Picture.Pointer == nil || *out.Picture.Pointer != image.Pt(400, 200) {
		t.Errorf("got %+v", out.Picture)
	}
	keys, _ := r.vnc.Input()
	if want := []rfbtest.Key{{Sym: 0xffe3, Down: true}, {Sym: 0xffe3}}; !slices.Equal(keys, want) {
		t.Errorf("keys %v", keys)
	}
	// In a part, coordinates are the part's.
	part := image.Rect(600, 300, 700, 350)
	r.capture(desktops.Request{Crop: &part, MaxWidth: 100})
	for _, a := range []desktops.Action{
		{Kind: desktops.Move, At: pt(10, 20)},
		{Kind: desktops.RightClick, At: pt(10, 20)},
		{Kind: desktops.MiddleClick, At: pt(10, 20)},
		{Kind: desktops.Scroll, At: pt(10, 20), Direction: "left", Amount: 1},
		{Kind: desktops.Key, Keys: "ctrl+a delete"},
	} {
		out, err := r.local.Act(t.Context(), r.id, a)
		if err != nil || out.Changed != 0 || a.At != nil && *out.At != image.Pt(1221, 641) {
			t.Errorf("%s: %+v, %v", a.Kind, out, err)
		}
	}
	out, err = r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Type, Text: "hé\r\n"})
	if err != nil || out.Typed != 3 {
		t.Errorf("typed %d, %v", out.Typed, err)
	}
}

func TestBadActions(t *testing.T) {
	r := rigged(t, 200, 100, desktops.Config{})
	r.capture(desktops.Request{MaxWidth: 100})
	for _, a := range []desktops.Action{
		{Kind: "dance"}, {Kind: desktops.Click}, {Kind: desktops.Drag, At: pt(1, 1)}, {Kind: desktops.Type}, {Kind: desktops.Key},
		{Kind: desktops.Key, Keys: "strg+c"}, {Kind: desktops.Click, At: pt(1, 1), Keys: "ctrl shift"}, {Kind: desktops.Scroll, At: pt(1, 1), Direction: "in"},
		{Kind: desktops.Wait, At: pt(1, 1)}, {Kind: desktops.Click, At: pt(100, 1)}, {Kind: desktops.Drag, At: pt(1, 1), To: pt(1, 50)},
	} {
		var input *desktops.InputError
		if _, err := r.local.Act(t.Context(), r.id, a); !errors.As(err, &input) {
			t.Errorf("%+v: got %v", a, err)
		}
	}
	r.vnc.Resize(300, 300, true)
	var input *desktops.InputError
	if _, err := r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Click, At: pt(1, 1)}); !errors.As(err, &input) || !strings.Contains(err.Error(), "300×300") {
		t.Errorf("after a resize: %v", err)
	}
	if keys, points := r.vnc.Input(); len(keys)+len(points) > 0 {
		t.Errorf("something was sent: %v %v", keys, points)
	}
}

// Waiting counts from the end of the call before: a change in between is not
// missed.
func TestWaiting(t *testing.T) {
	t.Parallel()
	r := rigged(t, 200, 100, desktops.Config{})
	r.capture(desktops.Request{})
	out, err := r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Wait, Wait: time.Millisecond})
	if err != nil || out.Changed != 0 {
		t.Errorf("nothing happens: %+v, %v", out, err)
	}
	r.vnc.Fill(image.Rect(0, 0, 20, 20), red)
	out, err = r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Wait, Wait: time.Minute})
	if err != nil || out.Changed != 400 {
		t.Errorf("it happened before: %+v, %v", out, err)
	}
	go r.vnc.Fill(image.Rect(50, 50, 70, 70), red)
	out, err = r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Wait, Wait: time.Minute, At: pt(40, 40), To: pt(80, 80), Amount: 300})
	if err != nil || out.Changed != 400 {
		t.Errorf("it happens meanwhile: %+v, %v", out, err)
	}
}

// Connections are kept, closed when idle and opened again, and what was shown
// stays known.
func TestConnections(t *testing.T) {
	t.Parallel()
	const endpoint = "GET /instances/{instance}/vnc/ws"
	r := rigged(t, 200, 100, desktops.Config{Idle: 50 * time.Millisecond})
	r.capture(desktops.Request{MaxWidth: 100})
	for end := time.Now().Add(2 * time.Minute); r.srv.OpenDesktops() > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the idle connection stays open")
		}
	}
	out, err := r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Move, At: pt(10, 10)})
	if err != nil || *out.At != image.Pt(21, 21) {
		t.Errorf("%+v, %v", out.At, err)
	}
	if n := r.srv.Calls(endpoint); n != 2 {
		t.Errorf("%d connections", n)
	}
	r.local.Close()
	if _, err := r.local.Capture(t.Context(), r.id, desktops.Request{}); err == nil {
		t.Error("it works after Close")
	}
}

// What the service does wrong reaches the caller as one kind of error, before
// anything was done.
func TestFaults(t *testing.T) {
	t.Parallel()
	r := rigged(t, 64, 64, desktops.Config{})
	for name, f := range map[string]struct {
		fault    emulatortest.Fault
		contains string
	}{
		"refused":     {emulatortest.Fault{Status: 503, Body: `{"message":"asleep"}`}, "asleep"},
		"close":       {emulatortest.Fault{Socket: &emulatortest.SocketFault{CloseCode: 4404, CloseReason: "gone"}}, "gone"},
		"text":        {emulatortest.Fault{Socket: &emulatortest.SocketFault{Text: `{"error":"no screen"}`}}, "no screen"},
		"garbage":     {emulatortest.Fault{Socket: &emulatortest.SocketFault{Garbage: "hello, world\n"}}, "greet"},
		"silent":      {emulatortest.Fault{Socket: &emulatortest.SocketFault{Silent: true}}, "said nothing"},
		"cut":         {emulatortest.Fault{Socket: &emulatortest.SocketFault{CutBytes: 60}}, ""},
		"cut, closed": {emulatortest.Fault{Socket: &emulatortest.SocketFault{CutBytes: 60, CloseCode: 1011, CloseReason: "crashed"}}, "crashed"},
	} {
		patience := time.Minute
		if name == "silent" || name == "cut" {
			patience = 300 * time.Millisecond // it never says more
		}
		for ; ; patience *= 4 { // on a busy machine, what comes before may be late, too
			r.local.Close()
			r = rigged(t, 64, 64, desktops.Config{Patience: patience})
			r.srv.SetFaults(f.fault)
			_, err := r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Type, Text: "x"})
			if keys, _ := r.vnc.Input(); len(keys) > 0 {
				t.Errorf("%s: keys were sent: %v", name, keys)
			}
			var e *client.Error
			if errors.As(err, &e) && e.Outcome != client.OutcomeUnknown && strings.Contains(e.Error(), f.contains) {
				break
			}
			if patience >= time.Minute {
				t.Errorf("%s: got %v", name, err)
				break
			}
		}
	}
	for _, f := range []emulatortest.SocketFault{{Split: 1}, {Subprotocol: "binary"}, {Subprotocol: "binary", Split: 3}} {
		r.local.Close()
		c := f
		r.srv.SetFaults(emulatortest.Fault{Socket: &c})
		r = rigged(t, 64, 64, desktops.Config{})
		r.srv.SetFaults(emulatortest.Fault{Socket: &c})
		r.capture(desktops.Request{})
	}
	// When it breaks off after something was sent, that is said.
	r = rigged(t, 64, 64, desktops.Config{})
	r.vnc.OnKey = func(s *rfbtest.Server, k rfbtest.Key) {
		s.Send([]byte{99}) // no message of the protocol
	}
	_, err := r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Type, Text: "xy"})
	var e *client.Error
	if !errors.As(err, &e) || e.Outcome != client.OutcomeUnknown || !strings.Contains(e.Message, "of 2 characters were typed") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.local.Capture(ctx, r.id, desktops.Request{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The desktops of all callers share one budget: who looks makes those make room that
// nobody uses, and what does not fit at all is refused with the reason.
func TestBudget(t *testing.T) {
	t.Parallel()
	budget := desktops.NewBudget(100 * 100)
	first, second := rigged(t, 80, 80, desktops.Config{Budget: budget}), rigged(t, 70, 100, desktops.Config{Budget: budget})
	for range 2 {
		first.capture(desktops.Request{})
		second.capture(desktops.Request{})
	}
	large := rigged(t, 200, 100, desktops.Config{Budget: budget})
	if _, err := large.local.Capture(t.Context(), large.id, desktops.Request{}); err == nil || !strings.Contains(err.Error(), "20000 more") {
		t.Errorf("got %v", err)
	}
	second.capture(desktops.Request{})
	second.local.Close()
	first.capture(desktops.Request{}) // the second one's pixels were given back
}
