package cli

import (
	"regexp"
	"strings"
	"sync"
)

// markdown makes the Markdown of a reply readable on a terminal while it arrives:
// headings and **bold** words are bold, code has a colour in place of its fences, and
// lists have bullets. Its lines are broken between words, those of code are not.
// Words are shown at once. Only what may turn out to be a mark is held back, until its
// end or that of the line; what turns out to be none is shown as it came.
type markdown struct {
	plain bool   // there are no colours, so all marks stay
	held  string // what was not shown yet
	begun bool   // the beginning of the line was shown
	style string // of the rest of the line
	code  bool   // between fences
	fence bool   // the line is one, and is not shown
	wrap  wordWrap
}

// maxHeld bounds what is held back, so that a reply does not seem to stop.
const maxHeld = 200

// write takes the next piece of a reply, and gives what to show now.
func (m *markdown) write(text string) string {
	m.held += text
	var shown strings.Builder
	for {
		line, rest, ended := strings.Cut(m.held, "\n")
		shown.WriteString(m.broken(line, ended))
		if !ended {
			return shown.String()
		}
		if !m.fence {
			shown.WriteString(m.wrap.write("\n"))
		}
		m.held, m.begun, m.fence, m.style = rest, false, false, ""
	}
}

// end gives what was held back.
func (m *markdown) end() string { return m.broken(m.held, true) + m.wrap.end() }

// broken shows a line, or the next part of one, in as many lines as the terminal needs.
func (m *markdown) broken(line string, ended bool) string {
	var shown strings.Builder
	m.held = m.show(&shown, line, ended)
	if m.code {
		return m.wrap.unbroken(shown.String())
	}
	return m.wrap.write(shown.String())
}

// undecided is the beginning of a line that may become that of a block.
var undecided = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^ *(#{1,6}|`{1,2}|[-*+>])?$") })

// show shows a line, or the next part of one, and gives what has to wait.
func (m *markdown) show(shown *strings.Builder, line string, ended bool) (wait string) {
	if !m.begun {
		if !ended && undecided().MatchString(line) && len(line) < maxHeld {
			return line
		}
		m.begun = line != ""
		line = m.begin(shown, line)
	}
	if m.fence {
		return ""
	}
	if m.plain {
		shown.WriteString(line)
		return ""
	}
	if m.style != "" {
		shown.WriteString(styled(m.style, line))
		return ""
	}
	return spans(shown, line, ended)
}

// begin shows what begins a line, and gives the rest.
func (m *markdown) begin(shown *strings.Builder, line string) string {
	text := strings.TrimLeft(line, " ")
	indent := line[:len(line)-len(text)]
	mark, rest, _ := strings.Cut(text, " ")
	switch {
	case strings.HasPrefix(text, "```"):
		m.code, m.fence = !m.code, !m.plain
	case m.plain:
	case m.code:
		m.style = cyan
	case mark == text: // nothing that a space follows
	case strings.Trim(mark, "#") == "" && len(mark) <= 6:
		m.style = bold
		return rest
	case mark == "-" || mark == "*" || mark == "+":
		shown.WriteString(indent + "• ")
		return rest
	case mark == ">":
		shown.WriteString(indent + styled(dim, "│ "))
		return rest
	}
	return line
}

// spans shows bold words and code within a line.
func spans(shown *strings.Builder, line string, ended bool) (wait string) {
	for {
		i := strings.IndexAny(line, "`*")
		if i < 0 {
			shown.WriteString(line)
			return ""
		}
		shown.WriteString(line[:i])
		line = line[i:]
		mark, style := "`", cyan
		if line[0] == '*' {
			mark, style = "**", bold
		}
		inner, isMark := strings.CutPrefix(line, mark)
		switch text, rest, closed := strings.Cut(inner, mark); {
		case isMark && closed && text != "" && strings.TrimSpace(text) == text:
			shown.WriteString(styled(style, text))
			line = rest
		case ended || closed || len(line) > maxHeld || !isMark && line != "*" || strings.HasPrefix(text, " "):
			n := 1
			if isMark {
				n = len(mark)
			}
			shown.WriteString(line[:n])
			line = line[n:]
		default:
			return line
		}
	}
}
