package cli

import (
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/terminals"
)

// typist types keys, and looks at the screen whenever the editor waits for more.
type typist struct {
	cols, rows int
	keys       []string
	output     strings.Builder
	looks      func(typed int)
	typed      int
}

func (p *typist) Write(b []byte) (int, error) { return p.output.Write(b) }

func (p *typist) Read(b []byte) (int, error) {
	if p.looks != nil {
		p.looks(p.typed)
	}
	if p.typed == len(p.keys) {
		return 0, io.EOF
	}
	n := copy(b, p.keys[p.typed])
	p.typed++
	return n, nil
}

func (p *typist) sees() (text string, row, col int) {
	return terminals.Picture(p.cols, p.rows, p.output.String())
}

func (p *typist) at() *editor {
	return &editor{
		in: p, out: p, history: &lineHistory{}, commands: []string{"/help"},
		raw:  func() (func(), error) { return func() {}, nil },
		size: func() (int, int) { return p.cols, p.rows },
	}
}

const (
	keyUp, keyDown, keyRight, keyLeft = "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D"
	keyHome, keyEnd, keyDelete        = "\x1b[H", "\x1b[F", "\x1b[3~"
	keyBackspace                      = "\x7f"

	family = "👨\u200d👩\u200d👧"
	eAcute = "e\u0301"
)

// Each key is typed alone, and then the cursor is to be where the terminal has the
// character under it.
func TestEditorColumns(t *testing.T) {
	t.Parallel()
	type step struct {
		keys, text string
		row, col   int
	}
	tests := []struct {
		name    string
		history []string
		steps   []step
	}{
		{"wide", nil, []step{
			{"", ">", 1, 3},
			{"日本語", "> 日本語", 1, 9},
			{keyLeft, "> 日本語", 1, 7},
			{keyLeft, "> 日本語", 1, 5},
			{"x", "> 日x本語", 1, 6},
			{keyBackspace, "> 日本語", 1, 5},
			{keyDelete, "> 日語", 1, 5},
			{keyHome, "> 日語", 1, 3},
			{"本", "> 本日語", 1, 5},
			{keyRight, "> 本日語", 1, 7},
			{keyEnd, "> 本日語", 1, 9},
			{keyBackspace, "> 本日", 1, 7},
			{"\x14", "> 日本", 1, 7},
			{"\x01\x0b", ">", 1, 3},
		}},
		{"cut and brought back", nil, []step{
			{"one 二 three\x17", "> one 二", 1, 10}, // a space follows
			{"\x17\x17\x0b", ">", 1, 3},
			{"\x19\x19", "> one one", 1, 11},
			{"\x15x\x19", "> xone one", 1, 12},
			{keyHome + keyRight + "\x0b\x19\x19", "> xone one o\nne one", 2, 8},
		}},
		{"marks", nil, []step{
			{"a" + eAcute + "b", "> a" + eAcute + "b", 1, 6},
			{keyLeft, "> a" + eAcute + "b", 1, 5},
			{keyLeft, "> a" + eAcute + "b", 1, 4},
			{"x", "> ax" + eAcute + "b", 1, 5},
			{keyDelete, "> axb", 1, 5},
			{"e", "> axeb", 1, 6},
			{"\u0301", "> ax" + eAcute + "b", 1, 6},
			{keyBackspace, "> axb", 1, 5},
		}},
		// This terminal draws each of the family; its column is not the editor's guess.
		{"emoji", nil, []step{
			{"🎉" + family + "x", "> 🎉" + family + "x", 1, 12},
			{keyLeft, "> 🎉" + family + "x", 1, 11},
			{keyLeft, "> 🎉" + family + "x", 1, 5},
			{"y", "> 🎉y" + family + "x", 1, 6},
			{keyDelete, "> 🎉yx", 1, 6},
			{keyBackspace + keyBackspace, "> x", 1, 3},
		}},
		{"rows", nil, []step{
			{"一二三四", "> 一二三四", 1, 11},
			{"五", "> 一二三四五", 2, 1},
			{"六", "> 一二三四五\n六", 2, 3},
			{keyHome, "> 一二三四五\n六", 1, 3},
			{"x", "> x一二三四\n五六", 1, 4},
			{keyEnd, "> x一二三四\n五六", 2, 5},
			{keyLeft + keyLeft, "> x一二三四\n五六", 2, 1},
			{keyLeft, "> x一二三四\n五六", 1, 10},
			{keyDelete, "> x一二三五\n六", 1, 10},
			{keyDelete, "> x一二三六", 1, 10},
			{keyDelete, "> x一二三", 1, 10},
		}},
		{"history", []string{"一二三四五六七", eAcute + "日"}, []step{
			{"本", "> 本", 1, 5},
			{keyUp, "> " + eAcute + "日", 1, 6},
			{keyUp, "> 一二三四五\n六七", 2, 5},
			{keyUp, "> 一二三四五\n六七", 2, 5},
			{keyDown, "> " + eAcute + "日", 1, 6},
			{keyDown, "> 本", 1, 5},
			{keyDown, "> 本", 1, 5},
		}},
		{"paste", nil, []step{
			{"語" + keyLeft, "> 語", 1, 3},
			{pasteBegins + "日\r\n本\tx" + pasteEnds, "> 日\n本    x語", 2, 8},
			{keyLeft + keyLeft, "> 日\n本    x語", 2, 3},
			{keyLeft + keyLeft, "> 日\n本    x語", 1, 5},
			{keyDelete, "> 日本    x\n語", 1, 5},
		}},
		{"more than the screen", nil, []step{
			{pasteBegins + "一\n二\n三\n四\n五" + pasteEnds, "二\n三\n四\n五", 4, 3},
			{keyHome, "> 一\n二\n三\n四", 1, 3},
			{"x", "> x一\n二\n三\n四", 1, 4},
			{keyEnd, "二\n三\n四\n五", 4, 3},
		}},
		{"in pieces", nil, []step{
			{"\xe6\x97", ">", 1, 3},
			{"\xa5\x1b", "> 日", 1, 5},
			{"[", "> 日", 1, 5},
			{"D", "> 日", 1, 3},
			{"\xff\x1b[99~\x1bq", "> 日", 1, 3},
			{pasteBegins[:3], "> 日", 1, 3},
			{pasteBegins[3:] + "本\r", "> 本\n日", 2, 1},
			{"\n\x1b[A語" + pasteEnds[:4], "> 本\n[A語日", 2, 5},
			{pasteEnds[4:] + keyLeft, "> 本\n[A語日", 2, 3},
		}},
		{"Ctrl-C", nil, []step{
			{"一二三四五六", "> 一二三四五\n六", 2, 3},
			{"\x03", ">", 1, 3},
			{"\x03", "leave\n>", 2, 3},
			{"/h\t", "leave\n> /help", 2, 9},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := &typist{cols: 12, rows: 4}
			for _, s := range tt.steps {
				p.keys = append(p.keys, s.keys)
			}
			p.looks = func(typed int) {
				if typed == 0 {
					return
				}
				s := tt.steps[typed-1]
				if text, row, col := p.sees(); text != s.text || row != s.row || col != s.col {
					t.Errorf("step %d, %q:\n%s\nat %d,%d, want\n%s\nat %d,%d", typed, s.keys, text, row, col, s.text, s.row, s.col)
				}
			}
			e := p.at()
			e.history.lines = tt.history
			if _, err := e.readLine(t.Context(), "> ", "leave"); !errors.Is(err, io.EOF) {
				t.Error(err)
			}
		})
	}
}

// What is typed is what is sent, and all of it stays on the screen. What is typed
// ahead is the next line.
func TestEditorSends(t *testing.T) {
	t.Parallel()
	p := &typist{cols: 12, rows: 4, keys: []string{pasteBegins + "一\n二\n三\n四\n" + pasteEnds + keyHome, "x\rnext" + keyLeft + "日\r"}}
	e := p.at()
	for _, want := range []string{"x一\n二\n三\n四\n", "nex日t"} {
		if got, err := e.readLine(t.Context(), "> ", ""); err != nil || got != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	if text, _, _ := terminals.Picture(12, 20, p.output.String()); !strings.HasSuffix(text, "> x一\n二\n三\n四\n\n> nex日t") {
		t.Errorf("the screen:\n%s", text)
	}
}

// Whatever is typed, the screen has what a new one would have.
func TestEditorRedraws(t *testing.T) {
	t.Parallel()
	keys := []string{"a", "日", eAcute, "\u0301", family, "🇫🇷", "❤️", " ", keyLeft, keyRight, keyUp, keyDown, keyHome, keyEnd,
		keyBackspace, keyDelete, "\x17", "\x14", "\x1bb", "\x1bf", pasteBegins + "b\n語\t" + pasteEnds}
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // to be the same each time
		p := &typist{cols: 7 + int(seed)%5, rows: 24}
		for range 100 {
			p.keys = append(p.keys, keys[random.IntN(len(keys))])
		}
		e := p.at()
		e.history.lines = []string{"一二三四五六七", "short", family + family + family}
		p.looks = func(typed int) {
			other := &typist{cols: p.cols, rows: p.rows}
			again := other.at()
			again.prompt, again.line, again.firstRow = e.prompt, e.line, e.firstRow
			again.atEnd = true
			again.draw(false)
			got, row, col := p.sees()
			want, wantRow, wantCol := other.sees()
			if got != want || row != wantRow || col != wantCol {
				t.Fatalf("seed %d: after %q\n%s\nat %d,%d, want\n%s\nat %d,%d", seed, p.keys[max(0, typed-3):typed], got, row, col, want, wantRow, wantCol)
			}
		}
		if _, err := e.readLine(t.Context(), "> ", ""); !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

// A text of several lines comes back from the history as it was.
func TestHistoryKeeps(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "chat_history")
	h := readHistory(file)
	const text = "one\n\ttwo \\n three\\"
	for _, line := range []string{"before", text, text, " "} {
		h.add(line)
	}
	h = readHistory(file)
	if len(h.lines) != 2 || h.ago(1) != text || h.ago(2) != "before" {
		t.Errorf("%q", h.lines)
	}
}
