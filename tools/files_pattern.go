package tools

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"openclaw-mcp/internal/pattern"
)

// linePattern is what search_files looks for in a line. Programs of the sandbox
// find the lines that may fit, and match decides. So the syntax is the same,
// RE2, whatever programs there are.
type linePattern struct {
	re *regexp.Regexp
	// grep is an extended regular expression for grep and rg. It fits every line
	// that re fits, and perhaps more. In the C locale grep goes by bytes.
	grep string
}

func newLinePattern(text string, isRegex, ignoreCase bool) (linePattern, error) {
	if strings.ContainsAny(text, "\n\x00") {
		return linePattern{}, badArgument("argument \"pattern\" must have no line break and no NUL: each line is searched by itself")
	}
	compile, flags := pattern.Literal, ""
	if isRegex {
		compile = pattern.Compile
	}
	if ignoreCase {
		flags = "(?i)"
	}
	found, err := compile(flags, text)
	if err != nil {
		return linePattern{}, badArgument("argument \"pattern\": %v", err)
	}
	p := linePattern{re: found.Regexp, grep: grepPattern(found.Tree)}
	if p.grep == "" {
		p.grep = "^"
	}
	return p, nil
}

// find gives where in a line the pattern fits, nil if it does not.
func (p linePattern) find(line string) []int {
	return p.re.FindStringIndex(strings.TrimSuffix(line, "\r"))
}

// notASCII is a byte of a character that is not ASCII.
const notASCII = "[^\x01-\x7f]"

// grepPattern translates a regular expression. "" fits every line.
func grepPattern(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		var b strings.Builder
		for _, r := range re.Rune {
			b.WriteString(grepLiteral(r, re.Flags&syntax.FoldCase != 0))
		}
		return b.String()
	case syntax.OpCharClass:
		return grepClass(re.Rune)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "." + notASCII + "*"
	case syntax.OpBeginLine, syntax.OpBeginText:
		return "^"
	case syntax.OpEndLine, syntax.OpEndText:
		return "\r?$" // lines may end in CRLF
	case syntax.OpCapture:
		return grepPattern(re.Sub[0])
	case syntax.OpStar:
		if op := re.Sub[0].Op; op == syntax.OpAnyChar || op == syntax.OpAnyCharNotNL {
			return ".*"
		}
		return grepRepeat(re.Sub[0], "*")
	case syntax.OpQuest:
		return grepRepeat(re.Sub[0], "?")
	case syntax.OpPlus:
		return grepRepeat(re.Sub[0], "+")
	case syntax.OpRepeat:
		const most = 255 // what POSIX promises
		low, high := min(re.Min, most), fmt.Sprint(re.Max)
		if re.Max < 0 || re.Max > most {
			high = ""
		}
		return grepRepeat(re.Sub[0], fmt.Sprintf("{%d,%s}", low, high))
	case syntax.OpConcat:
		var b strings.Builder
		for _, sub := range re.Sub {
			b.WriteString(grepPattern(sub))
		}
		return b.String()
	case syntax.OpAlternate:
		subs := make([]string, len(re.Sub))
		for i, sub := range re.Sub {
			if subs[i] = grepPattern(sub); subs[i] == "" {
				return ""
			}
		}
		return "(" + strings.Join(subs, "|") + ")"
	}
	return "" // the empty text, and what grep has no common word for: \b
}

// grepRepeat repeats an expression. One with anchors is left out where it may be
// missing, since not every grep takes these repeated.
func grepRepeat(re *syntax.Regexp, times string) string {
	s := grepPattern(re)
	switch {
	case s == "":
		return ""
	case !hasAnchor(re):
		return "(" + s + ")" + times
	case times == "+" || strings.HasPrefix(times, "{") && !strings.HasPrefix(times, "{0"):
		return s
	}
	return ""
}

func hasAnchor(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpBeginLine, syntax.OpBeginText, syntax.OpEndLine, syntax.OpEndText:
		return true
	}
	return slices.ContainsFunc(re.Sub, hasAnchor)
}

func grepLiteral(r rune, fold bool) string {
	quote := func(r rune) string {
		switch {
		case r > unicode.MaxASCII: // by its bytes, since rg goes by bytes here, too
			return fmt.Sprintf("%s{%d}", notASCII, utf8.RuneLen(r))
		case r == '}':
			return "[}]" // find takes {} for names
		}
		if strings.ContainsRune(`\.+*?()|[{^$`, r) {
			return `\` + string(r)
		}
		return string(r)
	}
	forms := []string{quote(r)}
	for f := unicode.SimpleFold(r); fold && f != r; f = unicode.SimpleFold(f) {
		forms = append(forms, quote(f))
	}
	if len(forms) == 1 {
		return forms[0]
	}
	return "(" + strings.Join(forms, "|") + ")"
}

// grepClass translates a class of characters, given as ranges. A set may come
// out larger than it was, where grep and rg differ in what is to be escaped.
func grepClass(ranges []rune) string {
	in := func(c rune) bool {
		for i := 0; i < len(ranges); i += 2 {
			if ranges[i] <= c && c <= ranges[i+1] {
				return true
			}
		}
		return false
	}
	const special = `[]\^-&~`
	var with, without strings.Builder
	for c := rune(1); c < 0x80; c++ {
		switch {
		case c == '\n' || strings.ContainsRune(special, c):
		case in(c):
			with.WriteRune(c)
		default:
			without.WriteRune(c)
		}
	}
	if len(ranges) > 0 && ranges[len(ranges)-1] >= 0x80 {
		if without.Len() == 0 {
			return "." + notASCII + "*"
		}
		return "[^" + without.String() + "]" + notASCII + "*"
	}
	var forms []string
	if with.Len() > 0 {
		forms = append(forms, "["+with.String()+"]")
	}
	for _, c := range special {
		if in(c) {
			forms = append(forms, grepLiteral(c, false))
		}
	}
	switch len(forms) {
	case 0:
		return ""
	case 1:
		return forms[0]
	}
	return "(" + strings.Join(forms, "|") + ")"
}
