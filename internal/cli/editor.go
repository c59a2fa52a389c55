package cli

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// editor reads lines that a person edits at a terminal, with the history of the
// lines before. It is our own because golang.org/x/term takes each character for a
// column: with wide ones, with marks and with most emoji, the cursor is elsewhere.
type editor struct {
	in       io.Reader
	out      io.Writer
	raw      func() (restore func(), err error)
	size     func() (width, height int)
	history  *lineHistory
	commands []string // what Tab completes

	reading chan chunk // of the read that is under way; nil for none
	typed   []byte     // what is read, and is not handled yet
	pasting bool
	wasCR   bool // the last character that was pasted is a carriage return
	prompt  string
	leave   string // what Ctrl-C says on an empty line; "" if it ends the input
	line    editedLine
	recalls int    // how far back in the history the line is from; 0 for none
	unsent  string // the line that was being typed before
	lastCut string // what Ctrl-Y brings back

	// What the terminal shows.
	shown    string
	atEnd    bool // the cursor is behind it
	above    int  // rows of it above the cursor
	firstRow int  // rows that don't fit on the screen
}

// newEditor makes an editor on the terminal; nil where there is none that can be
// edited on.
func (c *console) newEditor(history *lineHistory, commands []string) *editor {
	in, ok := c.stdin.(*os.File)
	if !ok || !c.interactive || c.variable("TERM") == "dumb" {
		return nil
	}
	fd := int(in.Fd())
	return &editor{
		in: in, out: c.stderr, history: history, commands: commands,
		raw: func() (func(), error) {
			before, err := term.MakeRaw(fd)
			return func() { _ = term.Restore(fd, before) }, err
		},
		size: func() (int, int) {
			width, height, _ := term.GetSize(fd)
			return width, height
		},
	}
}

// readLine waits for a line. The terminal is in raw mode only until it is there,
// so that Ctrl-C is a signal all other time. Ctrl-D ends the input, with io.EOF.
// What is pasted may have several lines. Ctrl-C clears the line; on an empty one it
// says leave, or ends the input if that is "".
func (e *editor) readLine(ctx context.Context, prompt, leave string) (string, error) {
	restore, err := e.raw()
	if err != nil {
		return "", err
	}
	defer restore()
	e.write("\x1b[?2004h")
	defer e.write("\x1b[?2004l")
	e.prompt, e.leave = prompt, leave
	return e.edit(ctx)
}

// chunk is what a read gave.
type chunk struct {
	keys []byte
	err  error
}

// read waits for keys. A read from a terminal can't be cancelled: one that is under
// way when ctx ends is for whoever reads next.
func (e *editor) read(ctx context.Context) error {
	if e.reading == nil {
		e.reading = make(chan chunk, 1)
		go func(to chan<- chunk) {
			buf := make([]byte, 4<<10)
			n, err := e.in.Read(buf)
			to <- chunk{buf[:n], err}
		}(e.reading)
	}
	select {
	case c := <-e.reading:
		e.reading = nil
		e.typed = append(e.typed, c.keys...)
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// write draws. A terminal that is gone ends the next read, too.
func (e *editor) write(text string) { _, _ = io.WriteString(e.out, text) }

// edit handles keys until a line is there.
func (e *editor) edit(ctx context.Context) (string, error) {
	e.line, e.recalls = editedLine{}, 0
	e.forget()
	e.draw(false)
	for {
		for key := e.next(); key != ""; key = e.next() {
			sent, err := e.handle(key)
			if sent {
				e.line.moveTo(len(e.line.text()))
				e.draw(true)
				e.write("\r\n")
				return e.line.before, nil
			}
			if err != nil {
				return "", err
			}
		}
		e.draw(false)
		if err := e.read(ctx); err != nil {
			return "", err
		}
	}
}

// What surrounds pasted text.
const (
	pasteBegins = "\x1b[200~"
	pasteEnds   = "\x1b[201~"
)

// next takes a key from what is read; "" if there is none, or only its beginning.
func (e *editor) next() string {
	n := keyLength(e.typed)
	if e.pasting && len(e.typed) > 0 && e.typed[0] == 0x1b && !bytes.HasPrefix(e.typed, []byte(pasteEnds)) {
		n = 1 // it is part of the text
		if strings.HasPrefix(pasteEnds, string(e.typed)) {
			n = 0
		}
	}
	key := string(e.typed[:n])
	e.typed = e.typed[n:]
	return key
}

// keyLength is how many bytes the first key has: a character, a control, or the
// sequence of a key without one. It is 0 if there is more to come.
func keyLength(b []byte) int {
	n := 0
	switch {
	case !utf8.FullRune(b):
	case b[0] != 0x1b:
		_, n = utf8.DecodeRune(b)
	case len(b) == 1:
	case b[1] == '[':
		n = 2
		for n < len(b) && b[n] >= 0x20 && b[n] < 0x40 {
			n++
		}
		n++
	case b[1] == 'O':
		n = 3
	case b[1] < ' ': // Escape alone
		n = 1
	case utf8.FullRune(b[1:]): // with Alt
		_, n = utf8.DecodeRune(b[1:])
		n++
	}
	if n > len(b) {
		return 0
	}
	return n
}

// handle does what a key is for. It says whether the line is to be sent.
func (e *editor) handle(key string) (sent bool, err error) {
	if e.pasting && key != pasteEnds {
		e.paste(key)
		return false, nil
	}
	l := &e.line
	switch key {
	case "\r", "\n":
		if key == "\r" && len(e.typed) > 0 && e.typed[0] == '\n' {
			e.typed = e.typed[1:]
		}
		return true, nil
	case "\x03": // Ctrl-C
		switch {
		case l.text() != "":
			e.line, e.recalls = editedLine{}, 0
		case e.leave == "":
			return false, io.EOF
		default:
			e.write("\r\x1b[J" + e.leave + "\r\n")
			e.forget()
		}
	case "\x04": // Ctrl-D
		if l.text() == "" {
			return false, io.EOF
		}
		l.deleteRight()
	case "\x1b[3~":
		l.deleteRight()
	case "\x7f", "\b":
		l.before, _ = lastCharacter(l.before)
	case "\x17", "\x1b\x7f": // Ctrl-W, Alt-Backspace
		rest := withoutLastWord(l.before)
		e.cut(l.before[len(rest):])
		l.before = rest
	case "\x15": // Ctrl-U
		e.cut(l.before)
		l.before = ""
	case "\x0b": // Ctrl-K
		e.cut(l.after)
		l.after = ""
	case "\x19": // Ctrl-Y
		l.before += e.lastCut
	case "\x14": // Ctrl-T
		l.transpose()
	case "\x1b[D", "\x1bOD", "\x02":
		before, _ := lastCharacter(l.before)
		l.moveTo(len(before))
	case "\x1b[C", "\x1bOC", "\x06":
		first, _ := firstCharacter(l.after)
		l.moveTo(len(l.before) + len(first))
	case "\x1b[1;3D", "\x1b[1;5D", "\x1bb":
		l.moveTo(len(withoutLastWord(l.before)))
	case "\x1b[1;3C", "\x1b[1;5C", "\x1bf":
		l.moveTo(len(l.text()) - len(withoutFirstWord(l.after)))
	case "\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x01":
		l.moveTo(0)
	case "\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x05":
		l.moveTo(len(l.text()))
	case "\x1b[A", "\x1bOA", "\x10":
		e.recall(e.recalls + 1)
	case "\x1b[B", "\x1bOB", "\x0e":
		e.recall(e.recalls - 1)
	case "\x0c": // Ctrl-L
		e.write("\x1b[2J\x1b[H")
		e.forget()
	case "\t":
		e.complete()
	case pasteBegins, pasteEnds:
		e.pasting = key == pasteBegins
	default:
		if isText(key) {
			l.before += key
		}
	}
	return false, nil
}

// cut keeps what a key has removed, for Ctrl-Y.
func (e *editor) cut(text string) {
	if text != "" {
		e.lastCut = text
	}
}

// isText reports whether a key is a character to keep: no control, no sequence, and
// no invalid UTF-8.
func isText(key string) bool {
	return utf8.ValidString(key) && strings.IndexFunc(key, unicode.IsControl) < 0
}

// paste takes a character of what is pasted: line ends and tabs are text there.
func (e *editor) paste(key string) {
	switch {
	case key == "\n" && e.wasCR:
	case key == "\n" || key == "\r":
		e.line.before += "\n"
	case key == "\t" || isText(key):
		e.line.before += key
	}
	e.wasCR = key == "\r"
}

// complete completes a command.
func (e *editor) complete() {
	if !strings.HasPrefix(e.line.before, "/") || e.line.after != "" {
		return
	}
	if fit := matching(append([]string{}, e.commands...), e.line.before); len(fit) == 1 {
		e.line.before = fit[0] + " "
	}
}

// recall shows the line that was sent so many lines ago; 0 is the one that is typed.
func (e *editor) recall(n int) {
	if n < 0 || n > len(e.history.lines) {
		return
	}
	if e.recalls == 0 {
		e.unsent = e.line.text()
	}
	e.recalls = n
	e.line = editedLine{before: e.unsent}
	if n > 0 {
		e.line.before = e.history.ago(n)
	}
}

// forget is for a cursor in the first column of an empty row.
func (e *editor) forget() { e.shown, e.atEnd, e.above, e.firstRow = "", true, 0, 0 }

// draw shows the line; all of it, or what the screen has room for. Terminals differ in
// how wide they draw some emoji, so columns are not counted: each row is drawn anew up
// to the cursor, which is then where the terminal has it. Rows are ended here, before
// any terminal would.
func (e *editor) draw(all bool) {
	width, height := e.size()
	width, height = cmp.Or(width, 80), cmp.Or(height, 24)
	rows, at, head := e.line.layout(e.prompt, width)
	if e.firstRow = max(min(e.firstRow, at), at-height+1); all {
		e.firstRow, height = 0, len(rows)
	}
	rows = rows[e.firstRow:min(len(rows), e.firstRow+height)]
	at -= e.firstRow
	text, atEnd := strings.Join(rows, "\r\n"), e.line.after == ""
	added, more := strings.CutPrefix(text, e.shown)
	if more && e.atEnd && atEnd {
		e.write(added)
	} else {
		text := cursorUp(e.above) + "\r\x1b[J" + text
		if !atEnd {
			text += cursorUp(len(rows)-1-at) + "\r" + head
		}
		e.write(text)
	}
	e.shown, e.atEnd, e.above = text, atEnd, at
}

func cursorUp(rows int) string {
	if rows == 0 {
		return ""
	}
	return "\x1b[" + strconv.Itoa(rows) + "A"
}

// lineHistory keeps lines in a file, a line each: what has several has their ends
// escaped.
type lineHistory struct {
	path  string   // "" for none
	lines []string // the newest last
}

// maxHistory bounds how many lines are kept.
const maxHistory = 500

var (
	escaped   = strings.NewReplacer(`\`, `\\`, "\n", `\n`)
	unescaped = strings.NewReplacer(`\\`, `\`, `\n`, "\n")
)

func readHistory(path string) *lineHistory {
	h := &lineHistory{path: path}
	if b, err := os.ReadFile(path); err == nil {
		for line := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n") {
			h.lines = append(h.lines, unescaped.Replace(line))
		}
		h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	}
	return h
}

// add keeps a line that was sent.
func (h *lineHistory) add(line string) {
	if strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	h.lines = h.lines[max(0, len(h.lines)-maxHistory):]
	if h.path == "" {
		return
	}
	// Nothing is lost but a convenience where this fails.
	var b strings.Builder
	for _, line := range h.lines {
		b.WriteString(escaped.Replace(line) + "\n")
	}
	_ = writePrivate(h.path, []byte(b.String()))
}

// ago is the line that was sent so many lines ago: 1 is the last.
func (h *lineHistory) ago(n int) string { return h.lines[len(h.lines)-n] }
