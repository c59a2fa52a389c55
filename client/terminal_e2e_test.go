//go:build e2e

package client

import (
	"fmt"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestTerminalCloseCodes(t *testing.T) {
	for _, family := range TerminalFamilies() {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			for _, code := range []int{1008, 1011, 4401, 4404, 0} {
				for _, at := range []int{emulatortest.AtStart, 10} {
					if family == TerminalLines && at > 0 {
						continue // its output has no stream of bytes
					}
					fault := &emulatortest.SocketFault{CutBytes: at, CloseCode: code, CloseReason: "because " + testKey}
					c, _, id := terminalService(t, family, emulatortest.Fault{Socket: fault})
					conn, err := openTerminal(t, c, id, TerminalOptions{Family: family})
					if err == nil {
						_ = conn.Write(t.Context(), "seq 100\r")
						_, err = readUntil(t, conn, "")
					}
					e := wantError(t, err)
					text := fmt.Sprintf("%v %+v", e, e)
					if strings.Contains(text, testKey) {
						t.Errorf("the key is in %q", text)
					}
					if code == 0 {
						if !strings.Contains(e.Message, "broke") {
							t.Errorf("of a connection that broke: %v", e)
						}
						continue
					}
					if e.Code != fmt.Sprintf("close code %d", code) || !strings.Contains(e.Message, "because ***") {
						t.Errorf("code %d: %+v", code, e)
					}
					want := OutcomeRejected
					if code == 1011 {
						want = OutcomeUnknown
					}
					if e.Outcome != want {
						t.Errorf("code %d: outcome %q", code, e.Outcome)
					}
				}
			}
		})
	}
}

// What a service says before its own frames harms nothing.
func TestTerminalGarbage(t *testing.T) {
	garbage := []emulatortest.SocketFault{
		{Text: "not JSON"}, {Text: `{"type":`}, {Text: `[1,2]`}, {Text: `{"type":"stats","cpu":1}`}, {Text: `{"no":"type"}`},
		{Text: `{"type":"output","data":7}`}, {Text: `{"type":"output","encoding":"base64","data":"!!"}`},
		{Garbage: "\xff\xfe\x00"}, {Garbage: "9unknown"},
	}
	for _, family := range TerminalFamilies() {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			for _, fault := range garbage {
				c, _, id := terminalService(t, family, emulatortest.Fault{Socket: &fault})
				conn, err := openTerminal(t, c, id, TerminalOptions{Family: family})
				if err != nil {
					t.Fatal(err)
				}
				typed, answer := command(7)
				if err := conn.Write(t.Context(), typed); err != nil {
					t.Fatal(err)
				}
				if out, err := readUntil(t, conn, answer); err != nil {
					t.Errorf("after %+v: %v; output %q", fault, err, out)
				}
			}
		})
	}
}
