//go:build e2e

package tools_test

import (
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/terminals"
)

// These tests use programs that have to be installed: vim, top and less.

func TestTerminalVim(t *testing.T) {
	for _, family := range []emulatortest.TerminalFamily{emulatortest.TerminalT1, emulatortest.TerminalT2, emulatortest.TerminalT3, emulatortest.TerminalT4} {
		t.Run(string(family), func(t *testing.T) {
			b := newTerminalBench(t, emulatortest.Options{Terminal: family}, terminals.Config{})
			term := b.open(nil)
			s := b.write(term, "vim -u NONE -N poem.txt", enter, `^~$`)
			if !strings.Contains(s.Position, "full-screen") {
				t.Errorf("vim does not have the screen: %s", s.plain)
			}
			b.write(term, "i", nil, "INSERT")
			s = b.write(term, "Ein Fichtenbaum steht einsam, 漢字 e\u0301\nim Norden auf kahler Höh", []string{"escape"}, "Höh")
			if !strings.HasPrefix(s.Text, "Ein Fichtenbaum steht einsam, 漢字 e\u0301\nim Norden auf kahler Höh\n~\n") {
				t.Errorf("the screen of vim:\n%s", s.Text)
			}
			b.write(term, "", []string{"up", "home", "delete"}, `\A.in Fichten|\Ain Fichten`)
			b.write(term, "iE", []string{"escape"}, `\AEin Fichten`)
			s = b.write(term, ":wq", enter, `[#$] $`)
			if strings.Contains(s.Text, "Norden") || !strings.Contains(s.Text, "vim -u NONE") || strings.Contains(s.Position, "full-screen") {
				t.Errorf("the shell's screen is not back: %s", s.plain)
			}
			got := b.call("read_file", args{"instance": b.instance, "path": "/workspace/poem.txt"})
			if !strings.Contains(got.plain, "Ein Fichtenbaum steht einsam, 漢字 e\u0301\nim Norden auf kahler Höh\n") {
				t.Errorf("the file: %s", got.plain)
			}
		})
	}
}

func TestTerminalTop(t *testing.T) {
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(args{"cols": 100, "rows": 30})
	s := b.write(term, "top -d 0.5", enter, `PID +USER`)
	first := s.Text
	if !strings.Contains(first, "load average") || !strings.Contains(first, "top") {
		t.Errorf("top:\n%s", first)
	}
	for range 20 {
		if s = b.call("read_terminal", args{"terminal": term, "wait_seconds": 1}); s.Text != first {
			break
		}
	}
	if s.Text == first || !strings.Contains(s.Text, "PID") || strings.Count(s.Text, "load average") != 1 {
		t.Errorf("the second reading of top:\n%s", s.Text)
	}
	if s = b.write(term, "q", nil, `[#$] $`); s.Status != "open" {
		t.Errorf("%s", s.plain)
	}
}

func TestTerminalLess(t *testing.T) {
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(args{"rows": 12})
	s := b.write(term, "seq 1 500 | less", enter, `^:`)
	if !strings.HasPrefix(s.Text, "1\n2\n3\n") {
		t.Errorf("%s", s.Text)
	}
	if s = b.write(term, "", []string{"page_down"}, `^2\d$`); !strings.HasPrefix(s.Text, "12\n13\n") {
		t.Errorf("a page further: %s", s.Text)
	}
	if s = b.write(term, "G", nil, `^500$`); !strings.Contains(s.Text, "499\n500\n") {
		t.Errorf("at the end: %s", s.Text)
	}
	if s = b.write(term, "q", nil, `[#$] $`); strings.Contains(s.Text, "499") {
		t.Errorf("after less: %s", s.Text)
	}
}
