package tools

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/text"
)

const (
	maxDepth = 20

	// maxListing bounds a listing in the sandbox, in bytes: about 300,000 entries.
	maxListing = 32 << 20

	// listChunk is how much of a packed listing comes in one report.
	listChunk = 640 << 10

	// maxWalk bounds how many directories are listed one by one.
	maxWalk = 300
)

// File is an entry of a directory in results.
type File struct {
	Path       string `json:"path,omitempty"`
	Type       string `json:"type,omitempty"` // file, directory, symlink or other
	Size       *int64 `json:"size,omitempty"`
	ModifiedAt string `json:"modified_at,omitempty"`
}

// fileEntry is an entry while it is sorted.
type fileEntry struct {
	rel      string // from the listed directory on
	kind     string
	size     int64 // -1 when unknown
	modified int64 // seconds, 0 when unknown
}

const (
	kindFile      = "file"
	kindDirectory = "directory"
	kindSymlink   = "symlink"
	kindOther     = "other" // a FIFO, socket or device
)

func (e fileEntry) file(dir filePath) File {
	f := File{Path: shown(path.Join(string(dir), e.rel)), Type: e.kind}
	if e.kind == kindFile && e.size >= 0 {
		f.Size = &e.size
	}
	if e.modified > 0 {
		f.ModifiedAt = stamp(time.Unix(e.modified, 0))
	}
	return f
}

// shown writes the bytes of a name that are not UTF-8 as \xNN.
func shown(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[0])
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

// plainName is a name on a line of text. One that would not stand there as it is comes
// quoted as in JSON, so that it can be copied.
func plainName(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || text.Hidden(r) }) || strings.TrimSpace(name) != name {
		return strconv.Quote(name)
	}
	return name
}

// appendLine shows an entry on a line, its path from dir on.
func (f File) appendLine(b []byte, dir string) []byte {
	b = append(b, plainName(strings.TrimPrefix(strings.TrimPrefix(f.Path, dir), "/"))...)
	switch f.Type {
	case kindDirectory:
		b = append(b, '/')
	case kindFile:
	default:
		b = append(append(b, "  "...), f.Type...)
	}
	if f.Size != nil {
		b = append(append(b, "  "...), text.Count(*f.Size, "byte", "bytes")...)
	}
	if f.ModifiedAt != "" {
		b = append(append(b, "  "...), f.ModifiedAt...)
	}
	return append(b, '\n')
}

type listFilesIn struct {
	Path     string `json:"path,omitempty" jsonschema:"of the directory"`
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Depth    int    `json:"depth,omitempty" jsonschema:"default 1, or what glob needs"`
	Glob     string `json:"glob,omitempty" jsonschema:"*.go in this directory, **/*.go below it too"`
	Sort     string `json:"sort,omitempty" jsonschema:"size, modified: greatest first"`
	Limit    int    `json:"limit,omitempty" jsonschema:"at most this many"`
	Cursor   string `json:"cursor,omitempty" jsonschema:"from the page before"`
}

type listFilesOut struct {
	onInstance
	Path    string `json:"path,omitempty"`
	Entries []File `json:"entries"`
	Total   int    `json:"total"` // on all pages
	Cursor  string `json:"cursor,omitempty"`
	Note    string `json:"note,omitempty"`
	Next    string `json:"next,omitempty"`

	lines []byte // the entries, as text
}

// listing is all that was found.
type listing struct {
	entries []fileEntry
	note    string
}

func (l *listing) add(note string) {
	if l.note != "" {
		note = l.note + "; " + note
	}
	l.note = note
}

func listFiles(ctx context.Context, r *request, in listFilesIn) (listFilesOut, error) {
	p, err := toPath("path", in.Path)
	if err != nil {
		return listFilesOut{}, err
	}
	depth := in.Depth
	var g *glob
	if in.Glob != "" {
		pattern, err := newGlob("glob", in.Glob)
		if err != nil {
			return listFilesOut{}, err
		}
		g = &pattern
		depth = cmp.Or(depth, pattern.depth(maxDepth))
	}
	depth = cmp.Or(depth, 1)
	id, err := r.where(ctx, in.Instance, p)
	if err != nil {
		return listFilesOut{}, err
	}
	after, err := readCursor(in.Cursor, listKey(id, p, depth, in))
	if err != nil {
		return listFilesOut{}, err
	}
	ctx, cancel := r.bounded(ctx)
	defer cancel()

	l, err := r.listDeep(ctx, id, p, depth)
	if err != nil {
		return listFilesOut{}, err
	}
	if g != nil && g.names && depth == 1 && slices.ContainsFunc(l.entries, func(e fileEntry) bool { return e.kind == kindDirectory }) {
		l.add(fmt.Sprintf("subfolders are not searched; glob: %q searches them", "**/"+g.pattern))
	}
	l.entries = slices.DeleteFunc(l.entries, func(e fileEntry) bool {
		return g != nil && !g.match(e.rel) || r.rails.path(path.Join(string(p), e.rel)) != nil
	})
	order := fileOrder(in.Sort)
	slices.SortFunc(l.entries, order)

	out := listFilesOut{onInstance: r.on(id), Path: string(p), Entries: []File{}, Total: len(l.entries)}
	rest := l.entries
	if after != nil {
		// The first behind the last that was shown, whatever came or went since.
		i, _ := slices.BinarySearchFunc(rest, *after, order)
		for i < len(rest) && order(rest[i], *after) <= 0 {
			i++
		}
		rest = rest[i:]
	}
	left := r.MaxResultChars - 700 - len(l.note)
	odd := false
	for i, e := range rest {
		f := e.file(p)
		lines := f.appendLine(out.lines, out.Path)
		left -= len(lines) - len(out.lines)
		if i == in.Limit || left < 0 && i > 0 {
			out.Cursor = writeCursor(rest[i-1], listKey(id, p, depth, in))
			out.Next = fmt.Sprintf("%d more: %s", len(rest)-i, callArgs{{"instance", in.Instance}, {"path", string(p)}}.call("list_files", nextArgs(in, out.Cursor)...))
			break
		}
		odd = odd || !utf8.ValidString(e.rel) || strings.ContainsRune(e.rel, utf8.RuneError)
		out.Entries, out.lines = append(out.Entries, f), lines
	}
	if odd {
		l.add("names with \\xNN or U+FFFD are not UTF-8; no tool takes such a path, but exec_command reaches it with a pattern such as ab*")
	}
	out.Note = l.note
	return out, nil
}

// nextArgs are the arguments of the call for the next page.
func nextArgs(in listFilesIn, cursor string) []arg {
	args := []arg{{"glob", in.Glob}, {"limit", in.Limit}, {"cursor", cursor}}
	if in.Depth > 0 {
		args = append(args, arg{"depth", in.Depth})
	}
	if in.Sort != "name" {
		args = append(args, arg{"sort", in.Sort})
	}
	return args
}

// fileOrder puts directories first, and then goes by what is wanted. No two
// entries are equal.
func fileOrder(by string) func(a, b fileEntry) int {
	return func(a, b fileEntry) int {
		if da, db := a.kind == kindDirectory, b.kind == kindDirectory; da != db {
			if da {
				return -1
			}
			return 1
		}
		switch by {
		case "size":
			if c := cmp.Compare(b.size, a.size); c != 0 {
				return c
			}
		case "modified":
			if c := cmp.Compare(b.modified, a.modified); c != 0 {
				return c
			}
		}
		return cmp.Compare(a.rel, b.rel)
	}
}

// cursor is the last entry of a page, and the listing that it belongs to.
type cursor struct {
	Rel      []byte `json:"r"` // need not be UTF-8
	Dir      bool   `json:"d,omitempty"`
	Size     int64  `json:"s"`
	Modified int64  `json:"m"`
	Key      []byte `json:"k"`
}

// listKey tells listings apart.
func listKey(id string, p filePath, depth int, in listFilesIn) []byte {
	h := sha256.Sum256(fmt.Appendf(nil, "%q %q %d %q %q", id, p, depth, in.Glob, in.Sort))
	return h[:6]
}

func writeCursor(e fileEntry, key []byte) string {
	b, err := json.Marshal(cursor{[]byte(e.rel), e.kind == kindDirectory, e.size, e.modified, key})
	if err != nil { // it can be encoded
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func readCursor(s string, key []byte) (*fileEntry, error) {
	if s == "" {
		return nil, nil
	}
	var c cursor
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || len(c.Rel) == 0 {
		return nil, badArgument("argument \"cursor\" must be one that list_files gave; leave it out for the first page")
	}
	if !bytes.Equal(c.Key, key) {
		return nil, badArgument("argument \"cursor\" belongs to another listing: path, depth, glob and sort must be those of the page before")
	}
	e := fileEntry{rel: string(c.Rel), kind: kindFile, size: c.Size, modified: c.Modified}
	if c.Dir {
		e.kind = kindDirectory
	}
	return &e, nil
}

func (o listFilesOut) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s: %d of %d entries\n", o.Path, o.where("on"), len(o.Entries), o.Total)
	b.Write(o.lines)
	if o.Note != "" {
		b.WriteString("note: " + o.Note + "\n")
	}
	return withNext(b.String(), o.Next)
}

// listOne adds the entries of one directory, as the service lists it.
func (r *request) listOne(ctx context.Context, id string, p filePath, under string, l *listing) error {
	page, err := r.Client.Files.List(ctx, id, path.Join(string(p), under))
	if err != nil {
		return err
	}
	for _, f := range page.Items {
		e := fileEntry{rel: path.Join(under, f.Name), kind: kindFile, size: f.Size}
		if f.IsDir {
			e.kind = kindDirectory
		}
		if !f.ModifiedAt.IsZero() {
			e.modified = f.ModifiedAt.Unix()
		}
		l.entries = append(l.entries, e)
	}
	if page.More {
		l.add(fmt.Sprintf("the service has more entries in %s than it lists; exec_command with ls or find shows them", path.Join(string(p), under)))
	}
	return nil
}
