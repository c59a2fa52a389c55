package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"openclaw-mcp/internal/emulator/emulatortest"
)

const terminalEndpoint = "GET /instances/{instance}/terminal/ws"

// terminalService is the embedded service, one family of it.
func terminalService(t *testing.T, family TerminalFamily, faults ...emulatortest.Fault) (*Client, *emulatortest.Server, string) {
	t.Helper()
	for i := range faults {
		faults[i].Endpoint = terminalEndpoint
	}
	srv, err := emulatortest.New(emulatortest.Options{Terminal: emulatortest.TerminalFamily(family), Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(srv)
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	id, err := srv.AddInstance(testKey)
	if err != nil {
		t.Fatal(err)
	}
	return dial(t, web.URL, WithRetry(1, 0, 0)), srv, id
}

// openTerminal opens a terminal that the end of the test closes.
func openTerminal(t *testing.T, c *Client, id string, o TerminalOptions) (*TerminalConn, error) {
	t.Helper()
	conn, err := c.Terminal.Open(t.Context(), id, o)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close() })
	}
	return conn, err
}

// readUntil gives the output up to a text, or the error before it.
func readUntil(t *testing.T, conn *TerminalConn, want string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out strings.Builder
	for {
		ev, err := conn.Next(ctx)
		if err != nil {
			return out.String(), err
		}
		out.WriteString(ev.Output)
		if want != "" && strings.Contains(out.String(), want) {
			return out.String(), nil
		}
	}
}

// command is what makes a shell say a thing that is not in its echo.
func command(n int) (typed, answer string) {
	return fmt.Sprintf("echo answer-$((%d+1))-漢字\r", n), fmt.Sprintf("answer-%d-漢字", n+1)
}

func TestTerminalFamilies(t *testing.T) {
	for _, family := range TerminalFamilies() {
		for _, forced := range []bool{false, true} {
			for _, split := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s/forced=%v/split=%d", family, forced, split), func(t *testing.T) {
					t.Parallel()
					c, srv, id := terminalService(t, family, emulatortest.Fault{Socket: &emulatortest.SocketFault{Split: split}})
					o := TerminalOptions{Cols: 90, Rows: 20}
					if family == TerminalTtyd {
						o.silence = 300 * time.Millisecond // it is silent anyway
					}
					if forced {
						o.Family = family
					}
					conn, err := openTerminal(t, c, id, o)
					if err != nil {
						t.Fatal(err)
					}
					typed, answer := command(41)
					if err := conn.Write(t.Context(), typed); err != nil {
						t.Fatal(err)
					}
					out, err := readUntil(t, conn, answer)
					if err != nil {
						t.Fatalf("%v; output %q", err, out)
					}
					got := conn.Family()
					if got != family && !(family == TerminalMixed && got == TerminalTyped) {
						t.Errorf("the family is %s", got)
					}
					if conn.CanResize() {
						// Up to its prompt, the shell may set the size that it has read before.
						if !strings.HasSuffix(out, "# ") {
							if out, err := readUntil(t, conn, "# "); err != nil {
								t.Fatalf("%v; output %q", err, out)
							}
						}
						if err := conn.Resize(t.Context(), 101, 33); err != nil {
							t.Fatal(err)
						}
						if err := conn.Write(t.Context(), "stty size\r"); err != nil {
							t.Fatal(err)
						}
						if out, err := readUntil(t, conn, "33 101"); err != nil {
							t.Fatalf("%v; output %q", err, out)
						}
					} else if err := conn.Resize(t.Context(), 101, 33); !errors.Is(err, ErrTerminalInput) {
						t.Errorf("a resize that no frame can carry: %v", err)
					}
					if n := srv.Calls(terminalEndpoint); n != 1 && (forced || family != TerminalTtyd || n != 2) {
						t.Errorf("%d connections", n)
					}
					if family == TerminalLines {
						if err := conn.Write(t.Context(), "\x03"); !errors.Is(err, ErrTerminalInput) {
							t.Errorf("a control key in line mode: %v", err)
						}
						return
					}
					if err := conn.Write(t.Context(), "exit 5\r"); err != nil {
						t.Fatal(err)
					}
					var code *int
					for err == nil {
						var ev TerminalEvent
						if ev, err = conn.Next(t.Context()); ev.ExitCode != nil {
							code = ev.ExitCode
						}
					}
					if err != io.EOF {
						t.Errorf("after the exit: %v", err)
					}
					if told := family == TerminalTyped || family == TerminalMixed; told != (code != nil) || told && *code != 5 {
						t.Errorf("exit code %v", code)
					}
				})
			}
		}
	}
}

func TestTerminalRefusedUpgrade(t *testing.T) {
	t.Parallel()
	for _, family := range TerminalFamilies() {
		for _, status := range []int{401, 403, 404, 409, 502, 503, 200} {
			t.Run(fmt.Sprintf("%s/%d", family, status), func(t *testing.T) {
				body := `{"error":"refused","message":"no ` + testKey[:4] + `","request_id":"r1"}`
				c, srv, id := terminalService(t, family, emulatortest.Fault{Status: status, Body: body, Header: http.Header{"Content-Type": {"application/json"}}})
				for _, o := range []TerminalOptions{{}, {Family: family}} {
					_, err := openTerminal(t, c, id, o)
					e := wantError(t, err)
					if e.Status != status || !strings.Contains(e.Message, "no sk_l") || e.Code != "refused" || e.RequestID != "r1" || e.Outcome != OutcomeRejected {
						t.Errorf("%+v", e)
					}
				}
				if n := srv.Calls(terminalEndpoint); n != 2 {
					t.Errorf("%d attempts", n)
				}
			})
		}
	}
}

// A connection that is accepted and then closed while the family is guessed is
// a refusal as well.
func TestTerminalCloseWhileGuessing(t *testing.T) {
	c, srv, id := terminalService(t, TerminalTyped, emulatortest.Fault{Socket: &emulatortest.SocketFault{CloseCode: 4404, CloseReason: "gone"}})
	_, err := openTerminal(t, c, id, TerminalOptions{})
	if e := wantError(t, err); e.Code != "close code 4404" || !strings.Contains(e.Message, "gone") {
		t.Errorf("%v", e)
	}
	if n := srv.Calls(terminalEndpoint); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A shell that takes long to show its prompt is told by its first frame all the
// same.
func TestTerminalLatePrompt(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		for { // the size of the window is the sign that nobody waits any more
			_, raw, err := ws.Read(context.Background())
			if err != nil {
				return
			}
			if strings.Contains(string(raw), "resize") {
				_ = ws.Write(context.Background(), websocket.MessageBinary, []byte("$ "))
			}
		}
	})
	conn, err := openTerminal(t, c, "i", TerminalOptions{silence: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := readUntil(t, conn, "$ "); err != nil || conn.Family() != TerminalRaw {
		t.Errorf("%q, %v, family %s", out, err, conn.Family())
	}
	_ = conn.Close()
}

// A service that never speaks is taken for T1, after it was offered ttyd. Nothing
// is typed meanwhile.
func TestTerminalSilence(t *testing.T) {
	var protocols []string
	var typed strings.Builder
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		protocols = append(protocols, r.Header.Get("Sec-WebSocket-Protocol"))
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		for {
			_, raw, err := ws.Read(context.Background())
			if err != nil {
				return
			}
			typed.Write(raw)
			if strings.Contains(string(raw), `"input"`) {
				_ = ws.Write(context.Background(), websocket.MessageText, []byte(`{"type":"exit","exit_code":0}`))
			}
		}
	})
	begin := time.Now()
	conn, err := openTerminal(t, c, "i", TerminalOptions{silence: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 100*time.Millisecond {
		t.Errorf("it was waited for %s", took)
	}
	if conn.Family() != TerminalTyped {
		t.Errorf("the family is %s", conn.Family())
	}
	if err := conn.Write(t.Context(), "ls\r"); err != nil {
		t.Fatal(err)
	}
	if _, err := readUntil(t, conn, ""); err != io.EOF {
		t.Errorf("%v", err)
	}
	_ = conn.Close()
	if fmt.Sprint(protocols) != "[ tty]" {
		t.Errorf("offered protocols: %q", protocols)
	}
	if got := typed.String(); got != `{"type":"resize","cols":80,"rows":24}{"type":"input","data":"ls\r"}` {
		t.Errorf("sent: %s", got)
	}
}

// Output that comes as fast as it can is all there, and a reader who rests
// makes the service wait.
func TestTerminalFlood(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	for _, family := range TerminalFamilies() {
		t.Run(string(family), func(t *testing.T) {
			c, _, id := terminalService(t, family, emulatortest.Fault{Socket: &emulatortest.SocketFault{Flood: size}})
			conn, err := openTerminal(t, c, id, TerminalOptions{Family: family})
			if err != nil {
				t.Fatal(err)
			}
			total := 0
			for total < size {
				ev, err := conn.Next(t.Context())
				if err != nil {
					t.Fatalf("after %d bytes: %v", total, err)
				}
				total += len(ev.Output)
			}
			typed, answer := command(1)
			if err := conn.Write(t.Context(), typed); err != nil {
				t.Fatal(err)
			}
			if out, err := readUntil(t, conn, answer); err != nil {
				t.Errorf("%v; %q", err, out)
			}
		})
	}
}

func TestTerminalArguments(t *testing.T) {
	c := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("something was sent") },
		WithReadOnly(func(context.Context) bool { return true }))
	for _, o := range []TerminalOptions{{Cols: 1, Rows: 5}, {Cols: 80, Rows: -1}, {Cols: 80, Rows: 501}, {Family: "T9"}} {
		if e := wantError(t, second(c.Terminal.Open(t.Context(), "i", o))); e.Outcome != OutcomeNotSent {
			t.Errorf("%+v: %+v", o, e)
		}
	}
	for _, id := range []string{"", "..", "a\x00"} {
		wantError(t, second(c.Terminal.Open(t.Context(), id, TerminalOptions{})))
	}
	if e := wantError(t, second(c.Terminal.Open(t.Context(), "i", TerminalOptions{}))); e.Code != "read_only" {
		t.Errorf("read-only: %+v", e)
	}
}

func second(_ *TerminalConn, err error) error { return err }
