package tools

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"strings"
	"testing"

	_ "image/png" // what screenshots come as

	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/rfb/rfbtest"
)

// desktopBench has a scripted desktop behind the bench's instance.
func desktopBench(t *testing.T) (*bench, *rfbtest.Server, func(name string, a args) Result) {
	t.Helper()
	vnc := rfbtest.New(400, 200)
	vnc.Fill(image.Rect(0, 0, 400, 200), image.White)
	b := newBench(t, emulatortest.Options{VNC: vnc.Listen(t)})
	services, err := b.deps.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	services.Desktops = desktops.NewLocal(desktops.Config{Client: services.Client})
	t.Cleanup(services.Desktops.Close)
	return b, vnc, func(name string, a args) Result {
		t.Helper()
		raw, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range desktopTools() {
			if tool.Name == name {
				return tool.Call(t.Context(), b.deps, raw, Exchange{})
			}
		}
		t.Fatalf("no tool %s", name)
		return Result{}
	}
}

func TestScreenshot(t *testing.T) {
	t.Parallel()
	b, _, call := desktopBench(t)
	r := call("take_screenshot", args{"max_width": 200})
	if r.IsError || len(r.Images) != 1 {
		t.Fatal(r.Text)
	}
	data, err := base64.StdEncoding.DecodeString(r.Images[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil || img.Bounds().Size() != image.Pt(200, 100) {
		t.Errorf("%v, %v", img.Bounds(), err)
	}
	structured, err := json.Marshal(r.Structured)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"width":200`, `"scale":0.5`, `"screen":{"x":0,"y":0,"width":400,"height":200}`, `"instance":"` + b.id} {
		if !strings.Contains(string(structured), want) {
			t.Errorf("%s is not in %s", want, structured)
		}
	}
	r = call("take_screenshot", args{"x": 100, "y": 50, "width": 50, "height": 25})
	if !strings.Contains(r.Text, "the part of the screen at 200,100 of 100×50, out of 400×200, scale 1") {
		t.Error(r.Text)
	}
	if services, _ := b.deps.Services(t.Context()); services != nil {
		services.Desktops.Close()
		services.Desktops = nil
	}
	if r := call("take_screenshot", nil); !r.IsError || !strings.Contains(r.Text, "no desktops") {
		t.Error(r.Text)
	}
}

func TestControlDesktop(t *testing.T) {
	t.Parallel()
	b, vnc, call := desktopBench(t)
	if r := call("control_desktop", args{"action": "click", "x": 0, "y": 0}); !r.IsError || !strings.Contains(r.Text, "take a screenshot first") {
		t.Errorf("a click in a picture that nobody has seen: %s", r.Text)
	}
	if r := call("take_screenshot", nil); r.IsError || !strings.Contains(r.Text, "its name as `picture`: 400x200") {
		t.Error(r.Text)
	}
	for _, a := range []args{
		{"action": "click", "x": 0, "y": 0}, {"action": "drag", "x": 1, "y": 2, "to_x": 30, "to_y": 40}, {"action": "scroll", "x": 9, "y": 9, "amount": 2},
		{"action": "type", "text": "hi"}, {"action": "key", "keys": "enter"}, {"action": "wait", "seconds": 0.01},
	} {
		if r := call("control_desktop", a); r.IsError || !strings.Contains(r.Text, "did not change") || len(r.Images) != 0 {
			t.Errorf("%v: %s", a, r.Text)
		}
	}
	keys, points := vnc.Input()
	if len(keys) != 6 || len(points) < 20 {
		t.Errorf("%d keys, %d places", len(keys), len(points))
	}
	for _, a := range []args{
		{"action": "key", "keys": "enter", "amount": 101}, {"action": "scroll", "x": 1, "y": 1, "amount": 1000}, {"action": "click", "x": -1, "y": 0},
		{"action": "click", "x": 1, "y": 1 << 20}, {"action": "drag", "x": 1, "y": 1, "to_x": 5}, {"x": 1}, {"action": "click", "x": 1, "y": 1, "button": "left"},
	} {
		if r := call("control_desktop", a); !r.IsError || !strings.Contains(r.Text, "nothing") {
			t.Errorf("%v: %s", a, r.Text)
		}
	}
	// The connection breaking off in the middle leaves it open what happened.
	vnc.OnKey = func(s *rfbtest.Server, _ rfbtest.Key) { s.Send([]byte{99}) }
	if r := call("control_desktop", args{"action": "type", "text": "xy"}); !r.IsError || !strings.Contains(r.Text, "unknown: the request may have taken effect") ||
		!strings.Contains(r.Text, "take_screenshot shows what became of it") {
		t.Error(r.Text)
	}
	rails := &Rails{ReadOnly: true}
	if err := rails.tool(desktopTools()[1]); err == nil {
		t.Error("control_desktop is allowed though nothing may be changed")
	}
	if err := rails.tool(desktopTools()[0]); err != nil {
		t.Error(err)
	}
	_ = b
}
