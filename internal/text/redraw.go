package text

import (
	"regexp"
	"strings"
)

// Output makes a command's output plain text: as [Plain] does, with each line as it stood
// in the end.
func Output(s string) string {
	return Plain(strings.ReplaceAll(LastStates(s), "\r", "")) // those left write over nothing
}

// LastStates leaves out of each line what was written over: progress bars go back to the
// start of their line with a carriage return, thousands of times.
func LastStates(s string) string {
	if !Redrawn(s) {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(lastState(line))
	}
	return b.String()
}

// Redrawn reports whether LastStates leaves something out.
func Redrawn(s string) bool {
	for i := strings.IndexByte(s, '\r'); i >= 0; {
		if rest := strings.TrimLeft(s[i:], "\r"); rest != "" && rest[0] != '\n' {
			return true
		}
		next := strings.IndexByte(s[i+1:], '\r')
		if next < 0 {
			break
		}
		i += 1 + next
	}
	return false
}

// erases matches what clears a line that nothing else is written to.
var erases = regexp.MustCompile(`\x1b\[[0-2]?[JK]`)

func lastState(line string) string {
	end := strings.TrimRight(line, "\r\n")
	for from := len(end); ; {
		cr := strings.LastIndexByte(end[:from], '\r')
		if cr < 0 {
			return line
		}
		// What shows nothing, such as a change of colour, leaves what was there.
		if segment := end[cr+1:]; stripControls(segment, false) != "" || erases.MatchString(segment) {
			return line[cr+1:]
		}
		from = cr
	}
}

// Lines gives a text that comes in pieces by whole lines, each as it stood in the end, so that
// what it gives joins to the [LastStates] of the text. The zero value is ready.
type Lines struct {
	open string // the line that is under way, without what was written over
	held int    // its bytes, with what was written over
}

// maxOpen is how many bytes a line may have before its beginning is given all the same. Lines
// that are redrawn fit on a screen.
const maxOpen = 4096

// Next gives the lines that end in the next piece.
func (l *Lines) Next(s string) string {
	all := l.open + s
	end := strings.LastIndexByte(all, '\n') + 1
	if l.held += len(s); end > 0 {
		l.held = len(all) - end
	}
	whole := LastStates(all[:end])
	if l.open = LastStates(all[end:]); len(l.open) > maxOpen {
		whole += l.Rest()
	}
	return whole
}

// Open is the line that is under way, as it stands.
func (l *Lines) Open() string { return l.open }

// Held is how many bytes of the text were not given yet.
func (l *Lines) Held() int { return l.held }

// Rest gives the line that is under way, at the end of the text.
func (l *Lines) Rest() string {
	rest := l.open
	*l = Lines{}
	return rest
}
