package install

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// secrets are values that a diff doesn't show: those of this program's entries.
var secrets = regexp.MustCompile(`((?:OPENCLAW_API_KEY|OPENCLAW_MCP_VNC_PASSWORD)"?\s*[:=]\s*|Bearer )("?)[^"\s,}]+`)

// widest is how much of a line a diff shows: a configuration in one line holds
// other servers' secrets.
const widest = 160

// diff shows the lines that differ.
func diff(w io.Writer, path string, before, after []byte) {
	old, new := lines(before), lines(after)
	head := 0
	for head < len(old) && head < len(new) && old[head] == new[head] {
		head++
	}
	tail := 0
	for tail < len(old)-head && tail < len(new)-head && old[len(old)-1-tail] == new[len(new)-1-tail] {
		tail++
	}
	fmt.Fprintf(w, "%s, line %d:\n", path, head+1)
	old, new = old[head:len(old)-tail], new[head:len(new)-tail]
	cut := 0 // of a long line, what both have before they differ
	if len(old) == 1 && len(new) == 1 {
		for cut < len(old[0]) && cut < len(new[0]) && old[0][cut] == new[0][cut] {
			cut++
		}
	}
	for _, l := range old {
		fmt.Fprintln(w, "- "+shown(l, cut))
	}
	for _, l := range new {
		fmt.Fprintln(w, "+ "+shown(l, cut))
	}
}

func lines(text []byte) []string {
	if len(text) == 0 {
		return nil
	}
	return strings.Split(string(bytes.TrimSuffix(text, []byte("\n"))), "\n")
}

// shown is a line as a diff shows it.
func shown(line string, cut int) string {
	line = strings.TrimSuffix(strings.TrimPrefix(line, string(bom)), "\r")
	line = secrets.ReplaceAllString(line, "$1$2***")
	if len(line) > widest {
		if cut = min(max(0, cut-20), len(line)); cut > 0 {
			line = "…" + line[cut:]
		}
		if len(line) > widest {
			line = line[:widest] + "…"
		}
	}
	return strings.ToValidUTF8(line, "?")
}
