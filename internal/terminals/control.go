package terminals

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// control reads tmux's control mode: lines that begin with %, of which %output carries what
// programs printed, byte by byte, and %begin to %end the reply to a command.
type control struct {
	line     string // the beginning of one
	reply    []string
	size     int    // bytes of all replies
	guard    string // what %end and %error must have behind them; "": in no reply
	ours     bool
	replies  [][]string // to snapshotCommands
	attached bool
	exited   bool
	after    string // what came after tmux's end
}

const (
	maxControlLine = 64 << 10 // tmux's are a few KB, also the rows of a pane with all their colours
	maxReplyLines  = 5000     // more than the scrollback and a screen have
	maxReplyBytes  = 4 << 20  // of all replies together
	maxAfter       = 256 << 10
)

// feed takes what came. What programs print goes to show; before the snapshot, which
// has it, it is dropped.
func (c *control) feed(s string, show func([]byte)) {
	for s != "" {
		if c.exited {
			if len(c.after) < maxAfter {
				c.after += s
			}
			return
		}
		line, rest, whole := strings.Cut(s, "\n")
		if c.line += line; len(c.line) > maxControlLine {
			c.line = "" // not tmux's
		}
		if !whole {
			return
		}
		s = rest
		if out := c.take(c.line); len(c.replies) >= snapshotReplies && out != nil {
			show(out)
		}
		c.line = ""
	}
}

func (c *control) take(line string) []byte {
	word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\r"), " ")
	if c.guard != "" {
		if (word == "%end" || word == "%error") && rest == c.guard {
			if c.ours && len(c.replies) < snapshotReplies {
				c.replies = append(c.replies, c.reply)
			}
			c.guard, c.reply = "", nil
		} else if c.ours && len(c.replies) < snapshotReplies && len(c.reply) < maxReplyLines && c.size+len(line) <= maxReplyBytes {
			c.reply = append(c.reply, line)
			c.size += len(line)
		}
		return nil
	}
	switch word {
	case "%begin":
		c.guard = rest
		c.ours = strings.HasSuffix(rest, " 1") // else tmux's own, as when it attaches
	case "%output":
		_, data, _ := strings.Cut(rest, " ")
		return unescape(data)
	case "%session-changed":
		c.attached = true
	case "%exit":
		c.exited = true
	}
	return nil
}

// unescape undoes \ooo, which stands for control characters and the backslash.
func unescape(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out = append(out, byte(n))
				i += 3
				continue
			}
		}
		out = append(out, s[i])
	}
	return out
}

// typing makes commands that type data, as bytes.
func typing(data string) string {
	const most = 256 // bytes in one command
	var b strings.Builder
	for len(data) > 0 {
		n := min(len(data), most)
		b.WriteString("send-keys -H")
		for i := range n {
			fmt.Fprintf(&b, " %x", data[i])
		}
		b.WriteByte('\n')
		data = data[n:]
	}
	return b.String()
}

// snapshotCommands have tmux show all there is, at one moment: they are one line.
const (
	snapshotCommands = `display-message -p "#{pane_width} #{pane_height} #{history_size} #{cursor_x} #{cursor_y} #{alternate_on} #{cursor_flag} ` +
		`#{keypad_cursor_flag} #{insert_flag} #{wrap_flag} #{origin_flag} #{scroll_region_upper} #{scroll_region_lower} ` +
		`#{alternate_saved_x} #{alternate_saved_y} #{?#{==:#{pane_title},#{host}},,#{pane_title}}" ; ` +
		`capture-pane -p -e -S - ; capture-pane -p -e -a -q ; capture-pane -p -P` + "\n"
	snapshotReplies = 4
	snapshotNumbers = 15
)

// snapshot is a terminal as its keeper shows it.
type snapshot struct {
	cols, rows     int
	x, y           int // of the cursor; x is cols where the last column was just written
	alternate      bool
	hidden         bool
	appKeys        bool
	insert, origin bool
	noWrap         bool
	top, bottom    int // margins, the bottom row included
	savedX, savedY int // the cursor of the main screen, behind the alternate one
	title          string
	history        []string // rows that have left the top
	screen         []string // rows that show
	behind         []string // rows of the main screen, behind the alternate one
	pending        string   // the beginning of a sequence
}

// newSnapshot reads tmux's replies to snapshotCommands.
func newSnapshot(replies [][]string) (*snapshot, bool) {
	if len(replies[0]) != 1 {
		return nil, false
	}
	words := strings.SplitN(replies[0][0], " ", snapshotNumbers+1)
	if len(words) <= snapshotNumbers {
		return nil, false
	}
	var n [snapshotNumbers]int
	for i := range n {
		v, err := strconv.ParseInt(words[i], 10, 64)
		if err != nil || v < 0 || v > 1<<32 {
			return nil, false
		}
		n[i] = int(v)
	}
	s := &snapshot{
		cols: n[0], rows: n[1], x: n[3], y: n[4], alternate: n[5] == 1, hidden: n[6] == 0, appKeys: n[7] == 1,
		insert: n[8] == 1, noWrap: n[9] == 0, origin: n[10] == 1, top: n[11], bottom: n[12], savedX: n[13], savedY: n[14],
		title: strings.TrimRight(words[snapshotNumbers], "\r"), pending: strings.Join(replies[3], ""),
	}
	rows := replies[1]
	if s.cols < 1 || s.cols > 1000 || s.rows < 1 || s.rows > 500 {
		return nil, false
	}
	above := max(0, min(n[2], len(rows)-s.rows))
	s.history, s.screen, s.behind = rows[:above], rows[above:], replies[2]
	return s, true
}

// text is what was printed so far, where nobody has moved the cursor yet.
func (p *snapshot) text() string {
	rows := append(p.history[:len(p.history):len(p.history)], p.screen[:min(p.y+1, len(p.screen))]...)
	if len(rows) == 0 {
		return ""
	}
	text := strings.Join(rows, "\r\n")
	// The blanks at the end of a prompt are no part of its row.
	return text + strings.Repeat(" ", max(0, p.x-ansi.StringWidth(rows[len(rows)-1])))
}

// draw gives what makes a terminal that was just switched on show a snapshot.
func (p *snapshot) draw() string {
	var b strings.Builder
	rows := append(p.history[:len(p.history):len(p.history)], p.screen...)
	if p.alternate {
		rows = append(p.history[:len(p.history):len(p.history)], p.behind...)
	}
	// Rows are whole: a full one must not go on to the next. Their drawings are in a set of
	// their own.
	b.WriteString("\x1b[?7l\x1b)0" + strings.Join(rows, "\r\n"))
	if p.alternate {
		fmt.Fprintf(&b, "\x1b[%d;%dH\x1b[?1049h\x1b[H", p.savedY+1, p.savedX+1)
		b.WriteString(strings.Join(p.screen, "\r\n"))
	}
	fmt.Fprintf(&b, "\x0f\x1b)B\x1b[m\x1b[%d;%dr\x1b[%d;%dH", p.top+1, p.bottom+1, p.y+1, min(p.x+1, p.cols))
	for _, m := range []struct {
		on  bool
		seq string
	}{{!p.noWrap, "\x1b[?7h"}, {p.hidden, "\x1b[?25l"}, {p.appKeys, "\x1b[?1h"}, {p.insert, "\x1b[4h"}} {
		if m.on {
			b.WriteString(m.seq)
		}
	}
	b.WriteString(p.pending)
	return b.String()
}

// show makes the terminal what a snapshot shows. It holds t.mu, where others have t.
func (t *terminal) show(p *snapshot) {
	s := t.screen
	s.cols, s.rows = p.cols, p.rows
	t.options.Cols, t.options.Rows = p.cols, p.rows
	s.history = history{}
	s.reset()
	all := p.draw()
	for rest := all; rest != ""; {
		rest = rest[s.write(rest):]
	}
	s.wrap = p.x >= s.cols && !p.noWrap
	s.origin = p.origin
	s.title, s.last, s.replies = p.title, 0, nil
	t.raw.add("\x1bc"+all, "", s.between()) // a page draws it anew
	t.heard = true
}
