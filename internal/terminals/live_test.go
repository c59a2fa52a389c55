package terminals

import (
	"errors"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/hand"
)

// patience is more than anything here takes, on a busy machine, too.
const patience = 2 * time.Minute

// follow collects pieces until the output has a text.
func (b *bench) follow(s Session, from Piece, want string) (Piece, string) {
	b.Helper()
	var all strings.Builder
	for end := time.Now().Add(patience); time.Now().Before(end); {
		p, err := s.Follow(b.Context(), Follow{Cursor: from.Cursor, Wait: time.Second, Seen: from.Seen})
		if err != nil {
			b.Fatal(err)
		}
		all.WriteString(p.Data)
		if from = p; strings.Contains(all.String(), want) {
			return p, all.String()
		}
	}
	b.Fatalf("%q did not come; there is %q", want, all.String())
	return from, ""
}

// A page gets what full-screen programs draw, and what it types arrives.
func TestFollow(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{}, Config{})
	_, s := b.open()
	p, err := s.Follow(t.Context(), Follow{Cursor: -1})
	if err != nil || !p.Reset || p.Cols != 80 || p.Rows != 24 || p.Person {
		t.Fatalf("%+v, %v", p, err)
	}
	if _, err := s.Use(t.Context(), Use{Data: `printf '\033[?1049h\033[31mred'; sleep 1000` + "\r"}); err != nil {
		t.Fatal(err)
	}
	p, _ = b.follow(s, p, "\x1b[?1049h\x1b[31mred")
	if !p.Person {
		t.Error("the person who typed has no turn")
	}
	again, all := b.follow(s, Piece{Cursor: -1}, "\x1b[31mred")
	if again.Cursor != p.Cursor || !strings.Contains(all, "printf") {
		t.Errorf("a page that comes later gets %q up to %d, not %d", all, again.Cursor, p.Cursor)
	}
}

// While a person types, the model may look and nothing else, until they hand back.
func TestPersonFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{}, Config{})
	_, s := b.open()
	if _, err := s.Use(t.Context(), Use{Data: "echo mine-$((1+1))\r"}); err != nil {
		t.Fatal(err)
	}
	p, _ := b.follow(s, Piece{Cursor: -1}, "mine-2")
	var held *hand.HeldError
	if _, err := s.Write(t.Context(), Input{Text: "echo model\r"}, Wait{}); !errors.As(err, &held) || held.Left <= 0 {
		t.Fatalf("the model's text was not refused: %v", err)
	}
	if _, err := s.Close(t.Context()); !errors.As(err, &held) {
		t.Fatalf("the model closed it: %v", err)
	}
	if v, err := s.Read(t.Context(), Query{Part: PartScreen}); err != nil || !strings.Contains(v.Text, "mine-2") || strings.Contains(v.Text, "model") {
		t.Errorf("the model sees %q, %v", v.Text, err)
	}
	state, err := s.Use(t.Context(), Use{Give: true})
	if err != nil || state.Person {
		t.Fatalf("%+v, %v", state, err)
	}
	if p, err = s.Follow(t.Context(), Follow{Cursor: p.Cursor, Wait: patience, Seen: p.Seen}); err != nil || p.Person {
		t.Errorf("the page was not told: %+v, %v", p, err)
	}
	b.write(s, "echo model-$((2+2))\r", "model-4")
}

func TestResize(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{}, Config{})
	_, s := b.open()
	if state, err := s.Use(t.Context(), Use{Cols: 100, Rows: 10}); err != nil || state.Cols != 100 || state.Rows != 10 || state.Person {
		t.Fatalf("%+v, %v", state, err)
	}
	b.write(s, "stty size\r", "^10 100")
}

func TestResizedScreen(t *testing.T) {
	t.Parallel()
	s := newScreen(10, 4)
	s.write("one\r\ntwo\r\nthree\r\n一二三四五")
	s.resize(5, 2)
	if got := s.text(); got != "three\n一二" || s.x != 4 || s.y != 1 || s.history.total() != 2 {
		t.Errorf("%q, cursor at %d,%d, %d lines of history", got, s.x, s.y, s.history.total())
	}
	s.write("\r\nfour and more")
	s.resize(20, 3)
	s.write("\x1b[3;1Hlast")
	if got := s.text(); got != "and m\nore\nlast" {
		t.Errorf("%q", got)
	}
}

// What is no longer kept is left out between two sequences, and the emulator is told
// the modes that came before.
func TestRawLog(t *testing.T) {
	t.Parallel()
	s := newScreen(80, 24)
	var l rawLog
	add := func(p string) {
		for p != "" {
			modes := s.modeSequences()
			n := s.write(p)
			l.add(p[:n], modes, s.between())
			p = p[n:]
		}
	}
	add("before\x1b[?1049h")
	var last int64
	for range 3 * maxRaw / 1000 {
		last = l.end
		add(strings.Repeat("x", 990) + "\x1b[3")
		add("1m\x1b[0m")
	}
	data, next, reset := l.since(0)
	if !reset || !strings.HasPrefix(data, "\x1b[?1049hx") || next >= l.end {
		t.Errorf("%.20q up to %d of %d, reset %v", data, next, l.end, reset)
	}
	if l.size > maxRaw+rawChunk || len(data) < maxPiece {
		t.Errorf("%d bytes are kept, a piece of %d was given", l.size, len(data))
	}
	if data, next, reset = l.since(last); reset || next != l.end || len(data) != 990+9 {
		t.Errorf("%d bytes up to %d of %d, reset %v", len(data), next, l.end, reset)
	}
}

// A sequence that never ends is cut: it can't make the log grow without a bound.
func TestRawLogOfAnEndlessSequence(t *testing.T) {
	t.Parallel()
	var l rawLog
	l.add("\x1b]0;", "", false)
	for range 1000 {
		l.add(strings.Repeat("x", 64<<10), "", false)
	}
	if kept := len(l.chunks); l.size > maxRaw+maxPiece+64<<10 || kept > 10 {
		t.Errorf("%d bytes are kept in %d chunks", l.size, kept)
	}
}
