//go:build e2e

package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"image"
	"image/color"
	_ "image/jpeg" // a picture may come as one
	_ "image/png"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/rfb/rfbtest"
)

// pictureOf decodes the one picture of a result.
func pictureOf(t *testing.T, r result) image.Image {
	t.Helper()
	var raw struct {
		Content []struct{ Type, Data, MIMEType string }
	}
	if err := json.Unmarshal(r.raw, &raw); err != nil {
		t.Fatal(err)
	}
	if len(raw.Content) != 2 || raw.Content[1].Type != "image" {
		t.Fatalf("there is no picture: %s", r.Text)
	}
	data, err := base64.StdEncoding.DecodeString(raw.Content[1].Data)
	if err != nil {
		t.Fatal(err)
	}
	img, format, err := image.Decode(bytes.NewReader(data))
	if err != nil || "image/"+format != raw.Content[1].MIMEType {
		t.Fatalf("%v, %s is said to be %s", err, format, raw.Content[1].MIMEType)
	}
	return img
}

// A screenshot, a click in it, and what became of it, as every client sees them.
func TestDesktop(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		vnc := rfbtest.New(1600, 800)
		vnc.Encoding, vnc.Password = rfbtest.ZRLE, "s3cret"
		vnc.Fill(image.Rect(0, 0, 1600, 800), image.White)
		vnc.OnPointer = func(s *rfbtest.Server, p rfbtest.Pointer) {
			if p.Buttons == 1 {
				s.Fill(image.Rectangle{p.At, p.At.Add(image.Pt(100, 50))}, image.NewUniform(color.RGBA{255, 0, 0, 255}))
			}
		}
		up := newUpstream(t, emulatortest.Options{VNC: vnc.Listen(t)})
		s := c.connect(t, up.env("OPENCLAW_MCP_VNC_PASSWORD=s3cret"))
		r := s.ok(t, "take_screenshot", params{"max_width": 800})
		if img := pictureOf(t, r); img.Bounds().Size() != image.Pt(800, 400) {
			t.Errorf("the picture is %v", img.Bounds())
		}
		for _, want := range []string{"800×400", "1600×800", "scale 0.5", "coordinates are pixels of this picture"} {
			if !strings.Contains(r.Text, want) {
				t.Errorf("%q is not in %q", want, r.Text)
			}
		}
		r = s.ok(t, "control_desktop", params{"action": "click", "x": 200, "y": 100, "screenshot": true})
		if r.Data["changed"] != true || !strings.Contains(r.Text, "at 401,201 of the screen") || !strings.Contains(r.Text, "5000 pixels") {
			t.Errorf("got %s", r.Text)
		}
		if got := color.RGBAModel.Convert(pictureOf(t, r).At(220, 110)); got != (color.RGBA{255, 0, 0, 255}) {
			t.Errorf("the picture has %v there", got)
		}
		r = s.ok(t, "control_desktop", params{"action": "key", "keys": "ctrl+shift+t"})
		if r.Data["changed"] != false || !strings.Contains(r.Text, "did not change") || !strings.Contains(r.Text, "take_screenshot") {
			t.Errorf("got %s", r.Text)
		}
		for _, bad := range []struct {
			tool string
			args params
			want string
		}{
			{"control_desktop", params{"action": "click", "x": 800, "y": 1}, "outside the picture"},
			{"control_desktop", params{"action": "click", "x": 1}, "go together"},
			{"control_desktop", params{"action": "type", "text": strings.Repeat("x", 2001)}, "at most 2000"},
			{"control_desktop", params{"action": "dance"}, "double_click"},
			{"control_desktop", params{"action": "key", "keys": "strg+c"}, "there is no key"},
			{"take_screenshot", params{"x": 1, "y": 2}, "go together"},
			{"take_screenshot", params{"instance": "00000000-0000-0000-0000-000000000000"}, "Instance not found"},
		} {
			if r := s.call(t, bad.tool, bad.args); !r.IsError || !strings.Contains(r.Text, bad.want) || !strings.Contains(r.Text, "Repeat:") {
				t.Errorf("%s %v: %s", bad.tool, bad.args, r.Text)
			}
		}
		// Another process, which has no way to ask this one, takes coordinates only with the
		// picture that they are of.
		other := c.connect(t, up.env("OPENCLAW_MCP_VNC_PASSWORD=s3cret"))
		if r := other.call(t, "control_desktop", params{"action": "move", "x": 200, "y": 100}); !r.IsError || !strings.Contains(r.Text, "take a screenshot first") {
			t.Errorf("without a picture: %s", r.Text)
		}
		name := s.ok(t, "take_screenshot", params{"max_width": 800}).str("picture")
		if r := other.ok(t, "control_desktop", params{"action": "move", "x": 200, "y": 100, "picture": name}); !strings.Contains(r.Text, "at 401,201 of the screen") {
			t.Errorf("with picture %q: %s", name, r.Text)
		}
		// Read-only, it can be looked at and not touched.
		s = c.connect(t, up.env("OPENCLAW_MCP_READ_ONLY=true"))
		if r := s.call(t, "take_screenshot", nil); !r.IsError || !strings.Contains(r.Text, "OPENCLAW_MCP_VNC_PASSWORD") {
			t.Errorf("without the password: %s", r.Text)
		}
		if s.tools["control_desktop"] != nil {
			t.Error("control_desktop is listed though nothing may be changed")
		}
	})
}

// Processes of one user ask the one that has the desktop: coordinates are of the picture
// that any of them returned last, and after its end, of none.
func TestDesktopOfSeveralProcesses(t *testing.T) {
	t.Parallel()
	vnc := rfbtest.New(1600, 800)
	vnc.Encoding = rfbtest.ZRLE
	up := newUpstream(t, emulatortest.Options{VNC: vnc.Listen(t)})
	env := up.env("OPENCLAW_MCP_STATE_DIR=" + t.TempDir())
	a, b := connect(t, env), connect(t, env)
	name := a.ok(t, "take_screenshot", params{"max_width": 800}).str("picture")
	move := params{"action": "move", "x": 200, "y": 100}
	if r := b.ok(t, "control_desktop", move); !strings.Contains(r.Text, "at 401,201 of the screen") {
		t.Errorf("at its owner: %s", r.Text)
	}
	b.ok(t, "take_screenshot", params{"x": 0, "y": 0, "width": 400, "height": 200})
	if r := a.ok(t, "control_desktop", move); !strings.Contains(r.Text, "at 200,100 of the screen") {
		t.Errorf("in the other's picture: %s", r.Text)
	}
	a.proc.kill(t)
	if r := b.call(t, "control_desktop", move); !r.IsError || !strings.Contains(r.Text, "take a screenshot first") {
		t.Errorf("after its end: %s", r.Text)
	}
	move["picture"] = name
	if r := b.ok(t, "control_desktop", move); !strings.Contains(r.Text, "at 401,201 of the screen") {
		t.Errorf("in picture %s: %s", name, r.Text)
	}
}
