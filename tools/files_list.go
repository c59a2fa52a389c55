package tools

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
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

// line shows an entry on one line, its path from dir on.
func (f File) line(dir string) string {
	name := strings.TrimPrefix(strings.TrimPrefix(f.Path, dir), "/")
	if strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) || strings.TrimSpace(name) != name {
		name = strconv.Quote(name) // as JSON has it, so that it can be copied
	}
	switch f.Type {
	case kindDirectory:
		name += "/"
	case kindFile:
	default:
		name += "  " + f.Type
	}
	if f.Size != nil {
		name += fmt.Sprintf("  %d bytes", *f.Size)
	}
	if f.ModifiedAt != "" {
		name += "  " + f.ModifiedAt
	}
	return name
}

type listFilesIn struct {
	Path     string `json:"path,omitempty"`
	Instance string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Depth    int    `json:"depth,omitempty" jsonschema:"default 1, or what glob needs"`
	Glob     string `json:"glob,omitempty" jsonschema:"*.go for names, src/**/*.ts for paths"`
	Sort     string `json:"sort,omitempty" jsonschema:"size, modified: greatest first"`
	Limit    int    `json:"limit,omitempty"`
	Cursor   string `json:"cursor,omitempty" jsonschema:"from the page before"`
}

type listFilesOut struct {
	Instance string `json:"instance,omitempty"`
	Path     string `json:"path,omitempty"`
	Entries  []File `json:"entries"`
	Total    int    `json:"total"` // on all pages
	Cursor   string `json:"cursor,omitempty"`
	Note     string `json:"note,omitempty"`
	Next     string `json:"next,omitempty"`
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
		pattern, err := newGlob(in.Glob)
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

	var l listing
	if depth == 1 {
		err = r.listOne(ctx, id, p, "", &l)
	} else {
		l, err = r.listDeep(ctx, id, p, depth)
	}
	if err != nil {
		return listFilesOut{}, err
	}
	l.entries = slices.DeleteFunc(l.entries, func(e fileEntry) bool {
		return g != nil && !g.match(e.rel) || r.rails.path(path.Join(string(p), e.rel)) != nil
	})
	order := fileOrder(in.Sort)
	slices.SortFunc(l.entries, order)

	out := listFilesOut{Instance: id, Path: string(p), Entries: []File{}, Total: len(l.entries)}
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
		left -= len(f.line(out.Path)) + 1
		if i == in.Limit || left < 0 && i > 0 {
			out.Cursor = writeCursor(rest[i-1], listKey(id, p, depth, in))
			out.Next = fmt.Sprintf("%d more: %s", len(rest)-i, callArgs{{"instance", in.Instance}, {"path", string(p)}}.call("list_files", nextArgs(in, out.Cursor)...))
			break
		}
		odd = odd || !utf8.ValidString(e.rel) || strings.ContainsRune(e.rel, utf8.RuneError)
		out.Entries = append(out.Entries, f)
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
	fmt.Fprintf(&b, "%s on instance %s: %d of %d entries\n", o.Path, o.Instance, len(o.Entries), o.Total)
	for _, f := range o.Entries {
		b.WriteString(f.line(o.Path) + "\n")
	}
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

// listDeep lists several levels: with find in the sandbox, or directory by
// directory where that can't be.
func (r *request) listDeep(ctx context.Context, id string, p filePath, depth int) (listing, error) {
	if p.inside() {
		l, err := r.findFiles(ctx, id, p, depth)
		if err == nil {
			return l, nil
		}
		var no *noScript
		if _, ok := withoutScripts(err); !ok && !errors.As(err, &no) {
			return listing{}, err
		}
	}
	var l listing
	level := []string{""}
	for d, walked := 0, 0; d < depth && len(level) > 0; d++ {
		var below []string
		for i, under := range level {
			if walked++; walked > maxWalk || ctx.Err() != nil {
				l.add(fmt.Sprintf("not all is listed: %d directories from %s on were left out, since each takes a request here; list them by themselves",
					len(level)-i+len(below), path.Join(string(p), under)))
				return l, nil
			}
			from := len(l.entries)
			if err := r.listOne(ctx, id, p, under, &l); err != nil {
				if d == 0 {
					return listing{}, err
				}
				l.add(fmt.Sprintf("%s can't be listed: %v", path.Join(string(p), under), err))
				continue
			}
			for _, e := range l.entries[from:] {
				if e.kind == kindDirectory {
					below = append(below, e.rel)
				}
			}
		}
		level = below
	}
	return l, nil
}

// findFiles lists with find. The listing is packed, and comes in as many
// reports as it takes.
func (r *request) findFiles(ctx context.Context, id string, p filePath, depth int) (listing, error) {
	name := "openclaw-mcp-list-" + rand.Text()[:12]
	report, err := r.script(ctx, id, p.vars("d", "n")+fmt.Sprintf("q=%s x=%d b=%d\n", name, depth, listChunk)+findScript)
	if err != nil {
		return listing{}, err
	}
	if report.verb == "missing" {
		// The service says so in its own words.
		_, err := r.Client.Files.List(ctx, id, string(p))
		if err == nil {
			err = &noScript{why: "commands do not see what the service lists"}
		}
		return listing{}, err
	}
	size := report.number(0)
	if report.verb != "list" || len(report.parts) != 1 {
		return listing{}, report.refusal(p)
	}
	packed := report.parts[0]
	for int64(len(packed)) < size {
		more, err := r.script(ctx, id, fmt.Sprintf("q=%s o=%d b=%d z=%d\n", name, len(packed)+1, listChunk, size)+`
f=${TMPDIR:-/tmp}/$q
say_part() { echo "`+fileMark+`list $z"; tail -c "+$o" "$f" | head -c $b | base64; echo .; }
say_part
[ $((o-1+b)) -lt $z ] || rm -f "$f"
`)
		if err != nil {
			return listing{}, err
		}
		if more.verb != "list" || len(more.parts) != 1 || len(more.parts[0]) == 0 {
			return listing{}, &noScript{why: "the listing broke off"}
		}
		packed = append(packed, more.parts[0]...)
	}
	var in io.Reader = bytes.NewReader(packed)
	if report.word(1) == "gzip" {
		if in, err = gzip.NewReader(in); err != nil {
			return listing{}, &noScript{why: "the listing is garbled"}
		}
	}
	raw, err := io.ReadAll(io.LimitReader(in, maxListing+1))
	if err != nil {
		return listing{}, &noScript{why: "the listing is garbled"}
	}
	l := parseFind(raw)
	if len(raw) >= maxListing {
		l.add("not all is listed: there is more than one listing holds; list a part of it, or less deep")
	}
	return l, nil
}

// findScript lists what find finds in batches: the number of names, a line from
// stat for each, a line "#", and the names, each ended by NUL. Where a file is
// gone before stat comes to it, or there is no stat that is understood, the
// lines do not match the names: then they are only types.
const findScript = `
need find head tail base64 wc
root; enter "$d"; follow
kind "./$n"; [ $ty != none ] || say missing
[ $ty = directory ] || say missing
cd -P -- "./$n" || say denied
within || say outside
find . -maxdepth 0 >/dev/null || say lacks "find with -maxdepth"
if stat -c %f . >/dev/null; then st='stat -c %f_%s_%Y'; elif stat -f %Xp . >/dev/null; then st='stat -f %Xp_%z_%m'; else st=false; fi
if command -v gzip >/dev/null; then zip=gzip; else zip=cat; fi
umask 077
f=${TMPDIR:-/tmp}/$q
find . -maxdepth $x -exec sh -c '
st=$1; shift
echo $#
t=$($st -- "$@" 2>/dev/null) && echo "$t" || for i do
  if [ -L "$i" ]; then echo l; elif [ -d "$i" ]; then echo d; elif [ -f "$i" ]; then echo f; else echo o; fi
done
echo "#"
printf "%s\0" "$@"
' sh "$st" {} + | head -c 33554432 | $zip >"$f" || fail "no room for the listing in ${TMPDIR:-/tmp}"
z=$(size "$f"); z=$((z))
echo "` + fileMark + `list $z $zip"
head -c $b "$f" | base64; echo .
[ $b -lt $z ] || rm -f "$f"
find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'openclaw-mcp-list-*' -mmin +60 -exec rm -f {} +
`

// parseFind reads the batches as far as they are whole.
func parseFind(raw []byte) listing {
	var l listing
	for len(raw) > 0 {
		head, rest, _ := bytes.Cut(raw, []byte{'\n'})
		n, err := strconv.Atoi(string(head))
		if err != nil || n < 1 {
			break
		}
		var stats [][]byte
		for {
			var line []byte
			var ok bool
			if line, rest, ok = bytes.Cut(rest, []byte{'\n'}); !ok {
				return l
			}
			if string(line) == "#" {
				break
			}
			stats = append(stats, line)
		}
		for i := range n {
			name, behind, ok := bytes.Cut(rest, []byte{0})
			if !ok {
				return l
			}
			rest = behind
			rel := strings.TrimPrefix(string(name), "./")
			if rel == "." {
				continue
			}
			e := fileEntry{rel: rel, kind: kindFile, size: -1}
			if len(stats) == n {
				e.stat(string(stats[i]))
			}
			l.entries = append(l.entries, e)
		}
		raw = rest
	}
	return l
}

// stat reads mode in hexadecimal, size and time, or a letter for the type.
func (e *fileEntry) stat(line string) {
	switch line {
	case "d":
		e.kind = kindDirectory
	case "l":
		e.kind = kindSymlink
	case "o":
		e.kind = kindOther
	}
	words := strings.Split(line, "_")
	if len(words) != 3 {
		return
	}
	mode, err := strconv.ParseUint(words[0], 16, 32)
	if err != nil {
		return
	}
	const typeBits, dir, link, regular = 0xf000, 0x4000, 0xa000, 0x8000
	switch mode & typeBits {
	case dir:
		e.kind = kindDirectory
	case link:
		e.kind = kindSymlink
	case regular:
		e.kind = kindFile
	default:
		e.kind = kindOther
	}
	if n, err := strconv.ParseInt(words[1], 10, 64); err == nil {
		e.size = n
	}
	if n, err := strconv.ParseInt(words[2], 10, 64); err == nil {
		e.modified = n
	}
}
