package cli

import (
	"strings"

	"github.com/clipperhouse/displaywidth"
	"github.com/mark3labs/mcp-go/mcp"
)

// liveOutput shows a command's output, or a reply, on a terminal as it comes.
type liveOutput struct {
	*console
	shown strings.Builder // for good
	open  string          // shown behind that: a line that is still being written
}

// show shows what is new, and how the line stands behind it that is still being written: it
// may be redrawn.
func (l *liveOutput) show(text, line string) {
	if text != "" {
		l.shown.WriteString(text)
		l.replaceOpen(text)
		l.open = ""
	}
	if line = withoutControls(line); line != "" && l.variable("TERM") != "dumb" && displaywidth.String(line) < columns(l.stdout) {
		l.replaceOpen(line)
		l.open = line
	}
}

// replaceOpen prints text in the place of the open line.
func (l *liveOutput) replaceOpen(text string) {
	rest, goesOn := strings.CutPrefix(text, l.open)
	switch {
	case !l.isMidLine(): // something else was said behind it
		rest = text
	case !goesOn:
		l.printStyled("\r\x1b[K")
		rest = text
	}
	l.print(rest)
}

// nothing reports whether nothing is shown yet.
func (l *liveOutput) nothing() bool { return l.shown.Len() == 0 && l.open == "" }

// rest is what a result says beside the text that was shown. Where the result leaves out a part
// of that, or lines were redrawn, its end alone is new.
func (l *liveOutput) rest(res *mcp.CallToolResult) string {
	said := textOf(res)
	if rest, ok := strings.CutPrefix(said, l.shown.String()); ok {
		return rest
	}
	l.endLine()
	end := max(0, strings.LastIndex(said, "[status: "))
	if l.shown.Len() < end {
		return said // it has more, or the agent wrote the reply anew
	}
	return said[end:]
}
