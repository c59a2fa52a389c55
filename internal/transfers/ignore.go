package transfers

import (
	"bytes"
	"strings"
)

// ignoreRules are the patterns of one .gitignore file, for what is below the
// folder that holds it.
type ignoreRules struct {
	dir   string // of the file: "" or with a slash at its end, as names of the tree
	above string // the tree, seen from a file above it: "" or with a slash at its end
	rules []ignoreRule
}

type ignoreRule struct {
	pattern  string // without its marks
	negated  bool
	dirOnly  bool
	anchored bool // matches from the file's folder on, not any name below it
}

// parseIgnore reads a .gitignore file.
func parseIgnore(dir string, content []byte) ignoreRules {
	r := ignoreRules{dir: dir}
	content = bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = trimSpaces(line)
		var rule ignoreRule
		line, rule.negated = strings.CutPrefix(line, "!")
		line, rule.dirOnly = strings.CutSuffix(line, "/")
		if line == "" || trailingEscape(line) {
			continue // git takes neither for a pattern
		}
		rule.anchored = strings.Contains(line, "/")
		rule.pattern = strings.TrimPrefix(line, "/")
		r.rules = append(r.rules, rule)
	}
	return r
}

// trimSpaces drops spaces at the end that no backslash protects.
func trimSpaces(s string) string {
	for strings.HasSuffix(s, " ") && !trailingEscape(s[:len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// trailingEscape reports whether s ends in a backslash that is not escaped
// itself.
func trailingEscape(s string) bool {
	return (len(s)-len(strings.TrimRight(s, `\`)))%2 == 1
}

// ignored reports whether the rules leave a name of the tree out; the last file
// that says anything of it, and the last line there, decide. What is within a
// folder that is left out is not asked for: nothing can bring it back.
func ignored(files []ignoreRules, name string, dir bool) bool {
	for i := len(files) - 1; i >= 0; i-- {
		below, ok := strings.CutPrefix(name, files[i].dir)
		if !ok {
			continue
		}
		below = files[i].above + below
		for j := len(files[i].rules) - 1; j >= 0; j-- {
			rule := files[i].rules[j]
			if rule.dirOnly && !dir {
				continue
			}
			subject := below
			if !rule.anchored {
				subject = below[strings.LastIndexByte(below, '/')+1:]
			}
			if ignoreMatch(rule.pattern, subject) {
				return !rule.negated
			}
		}
	}
	return false
}

// ignoreMatch matches a path against a pattern, segment by segment; ** as a
// whole segment stands for any number of them, but at the end for at least one.
func ignoreMatch(pattern, subject string) bool {
	return matchSegments(splitPattern(pattern), strings.Split(subject, "/"))
}

// splitPattern splits a pattern at its slashes. A slash in a class such as [!/]
// is part of that.
func splitPattern(pattern string) []string {
	var segments []string
	start := 0
	for i := 0; i < len(pattern); {
		switch pattern[i] {
		case '/':
			segment := pattern[start:i]
			if trailingEscape(segment) {
				segment = segment[:len(segment)-1] // \/ is a slash, too
			}
			segments = append(segments, segment)
			start = i + 1
		case '[':
			if width, _ := matchClass(pattern[i:], 0); width > 0 {
				i += width
				continue
			}
		case '\\':
			if i+1 < len(pattern) && pattern[i+1] != '/' {
				i++
			}
		}
		i++
	}
	return append(segments, pattern[start:])
}

func matchSegments(pattern, subject []string) bool {
	// Iterative, with one point to go back to: nested ** would make a recursion
	// exponential.
	p, s, star, mark := 0, 0, -1, 0
	for s < len(subject) {
		switch {
		case p < len(pattern) && pattern[p] == "**":
			if p == len(pattern)-1 {
				return true
			}
			star, mark = p, s
			p++
		case p < len(pattern) && matchName(pattern[p], subject[s]):
			p++
			s++
		case star >= 0:
			mark++
			p, s = star+1, mark
		default:
			return false
		}
	}
	return p == len(pattern)
}

// matchName matches one name: * is any run of characters, ? one, [...] one of a
// class, and a backslash takes the next character as it is.
func matchName(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		if p < len(pattern) && pattern[p] == '*' {
			for p < len(pattern) && pattern[p] == '*' {
				p++
			}
			star, mark = p, n
			continue
		}
		if width, ok := matchOne(pattern[p:], name[n]); ok {
			p += width
			n++
			continue
		}
		if star < 0 {
			return false
		}
		mark++
		p, n = star, mark
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one byte with the element that pattern begins with, and says
// how long that is. Git, too, goes by bytes.
func matchOne(pattern string, c byte) (width int, ok bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		return 2, len(pattern) > 1 && pattern[1] == c
	case '[':
		return matchClass(pattern, c)
	}
	return 1, pattern[0] == c
}

// matchClass matches a class such as [a-z], [!0-9] or [[:alpha:]_]. One that is
// not closed matches nothing.
func matchClass(pattern string, c byte) (width int, ok bool) {
	i, negated, in := 1, false, false
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		negated = true
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return i + 1, in != negated
		}
		if name, rest, found := strings.Cut(pattern[i:], ":]"); found && strings.HasPrefix(name, "[:") {
			in = in || inNamedClass(name[2:], c)
			i = len(pattern) - len(rest)
			continue
		}
		lo, next := classByte(pattern, i)
		hi := lo
		if next+1 < len(pattern) && pattern[next] == '-' && pattern[next+1] != ']' {
			hi, next = classByte(pattern, next+1)
		}
		in = in || lo <= c && c <= hi
		i = next
	}
	return 0, false
}

func classByte(pattern string, i int) (c byte, next int) {
	if pattern[i] == '\\' && i+1 < len(pattern) {
		i++
	}
	return pattern[i], i + 1
}

func inNamedClass(name string, c byte) bool {
	lower, upper, digit := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9'
	graph := c > ' ' && c < 0x7f
	switch name {
	case "alpha":
		return lower || upper
	case "digit":
		return digit
	case "alnum":
		return lower || upper || digit
	case "lower":
		return lower
	case "upper":
		return upper
	case "space":
		return c == ' ' || c >= '\t' && c <= '\r'
	case "blank":
		return c == ' ' || c == '\t'
	case "punct":
		return graph && !lower && !upper && !digit
	case "xdigit":
		return digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	case "cntrl":
		return c < ' ' || c == 0x7f
	case "graph":
		return graph
	case "print":
		return graph || c == ' '
	}
	return false
}
