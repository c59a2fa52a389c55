package emulator_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// screenServer takes connections on loopback, greets each and then repeats what
// it hears.
func screenServer(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_, _ = io.WriteString(conn, "RFB 003.008\n")
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		serving.Wait()
	})
	return ln.Addr().String()
}

func (f *fixture) dialDesktop(ctx context.Context, protocols ...string) (*websocket.Conn, *http.Response, error) {
	return websocket.Dial(ctx, f.url+f.in("/vnc/ws"), &websocket.DialOptions{
		HTTPClient: f.client, Subprotocols: protocols, HTTPHeader: http.Header{"Authorization": {"Bearer " + f.key}},
	})
}

func (f *fixture) desktop(protocols ...string) *websocket.Conn {
	f.Helper()
	ctx, cancel := context.WithTimeout(f.Context(), 2*time.Minute)
	defer cancel()
	ws, _, err := f.dialDesktop(ctx, protocols...)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { ws.CloseNow() })
	return ws
}

// read gives the next messages until they are as long as want, and their number.
func (f *fixture) read(ws *websocket.Conn, want string) (messages int) {
	f.Helper()
	got := ""
	for len(got) < len(want) {
		kind, p, err := ws.Read(f.Context())
		if err != nil || kind != websocket.MessageBinary {
			f.Fatalf("got %q, and then %v, %v", got, kind, err)
		}
		got += string(p)
		messages++
	}
	if got != want {
		f.Fatalf("got %q, want %q", got, want)
	}
	return messages
}

func TestDesktopRelay(t *testing.T) {
	f := start(t, emulatortest.Options{VNC: screenServer(t)})
	ws := f.desktop("binary")
	// The upgrade is answered before the relay counts; its first bytes are behind.
	f.read(ws, "RFB 003.008\n")
	if ws.Subprotocol() != "binary" || f.srv.OpenDesktops() != 1 {
		t.Errorf("subprotocol %q, %d open", ws.Subprotocol(), f.srv.OpenDesktops())
	}
	for _, part := range []string{"RF", "B 003", ".008\n"} {
		if err := ws.Write(t.Context(), websocket.MessageBinary, []byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	f.read(ws, "RFB 003.008\n")
	f.want(200, "POST", f.in("/shutdown"), "")
	if _, _, err := ws.Read(t.Context()); err == nil {
		t.Error("the socket outlives its instance")
	}
	if a := f.do("GET", f.in("/vnc/ws"), ""); a.status != http.StatusConflict {
		t.Errorf("off: %d %s", a.status, a.body)
	}
}

func TestDesktopRefusals(t *testing.T) {
	f := start(t, emulatortest.Options{VNC: "127.0.0.1:1"})
	if a := f.do("GET", f.in("/vnc/ws"), ""); a.status != http.StatusUpgradeRequired {
		t.Errorf("no upgrade: %d", a.status)
	}
	_, resp, err := f.dialDesktop(t.Context())
	if err == nil || resp == nil || resp.StatusCode != http.StatusBadGateway {
		t.Errorf("nobody listens: %v", err)
	}
	f.key = ""
	if a := f.do("GET", f.in("/vnc/ws"), ""); a.status != http.StatusUnauthorized {
		t.Errorf("no key: %d", a.status)
	}
	f.key = "another"
	if a := f.do("GET", f.in("/vnc/ws"), ""); a.status != http.StatusNotFound {
		t.Errorf("another's: %d", a.status)
	}
}

func TestDesktopFaults(t *testing.T) {
	f := start(t, emulatortest.Options{VNC: screenServer(t)})
	fault := func(sf emulatortest.SocketFault) { f.srv.SetFaults(emulatortest.Fault{Socket: &sf}) }
	next := func(ws *websocket.Conn) (websocket.MessageType, string, error) {
		kind, p, err := ws.Read(t.Context())
		return kind, string(p), err
	}

	fault(emulatortest.SocketFault{Split: 5})
	if n := f.read(f.desktop(), "RFB 003.008\n"); n != 3 {
		t.Errorf("%d messages", n)
	}
	fault(emulatortest.SocketFault{Garbage: "oops"})
	f.read(f.desktop(), "oopsRFB 003.008\n")
	fault(emulatortest.SocketFault{Text: `{"error":"x"}`})
	if kind, text, err := next(f.desktop()); kind != websocket.MessageText || text != `{"error":"x"}` || err != nil {
		t.Errorf("text: %v %q %v", kind, text, err)
	}
	fault(emulatortest.SocketFault{CloseCode: 4401, CloseReason: "who?"})
	if _, _, err := next(f.desktop()); websocket.CloseStatus(err) != 4401 || !strings.Contains(err.Error(), "who?") {
		t.Errorf("close: %v", err)
	}
	fault(emulatortest.SocketFault{CutBytes: 7})
	ws := f.desktop()
	f.read(ws, "RFB 003")
	if _, _, err := next(ws); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("cut: %v", err)
	}
	fault(emulatortest.SocketFault{CutBytes: emulatortest.AtStart})
	if _, _, err := next(f.desktop()); err == nil || websocket.CloseStatus(err) != -1 {
		t.Errorf("cut at the start: %v", err)
	}
	fault(emulatortest.SocketFault{Silent: true})
	ws = f.desktop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, _, err := ws.Read(ctx); ctx.Err() == nil {
		t.Errorf("silent: %v", err)
	}
	fault(emulatortest.SocketFault{Subprotocol: "binary"})
	if _, resp, err := f.dialDesktop(t.Context()); err == nil || resp.StatusCode != http.StatusBadRequest {
		t.Errorf("no subprotocol: %v", err)
	}
	f.read(f.desktop("binary"), "RFB 003.008\n")
	f.srv.SetFaults(emulatortest.Fault{Status: 503, Body: "{}"})
	if _, resp, err := f.dialDesktop(t.Context()); err == nil || resp.StatusCode != 503 {
		t.Errorf("refused: %v", err)
	}
}
