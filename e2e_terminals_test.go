package main

import (
	"runtime"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
)

// A terminal over the binary, in both eras: it is of its process, and so gone
// after a restart, which is said.
func TestTerminalOverTheWire(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // the emulator has no terminals there
	}
	each(t, func(t *testing.T, c combination) {
		up := newUpstream(t, emulator.Options{})
		s := c.connect(t, up.env())
		opened := s.ok(t, "open_terminal", params{"cols": 60, "rows": 12, "command": "echo first-$((6*7))"})
		term := opened.str("terminal")
		if !strings.HasPrefix(term, "term_") || opened.str("status") != "open" {
			t.Fatalf("opened: %s", opened.raw)
		}
		r := s.ok(t, "write_terminal", params{"terminal": term, "text": "stty size; read -p '? ' x; echo got-$x", "keys": []string{"enter"}, "wait_for": `^\? $`})
		if !strings.Contains(r.str("text"), "first-42") || !strings.Contains(r.str("text"), "12 60") {
			t.Errorf("the screen: %s", r.raw)
		}
		s.ok(t, "write_terminal", params{"terminal": term, "text": "漢字", "keys": []string{"enter"}, "wait_for": "^got-漢字$"})
		if r := s.ok(t, "read_terminal", params{"terminal": term, "view": "new", "cursor": 0}); !strings.Contains(r.str("text"), "got-漢字\n") {
			t.Errorf("the output: %s", r.raw)
		}
		other := c.connect(t, up.env())
		if r := other.call(t, "read_terminal", params{"terminal": term}); !strings.Contains(string(r.raw), "another process") {
			t.Errorf("in another process: %s", r.raw)
		}
		if r := s.ok(t, "close_terminal", params{"terminal": term}); r.str("status") != "closed" {
			t.Errorf("closed: %s", r.raw)
		}
		eventually(t, "the terminal's end", func() bool { return up.OpenTerminals() == 0 })
	})
}
