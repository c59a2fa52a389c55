package cli

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// editor reads lines that a person edits at a terminal, with the history of the
// lines before.
type editor struct {
	fd   int
	out  io.Writer
	term *term.Terminal
}

// clearing is the key that stands for Ctrl-C at the prompt, which would end the
// input otherwise. No other key sends it.
const clearing = 0x1c

// clearingKeys reads keys, and makes Ctrl-C one that clears the line.
type clearingKeys struct{ io.Reader }

func (k clearingKeys) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	for i, b := range p[:n] {
		if b == 0x03 {
			p[i] = clearing
		}
	}
	return n, err
}

// newEditor makes an editor on the terminal; nil where there is none that can be
// edited on. commands are what Tab completes. Ctrl-C clears the line, and on an
// empty one it says how to leave.
func (c *console) newEditor(history term.History, commands []string) *editor {
	in, ok := c.stdin.(*os.File)
	if !ok || !c.interactive || c.variable("TERM") == "dumb" {
		return nil
	}
	e := &editor{fd: int(in.Fd()), out: c.stderr}
	e.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{clearingKeys{in}, c.stderr}, c.paint(bold, "> "))
	e.term.History = history
	e.term.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key == clearing {
			if line == "" {
				_, _ = io.WriteString(e.term, c.paint(dim, "Ctrl-D or /exit ends the chat.")+"\n")
			}
			return "", 0, true
		}
		if key != '\t' || !strings.HasPrefix(line, "/") || pos != len(line) {
			return "", 0, false
		}
		fit := matching(append([]string{}, commands...), line)
		if len(fit) != 1 {
			return line, pos, true
		}
		return fit[0] + " ", len(fit[0]) + 1, true
	}
	return e
}

// readLine waits for a line. The terminal is in raw mode only until it is there,
// so that Ctrl-C is a signal all other time. Ctrl-D ends the input, with io.EOF. Pasted lines are one text.
func (e *editor) readLine(ctx context.Context) (string, error) {
	before, err := term.MakeRaw(e.fd)
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(e.fd, before) }()
	if width, height, err := term.GetSize(e.fd); err == nil && width > 0 {
		_ = e.term.SetSize(width, height)
	}
	e.term.SetBracketedPasteMode(true)
	defer e.term.SetBracketedPasteMode(false)
	read := make(chan typedLine, 1)
	go func() { // a read from a terminal can't be cancelled
		var lines []string
		for {
			line, err := e.term.ReadLine()
			lines = append(lines, line)
			if !errors.Is(err, term.ErrPasteIndicator) {
				read <- typedLine{strings.Join(lines, "\n"), err}
				return
			}
		}
	}()
	select {
	case l := <-read:
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// lineHistory keeps lines in a file, a line each.
type lineHistory struct {
	path  string   // "" for none
	lines []string // the newest last
}

// maxHistory bounds how many lines are kept.
const maxHistory = 500

func readHistory(path string) *lineHistory {
	h := &lineHistory{path: path}
	if b, err := os.ReadFile(path); err == nil {
		h.lines = strings.Split(strings.TrimSpace(string(b)), "\n")
		h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	}
	return h
}

// Add implements term.History.
func (h *lineHistory) Add(line string) {
	if strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	if h.path == "" {
		return
	}
	// Nothing is lost but a convenience where this fails.
	_ = writePrivate(h.path, []byte(strings.Join(h.lines, "\n")+"\n"))
}

// Len implements term.History.
func (h *lineHistory) Len() int { return len(h.lines) }

// At implements term.History.
func (h *lineHistory) At(i int) string { return h.lines[len(h.lines)-1-i] }
