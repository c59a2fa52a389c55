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
	binary, unread, large, part int
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
	s.count(s.part, "file", "did not come whole: matches may be missing")
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
			return &refused{fmt.Sprintf("the search did not finish: %s", no.why), "search a smaller path, or fewer files with glob."}
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
