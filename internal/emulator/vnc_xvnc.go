package emulator

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// xvnc is an X server that shows its screen over VNC. It is a process of its
// instance, and ends with it.
type xvnc struct {
	process *process
	dir     string // on this machine; holds the socket
}

const (
	xvncSocket = "vnc.sock"
	// xvncLimit is how long one may take to start.
	xvncLimit = 15 * time.Second
)

// startXvnc starts the desktop of an instance. VNC is spoken on a socket in a
// directory that is ours alone, so it needs no password; X wants a cookie, for
// its sockets are open to everybody on this machine. Commands that start later
// find both in their environment.
func startXvnc(ctx context.Context, m *machine, program string) (*xvnc, error) {
	x := &xvnc{dir: filepath.Join(m.tmp, "desktop")}
	seen := x.dir // by the instance
	inside, err := m.prepare()
	if errors.Is(err, errOff) {
		return nil, notReady(statusStopped)
	}
	if err != nil {
		return nil, err
	}
	if inside {
		seen = "/tmp/desktop"
	}
	if err := os.RemoveAll(x.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(x.dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(x.dir, "xauthority"), xauthority(), 0o600); err != nil {
		return nil, err
	}
	command := fmt.Sprintf("cd %s && exec %s -displayfd 3 -auth xauthority -rfbunixpath %s -rfbport -1 -SecurityTypes None"+
		" -geometry 1280x720 -depth 24 -nolisten tcp -desktop OpenClaw 3>display 2>&1 </dev/null", shellQuote(seen), shellQuote(program), xvncSocket)
	output := &result{stdout: &capture{limit: 16 << 10}, stderr: &capture{limit: 16 << 10}}
	p, err := m.launch(command, output)
	if errors.Is(err, errOff) {
		return nil, notReady(statusStopped)
	}
	if err != nil {
		return nil, err
	}
	x.process = p
	ctx, cancel := context.WithTimeout(ctx, xvncLimit)
	defer cancel()
	display, err := x.await(ctx)
	if err != nil {
		p.kill()
		lines := strings.Split(strings.TrimSpace(output.stdout.String()), "\n")
		return nil, &failure{http.StatusServiceUnavailable, "desktop_failed", "The desktop did not start: " + err.Error() + "; " + lines[len(lines)-1]}
	}
	m.mu.Lock()
	if m.on {
		m.desktop = []string{"DISPLAY=:" + display, "XAUTHORITY=" + seen + "/xauthority"}
	}
	m.mu.Unlock()
	return x, nil
}

// await waits for the server to say which display it is.
func (x *xvnc) await(ctx context.Context) (display string, err error) {
	for {
		b, _ := os.ReadFile(filepath.Join(x.dir, "display"))
		if number, whole := strings.CutSuffix(string(b), "\n"); whole {
			return number, nil
		}
		select {
		case <-x.process.exited:
			return "", errors.New("its server ended at once")
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(10 * time.Millisecond): // files can't be waited for everywhere
		}
	}
}

func (x *xvnc) dial() (net.Conn, error) { return dialUnix(x.dir, xvncSocket) }

func (x *xvnc) ended() bool {
	select {
	case <-x.process.exited:
		return true
	default:
		return false
	}
}

// xauthority is a file that holds a new cookie for any display.
func xauthority() []byte {
	cookie := make([]byte, 16)
	rand.Read(cookie)
	b := []byte{0xff, 0xff} // any host
	for _, field := range []string{"", "", "MIT-MAGIC-COOKIE-1", string(cookie)} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(field)))
		b = append(b, field...)
	}
	return b
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
