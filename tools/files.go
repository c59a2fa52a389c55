package tools

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"openclaw-mcp/client"
)

func fileTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "list_files", Title: "List files", Family: "files", Effect: Reads,
			Description: "Lists one directory of the instance: directories first, then files, each by name.",
			Props:       map[string]Prop{"path": {Default: "/workspace"}, "limit": between(1, 1000).or(200), "offset": between(0, 1<<31)},
		}, listFiles),
		define(Spec{
			Name: "read_file", Title: "Read a file", Family: "files", Effect: Reads,
			Description: "Reads a text file of the instance, from a line or from a byte on, as far as a result goes; says how to read on.",
			Props: map[string]Prop{
				"path":   notEmpty(),
				"line":   between(1, 1<<31),
				"offset": between(0, 1<<50),
				"count":  between(1, 1<<31),
			},
		}, readFile),
		define(Spec{
			Name: "write_file", Title: "Write a file", Family: "files", Effect: Destroys,
			Description: "Writes a text file on the instance, with the directories above it. DESTROYS what the file held before.",
			Props:       map[string]Prop{"path": notEmpty()},
		}, writeFile),
		define(Spec{
			Name: "make_directory", Title: "Make a directory", Family: "files", Effect: Writes,
			Description: "Makes a directory on the instance, with those above it. One that exists is left as it is.",
			Props:       map[string]Prop{"path": notEmpty()},
		}, makeDirectory),
	}
}

// File is an entry of a directory in results.
type File struct {
	Name       string `json:"name"`
	Path       string `json:"path"`
	Type       string `json:"type"` // file or directory
	Size       *int64 `json:"size,omitempty"`
	ModifiedAt string `json:"modified_at,omitempty"`
}

func fileOut(f client.FileInfo) File {
	o := File{Name: f.Name, Path: f.Path, Type: "file", ModifiedAt: stamp(f.ModifiedAt)}
	if f.IsDir {
		o.Type = "directory"
	} else if f.Size >= 0 {
		o.Size = &f.Size
	}
	return o
}

func (f File) line() string {
	if f.Type == "directory" {
		return f.Name + "/"
	}
	line := f.Name
	if f.Size != nil {
		line += fmt.Sprintf("  %d bytes", *f.Size)
	}
	if f.ModifiedAt != "" {
		line += "  " + f.ModifiedAt
	}
	return line
}

type listFilesIn struct {
	Path     string `json:"path,omitempty"`
	Instance string `json:"instance,omitempty" jsonschema:"instance id; default: the configured, only or only ready one"`
	Limit    int    `json:"limit,omitempty"`
	Offset   int    `json:"offset,omitempty" jsonschema:"how many entries to skip"`
}

type listFilesOut struct {
	Instance string `json:"instance"`
	Path     string `json:"path"`
	Entries  []File `json:"entries"`
	Total    int    `json:"total"`
	More     bool   `json:"more,omitempty"`
	Next     string `json:"next,omitempty"`
}

func listFiles(ctx context.Context, r *request, in listFilesIn) (listFilesOut, error) {
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return listFilesOut{}, err
	}
	page, err := r.Client.Files.List(ctx, id, in.Path)
	if err != nil {
		return listFilesOut{}, err
	}
	sortFiles(page.Items)
	out := listFilesOut{Instance: id, Path: in.Path, Entries: []File{}, Total: len(page.Items), More: page.More}
	left := r.MaxResultChars
	for i, f := range page.Items[min(in.Offset, len(page.Items)):] {
		o := fileOut(f)
		if left -= len(o.line()) + 1; left < 0 || i == in.Limit {
			out.More = true
			out.Next = "the rest: " + callArgs{{"instance", id}, {"path", in.Path}}.call("list_files", arg{"offset", in.Offset + i}, arg{"limit", in.Limit})
			break
		}
		out.Entries = append(out.Entries, o)
	}
	if page.More && out.Next == "" {
		out.Next = "the service has more entries than it lists; exec_command with ls or find shows them"
	}
	return out, nil
}

func (o listFilesOut) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d of %d entries\n", o.Path, len(o.Entries), o.Total)
	for _, f := range o.Entries {
		b.WriteString(f.line() + "\n")
	}
	return withNext(b.String(), o.Next)
}

type readFileIn struct {
	Path     string `json:"path"`
	Instance string `json:"instance,omitempty" jsonschema:"instance id; default: the configured, only or only ready one"`
	Line     int    `json:"line,omitempty" jsonschema:"first line, from 1"`
	Offset   int64  `json:"offset,omitempty" jsonschema:"first byte, from 0; not with line"`
	Count    int64  `json:"count,omitempty" jsonschema:"how many lines, or with offset bytes"`
}

type readFileOut struct {
	Instance  string `json:"instance"`
	Path      string `json:"path"`
	Content   string `json:"content"`
	Size      *int64 `json:"size,omitempty"` // of the whole file, where known
	FirstLine int    `json:"first_line,omitempty"`
	LastLine  int    `json:"last_line,omitempty"`
	Offset    int64  `json:"offset"` // of the content's first byte
	Binary    bool   `json:"binary,omitempty"`
	More      bool   `json:"more,omitempty"`
	Next      string `json:"next,omitempty"`
}

func readFile(ctx context.Context, r *request, in readFileIn) (readFileOut, error) {
	if in.Line > 0 && in.Offset > 0 {
		return readFileOut{}, badArgument("arguments \"line\" and \"offset\" exclude each other")
	}
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return readFileOut{}, err
	}
	// What is not needed of a large file is not fetched: closing early ends the
	// transfer.
	body, err := r.Client.Files.Open(ctx, id, in.Path)
	if err != nil {
		return readFileOut{}, err
	}
	defer body.Close()
	out := readFileOut{Instance: id, Path: in.Path}
	if body.Size >= 0 {
		out.Size = &body.Size
	}
	s := slice{in: bufio.NewReaderSize(body, 64<<10), limit: r.MaxResultChars}
	if in.Offset > 0 {
		err = s.bytes(in.Offset, in.Count)
	} else {
		err = s.lines(max(in.Line, 1), in.Count)
	}
	if err != nil {
		return readFileOut{}, err
	}
	if !s.more && out.Size == nil {
		size := s.offset + int64(len(s.content))
		out.Size = &size
	}
	if isBinary(s.content) {
		out.Binary = true
		out.Next = "it is not text; exec_command can look at it, for example with file, xxd or base64"
		return out, nil
	}
	out.Content = strings.ToValidUTF8(string(s.content), "\uFFFD")
	out.Offset, out.FirstLine, out.LastLine = s.offset, s.first, s.last
	if s.more {
		out.More = true
		where := callArgs{{"instance", id}, {"path", in.Path}}
		if s.midLine || s.first == 0 {
			out.Next = "read on with " + where.call("read_file", arg{"offset", s.offset + int64(len(s.content))})
		} else {
			out.Next = "read on with " + where.call("read_file", arg{"line", s.last + 1})
		}
	}
	return out, nil
}

// isBinary reports whether content is surely no text: it has a NUL, or much of
// it is not UTF-8.
func isBinary(b []byte) bool {
	if bytes.IndexByte(b, 0) >= 0 {
		return true
	}
	bad := 0
	for rest := b; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			bad++
		}
		rest = rest[n:]
	}
	return bad > len(b)/10
}

// slice reads a part of a stream, holding no more of it than that part.
type slice struct {
	in      *bufio.Reader
	limit   int
	content []byte
	offset  int64 // of content in the file
	first   int   // its first and last line; 0 when read by bytes
	last    int
	midLine bool // content ends inside a line
	more    bool // the file goes on behind it
}

// bytes reads from a byte on, at most count bytes (0: as far as the limit).
func (s *slice) bytes(offset, count int64) error {
	s.offset = offset
	if skipped, err := io.CopyN(io.Discard, s.in, offset); errors.Is(err, io.EOF) {
		return badArgument("argument \"offset\" is %d, but the file has %d bytes", offset, skipped)
	} else if err != nil {
		return err
	}
	n := int64(s.limit)
	if count > 0 {
		n = min(n, count)
	}
	content, err := io.ReadAll(io.LimitReader(s.in, n))
	if err != nil {
		return err
	}
	_, err = s.in.Peek(1)
	s.more = err == nil
	if cut := runeCut(string(content)+"x", len(content)); s.more && cut > 0 {
		// Do not split a character between this part and the next.
		for back := 1; back <= 3 && back < len(content); back++ {
			if tail := content[len(content)-back:]; utf8.RuneStart(tail[0]) {
				if !utf8.FullRune(tail) {
					content = content[:len(content)-back]
				}
				break
			}
		}
	}
	s.content = content
	return nil
}

// lines reads from a line on, at most count lines (0: as far as the limit).
func (s *slice) lines(first int, count int64) error {
	for n := 1; n < first; n++ {
		read, err := s.skipLine()
		s.offset += read
		if errors.Is(err, io.EOF) {
			if read == 0 {
				n--
			}
			return badArgument("argument \"line\" is %d, but the file has %d lines", first, n)
		}
		if err != nil {
			return err
		}
	}
	s.first, s.last = first, first-1
	for count == 0 || int64(s.last-s.first+1) < count {
		part, err := s.in.ReadSlice('\n')
		if len(part) > 0 && !s.midLine {
			if len(s.content)+len(part) > s.limit && len(s.content) > 0 {
				s.more = true
				return nil
			}
			s.last++
		}
		if room := s.limit - len(s.content); len(part) > room {
			// A line longer than the whole budget is read on by bytes.
			part = part[:runeCut(string(part), room)]
			s.content = append(s.content, part...)
			s.midLine, s.more = true, true
			return nil
		}
		s.content = append(s.content, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			s.midLine = true
			continue
		case errors.Is(err, io.EOF):
			s.midLine = false
			return nil
		case err != nil:
			return err
		}
		s.midLine = false
	}
	_, err := s.in.Peek(1)
	s.more = err == nil
	return nil
}

func (s *slice) skipLine() (int64, error) {
	var n int64
	for {
		part, err := s.in.ReadSlice('\n')
		n += int64(len(part))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return n, err
		}
	}
}

func (o readFileOut) text() string {
	var b strings.Builder
	size := ""
	if o.Size != nil {
		size = fmt.Sprintf(" of %d bytes", *o.Size)
	}
	switch {
	case o.Binary:
		fmt.Fprintf(&b, "[%s: a binary file%s]", o.Path, size)
	case o.Content == "":
		fmt.Fprintf(&b, "[%s: empty%s]", o.Path, size)
	default:
		b.WriteString(o.Content)
		endLine(&b)
		if o.FirstLine > 0 {
			fmt.Fprintf(&b, "[%s: lines %d to %d%s]", o.Path, o.FirstLine, o.LastLine, size)
		} else {
			fmt.Fprintf(&b, "[%s: bytes %d to %d%s]", o.Path, o.Offset, o.Offset+int64(len(o.Content)), size)
		}
	}
	return withNext(b.String(), o.Next)
}

type writeFileIn struct {
	Path     string `json:"path"`
	Content  string `json:"content"`
	Instance string `json:"instance,omitempty" jsonschema:"instance id; default: the configured, only or only ready one"`
}

type pathOut struct {
	Instance string `json:"instance"`
	Path     string `json:"path"`
	Bytes    *int   `json:"bytes,omitempty"`
	Next     string `json:"next,omitempty"`
}

func writeFile(ctx context.Context, r *request, in writeFileIn) (pathOut, error) {
	if strings.HasSuffix(in.Path, "/") {
		return pathOut{}, badArgument("argument \"path\" must be a file's path, not a directory's; got %q", in.Path)
	}
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return pathOut{}, err
	}
	if err := r.Client.Files.Write(ctx, id, in.Path, in.Content); err != nil {
		return pathOut{}, err
	}
	n := len(in.Content)
	return pathOut{Instance: id, Path: in.Path, Bytes: &n}, nil
}

type makeDirectoryIn struct {
	Path     string `json:"path"`
	Instance string `json:"instance,omitempty" jsonschema:"instance id; default: the configured, only or only ready one"`
}

func makeDirectory(ctx context.Context, r *request, in makeDirectoryIn) (pathOut, error) {
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return pathOut{}, err
	}
	if err := r.Client.Files.Mkdir(ctx, id, in.Path); err != nil {
		return pathOut{}, err
	}
	return pathOut{Instance: id, Path: path.Clean(in.Path)}, nil
}

func (o pathOut) text() string {
	if o.Bytes != nil {
		return withNext(fmt.Sprintf("wrote %d bytes to %s on instance %s", *o.Bytes, o.Path, o.Instance), o.Next)
	}
	return withNext(fmt.Sprintf("%s is a directory on instance %s", o.Path, o.Instance), o.Next)
}
