package terminals

import (
	"strings"
	"testing"
)

// attached is what tmux says to a client that attaches and asks for a snapshot.
const attached = "%begin 1 10 0\n%end 1 10 0\n%session-changed $0 0\n" +
	"%output %0 before\n%begin 1 11 1\n10 3 1 4 1 0 1 0 0 1 0 0 2 4294967295 4294967295 my title\n%end 1 11 1\n" +
	"%begin 1 12 1\ngone\none\n%end 1 9 1\n\n%end 1 12 1\n%begin 1 13 1\n%end 1 13 1\n%begin 1 14 1\n\\033[3\n%end 1 14 1\n"

func TestControl(t *testing.T) {
	whole := attached + "%output %0 a\\033[1mb\\134\\015\\012漢\\9\n%layout-change @0 x\n%begin 2 15 1\n%output %0 not this\n%error 2 15 1\n%output %0 end\n%exit\nopenclaw-mcp:x\r\n"
	for size := 1; size < len(whole); size += 7 {
		var c control
		var printed strings.Builder
		for i := 0; i < len(whole); i += size {
			c.feed(whole[i:min(i+size, len(whole))], func(b []byte) { printed.Write(b) })
		}
		if got, want := printed.String(), "a\x1b[1mb\\\r\n漢\\9end"; got != want {
			t.Fatalf("pieces of %d: printed %q, want %q", size, got, want)
		}
		if !c.attached || !c.exited || c.after != "openclaw-mcp:x\r\n" {
			t.Fatalf("pieces of %d: %+v", size, c)
		}
		s, ok := newSnapshot(c.replies)
		if !ok || s.cols != 10 || s.rows != 3 || s.title != "my title" || len(s.history) != 1 || s.history[0] != "gone" ||
			len(s.screen) != 3 || s.screen[0] != "one" || s.screen[1] != "%end 1 9 1" || s.text() != "gone\r\none\r\n%end 1 9 1" {
			t.Fatalf("pieces of %d: %v, %+v", size, ok, s)
		}
	}
	if got := typing("a\r漢"); got != "send-keys -H 61 d e6 bc a2\n" {
		t.Errorf("%q", got)
	}
	if got := typing(strings.Repeat("x", 600)); strings.Count(got, "\n") != 3 || strings.Count(got, " 78") != 600 {
		t.Errorf("%q", got)
	}
}

// Whatever an instance says in tmux's place, it is shown or refused.
func FuzzControl(f *testing.F) {
	f.Add(attached + "%output %0 \\033[2J\n")
	f.Add(strings.Replace(attached, "10 3 1 4 1 0", "10 3 9 99 99 1", 1))
	f.Add(strings.Replace(attached, "10 3 1", "1000 500 4294967295", 1))
	f.Add("%begin\n%end\n%output\n%exit")
	f.Fuzz(func(t *testing.T, said string) {
		var c control
		term := &terminal{screen: newScreen(80, 24)}
		var printed []byte
		c.feed(said, func(b []byte) { printed = append(printed, b...) })
		if len(c.replies) < snapshotReplies {
			return
		}
		if s, ok := newSnapshot(c.replies); ok {
			term.show(s)
			_ = s.text()
		}
		term.print(strings.ToValidUTF8(string(printed), ""))
		if row, col := term.screen.position(); row < 1 || row > term.screen.rows || col < 1 || col > term.screen.cols {
			t.Errorf("the cursor is at %d,%d of %d,%d", row, col, term.screen.rows, term.screen.cols)
		}
	})
}

// What is no tmux does not fill the memory.
func TestControlIsBounded(t *testing.T) {
	var c control
	c.feed("%begin 1 1 1\n", nil)
	line := strings.Repeat("x", 1000) + "\n"
	for range 100_000 {
		c.feed(line, nil)
	}
	c.feed("%end 1 1 1\n%exit\n", nil)
	for range 10_000 {
		c.feed(line, nil)
	}
	size := len(c.after)
	for _, reply := range c.replies {
		for _, line := range reply {
			size += len(line)
		}
	}
	if len(c.replies) != 1 || !c.exited || size > maxReplyBytes+maxAfter+len(line) {
		t.Errorf("%d replies, %v: %d bytes", len(c.replies), c.exited, size)
	}
}
