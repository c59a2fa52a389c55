//go:build e2e && linux

package chaos

import (
	"image"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/rfb/rfbtest"
)

// screen is the desktop of the instance, which remembers where it was clicked.
type screen struct {
	address string

	mu      sync.Mutex
	clicks  []image.Point
	claimed []image.Rectangle // what somebody was to click into, once
}

var screenSize = image.Pt(800, 400)

func newScreen(t testing.TB) *screen {
	s := &screen{}
	vnc := rfbtest.New(screenSize.X, screenSize.Y)
	vnc.Encoding = rfbtest.ZRLE
	vnc.Fill(image.Rectangle{Max: screenSize}, image.White)
	vnc.OnPointer = func(_ *rfbtest.Server, p rfbtest.Pointer) {
		if p.Buttons == 1 {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.clicks = append(s.clicks, p.At)
		}
	}
	s.address = vnc.Listen(t)
	return s
}

// claim says that a part of the screen is to be clicked into, unless somebody did before.
func (s *screen) claim(part image.Rectangle) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.claimed, part.Overlaps) {
		return false
	}
	s.claimed = append(s.claimed, part)
	return true
}

// clicked is how often something was clicked in a part of the screen.
func (s *screen) clicked(part image.Rectangle) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.clicks {
		if p.In(part) {
			n++
		}
	}
	return n
}

// astray gives the clicks that nobody wanted.
func (s *screen) astray() (list []image.Point) {
	s.mu.Lock()
	defer s.mu.Unlock()
next:
	for _, p := range s.clicks {
		for _, part := range s.claimed {
			if p.In(part) {
				continue next
			}
		}
		list = append(list, p)
	}
	return list
}

func number(facts map[string]any, key string) int {
	n, _ := facts[key].(float64)
	return int(n)
}

func areaIn(facts map[string]any, key string) image.Rectangle {
	a, _ := facts[key].(map[string]any)
	return image.Rect(0, 0, number(a, "width"), number(a, "height")).Add(image.Pt(number(a, "x"), number(a, "y")))
}

// clicking looks at the desktop and clicks at a pixel of what it saw, which must hit what
// that pixel showed, whatever other callers looked at meanwhile, and whoever has the desktop.
func (w *worker) clicking() {
	ctx, stop := w.within()
	defer stop()
	began := time.Now()
	args := params{"max_width": 200 << w.rand.IntN(3)}
	if w.picture != "" && w.rand.IntN(2) == 0 { // a part of the last one
		args["x"], args["y"], args["width"], args["height"], args["picture"] = 10+w.rand.IntN(50), 10+w.rand.IntN(30), 100, 50, w.picture
	}
	o := w.call(ctx, "take_screenshot", args)
	if !o.done() {
		w.trouble("", o)
		w.session404(o)
		w.pause()
		return
	}
	w.picture = o.str("picture")
	size, shows := image.Pt(number(o.facts, "width"), number(o.facts, "height")), areaIn(o.facts, "shows")
	if w.picture == "" || shows.Empty() || size.X < 1 || size.Y < 1 {
		w.violation("I2: take_screenshot gave %s", o)
		return
	}
	at := image.Pt(w.rand.IntN(size.X), w.rand.IntN(size.Y))
	edge := func(n, size, from, length int) int { return from + (n*length+size-1)/size }
	part := image.Rect(
		shows.Min.X+at.X*shows.Dx()/size.X, shows.Min.Y+at.Y*shows.Dy()/size.Y,
		edge(at.X+1, size.X, shows.Min.X, shows.Dx()), edge(at.Y+1, size.Y, shows.Min.Y, shows.Dy()),
	)
	if !w.screen.claim(part) {
		return
	}
	o = w.call(ctx, "control_desktop", params{"action": "click", "x": at.X, "y": at.Y, "picture": w.picture})
	n := w.screen.clicked(part)
	switch {
	case n > 1:
		w.violation("I6: %v was clicked %d times: %s", part, n, o)
	case n == 0 && o.done():
		w.violation("I2: %v was not clicked, though the call says so: %s", part, o)
	case n > 0 && o.isError && strings.Contains(o.text, "nothing was done"):
		w.violation("I2: %v was clicked, though the call says otherwise: %s", part, o)
	}
	if o.done() {
		w.count("click", time.Since(began))
	} else {
		w.trouble("", o)
		w.session404(o)
	}
}
