package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

const (
	// maxEditTries bounds how often an edit starts again because somebody else
	// changed the file in the meantime.
	maxEditTries = 12

	// maxEdits bounds how often one edit replaces its text.
	maxEdits = 1 << 20

	// inExec is the size up to which a file comes whole in a report.
	inExec = 384 << 10
)

type editFileIn struct {
	Path       string `json:"path" jsonschema:"of the file"`
	OldText    string `json:"old_text" jsonschema:"exact; unique unless replace_all"`
	NewText    string `json:"new_text" jsonschema:"in its place"`
	Instance   string `json:"instance,omitempty" jsonschema:"if several"`
	ReplaceAll bool   `json:"replace_all,omitempty" jsonschema:"every occurrence"`
	IfMatch    string `json:"if_match,omitempty" jsonschema:"only if its SHA-256 is this"`
}

type editFileOut struct {
	onInstance
	Path         string `json:"path,omitempty"`
	Replacements int    `json:"replacements,omitempty"`
	Diff         string `json:"diff,omitempty"`
	LineEnds     string `json:"line_ends,omitempty"` // crlf or lf, where the arguments were changed to the file's
	Bytes        int64  `json:"bytes"`
	SHA256       string `json:"sha256,omitempty"`
}

// editLocks make the edits that one principal has of one file wait for each
// other here, rather than find out in the sandbox.
type editLocks struct {
	mu   sync.Mutex
	busy map[string]chan struct{}
}

// lock waits until nobody else holds name, or ctx ends.
func (l *editLocks) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		held, ok := l.busy[name]
		if !ok {
			if l.busy == nil {
				l.busy = make(map[string]chan struct{})
			}
			done := make(chan struct{})
			l.busy[name] = done
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.busy, name)
				l.mu.Unlock()
				close(done)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-held:
		case <-ctx.Done():
			return nil, asNotSent(ctx.Err())
		}
	}
}

func editFile(ctx context.Context, r *request, in editFileIn) (editFileOut, error) {
	p, err := toFilePath("path", in.Path)
	if err != nil {
		return editFileOut{}, err
	}
	if err := checkMatch(in.IfMatch); err != nil {
		return editFileOut{}, err
	}
	if in.OldText == in.NewText {
		return editFileOut{}, badArgument("arguments \"old_text\" and \"new_text\" are the same")
	}
	id, err := r.where(ctx, in.Instance, p)
	if err != nil {
		return editFileOut{}, err
	}
	if !p.inside() {
		return editFileOut{}, refusal(sandbox.Report{Verb: "outside"}, p)
	}
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	unlock, err := r.edits.lock(ctx, id+"\x00"+string(p))
	if err != nil {
		return editFileOut{}, err
	}
	defer unlock()
	for try := 1; ; try++ {
		out, err := r.editOnce(ctx, id, p, in)
		var c *conflict
		if !errors.As(err, &c) {
			return out, err
		}
		if in.IfMatch != "" {
			return editFileOut{}, changeError(p, err)
		}
		if try == maxEditTries {
			return editFileOut{}, &refused{fmt.Sprintf("%q was changed by somebody else each of the %d times that this edit was tried", p, try), "try again, or find out what writes to it."}
		}
		// Somebody else was faster. The edit may still fit what there is now.
		select {
		case <-ctx.Done():
			return editFileOut{}, asNotSent(ctx.Err())
		case <-time.After(time.Duration(rand.IntN(try*30)) * time.Millisecond):
		}
	}
}

// editOnce reads the file, edits it, and puts the result in place if it still
// is what was read.
func (r *request) editOnce(ctx context.Context, id string, p filePath, in editFileIn) (editFileOut, error) {
	old, err := r.toEdit(ctx, id, p)
	if err != nil {
		return editFileOut{}, err
	}
	hash := hashOf(old)
	if in.IfMatch != "" && !strings.EqualFold(in.IfMatch, hash) {
		return editFileOut{}, &conflict{hash}
	}
	if err := keyInPlace(r.Client.Secret(), string(old), in.OldText); err != nil {
		return editFileOut{}, err
	}
	e, err := newEdit(old, in)
	if err != nil {
		return editFileOut{}, err
	}
	done, err := r.commit(ctx, id, p, change{mode: "overwrite", match: hash, data: string(e.result)})
	var c *conflict
	if errors.As(err, &c) {
		return editFileOut{}, err
	}
	if err != nil {
		return editFileOut{}, changeError(p, err)
	}
	return editFileOut{
		onInstance: r.on(id), Path: string(p), Replacements: len(e.at), Bytes: done.size, SHA256: done.hash,
		Diff: visibleText(e.diff(r.contentLimit() / 2)), LineEnds: e.lineEnds,
	}, nil
}

// toEdit reads a file of modest size as a whole.
func (r *request) toEdit(ctx context.Context, id string, p filePath) ([]byte, error) {
	most := r.rooms.fit(id, inExec)
	report, err := r.script(ctx, id, sandbox.New("file_read", p.params(sandbox.Params{"most": most})))
	if r.rooms.shrink(id, most, err) {
		return r.toEdit(ctx, id, p)
	}
	if err != nil {
		return nil, changeError(p, whileReading(err))
	}
	size := report.Number(0)
	switch {
	case report.Verb != "file":
		return nil, refusal(report, p)
	case size > maxWhole:
		return nil, &refused{fmt.Sprintf("%q has %d bytes, more than the %d that edit_file takes", p, size, maxWhole), "edit it with exec_command, for example with sed."}
	case len(report.Parts) == 1:
		return report.Parts[0], nil
	}
	return r.whole(ctx, id, p, maxWhole)
}

// edit is a replacement in a content, worked out. All of it is in the bytes of
// the file, but for UTF-16, which is edited as text.
type edit struct {
	old, result []byte
	at          []int // where in old the replaced texts begin
	from, to    []byte
	lineEnds    string // what from and to were changed to: crlf, lf, or nothing
}

// lineEnds says how all lines of a text end: crlf or lf. It is empty where they
// differ, and where there are none.
func lineEnds(text []byte) string {
	all, crlf := bytes.Count(text, []byte("\n")), bytes.Count(text, []byte("\r\n"))
	switch {
	case all == 0 || crlf != 0 && crlf != all:
		return ""
	case crlf == all:
		return "crlf"
	}
	return "lf"
}

// withLineEnds gives text the line ends of a file. Where the file has no one kind
// of them, the text stays as it is.
func withLineEnds(text, ends string) []byte {
	if ends == "" {
		return []byte(text)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if ends == "crlf" {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	return []byte(text)
}

func newEdit(content []byte, in editFileIn) (edit, error) {
	e := edit{old: content}
	encoding, bom := detectBOM(content)
	order := utf16Order(encoding)
	if order != nil {
		plain := fromUTF16(content[bom:], order)
		if !bytes.Equal(toUTF16(plain, order), content[bom:]) {
			return edit{}, &refused{"the file begins like UTF-16 but is not valid as such, so it can't be edited as text", "exec_command can edit its bytes."}
		}
		e.old = []byte(plain)
	}
	ends := lineEnds(e.old)
	e.from, e.to = withLineEnds(in.OldText, ends), withLineEnds(in.NewText, ends)
	if string(e.from) != in.OldText || string(e.to) != in.NewText {
		e.lineEnds = ends
	}
	if bytes.Equal(e.from, e.to) {
		return edit{}, &refused{"old_text and new_text differ only in their line ends, and an edit keeps those of the file", "exec_command can change them, for example with sed."}
	}
	all := bytes.Count(e.old, e.from)
	if all > maxEdits {
		return edit{}, &refused{fmt.Sprintf("old_text is there %d times, more than the %d that edit_file replaces", all, maxEdits), "exec_command can edit it, for example with sed."}
	}
	e.at = make([]int, 0, all)
	for i := 0; ; {
		k := bytes.Index(e.old[i:], e.from)
		if k < 0 {
			break
		}
		e.at = append(e.at, i+k)
		i += k + len(e.from)
	}
	if len(e.at) == 0 {
		return edit{}, notFound(string(e.old), in)
	}
	places := e.at
	if len(places) == 1 { // there may be another that overlaps it
		if k := bytes.Index(e.old[e.at[0]+1:], e.from); k >= 0 {
			places = append(places, e.at[0]+1+k)
		}
	}
	if n := len(places); n > 1 && !in.ReplaceAll {
		var lines []string
		for _, at := range places[:min(n, 20)] {
			lines = append(lines, fmt.Sprint(1+bytes.Count(e.old[:at], []byte{'\n'})))
		}
		if n > len(lines) {
			lines = append(lines, "…")
		}
		return edit{}, &refused{fmt.Sprintf("old_text is there %d times, at lines %s", n, strings.Join(lines, ", ")), "give more of the text around the place that is meant, or pass replace_all: true."}
	}
	// Each occurrence of one letter may be a megabyte more.
	if grown := len(e.old) + len(e.at)*(len(e.to)-len(e.from)); grown > maxWhole && grown > len(e.old) {
		return edit{}, &refused{fmt.Sprintf("the file would have %d bytes, more than the %d that edit_file takes", grown, maxWhole), "exec_command can edit it, for example with sed."}
	}
	e.result = bytes.ReplaceAll(e.old, e.from, e.to)
	if order != nil {
		e.result = append(bytes.Clone(content[:bom]), toUTF16(string(e.result), order)...)
	}
	return e, nil
}

// nearby is how many lines before and after a place are worth a look.
const nearby = 5

// notFound says what comes nearest to a text that is not there.
func notFound(content string, in editFileIn) error {
	const why = "old_text is not in the file"
	lf := strings.ReplaceAll(in.OldText, "\r\n", "\n")
	switch {
	case content == "":
		return &refused{why + ", which is empty", "write_file fills it."}
	case strings.Contains(content, strings.ReplaceAll(lf, "\n", "\r\n")):
		return &refused{why + " as it stands: it is there with CRLF line ends (\\r\\n)", "give old_text and new_text with \\r\\n at the ends of lines."}
	case strings.Contains(content, lf):
		return &refused{why + " as it stands: it is there with LF line ends (\\n)", "give old_text and new_text with \\n at the ends of lines."}
	}
	want := ""
	for line := range strings.Lines(in.OldText) {
		if want = strings.Join(strings.Fields(line), " "); want != "" {
			break
		}
	}
	n, best, bestLine, bestText := 0, 0, 0, ""
	for line := range strings.Lines(content) {
		n++
		if want == "" {
			break
		}
		have := strings.Join(strings.Fields(line), " ")
		score := commonLen(have, want)
		if have == want {
			score += len(want) + 1
		}
		if score > best {
			best, bestLine, bestText = score, n, line
		}
	}
	read := callArgs{{"instance", in.Instance}, {"path", in.Path}}
	if best < min(len(want), 4) || best == 0 {
		return &refused{why, read.call("read_file") + " shows the file as it is now."}
	}
	how := "begins most like"
	if best > len(want) {
		how = "differs, perhaps in spaces or further on, from"
	}
	return &refused{fmt.Sprintf("%s; its first line %s line %d: %q", why, how, bestLine, text.Line(strings.ToValidUTF8(bestText, "\uFFFD"), 200)),
		read.call("read_file", arg{"line", max(1, bestLine-nearby)}, arg{"count", 2*nearby + 1 + strings.Count(in.OldText, "\n")}) + " shows it as it is now."}
}

// commonLen is the length of the common beginning of a and b.
func commonLen(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func (o editFileOut) text() string {
	kept := ""
	if o.LineEnds != "" {
		kept = fmt.Sprintf("; its line ends (%s) were kept", strings.ToUpper(o.LineEnds))
	}
	return fmt.Sprintf("%s[%s in %s%s, which has %d bytes now, sha256 %s%s]", o.Diff, text.Count(o.Replacements, "replacement", "replacements"), o.Path, o.where("on"), o.Bytes, o.SHA256, kept)
}
