package emulator

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// desktops is the desktops of all instances.
type desktops struct {
	mu      sync.Mutex
	servers map[*machine]*xvnc
}

// HasDesktop says whether instances have a desktop on this machine.
func (s *Server) HasDesktop() bool { return s.opts.VNC != "" || xvncProgram() != "" }

var errNoDesktop = &failure{http.StatusNotFound, "no_desktop",
	"There is no desktop on this machine: install TigerVNC's Xvnc (Debian, Ubuntu: tigervnc-standalone-server), or name the address of a VNC server (OPENCLAW_LOCAL_VNC)"}

func xvncProgram() string {
	if runtime.GOOS == "windows" { // where findProgram always finds something
		return ""
	}
	// Other servers of the name Xvnc have no sockets in the file system.
	return findProgram("Xtigervnc", "Xvnc")
}

// vnc relays between a WebSocket, whose binary messages are the stream, and the
// VNC server of the instance.
func (s *Server) vnc(c *call) {
	life, ok := s.beginSocket(c)
	if !ok {
		return
	}
	defer s.work.Done()

	ctx, cancel := context.WithCancel(c.r.Context())
	defer cancel()
	defer context.AfterFunc(life, cancel)()
	server, err := s.dialDesktop(ctx, c.in.machine)
	if err != nil {
		s.failWith(c.w, err)
		return
	}
	defer server.Close()
	ws, err := websocket.Accept(c.w, c.r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}})
	if err != nil {
		return // it has answered
	}
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	relay(ctx, ws, server)
	if life.Err() != nil {
		ws.Close(websocket.StatusGoingAway, "the instance was shut down")
	}
}

// relay passes bytes in both directions until either side or ctx ends.
func relay(ctx context.Context, ws *websocket.Conn, server net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	var both sync.WaitGroup
	both.Go(func() {
		defer cancel()
		for {
			_, message, err := ws.Reader(ctx)
			if err != nil {
				return
			}
			if _, err := io.Copy(server, message); err != nil {
				return
			}
		}
	})
	both.Go(func() {
		defer cancel()
		buf := make([]byte, 32<<10)
		for {
			n, err := server.Read(buf)
			if n > 0 && ws.Write(ctx, websocket.MessageBinary, buf[:n]) != nil {
				return
			}
			if err != nil {
				if errors.Is(err, io.EOF) {
					ws.Close(websocket.StatusNormalClosure, "the desktop has ended")
				}
				return
			}
		}
	})
	<-ctx.Done()
	server.Close()
	cancel()
	both.Wait()
}

// dialDesktop connects to the VNC server that stands for the desktop of an
// instance, which it may have to start.
func (s *Server) dialDesktop(ctx context.Context, m *machine) (net.Conn, error) {
	if s.opts.VNC != "" {
		network := "tcp"
		if strings.HasPrefix(s.opts.VNC, "/") {
			network = "unix"
		}
		dialer := net.Dialer{Timeout: 5 * time.Second}
		conn, err := dialer.DialContext(ctx, network, s.opts.VNC)
		if err != nil {
			return nil, &failure{http.StatusBadGateway, "desktop_unreachable", "The VNC server at " + s.opts.VNC + " can't be reached: " + err.Error()}
		}
		return conn, nil
	}
	program := xvncProgram()
	if program == "" {
		return nil, errNoDesktop
	}
	s.desktops.mu.Lock()
	defer s.desktops.mu.Unlock()
	x := s.desktops.servers[m]
	if x == nil || x.ended() {
		var err error
		if x, err = startXvnc(ctx, m, program); err != nil {
			return nil, err
		}
		if s.desktops.servers == nil {
			s.desktops.servers = map[*machine]*xvnc{}
		}
		s.desktops.servers[m] = x
	}
	return x.dial()
}

// dialUnix connects to a socket in a directory, whose path may be longer than
// an address can be.
func dialUnix(dir, name string) (net.Conn, error) {
	path := dir + "/" + name
	if len(path) > 100 && runtime.GOOS == "linux" {
		d, err := os.Open(dir)
		if err != nil {
			return nil, err
		}
		defer d.Close()
		path = "/proc/self/fd/" + strconv.Itoa(int(d.Fd())) + "/" + name
	}
	return net.Dial("unix", path)
}
