package tools

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

// parse reads what grep printed, and decides which lines fit. The last line may
// be cut: then it is taken for one that fits, as grep said.
func (s *search) parse(part []byte, before int64, cut bool) []searchLine {
	var all []searchLine
	for line := range strings.Lines(string(part)) {
		whole := strings.HasSuffix(line, "\n")
		line = strings.TrimSuffix(line, "\n")
		i := strings.IndexAny(line, ":-")
		if i < 1 {
			continue // --
		}
		n, err := strconv.ParseInt(line[:i], 10, 64)
		if err != nil {
			continue
		}
		l := searchLine{Line: before + n, Text: line[i+1:]}
		l.Match = line[i] == ':' && s.pattern.find(l.Text) != nil
		if line[i] == ':' && !l.Match && cut && !whole {
			l.Match = true
			l.Text = fmt.Sprintf("%.100s… (the match is beyond the first %d bytes of this line)", l.Text, len(l.Text))
		}
		all = append(all, l)
	}
	return s.near(all)
}

// near leaves the matches and the context that was asked for.
func (s *search) near(all []searchLine) []searchLine {
	context := int64(s.in.Context)
	var lines []searchLine
	for i, l := range all {
		keep := l.Match
		for j := i - 1; !keep && j >= 0 && l.Line-all[j].Line <= context; j-- {
			keep = all[j].Match
		}
		for j := i + 1; !keep && j < len(all) && all[j].Line-l.Line <= context; j++ {
			keep = all[j].Match
		}
		if keep {
			lines = append(lines, l)
		}
	}
	return lines
}

// add puts the lines of a file into the result. It reports whether the result is
// full; then it says how to go on.
func (s *search) add(shown string, lines []searchLine) (full bool) {
	inFile := false
	for _, l := range lines {
		l.Path, l.Text = shown, s.excerpt(l)
		s.left -= len(l.Path) + len(l.Text) + 12
		if s.left < 0 && s.out.Matches > 0 || l.Match && s.out.Matches == s.in.Limit {
			s.goOn(s.out.Lines[len(s.out.Lines)-1])
			return true
		}
		if l.Match {
			s.out.Matches++
			if !inFile {
				inFile = true
				s.out.Files++
			}
		}
		s.out.Lines = append(s.out.Lines, l)
	}
	return false
}

// goOn names the call that goes on behind a line.
func (s *search) goOn(last searchLine) {
	in := s.in
	args := callArgs{{"pattern", in.Pattern}, {"path", string(s.path)}, {"instance", in.Instance}, {"glob", in.Glob}, {"exclude", in.Exclude}}
	for _, a := range []arg{{"regex", in.Regex}, {"ignore_case", in.IgnoreCase}} {
		if a.value == true {
			args = append(args, a)
		}
	}
	if in.Context > 0 {
		args = append(args, arg{"context", in.Context})
	}
	s.out.Next = "there may be more: " + args.call("search_files", arg{"limit", in.Limit}, arg{"after", fmt.Sprintf("%s:%d", last.Path, last.Line)})
}

// excerpt is what of a line is shown: of a long one, what is around the match.
func (s *search) excerpt(l searchLine) string {
	text := strings.TrimSuffix(l.Text, "\r")
	if len(text) > excerptLen {
		start := 0
		if at := s.pattern.find(text); at != nil {
			start = max(0, min(at[0]-excerptLen/3, len(text)-excerptLen))
		}
		end := min(len(text), start+excerptLen)
		before, after := "", ""
		if start > 0 {
			before = "…"
		}
		if end < len(text) {
			after = "…"
		}
		text = before + strings.ToValidUTF8(text[start:end], "") + after
	}
	return visibleText(strings.ToValidUTF8(text, "\uFFFD"))
}

// shownPath is a file's path as results have it: from the workspace on, or absolute.
func shownPath(dir filePath, name string) string {
	return strings.TrimPrefix(path.Join(string(dir), name), client.Workspace+"/")
}

func (o searchFilesOut) text() string {
	var b strings.Builder
	before := searchLine{}
	for i, l := range o.Lines {
		if i > 0 && o.context && (l.Path != before.Path || l.Line != before.Line+1) {
			b.WriteString("--\n")
		}
		mark := "-"
		if l.Match {
			mark = ":"
		}
		fmt.Fprintf(&b, "%s%s%d%s%s\n", plainName(shown(l.Path)), mark, l.Line, mark, l.Text)
		before = l
	}
	more := ""
	if o.Next != "" {
		more = " shown; there may be more"
	}
	fmt.Fprintf(&b, "[%s in %s under %s%s%s]", text.Count(o.Matches, "match", "matches"), text.Count(o.Files, "file", "files"), o.Path, o.where("on"), more)
	if o.Note != "" {
		b.WriteString("\nnote: " + o.Note)
	}
	return withNext(b.String(), o.Next)
}
