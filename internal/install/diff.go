package install

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
)

// secrets are the values in this program's entries that a diff must not show.
var secrets = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`((?:OPENCLAW_API_KEY|OPENCLAW_MCP_VNC_PASSWORD)"?\s*[:=]\s*|Bearer )("?)[^"\s,}]+`)
})

// widest is how much of a line a diff shows: a configuration that is one long line
// contains the secrets of other servers.
const widest = 160

// diff shows the lines that differ.
func diff(w io.Writer, path string, before, after []byte) {
	old, now := lines(before), lines(after)
	head := 0
	for head < len(old) && head < len(now) && old[head] == now[head] {
		head++
	}
	tail := 0
	for tail < len(old)-head && tail < len(now)-head && old[len(old)-1-tail] == now[len(now)-1-tail] {
		tail++
	}
	fmt.Fprintf(w, "%s, line %d:\n", path, head+1)
	old, now = old[head:len(old)-tail], now[head:len(now)-tail]
	cut := 0 // of a long line: where the two begin to differ
	if len(old) == 1 && len(now) == 1 {
		for cut < len(old[0]) && cut < len(now[0]) && old[0][cut] == now[0][cut] {
			cut++
		}
	}
	for _, l := range old {
		fmt.Fprintln(w, "- "+shown(l, cut))
	}
	for _, l := range now {
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
	line = secrets().ReplaceAllString(line, "$1$2***")
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
