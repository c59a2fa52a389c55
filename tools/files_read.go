package tools

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

const (
	// maxImage is the largest image, in bytes, that is shown: some clients take
	// no result beyond 1 MiB, and base64 makes four bytes of three.
	maxImage = 720 << 10

	// maxWhole is the largest file that is taken into memory as a whole, where
	// there is no other way.
	maxWhole = 8 << 20

	// readBelow is the size up to which a file's beginning is read through
	// files/read. Of a larger one, that endpoint would have to send everything
	// before its answer can be understood, if it is JSON.
	readBelow = 1 << 20

	// maxWindow keeps a window as base64 within what is kept of a command's
	// output.
	maxWindow = 600 << 10
)

type readFileIn struct {
	Path     string `json:"path" jsonschema:"of the file"`
	Instance string `json:"instance,omitempty" jsonschema:"if several"`
	Line     int64  `json:"line,omitempty" jsonschema:"first, from 1; -9: the last 9"`
	Offset   *int64 `json:"offset,omitempty" jsonschema:"or first byte, from 0; -9: the last 9"`
	Count    int64  `json:"count,omitempty" jsonschema:"of lines, or with offset of bytes"`
	Encoding string `json:"encoding,omitempty" jsonschema:"auto: text, image or dump"`
	Hash     bool   `json:"hash,omitempty" jsonschema:"give the file's SHA-256"`
}

type readFileOut struct {
	onInstance
	Path      string `json:"path,omitempty"`
	Content   string `json:"content"`
	Encoding  string `json:"encoding,omitempty"` // of the file; of the content for base64 and hex
	MIMEType  string `json:"mime_type,omitempty"`
	Size      *int64 `json:"size,omitempty"` // of the whole file, where known
	Offset    int64  `json:"offset"`         // of the content's first byte
	FirstLine int64  `json:"first_line,omitempty"`
	LastLine  int64  `json:"last_line,omitempty"`
	SHA256    string `json:"sha256,omitempty"`
	Note      string `json:"note,omitempty"`
	Next      string `json:"next,omitempty"`

	bytes int64 // of the file that the content stands for
	image *Image
}

func (o readFileOut) images() []Image {
	if o.image == nil {
		return nil
	}
	return []Image{*o.image}
}

func readFile(ctx context.Context, r *request, in readFileIn) (readFileOut, error) {
	p, err := toFilePath("path", in.Path)
	if err != nil {
		return readFileOut{}, err
	}
	switch {
	case in.Line != 0 && in.Offset != nil:
		return readFileOut{}, badArgument("arguments \"line\" and \"offset\" can't be used together")
	case in.Line != 0 && in.Encoding == encBase64:
		return readFileOut{}, badArgument("argument \"line\" can't be used with encoding \"base64\"; use \"offset\"")
	}
	id, err := r.where(ctx, in.Instance, p)
	if err != nil {
		return readFileOut{}, err
	}
	ctx, cancel := r.bounded(ctx)
	defer cancel()

	limit := r.contentLimit()
	q := query{byLine: in.Offset == nil && in.Encoding != encBase64, start: cmp.Or(in.Line, 1), window: min(2*limit+8, maxWindow), hash: in.Hash}
	if !q.byLine {
		q.start = 0
		if in.Offset != nil {
			q.start = *in.Offset
		}
	}
	f, err := r.find(ctx, id, p, q)
	if err != nil {
		return readFileOut{}, err
	}
	out := readFileOut{onInstance: r.on(id), Path: string(p), Offset: f.offset, SHA256: f.hash}
	if f.size >= 0 {
		out.Size = &f.size
	}
	switch {
	case f.lossy && (in.Encoding == encBase64 || in.Encoding != "text" && isBinary(f.head)):
		return readFileOut{}, lossy(p)
	case f.lossy && f.came >= 0 && f.came < f.size:
		out.note(fmt.Sprintf("only %d of the file's %d bytes came: the service gave a part of it, or left out bytes that are not UTF-8; its SHA-256 is not known", f.came, f.size))
	case f.lossy:
		out.note("OpenClaw returned the file as text: bytes of it that are not UTF-8 are lost or shown as U+FFFD, and its SHA-256 is not known")
	case in.Hash && f.hash == "" && !f.cutOff:
		out.Note = "the SHA-256 is not known: the sandbox has no sha256sum, shasum or openssl"
	case f.hash != "" && f.unsized:
		out.note("the SHA-256 is of what came: the service does not tell the file's size, so it may have changed line ends or bytes that are not UTF-8")
	}
	if f.cutOff {
		out.note(fmt.Sprintf("the service says that it gave only a part of the file, its first %s; the rest can't be read this way, and the SHA-256 is not known", text.Count(max(f.came, 0), "byte", "bytes")))
	}
	again := callArgs{{"instance", in.Instance}, {"path", string(p)}}
	if in.Encoding != "auto" {
		again = append(again, arg{"encoding", in.Encoding})
	}
	before := out
	switch encoding, _ := detectBOM(f.head); {
	case in.Encoding == encBase64:
		out.base64(f, limit, in.Count, again)
	case in.Encoding == "text":
		err = r.readText(ctx, &out, f, in, limit, again)
	case utf16Order(encoding) == nil && (isBinary(f.head) || f.partIsBinary(in, limit)):
		err = r.readBinary(ctx, &out, f, in, again)
	default:
		err = r.readText(ctx, &out, f, in, limit, again)
	}
	// Whoever asks for text by name gets it exactly; see visibleText. What is made
	// visible takes up to six times the room, so a part that outgrows the budget
	// by that is read again, shorter.
	if in.Encoding == "text" {
		r.verbatim(ctx)
	}
	if in.Encoding != "auto" || err != nil {
		r.hideKey(&out)
		return out, err
	}
	visible := visibleText(out.Content)
	if len(visible) > limit && out.image == nil {
		out = before
		if err := r.readText(ctx, &out, f, in, limit/6, again); err != nil {
			return out, err
		}
		visible = visibleText(out.Content)
	}
	if visible != out.Content {
		out.Content = visible
		out.note("invisible and control characters are shown as ⟨U+…⟩; encoding: \"text\" gives them as they are")
	}
	r.hideKey(&out)
	return out, nil
}

// contentLimit is how much of a file fits in a result, beside what is said of it.
func (r *request) contentLimit() int {
	return min(max(r.MaxResultChars-500, r.MaxResultChars/2, 100), maxWindow/2)
}

func (o *readFileOut) note(text string) {
	if o.Note != "" {
		text = o.Note + "; " + text
	}
	o.Note = text
}

// base64 gives bytes in threes, so that the texts of several calls can be
// joined.
func (o *readFileOut) base64(f found, limit int, count int64, again callArgs) {
	n := min(len(f.data), limit/4*3)
	if count > 0 {
		n = int(min(int64(n), count))
	}
	o.Content, o.Encoding, o.bytes = base64.StdEncoding.EncodeToString(f.data[:n]), encBase64, int64(n)
	o.MIMEType = mimeType(f.head)
	if n < len(f.data) || !f.last {
		o.Next = "read on with " + again.call("read_file", arg{"offset", f.offset + int64(n)})
	}
}

// readBinary shows an image, or the beginning of content that is not text.
func (r *request) readBinary(ctx context.Context, o *readFileOut, f found, in readFileIn, again callArgs) error {
	o.MIMEType = mimeType(f.head)
	whole := in.Line == 0 && in.Offset == nil && in.Count == 0
	if whole && f.offset == 0 && shownImage(o.MIMEType) {
		content := f.data
		var err error
		if !f.last && f.size <= maxImage {
			content, err = r.whole(ctx, o.Instance, filePath(o.Path), maxImage)
		}
		switch {
		case f.size > maxImage, errors.Is(err, client.ErrTooLarge):
			o.note(fmt.Sprintf("the image is too large to be shown: it may have %d bytes", maxImage))
		case err != nil:
			return err
		default:
			size := int64(len(content))
			o.Size, o.bytes, o.Encoding = &size, size, "image"
			o.image = &Image{MIMEType: o.MIMEType, Data: base64.StdEncoding.EncodeToString(content)}
			return nil
		}
	}
	n := min(len(f.data), dumpLen)
	if in.Count > 0 && in.Offset != nil {
		n = int(min(int64(len(f.data)), in.Count, int64(r.contentLimit()/5)))
	}
	o.Content, o.Encoding, o.bytes = hexDump(f.data[:n], f.offset), encHex, int64(n)
	o.note("a binary file: this is a dump of its bytes")
	if n < len(f.data) || !f.last {
		o.Next = "read on with " + again.call("read_file", arg{"offset", f.offset + int64(n)}) +
			", or its bytes with " + again.call("read_file", arg{"offset", f.offset}, arg{"encoding", encBase64})
	}
	return nil
}

func shownImage(mime string) bool {
	switch mime {
	case "image/png", "image/jpeg", "image/gif", "image/webp":
		return true
	}
	return false
}

// byLine reports whether a call is about lines, not bytes.
func (in readFileIn) byLine() bool { return in.Offset == nil }

// shownPart is what of the window fits in a result.
func (f found) shownPart(in readFileIn, limit int) part {
	if in.byLine() {
		return f.cut(limit, in.Count, 0, true)
	}
	return f.cut(limit, 0, in.Count, false)
}

// partIsBinary reports whether the part to show is not text.
func (f found) partIsBinary(in readFileIn, limit int) bool {
	if bytes.IndexByte(f.data, 0) < 0 && utf8.Valid(f.data) {
		return false // as nearly always; no part of it is
	}
	return isBinary(f.data[:f.shownPart(in, limit).used])
}

// readText shows text, from a line or a byte on.
func (r *request) readText(ctx context.Context, o *readFileOut, f found, in readFileIn, limit int, again callArgs) error {
	encoding, bom := detectBOM(f.head)
	o.Encoding = encoding
	byLine := in.byLine()
	order := utf16Order(encoding)
	switch {
	case order != nil && byLine && in.Line != 0 && in.Line != 1:
		// Bytes that look like a line's end need not be one: it takes the text.
		if f.size > maxWhole {
			return badArgument("argument \"line\" can't be used with a UTF-16 file of more than %d bytes; use \"offset\"", maxWhole)
		}
		whole, err := r.whole(ctx, o.Instance, filePath(o.Path), maxWhole)
		if err != nil {
			return err
		}
		text := []byte(fromUTF16(whole[min(bom, len(whole)):], order))
		start, line := lineStart(text, in.Line)
		if start < 0 {
			return beyond(in.Line, line)
		}
		f.window, f.line, f.offset = window{text[start:], true}, line, int64(bom)+utf16Len(text[:start])
	case order != nil:
		skip := int64(0)
		if f.offset == 0 {
			skip = int64(bom)
		} else if f.offset%2 != 0 {
			skip = 1
		}
		skip = min(skip, int64(len(f.data)))
		f.offset, f.data = f.offset+skip, f.data[skip:]
		if !byLine && in.Count > 0 && int64(len(f.data)) > in.Count {
			f.data, f.last = f.data[:wholeUTF16(f.data, max(int(in.Count), 4), order)], false
		}
		f.data = []byte(fromUTF16(f.data, order))
	case f.offset == 0 && bom > 0:
		f.offset, f.data = int64(bom), f.data[bom:]
	}

	c := f.shownPart(in, limit)
	o.Content, o.Offset, o.bytes = c.text, f.offset, int64(c.used)
	if order != nil {
		o.bytes = utf16Len(f.data[:c.used])
	}
	if byLine && f.line > 0 && c.lines > 0 {
		o.FirstLine, o.LastLine = f.line, f.line+int64(c.lines)-1
	}
	switch {
	case encoding == encBOM:
		o.note("the byte order mark at the file's start is not shown")
	case order != nil:
		o.note("decoded from UTF-16; write_file would make it UTF-8, edit_file keeps it")
	}
	if c.replaced > 0 {
		if order == nil && encoding == encUTF8 {
			o.Encoding = encOther
		}
		o.note(fmt.Sprintf("%d bytes that are not UTF-8 text are shown as U+FFFD; encoding \"base64\" gives them as they are", c.replaced))
	}
	if !c.more {
		return nil
	}
	switch {
	case byLine && !c.midLine && f.line > 0:
		o.Next = "read on with " + again.call("read_file", append([]arg{{"line", o.LastLine + 1}}, countArg(in.Count)...)...)
	case byLine && in.Count == 0 || !byLine:
		o.Next = "read on with " + again.call("read_file", arg{"offset", o.Offset + o.bytes})
	default:
		o.Next = "the lines are longer than a result; read on by bytes with " + again.call("read_file", arg{"offset", o.Offset + o.bytes})
	}
	return nil
}

func countArg(n int64) []arg {
	if n == 0 {
		return nil
	}
	return []arg{{"count", n}}
}

// lineStart finds where a line begins, and its number; negative lines count
// from the end. Where there is no such line it gives -1 and how many there are.
func lineStart(text []byte, line int64) (int, int64) {
	var starts []int
	for i := 0; i < len(text); {
		starts = append(starts, i)
		n := bytes.IndexByte(text[i:], '\n')
		if n < 0 {
			break
		}
		i += n + 1
	}
	total := int64(len(starts))
	if line < 0 {
		line = max(1, total+line+1)
	}
	if line > max(total, 1) {
		return -1, total
	}
	if total == 0 {
		return 0, 1
	}
	return starts[line-1], line
}

func beyond(line, total int64) error {
	return badArgument("argument \"line\" is %d, but the file has %s", line, text.Count(total, "line", "lines"))
}

func (o readFileOut) text() string {
	var b strings.Builder
	b.Grow(len(o.Content) + 300) // and what is said of it
	b.WriteString(o.Content)
	endLine(&b)
	what := []string{}
	add := func(format string, a ...any) { what = append(what, fmt.Sprintf(format, a...)) }
	switch {
	case o.image != nil:
		add("%s, shown as an image", o.MIMEType)
	case o.bytes == 0:
		add("empty from byte %d on", o.Offset)
	case o.FirstLine > 0:
		add("lines %d to %d", o.FirstLine, o.LastLine)
		add("from byte %d", o.Offset)
	default:
		add("bytes %d to %d", o.Offset, o.Offset+o.bytes-1)
	}
	if o.Size != nil {
		add("file size %d", *o.Size)
	}
	if o.image == nil {
		add("%s", o.Encoding)
		if o.MIMEType != "" {
			add("%s", o.MIMEType)
		}
	}
	if o.SHA256 != "" {
		add("sha256 %s", o.SHA256)
	}
	fmt.Fprintf(&b, "[%s%s: %s]", o.Path, o.where("on"), strings.Join(what, ", "))
	if o.Note != "" {
		b.WriteString("\nnote: " + o.Note)
	}
	return withNext(b.String(), o.Next)
}
