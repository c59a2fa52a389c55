package tools

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"openclaw-mcp/internal/sandbox"
)

// query is what of a file is wanted.
type query struct {
	byLine bool
	start  int64 // line from 1, or byte from 0; negative: from the end
	window int   // bytes from there on
	hash   bool
}

// found is what was read of a file.
type found struct {
	window
	head   []byte // the file's first bytes
	size   int64  // -1 when unknown
	offset int64  // of the window
	line   int64  // of the window's start, 0 when unknown
	hash   string
	cutOff bool  // the service says that it gave only a part of the file
	came   int64 // bytes that it gave in all, -1 when unknown

	streamed bool // it came through files/read alone
	unsized  bool // and nothing tells how large it is
	lossy    bool // bytes that are not UTF-8 may have been lost on the way
}

// asText reports whether files/read gave something else than a file's bytes, as
// far as that shows. Services that take every file for text put U+FFFD in place
// of bytes that are not UTF-8, leave them out, or change line ends: then the size
// is not that of the file. size is -1 where it is not known.
func (f found) asText(size int64) bool {
	if f.size >= 0 && size >= 0 {
		return f.size != size
	}
	return bytes.Contains(f.head, replacement) || bytes.Contains(f.data, replacement)
}

var replacement = []byte("\uFFFD")

// find reads what is wanted of a file: through a script where that can be, and
// the beginning of a file of modest size through files/read, if that gives its
// true bytes.
func (r *request) find(ctx context.Context, id string, p filePath, q query) (found, error) {
	return r.look(ctx, id, p, q, readBelow)
}

// byScript has look read every file by script.
const byScript = -1

// look is find, where files that are larger than readBelow are read by script.
func (r *request) look(ctx context.Context, id string, p filePath, q query, readBelow int) (found, error) {
	room := r.rooms.fit(id, q.window)
	report, err := r.script(ctx, id, sandbox.New("file_look", p.params(sandbox.Params{
		"by_line": q.byLine, "start": q.start, "window": room, "hashed": q.hash, "sniff": sniffLen, "read_below": readBelow,
	})))
	if r.rooms.shrink(id, room, err) {
		return r.look(ctx, id, p, q, readBelow)
	}
	if err != nil {
		if _, ok := withoutScripts(err); !ok {
			return found{}, err
		}
		return r.streamAlone(ctx, id, p, q)
	}
	if report.Verb == "notfile" && report.Word(0) == "none" {
		report.Verb = "missing"
	}
	switch report.Verb {
	case "file":
	case "missing", "outside", "denied", "loop":
		// The service decides, and says so in its own words, if it can.
		f, err := r.streamAlone(ctx, id, p, q)
		if noEndpoint(err) {
			err = refusal(report, p)
		}
		return f, err
	default:
		return found{}, refusal(report, p)
	}
	size, offset, lines := report.Number(0), report.Number(1), report.Number(2)
	hash := cleanHash(report.Word(4))
	if report.Word(3) == "0" {
		part := q
		part.hash = false
		f, err := r.stream(ctx, id, p, part)
		if noEndpoint(err) {
			return r.look(ctx, id, p, q, byScript)
		}
		if err != nil {
			return found{}, err
		}
		if f.asText(size) {
			return r.look(ctx, id, p, q, byScript)
		}
		if f.last && f.size == int64(len(f.data)) { // all of it, as it was then
			if hash != "" {
				hash = hashOf(f.data)
			}
		} else {
			f.size = size
		}
		f.hash = hash
		return f, nil
	}
	if len(report.Parts) != 2 || size < 0 || offset < 0 {
		return found{}, refusal(report, p)
	}
	f := found{head: report.Parts[0], window: window{data: report.Parts[1]}, size: size, offset: offset, hash: hash}
	f.last = offset+int64(len(f.data)) >= size
	if q.byLine {
		switch {
		case q.start < 0 && lines >= 0:
			f.line = max(1, lines+q.start+1)
		case q.start > 0:
			f.line = q.start
			if offset >= size && q.start > max(lines, 1) {
				return found{}, beyond(q.start, lines)
			}
		}
	} else if q.start > size {
		return found{}, badArgument("argument \"offset\" is %d, but the file has %d bytes", q.start, size)
	}
	return f, nil
}

// whole reads a file of at most limit bytes whole, and makes sure that it has
// its true bytes.
func (r *request) whole(ctx context.Context, id string, p filePath, limit int64) ([]byte, error) {
	if err := r.takeLarge(ctx); err != nil {
		return nil, err
	}
	content, err := r.Client.Files.Read(ctx, id, string(p), limit)
	if err != nil && !noEndpoint(err) {
		return nil, err
	}
	f, err := r.look(ctx, id, p, query{window: 1, hash: true}, byScript)
	switch {
	case err != nil:
		return nil, err
	case f.cutOff:
		return nil, &refused{fmt.Sprintf("the service gave only a part of %q", p), "exec_command may show it."}
	case f.lossy:
		return nil, lossy(p)
	case f.streamed, f.hash == hashOf(content), f.hash == "" && f.size == int64(len(content)):
		return content, nil
	case f.size > limit:
		return nil, &refused{fmt.Sprintf("%q has %d bytes, more than the %d that are read here", p, f.size, limit), ""}
	}
	content = nil
	for {
		part, err := r.look(ctx, id, p, query{start: int64(len(content)), window: maxWindow}, byScript)
		if err != nil {
			return nil, err
		}
		content = append(content, part.data...)
		if !part.last && len(part.data) > 0 && int64(len(content)) <= limit {
			continue
		}
		if f.hash != "" && f.hash != hashOf(content) {
			return nil, &refused{fmt.Sprintf("%q was changed while it was read", p), "try again."}
		}
		return content, nil
	}
}

// lossy is the error for a file that came as text and is not.
func lossy(p filePath) error {
	return &refused{
		fmt.Sprintf("OpenClaw gave %q as text, and bytes of it that are not UTF-8 were lost on the way; without commands on the instance its true bytes can't be read", p),
		"read_file with encoding \"text\" shows what came.",
	}
}

func cleanHash(s string) string {
	if b, err := hex.DecodeString(s); err != nil || len(b) != sha256.Size {
		return ""
	}
	return s
}

func hashOf[T string | []byte](content T) string {
	h := sha256.New()
	const piece = 64 << 10 // a string is not copied as a whole
	for i := 0; i < len(content); i += piece {
		_, _ = h.Write([]byte(content[i:min(i+piece, len(content))])) // never fails
	}
	return hex.EncodeToString(h.Sum(nil))
}
