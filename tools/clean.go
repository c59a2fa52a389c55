package tools

import (
	"strings"

	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/text"
)

func cleanOutput(s string) string { return text.Output(s) }

// visibleText is for files, in which a control character is content.
func visibleText(s string) string { return text.Visible(s) }

func showHidden(s string) string { return text.ShowHidden(s) }

// cleanProgress reports a command's output as plain text.
type cleanProgress struct {
	runs.Progress
	cr bool // a carriage return ended what came before
}

// Text shows where a line is redrawn from one piece to the next as a new line, since
// what was sent can't be taken back.
func (p *cleanProgress) Text(s string) {
	if p.cr {
		s = "\r" + s
	}
	p.cr = strings.HasSuffix(s, "\r")
	rest := strings.TrimLeft(s, "\r")
	clean := cleanOutput(s)
	if rest != s && rest != "" && rest[0] != '\n' && clean != "" {
		clean = "\n" + clean
	}
	p.Progress.Text(clean)
}

// shownProgress is what a wait for a run tells its progress to.
func shownProgress(run runs.Run, p runs.Progress) runs.Progress {
	if run.Kind() == runs.KindCommand {
		return &cleanProgress{Progress: p}
	}
	return p
}
