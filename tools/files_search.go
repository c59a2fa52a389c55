package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

const (
	maxMatches = 1000

	// searchNames is how many bytes of names one search gives: some thousand files.
	searchNames = 384 << 10

	// searchBatch is of how many files one request gives the lines.
	searchBatch = 40

	// searchRoom is how many bytes of lines one request gives, and searchFileRoom
	// those of one file.
	searchRoom     = 480 << 10
	searchFileRoom = 64 << 10

	// Where no commands run, files are read one by one: so many, up to this size.
	searchReads    = 300
	searchReadSize = 1 << 20

	// excerptLen is how much of a long line is shown.
	excerptLen = 300
)

type searchFilesIn struct {
	Pattern    string `json:"pattern" jsonschema:"text to find"`
	Path       string `json:"path,omitempty" jsonschema:"directory or file"`
	Instance   string `json:"instance,omitempty" jsonschema:"if several"`
	Regex      bool   `json:"regex,omitempty" jsonschema:"pattern is a regular expression, RE2"`
	IgnoreCase bool   `json:"ignore_case,omitempty" jsonschema:"upper and lower case alike"`
	Glob       string `json:"glob,omitempty" jsonschema:"only files such as *.{js,ts} or src/**/*.go"`
	Exclude    string `json:"exclude,omitempty" jsonschema:"files to leave out, as in glob"`
	Context    int    `json:"context,omitempty" jsonschema:"lines around each match"`
	Limit      int    `json:"limit,omitempty" jsonschema:"at most this many"`
	After      string `json:"after,omitempty" jsonschema:"go on after this file:line"`
}

// searchLine is a line of a result.
type searchLine struct {
	Path  string `json:"path"`
	Line  int64  `json:"line"`
	Text  string `json:"text"`
	Match bool   `json:"match,omitempty"` // else it is context
}

type searchFilesOut struct {
	onInstance
	Path    string       `json:"path,omitempty"`
	Lines   []searchLine `json:"lines"`
	Matches int          `json:"matches,omitempty"` // in lines
	Files   int          `json:"files,omitempty"`   // in lines
	Note    string       `json:"note,omitempty"`
	Next    string       `json:"next,omitempty"`

	context bool
}

// search is a search under way.
type search struct {
	*request
	in            searchFilesIn
	id            string
	path          filePath
	pattern       linePattern
	glob, exclude *glob
	after         string // file as shown, "" for the first
	afterLine     int64
	single        bool // path is a file

	out   searchFilesOut
	left  int // characters
	notes []string
	// What was left out, by reason.
	binary, unread, large int
}

func searchFiles(ctx context.Context, r *request, in searchFilesIn) (searchFilesOut, error) {
	p, err := toPath("path", in.Path)
	if err != nil {
		return searchFilesOut{}, err
	}
	s := &search{request: r, in: in, path: p}
	if s.pattern, err = newLinePattern(in.Pattern, in.Regex, in.IgnoreCase); err != nil {
		return searchFilesOut{}, err
	}
	for _, g := range []struct {
		argument, pattern string
		to                **glob
	}{{"glob", in.Glob, &s.glob}, {"exclude", in.Exclude, &s.exclude}} {
		if g.pattern == "" {
			continue
		}
		one, err := newGlob(g.argument, g.pattern)
		if err != nil {
			return searchFilesOut{}, err
		}
		*g.to = &one
	}
	if in.After != "" {
		i := strings.LastIndexByte(in.After, ':')
		if i > 0 {
			s.after = in.After[:i]
			s.afterLine, err = strconv.ParseInt(in.After[i+1:], 10, 64)
		}
		if i <= 0 || err != nil || s.afterLine < 1 {
			return searchFilesOut{}, badArgument("argument \"after\" must be a file and a line as a result shows them, such as src/a.go:12; got %q", in.After)
		}
	}
	if s.id, err = r.where(ctx, in.Instance, p); err != nil {
		return searchFilesOut{}, err
	}
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	s.out = searchFilesOut{onInstance: s.on(s.id), Path: string(p), Lines: []searchLine{}, context: in.Context > 0}
	s.left = r.MaxResultChars - 1200
	if err := s.run(ctx); err != nil {
		return searchFilesOut{}, err
	}
	s.count(s.binary, "binary file", "not searched")
	s.count(s.large, "file", fmt.Sprintf("of more than %d bytes not searched", searchReadSize))
	s.count(s.unread, "error", "on the way: a file or directory could not be read")
	s.out.Note = strings.Join(s.notes, "; ")
	return s.out, nil
}

func (s *search) count(n int, what, why string) {
	if n > 0 {
		s.notes = append(s.notes, text.Count(n, what, what+"s")+" "+why)
	}
}

// run searches by programs of the sandbox, or by reading files where that can't be.
func (s *search) run(ctx context.Context) error {
	why := "commands see only " + client.Workspace
	if s.path.inside() {
		err := s.inSandbox(ctx)
		var no *noScript
		switch {
		case err == nil:
			return nil
		case errors.As(err, &no) && no.begun:
			return &refused{fmt.Sprintf("the search did not come to its end: %s", no.why), "search a smaller path, or fewer files with glob."}
		}
		var ok bool
		if why, ok = withoutScripts(err); !ok {
			return err
		}
	}
	return s.byReading(ctx, why)
}

// inSandbox has the sandbox name the files, and then show their lines.
func (s *search) inSandbox(ctx context.Context) error {
	report, err := s.script(ctx, s.id, sandbox.New("file_search", s.path.params(sandbox.Params{
		"pattern": s.pattern.grep, "named": s.named(), "room": searchNames,
	})))
	if err != nil {
		return err
	}
	dir := s.path
	var files []string
	switch report.Verb {
	case "file":
		dir, files = filePath(path.Dir(string(s.path))), []string{s.path.base()}
		s.single = true
	case "names":
		if len(report.Parts) != 2 {
			return refusal(report, s.path)
		}
		if n, err := strconv.Atoi(strings.TrimSpace(string(report.Part(1)))); err == nil {
			s.unread = n
		}
		files = s.names(report)
	default:
		return refusal(report, s.path)
	}
	from := int64(1)
	for len(files) > 0 {
		n := min(searchBatch, len(files))
		if shownPath(dir, files[0]) == s.after {
			from, n = s.afterLine+1, 1
		}
		done, err := s.lines(ctx, dir, files[:n], from)
		if err != nil || done {
			return err
		}
		files, from = files[n:], 1
	}
	return nil
}

// named is what find and rg can tell of glob: a pattern for names that takes
// all that glob does, and perhaps more.
func (s *search) named() string {
	if s.glob == nil {
		return "*"
	}
	name := path.Base(s.glob.pattern)
	if strings.ContainsAny(s.glob.pattern, `{[\`) || strings.Contains(name, "**") {
		return "*"
	}
	return name
}

// names gives the files that a search found and that are wanted, in order.
func (s *search) names(report sandbox.Report) []string {
	end := "\x00"
	if report.Word(0) == "line" {
		end = "\n"
	}
	list := string(report.Part(0))
	if len(list) >= searchNames {
		s.notes = append(s.notes, "only a part of the files is searched, since very many have a match: give a narrower pattern, path or glob")
		list = list[:strings.LastIndex(list, end)+1]
	}
	var files []string
	for name := range strings.SplitSeq(list, end) {
		if name = strings.TrimPrefix(name, "./"); name != "" && s.wanted(name) && shownPath(s.path, name) >= s.after {
			files = append(files, name)
		}
	}
	slices.Sort(files)
	return files
}

// wanted reports whether a file, named from the searched directory on, may be
// searched and is to be.
func (s *search) wanted(name string) bool {
	return (s.glob == nil || s.glob.match(name)) && (s.exclude == nil || !s.exclude.match(name)) &&
		s.rails.path(path.Join(string(s.path), name)) == nil
}

// lines adds the lines of some files to the result; done: it is full. All lines
// of the first file come from a line on.
func (s *search) lines(ctx context.Context, dir filePath, files []string, from int64) (done bool, err error) {
	where, names := dir, ""
	if s.single {
		where = s.path
	} else {
		words := make([]string, len(files))
		for i, f := range files {
			words[i] = "./" + f
		}
		names = sandbox.Words(words...)
	}
	room := min(searchFileRoom, searchRoom/len(files))
	report, err := s.script(ctx, s.id, sandbox.New("file_search_lines", where.params(sandbox.Params{
		"names": names, "pattern": s.pattern.grep, "context": s.in.Context, "most": s.in.Limit + 1, "from": from, "room": room,
	})))
	if err != nil {
		return false, err
	}
	if report.Verb != "lines" || len(report.Parts) != len(files) {
		return false, refusal(report, s.path)
	}
	for i, name := range files {
		part := report.Parts[i]
		if bytes.IndexByte(part, 0) >= 0 {
			s.binary++
			continue
		}
		cut := len(part) == room
		shown := shownPath(dir, name)
		lines := s.parse(part, from-1, cut)
		if s.add(shown, lines) {
			return true, nil
		}
		if cut && len(lines) > 0 {
			last := lines[len(lines)-1]
			s.goOn(searchLine{Path: shown, Line: last.Line})
			return true, nil
		} else if cut {
			s.notes = append(s.notes, "a part of "+shown+" is left out: its lines are too long")
		}
	}
	return false, nil
}

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
		l.Match = line[i] == ':' && (s.pattern.find(l.Text) != nil || cut && !whole)
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

// byReading searches without programs of the sandbox: it lists, and reads file by file.
func (s *search) byReading(ctx context.Context, why string) (err error) {
	dir, names := s.path, []string(nil)
	l, err := s.listDeep(ctx, s.id, s.path, maxDepth)
	if err != nil {
		if _, readErr := s.Client.Files.Read(ctx, s.id, string(s.path), searchReadSize); readErr != nil && !errors.Is(readErr, client.ErrTooLarge) {
			return err
		}
		dir, names = filePath(path.Dir(string(s.path))), []string{s.path.base()}
	}
	if l.note != "" {
		s.notes = append(s.notes, l.note)
	}
	for _, e := range l.entries {
		inGit := strings.HasPrefix(e.rel, ".git/") || strings.Contains(e.rel, "/.git/")
		switch {
		case e.kind != kindFile || inGit || !s.wanted(e.rel):
		case shownPath(dir, e.rel) < s.after:
		case e.size > searchReadSize:
			s.large++
		default:
			names = append(names, e.rel)
		}
	}
	slices.Sort(names)
	s.notes = append(s.notes, "files were read one by one: "+why)
	var refused error // of the first file, as long as none could be read
	defer func() {
		if err == nil {
			err = refused
		}
	}()
	for i, name := range names {
		if i == searchReads || ctx.Err() != nil {
			s.count(len(names)-i, "file", fmt.Sprintf("not searched, from %s on: give a smaller path, or glob", shownPath(dir, name)))
			return nil
		}
		content, err := s.Client.Files.Read(ctx, s.id, path.Join(string(dir), name), searchReadSize)
		switch {
		case errors.Is(err, client.ErrTooLarge):
			s.large++
			continue
		case err != nil && ctx.Err() == nil:
			if s.unread++; i == 0 {
				refused = err
			}
			continue
		case err != nil:
			s.count(len(names)-i, "file", fmt.Sprintf("not searched, from %s on, since time ran out: give a smaller path, or glob", shownPath(dir, name)))
			return nil
		}
		refused = nil
		if bytes.IndexByte(content, 0) >= 0 {
			s.binary++
			continue
		}
		shown := shownPath(dir, name)
		var lines []searchLine
		n := int64(0)
		for line := range strings.Lines(string(content)) {
			n++
			if shown == s.after && n <= s.afterLine {
				continue
			}
			line = strings.TrimSuffix(line, "\n")
			lines = append(lines, searchLine{Line: n, Text: line, Match: s.pattern.find(line) != nil})
		}
		if s.add(shown, s.near(lines)) {
			return nil
		}
	}
	return nil
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
		fmt.Fprintf(&b, "%s%s%d%s%s\n", l.Path, mark, l.Line, mark, l.Text)
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
