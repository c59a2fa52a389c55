//go:build e2e

package desktops_test

import (
	"bufio"
	"bytes"
	"context"
	"image"
	_ "image/jpeg"
	"image/png"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// These tests need Xvnc, x11vnc, Xvfb, xterm and xmessage. Where one of them is
// missing they fail: a real desktop is what they are about.

const patience = time.Minute

// machine is an instance of the embedded service, with its desktop.
type machine struct {
	*testing.T
	ctx      context.Context
	id       string
	client   *client.Client
	desktops *desktops.Local
}

func start(t *testing.T, vnc, password string) *machine {
	t.Helper()
	srv, err := emulatortest.New(emulatortest.Options{VNC: vnc})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	c, err := client.New(nil, web.URL, "sk_live_desktop")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{T: t, client: c, desktops: desktops.NewLocal(desktops.Config{Client: c, Password: password})}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	m.ctx = ctx
	t.Cleanup(func() {
		cancel()
		m.desktops.Close()
		c.CloseIdleConnections()
		web.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	if m.id, err = srv.AddInstance("sk_live_desktop"); err != nil {
		t.Fatal(err)
	}
	return m
}

func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Fatalf("this test needs %s; .ci/run says how to install it", p)
		}
	}
}

// shot takes a picture, and leaves it where a person can look at it if
// OPENCLAW_E2E_PICTURES names a folder.
func (m *machine) shot(name string, r desktops.Request) (desktops.Picture, image.Image) {
	m.Helper()
	p, err := m.desktops.Capture(m.ctx, m.id, r)
	if err != nil {
		m.Fatal(err)
	}
	return p, m.decode(name, p)
}

func (m *machine) decode(name string, p desktops.Picture) image.Image {
	m.Helper()
	img, format, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil {
		m.Fatal(err)
	}
	if img.Bounds().Size() != p.Size || p.MIME != "image/"+format {
		m.Errorf("%s: the picture is %v %s, and is said to be %v %s", name, img.Bounds().Size(), format, p.Size, p.MIME)
	}
	if dir := os.Getenv("OPENCLAW_E2E_PICTURES"); dir != "" {
		var out bytes.Buffer
		if err := png.Encode(&out, img); err != nil {
			m.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, m.Name()+"-"+name+".png"), out.Bytes(), 0o644); err != nil {
			m.Fatal(err)
		}
	}
	return img
}

func (m *machine) act(a desktops.Action) desktops.Outcome {
	m.Helper()
	out, err := m.desktops.Act(m.ctx, m.id, a)
	if err != nil {
		m.Fatal(err)
	}
	return out
}

// is tells whether a pixel has nearly a colour.
func is(img image.Image, at image.Point, r, g, b uint8) bool {
	near := func(got uint32, want uint8) bool { return max(int(got>>8), int(want))-min(int(got>>8), int(want)) < 40 }
	pr, pg, pb, _ := img.At(at.X, at.Y).RGBA()
	return near(pr, r) && near(pg, g) && near(pb, b)
}

func (m *machine) exec(command string) string {
	m.Helper()
	r, err := m.client.Terminal.Exec(m.ctx, m.id, client.ExecRequest{Command: command})
	if err != nil {
		m.Fatal(err)
	}
	return r.Stdout.Head + r.Stderr.Head
}

// await repeats a command on the instance until its output is as wanted.
func (m *machine) await(command, want string) {
	m.Helper()
	var got string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = m.exec(command); got == want {
			return
		}
	}
	m.Fatalf("%s: got %q, want %q", command, got, want)
}

// The programs: a terminal that reads lines into a file, on a blue ground, and a
// red window of which a button ends it with a code.
const (
	editor = `xterm -geometry 60x10+40+60 -bg '#0000c0' -fg white -u8 -fa 'DejaVu Sans Mono' -fs 12 +sb -e sh -c 'while read -r line; do printf "%s\n" "$line" >> typed; done'`
	asker  = `xmessage -geometry 300x120+700+400 -bg '#c00000' -buttons Yes:41,No:42 'Press a button'`
)

// work drives the programs on a desktop. run starts a program on it.
func (m *machine) work(run func(string), await func(command, want string)) {
	first, blank := m.shot("blank", desktops.Request{})
	if first.Screen != image.Pt(1280, 720) || blank.Bounds().Size() != first.Screen {
		m.Errorf("the screen is %v", first.Screen)
	}
	run(editor)
	run(asker + "; echo $? > answer")
	for range 20 { // each waits for a change since the call before
		m.act(desktops.Action{Kind: desktops.Wait, Wait: 5 * time.Second})
		if _, img := m.shot("windows", desktops.Request{}); is(img, image.Pt(60, 200), 0, 0, 0xc0) && is(img, image.Pt(970, 500), 0xc0, 0, 0) {
			break
		}
	}
	p, img := m.shot("windows", desktops.Request{})
	if !is(img, image.Pt(60, 200), 0, 0, 0xc0) || !is(img, image.Pt(970, 500), 0xc0, 0, 0) {
		m.Fatal("the windows do not show")
	}

	// Typing, with the pointer on the terminal, since nobody manages windows.
	m.shot("half", desktops.Request{MaxWidth: 640})
	m.act(desktops.Action{Kind: desktops.Move, At: &image.Point{X: 150, Y: 75}})
	typed := "Hello, WORLD! {[~@#]} äöü € Привет 世界"
	out := m.act(desktops.Action{Kind: desktops.Type, Text: typed + "\n", Shot: &desktops.Request{}})
	if out.Changed == 0 || out.Typed != len([]rune(typed))+1 || !out.Where.In(image.Rect(30, 50, 700, 320)) {
		m.Errorf("typing changed %d pixels in %v, %d characters", out.Changed, out.Where, out.Typed)
	}
	m.decode("typed", *out.Picture)
	await("cat typed", typed+"\n")

	// A combination: ctrl+u clears what was typed.
	m.act(desktops.Action{Kind: desktops.Type, Text: "wrong"})
	m.act(desktops.Action{Kind: desktops.Key, Keys: "ctrl+u"})
	m.act(desktops.Action{Kind: desktops.Type, Text: "right"})
	m.act(desktops.Action{Kind: desktops.Key, Keys: "enter"})
	await("cat typed", typed+"\nright\n")

	// The screen scaled down, and a click in a part of it.
	p, _ = m.shot("whole", desktops.Request{MaxWidth: 640})
	if p.Size != image.Pt(640, 360) {
		m.Errorf("the picture is %v", p.Size)
	}
	part := image.Rect(340, 190, 520, 270)
	p, img = m.shot("part", desktops.Request{Crop: &part, Format: "png"})
	if p.Size != image.Pt(360, 160) || p.Region != image.Rect(680, 380, 1040, 540) {
		m.Errorf("the part is %v of %v", p.Size, p.Region)
	}
	button := m.findButton(img)
	out = m.act(desktops.Action{Kind: desktops.Click, At: &button, Shot: &desktops.Request{}})
	if out.Changed == 0 {
		m.Error("the click changed nothing")
	}
	if img := m.decode("clicked", *out.Picture); is(img, image.Pt(970, 500), 0xc0, 0, 0) {
		m.Error("the window is still there")
	}
	await("cat answer", "42\n")
}

// findButton finds the second of the buttons that stand side by side at the
// bottom of the red window, by the columns in which something dark is drawn.
func (m *machine) findButton(img image.Image) image.Point {
	m.Helper()
	var window image.Rectangle
	for y := range img.Bounds().Dy() {
		for x := range img.Bounds().Dx() {
			if is(img, image.Pt(x, y), 0xc0, 0, 0) {
				window = window.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	var groups []image.Point // first and last column
	for x := window.Min.X + 2; x < window.Max.X-2; x++ {
		for y := window.Max.Y - 20; y < window.Max.Y-2; y++ {
			if !is(img, image.Pt(x, y), 0, 0, 0) {
				continue
			}
			if n := len(groups); n > 0 && x-groups[n-1].Y <= 2 {
				groups[n-1].Y = x
			} else {
				groups = append(groups, image.Pt(x, x))
			}
			break
		}
	}
	if len(groups) != 2 {
		m.Fatalf("the window %v has %d buttons", window, len(groups))
	}
	return image.Pt((groups[1].X+groups[1].Y)/2, window.Max.Y-11)
}

func TestXvnc(t *testing.T) {
	need(t, "Xvnc", "xterm", "xmessage")
	m := start(t, "", "")
	m.work(func(command string) {
		m.exec("setsid sh -c " + quote(command) + " >/dev/null 2>&1 &")
	}, m.await)
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// TestX11vnc has a display of Xvfb shown by x11vnc, with a password.
func TestX11vnc(t *testing.T) {
	need(t, "Xvfb", "x11vnc", "xterm", "xmessage")
	dir := t.TempDir()
	spawn := func(extra []*os.File, name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.ExtraFiles = dir, extra
		cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			if t.Failed() {
				t.Logf("%s said:\n%s", name, said.String())
			}
		})
		return cmd
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	spawn([]*os.File{w}, "Xvfb", "-displayfd", "3", "-screen", "0", "1280x720x24", "-nolisten", "tcp")
	w.Close()
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	display := ":" + strings.TrimSpace(number)
	port := freePort(t)
	spawn(nil, "x11vnc", "-display", display, "-localhost", "-rfbport", port, "-passwd", "s3cret", "-forever", "-shared", "-noxdamage", "-q")
	awaitPort(t, port)
	m := start(t, "127.0.0.1:"+port, "s3cret")
	m.work(func(command string) {
		cmd := exec.Command("sh", "-c", command)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "DISPLAY="+display, "LANG=C.UTF-8", "LC_ALL=C.UTF-8")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}, func(command, want string) {
		var got string
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			cmd := exec.Command("sh", "-c", command)
			cmd.Dir = dir
			out, _ := cmd.CombinedOutput()
			if got = string(out); got == want {
				return
			}
		}
		t.Fatalf("%s: got %q, want %q", command, got, want)
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func awaitPort(t *testing.T, port string) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			conn.Close()
			return
		}
	}
	t.Fatal("the VNC server does not listen")
}
