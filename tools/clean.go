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

// cleanProgress reports a command's output as its result has it. It comes by whole lines
// without what was written over (see [command.ReadPlain]), unless these are very long. So the
// rest of what makes it plain is left to where all of it passes ([text.Stream]): an escape
// sequence may begin in one piece and end in the next.
type cleanProgress struct{ runs.Progress }

func (p cleanProgress) Text(s string)   { p.Progress.Text(strings.ReplaceAll(s, "\r", "")) }
func (p cleanProgress) Now(line string) { p.Progress.Now(cleanOutput(line)) }
