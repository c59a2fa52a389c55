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
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// desktops is the desktops of all instances.
type desktops struct {
	mu      sync.Mutex
	servers map[*machine]*xvnc
	open    atomic.Int64
}

// OpenDesktops gives the number of vnc/ws sockets that are open now.
func (s *Server) OpenDesktops() int { return int(s.desktops.open.Load()) }

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
	if !s.ready(c) {
		return
	}
	if !strings.EqualFold(c.r.Header.Get("Upgrade"), "websocket") {
		c.w.Header().Set("Upgrade", "websocket")
		s.fail(c.w, http.StatusUpgradeRequired, "upgrade_required", "This is a WebSocket")
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.fail(c.w, http.StatusServiceUnavailable, "unavailable", "The service is shutting down")
		return
	}
	life := c.in.life
	s.work.Add(1)
	s.mu.Unlock()
	defer s.work.Done()

	fault := socketFault(c.w)
	if fault.Subprotocol != "" && !strings.Contains(c.r.Header.Get("Sec-WebSocket-Protocol"), fault.Subprotocol) {
		s.fail(c.w, http.StatusBadRequest, "bad_request", "The subprotocol "+fault.Subprotocol+" is needed")
		return
	}
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
	s.desktops.open.Add(1)
	defer s.desktops.open.Add(-1)
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	if !fault.begin(ctx, ws) {
		return
	}
	relay(ctx, ws, server, fault)
	if life.Err() != nil {
		ws.Close(websocket.StatusGoingAway, "the instance was shut down")
	}
}

// relay passes bytes in both directions until either side or ctx ends.
func relay(ctx context.Context, ws *websocket.Conn, server net.Conn, fault SocketFault) {
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
		for sent := 0; ; {
			n, err := server.Read(buf)
			if fault.write(ctx, ws, buf[:n], &sent) != nil {
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

// SocketFault is what goes wrong on a WebSocket once it is open. A refused
// upgrade is a Fault with a Status.
type SocketFault struct {
	Subprotocol string // clients that do not offer it are refused with 400

	Text    string // a text message that comes first
	Garbage string // bytes that come before the server's first
	Silent  bool   // nothing is said until the client leaves
	Split   int    // messages of at most so many bytes; 0 = as they come
	Flood   int64  // of terminals: so many bytes of lines before the shell's own output

	// CutBytes drops the connection after so many bytes of the server's;
	// AtStart = before the first. With CloseCode it is closed properly; CloseCode
	// alone closes it at once.
	CutBytes    int
	CloseCode   int
	CloseReason string
}

// socketFault gives the fault that applies to a request.
func socketFault(w http.ResponseWriter) SocketFault {
	if fw, ok := w.(*faultWriter); ok && fw.fault.Socket != nil {
		return *fw.fault.Socket
	}
	return SocketFault{}
}

// begin does what comes before the server's first byte. It says whether the
// relay goes on.
func (f *SocketFault) begin(ctx context.Context, ws *websocket.Conn) bool {
	if f.Text != "" && ws.Write(ctx, websocket.MessageText, []byte(f.Text)) != nil {
		return false
	}
	if f.Garbage != "" && ws.Write(ctx, websocket.MessageBinary, []byte(f.Garbage)) != nil {
		return false
	}
	if f.Silent {
		<-ws.CloseRead(ctx).Done()
		return false
	}
	if f.CutBytes == AtStart || f.CutBytes == 0 && f.CloseCode != 0 {
		f.end(ws)
		return false
	}
	return true
}

func (f *SocketFault) end(ws *websocket.Conn) {
	if f.CloseCode != 0 {
		ws.Close(websocket.StatusCode(f.CloseCode), f.CloseReason)
		return
	}
	ws.CloseNow()
}

// write sends bytes of the server's, of which sent counts those so far.
func (f *SocketFault) write(ctx context.Context, ws *websocket.Conn, p []byte, sent *int) error {
	for len(p) > 0 {
		n := len(p)
		if f.Split > 0 {
			n = min(n, f.Split)
		}
		if f.CutBytes > 0 {
			if *sent >= f.CutBytes {
				f.end(ws)
				return errCut
			}
			n = min(n, f.CutBytes-*sent)
		}
		if err := ws.Write(ctx, websocket.MessageBinary, p[:n]); err != nil {
			return err
		}
		*sent += n
		p = p[n:]
	}
	return nil
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
