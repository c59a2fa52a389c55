package desktops_test

import (
	"bytes"
	"errors"
	"image"
	"slices"
	"testing"
	"time"

	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/hand"
	"openclaw-mcp/internal/rfb/rfbtest"
)

func (r *rig) live(seen desktops.Seen) desktops.Frame {
	r.Helper()
	f, err := r.local.Live(r.Context(), r.id, seen, time.Minute)
	if err != nil {
		r.Fatal(err)
	}
	if f.Data != nil {
		m, _, err := image.Decode(bytes.NewReader(f.Data))
		if err != nil || m.Bounds().Size() != f.Part.Size() {
			r.Fatalf("%v, a picture of %v for %v", err, m.Bounds(), f.Part)
		}
	}
	return f
}

// A page gets all of the screen, and then what changes. The picture that the model
// refers to stays the one that it was shown.
func TestLive(t *testing.T) {
	t.Parallel()
	r := rigged(t, 800, 600, desktops.Config{})
	r.capture(desktops.Request{MaxWidth: 400})
	all := r.live(desktops.Seen{})
	if all.Part != image.Rect(0, 0, 800, 600) || all.Screen != image.Pt(800, 600) || all.Left != 0 {
		t.Fatalf("%v of %v, %v", all.Part, all.Screen, all.Left)
	}
	part := image.Rect(100, 50, 140, 70)
	r.vnc.Fill(part, red)
	if f := r.live(all.Seen); f.Part != part {
		t.Errorf("%v changed, not %v", f.Part, part)
	} else if f, err := r.local.Live(t.Context(), r.id, f.Seen, time.Millisecond); err != nil || f.Data != nil {
		t.Errorf("%d bytes of nothing, %v", len(f.Data), err)
	}
	out, err := r.local.Act(t.Context(), r.id, desktops.Action{Kind: desktops.Click, At: pt(60, 30)})
	if err != nil || *out.At != image.Pt(121, 61) {
		t.Errorf("the model clicked at %v, %v", out.At, err)
	}
	if f := r.live(desktops.Seen{Connection: all.Seen.Connection + 1, Generation: 1}); f.Part.Size() != f.Screen {
		t.Errorf("of another connection, %v came", f.Part)
	}
}

func TestDesktopPersonFirst(t *testing.T) {
	t.Parallel()
	r := rigged(t, 800, 600, desktops.Config{})
	r.capture(desktops.Request{})
	left, err := r.local.Use(t.Context(), r.id, []desktops.Event{
		{At: pt(10, 20)}, {At: pt(10, 20), Buttons: 1}, {At: pt(10, 20)}, {Key: "é", Down: true}, {Key: "é"}, {Key: "enter", Down: true}, {Key: "enter"},
	}, false, false)
	if err != nil || left <= 0 {
		t.Fatalf("%v, %v", left, err)
	}
	click := desktops.Action{Kind: desktops.Click, At: pt(1, 1)}
	var held *hand.HeldError
	if _, err := r.local.Act(t.Context(), r.id, click); !errors.As(err, &held) {
		t.Fatalf("the model's click was not refused: %v", err)
	}
	if f := r.live(desktops.Seen{}); f.Left <= 0 || f.Pointer == nil || *f.Pointer != image.Pt(10, 20) {
		t.Errorf("the page sees %v, %v", f.Left, f.Pointer)
	}
	if _, err := r.local.Use(t.Context(), r.id, []desktops.Event{{Key: "no-such"}}, false, false); !errors.As(err, new(*desktops.InputError)) {
		t.Errorf("a wrong key: %v", err)
	}
	if left, err := r.local.Use(t.Context(), r.id, nil, false, true); err != nil || left != 0 {
		t.Fatalf("%v, %v", left, err)
	}
	if _, err := r.local.Act(t.Context(), r.id, click); err != nil {
		t.Error(err)
	}
	keys, points := r.vnc.Input()
	want := []rfbtest.Key{{Sym: 0xe9, Down: true}, {Sym: 0xe9}, {Sym: 0xff0d, Down: true}, {Sym: 0xff0d}}
	if !slices.Equal(keys, want) || len(points) < 3 || points[1] != (rfbtest.Pointer{At: image.Pt(10, 20), Buttons: 1}) {
		t.Errorf("%v, %v", keys, points)
	}
}

// The callers of a key share its desktops: the hand of one holds off the models of all,
// of those that come later, too.
func TestDesktopPersonOfAnotherCaller(t *testing.T) {
	t.Parallel()
	hands := fleet.Alone()
	t.Cleanup(func() { _ = hands.Close() })
	r := rigged(t, 800, 600, desktops.Config{Hands: hands})
	if _, err := r.local.Use(t.Context(), r.id, nil, true, false); err != nil {
		t.Fatal(err)
	}
	other := desktops.NewLocal(r.cfg)
	t.Cleanup(other.Close)
	key := desktops.Action{Kind: desktops.Key, Keys: "a"}
	var held *hand.HeldError
	if _, err := other.Act(t.Context(), r.id, key); !errors.As(err, &held) || held.Left <= 0 {
		t.Fatalf("another caller's model was not refused: %v", err)
	}
	if f, err := other.Live(t.Context(), r.id, desktops.Seen{}, time.Minute); err != nil || f.Left <= 0 {
		t.Errorf("another caller's page sees %v, %v", f.Left, err)
	}
	if _, err := r.local.Use(t.Context(), r.id, nil, false, true); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Act(t.Context(), r.id, key); err != nil {
		t.Errorf("after it was handed back: %v", err)
	}
	if keys, _ := r.vnc.Input(); len(keys) != 2 {
		t.Errorf("%v", keys)
	}
}
