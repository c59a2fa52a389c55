package emulator_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// socket is a client of terminal/ws that knows nothing of families.
type socket struct {
	t   *testing.T
	ws  *websocket.Conn
	log strings.Builder
}

func (f *fixture) socket(query string, protocols ...string) *socket {
	f.Helper()
	ws, resp, err := f.dialSocket(query, protocols...)
	if err != nil {
		f.Fatalf("%v (%v)", err, resp)
	}
	return &socket{t: f.T, ws: ws}
}

func (f *fixture) dialSocket(query string, protocols ...string) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(f.Context(), 2*time.Minute)
	defer cancel()
	ws, resp, err := websocket.Dial(ctx, f.url+f.in("/terminal/ws")+query, &websocket.DialOptions{
		HTTPClient: f.client, HTTPHeader: http.Header{"Authorization": {"Bearer " + f.key}}, Subprotocols: protocols,
	})
	if err == nil {
		f.Cleanup(func() { ws.CloseNow() })
	}
	return ws, resp, err
}

func (s *socket) send(text string) {
	s.t.Helper()
	if err := s.ws.Write(s.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *socket) read() (string, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	_, raw, err := s.ws.Read(ctx)
	return string(raw), err
}

// until reads messages until all of them together contain a text.
func (s *socket) until(want string) {
	s.t.Helper()
	for !strings.Contains(s.log.String(), want) {
		raw, err := s.read()
		if err != nil {
			s.t.Fatalf("waiting for %q: %v; got %q", want, err, s.log.String())
		}
		s.log.WriteString(raw)
	}
}

func input(text string) string {
	b, _ := json.Marshal(map[string]string{"type": "input", "data": text})
	return string(b)
}

func TestTerminalShell(t *testing.T) {
	f := start(t, emulatortest.Options{})
	s := f.socket("")
	s.until(`{"type":"ready"}`)
	s.send(`{"type":"resize","cols":97,"rows":31}`)
	s.send(input("stty size; echo $((6*7)) > answer; tty; echo in:$PWD\r"))
	s.until(`31 97`)
	s.until(`/dev/`)
	s.until(`in:/workspace\r\n`)
	if out, _ := f.exec("cat answer"); out != "42\n" {
		t.Errorf("the shell wrote %q", out)
	}
	if n := f.srv.OpenTerminals(); n != 1 {
		t.Errorf("%d terminals are open", n)
	}
	s.send(input("sh -c 'echo run\"\"ning; exec sleep 1000'\r"))
	s.until("running")
	s.send(input("\x03"))
	s.until("^C")
	s.send("this is no JSON")
	s.until(`"type":"error"`)
	s.send(input("exit 7\r"))
	s.until(`{"code":7,"type":"exit"}`)
	if _, err := s.read(); websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Errorf("after the exit: %v", err)
	}
	if out, _ := f.exec("ls -A"); out != "answer\n" {
		t.Errorf("the workspace holds %q", out)
	}
}

// A shell and its children end with the connection, and with the instance.
func TestTerminalKill(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*fixture, *socket){
		"close":    func(_ *fixture, s *socket) { s.ws.Close(websocket.StatusNormalClosure, "") },
		"break":    func(_ *fixture, s *socket) { s.ws.CloseNow() },
		"shutdown": func(f *fixture, _ *socket) { f.want(200, "POST", f.in("/shutdown"), "") },
		"reboot":   func(f *fixture, _ *socket) { f.want(200, "POST", f.in("/reboot"), "") },
	} {
		for _, mode := range sandboxModes {
			t.Run(name+"/"+string(mode), func(t *testing.T) {
				f := start(t, emulatortest.Options{Sandbox: mode})
				s := f.socket("")
				s.send(input("trap '' HUP; (trap '' HUP; while :; do date > tick; sleep 0.01; done) & \r"))
				eventually(t, "a tick", func() bool { out, _ := f.exec("cat tick"); return out != "" })
				s.send(input("exec sleep 1000\r"))
				s.until("exec sleep 1000")
				end(f, s)
				eventually(t, "the socket's end", func() bool { return f.srv.OpenTerminals() == 0 })
			})
		}
	}
}

func TestTerminalResume(t *testing.T) {
	f := start(t, emulatortest.Options{TerminalGrace: time.Minute})
	s := f.socket("")
	s.until(`"type":"ready"`)
	var ready struct {
		ID string `json:"session_id"`
	}
	first, _, _ := strings.Cut(s.log.String(), "}")
	if err := json.Unmarshal([]byte(first+"}"), &ready); err != nil || ready.ID == "" {
		t.Fatalf("no session id in %q", s.log.String())
	}
	s.send(input("x=kept\r"))
	s.until("x=kept")
	s.ws.CloseNow()
	eventually(t, "the socket's end", func() bool { return f.srv.OpenTerminals() == 0 })
	again := f.socket("?session_id=" + ready.ID)
	again.until(`"resumed":true`)
	again.send(input("echo $x-$x\r"))
	again.until("kept-kept")
	again.ws.Close(websocket.StatusNormalClosure, "")
	eventually(t, "the socket's end", func() bool { return f.srv.OpenTerminals() == 0 })
	other := f.socket("?session_id=" + ready.ID)
	other.until(`"type":"ready"`)
	if strings.Contains(other.log.String(), "resumed") {
		t.Error("a shell that was closed is taken up again")
	}
}

func TestTerminalRefused(t *testing.T) {
	f := start(t, emulatortest.Options{})
	if a := f.do("GET", f.in("/terminal/ws"), ""); a.status != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade: %+v", a)
	}
	f.srv.SetFaults(emulatortest.Fault{Endpoint: "GET /instances/{instance}/terminal/ws", Status: 409, Body: `{"error":"not_ready"}`})
	if _, resp, err := f.dialSocket(""); err == nil || resp.StatusCode != 409 {
		t.Errorf("got %v, %v", resp, err)
	}
	f.srv.SetFaults()
	f.want(200, "POST", f.in("/shutdown"), "")
	if _, resp, err := f.dialSocket(""); err == nil || resp.StatusCode != 409 {
		t.Errorf("of a stopped instance: %v, %v", resp, err)
	}
}

func TestTerminalFamilies(t *testing.T) {
	t.Parallel()
	typed := map[emulatortest.TerminalFamily]struct{ in, out string }{
		emulatortest.TerminalT1: {input("echo $((40+2))\r"), "42"},
		emulatortest.TerminalT2: {"echo $((40+2))\r", "42"},
		emulatortest.TerminalT3: {input("echo $((40+2))\r"), "42"},
		emulatortest.TerminalT4: {"0echo $((40+2))\r", "42"},
		emulatortest.TerminalT5: {`{"type":"command","command":"echo $((40+2)); exit 3"}`, `{"exit_code":3,"stderr":"","stdout":"42\n","type":"result"}`},
	}
	for family, io := range typed {
		t.Run(string(family), func(t *testing.T) {
			f := start(t, emulatortest.Options{Terminal: family})
			s := f.socket("", "tty")
			if family == emulatortest.TerminalT4 {
				if s.ws.Subprotocol() != "tty" {
					t.Fatal("tty was not chosen")
				}
				s.send(`{"AuthToken":"","columns":100,"rows":20}`)
			}
			s.send(io.in)
			s.until(io.out)
		})
	}
}
