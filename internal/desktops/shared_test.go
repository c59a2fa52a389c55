package desktops_test

import (
	"context"
	"errors"
	"image"
	"strings"
	"sync"
	"testing"

	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/fleet"
)

// process is one of several that share the desktops of a rig.
func (r *rig) process(f fleet.Fleet) *desktops.Shared {
	s := desktops.NewShared(desktops.NewLocal(r.cfg), f)
	r.Cleanup(s.Close)
	return s
}

func (r *rig) move(d desktops.Desktops, of string, x, y int) (*image.Point, error) {
	out, err := d.Act(r.Context(), r.id, desktops.Action{Kind: desktops.Move, Of: of, At: pt(x, y)})
	return out.At, err
}

// refused is the error of coordinates that nobody can tell the meaning of.
func refused(t *testing.T, err error, want string) {
	t.Helper()
	var input *desktops.InputError
	if !errors.As(err, &input) || !strings.Contains(err.Error(), "nothing was done") || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want one with %q", err, want)
	}
}

func TestSharedPicture(t *testing.T) {
	r := rigged(t, 1600, 900, desktops.Config{})
	f := fleet.Alone()
	t.Cleanup(func() { _ = f.Close() })
	a, b, c := r.process(f), r.process(f), r.process(f)
	{
		_, err := r.move(a, "", 1, 1)
		refused(t, err, "take a screenshot first")
	}
	whole, err := a.Capture(t.Context(), r.id, desktops.Request{MaxWidth: 800})
	if err != nil || whole.View != "800x450/1600x900" {
		t.Fatalf("%v, %q", err, whole.View)
	}
	at := func(d desktops.Desktops, of string, want image.Point) {
		t.Helper()
		if got, err := r.move(d, of, 100, 50); err != nil || *got != want {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	at(b, "", image.Pt(201, 101))
	part := image.Rect(100, 50, 200, 150)
	zoomed, err := c.Capture(t.Context(), r.id, desktops.Request{Crop: &part})
	if err != nil || zoomed.View != "200x200:200,100,200x200/1600x900" {
		t.Fatalf("%v, %q", err, zoomed.View)
	}
	at(a, "", image.Pt(300, 150)) // of the part: it was the last one
	at(b, whole.View, image.Pt(201, 101))
	// Whose turn it is is the same for all.
	if left, err := b.Use(t.Context(), r.id, nil, true, false); err != nil || left <= 0 {
		t.Errorf("%v, %v", left, err)
	}
	if _, err := r.move(c, whole.View, 1, 1); err == nil || !strings.Contains(err.Error(), "a person is using") {
		t.Errorf("while a person has it: %v", err)
	}
	if _, err := c.Use(t.Context(), r.id, nil, false, true); err != nil {
		t.Error(err)
	}
	if frame, err := c.Live(t.Context(), r.id, desktops.Seen{}, 0); err != nil || frame.Screen != image.Pt(1600, 900) || len(frame.Data) == 0 {
		t.Errorf("%v, %+v", err, frame.Screen)
	}
	if n := r.srv.Calls("GET /instances/{instance}/vnc/ws"); n != 1 {
		t.Errorf("%d connections", n)
	}
	// With its owner, the memory of the last picture goes. Its name says all.
	a.Close()
	{
		_, err := r.move(b, "", 100, 50)
		refused(t, err, "take a screenshot first")
	}
	at(c, zoomed.View, image.Pt(300, 150))
	{
		_, err := r.move(b, "8x4/16x9", 1, 1)
		refused(t, err, "1600×900 now")
	}
	for _, bad := range []string{"x", "0x0", "800x450/", "800x450:0,0,9999x1/1600x900", "0800x450/1600x900", "800x450:-1,0,5x5/1600x900"} {
		if _, err := r.move(b, bad, 1, 1); err == nil || !strings.Contains(err.Error(), "not the name") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Processes that begin at once agree on one.
func TestSharedAtOnce(t *testing.T) {
	r := rigged(t, 400, 200, desktops.Config{})
	f := fleet.Alone()
	t.Cleanup(func() { _ = f.Close() })
	var all sync.WaitGroup
	for range 6 {
		d := r.process(f)
		all.Go(func() {
			if _, err := d.Capture(t.Context(), r.id, desktops.Request{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := r.srv.Calls("GET /instances/{instance}/vnc/ws"); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// One that is slow to begin has not said yet that it has the desktop.
func TestSharedSlowBegin(t *testing.T) {
	r := rigged(t, 400, 200, desktops.Config{})
	f := fleet.Alone()
	t.Cleanup(func() { _ = f.Close() })
	serving, serve := make(chan struct{}), make(chan struct{})
	slow := &engine{Fleet: f, serving: sync.OnceFunc(func() { close(serving); <-serve })}
	a, b := r.process(slow), r.process(f)
	done := make(chan error)
	go func() {
		_, err := a.Capture(t.Context(), r.id, desktops.Request{})
		done <- err
	}()
	<-serving
	_, err := b.Capture(t.Context(), r.id, desktops.Request{})
	close(serve)
	if err := errors.Join(err, <-done); err != nil {
		t.Error(err)
	}
	if n := r.srv.Calls("GET /instances/{instance}/vnc/ws"); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// engine fails where a test says so.
type engine struct {
	fleet.Fleet
	away    bool
	serving func() // before anything is served; nil: nothing is done
}

func (e *engine) Serve(name string, h fleet.Handler) (func(), error) {
	if e.serving != nil {
		e.serving()
	}
	return e.Fleet.Serve(name, h)
}

func (e *engine) Create(ctx context.Context, name string, value []byte) (fleet.Fact, bool, error) {
	if e.away {
		return fleet.Fact{}, false, fleet.ErrAway
	}
	return e.Fleet.Create(ctx, name, value)
}

// While nobody can say which picture was the last, coordinates need its name.
func TestSharedAway(t *testing.T) {
	r := rigged(t, 1600, 900, desktops.Config{})
	f := &engine{Fleet: fleet.Alone()}
	t.Cleanup(func() { _ = f.Close() })
	a, b := r.process(f), r.process(f)
	p, err := a.Capture(t.Context(), r.id, desktops.Request{MaxWidth: 800})
	if err != nil {
		t.Fatal(err)
	}
	f.away = true
	for _, d := range []desktops.Desktops{a, b} {
		{
			_, err := r.move(d, "", 1, 1)
			refused(t, err, "pass the `picture`")
		}
		if at, err := r.move(d, p.View, 100, 50); err != nil || *at != image.Pt(201, 101) {
			t.Errorf("%v, %v", at, err)
		}
		if _, err := d.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Key, Keys: "enter"}); err != nil {
			t.Error(err)
		}
	}
	f.away = false
	if at, err := r.move(b, "", 100, 50); err != nil || *at != image.Pt(201, 101) {
		t.Errorf("%v, %v", at, err)
	}
}
