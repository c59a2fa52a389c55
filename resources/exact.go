package resources

import (
	"bytes"
	"context"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

// part is a part of a file.
type part struct {
	content []byte
	offset  int64
	size    int64 // of the whole file; -1 when unknown
	more    bool  // something follows
}

// exact makes sure that a part is the file's own bytes. Services that take every
// file for text put U+FFFD in place of bytes that are not UTF-8, or leave them out;
// the size is then not the one that the directory's list has. A command reads the
// true bytes then.
func (c *caller) exact(ctx context.Context, r ref, p part, length int64) (part, error) {
	shown := p.content
	if p.more {
		shown = text.Complete(shown)
	}
	if !utf8.Valid(shown) {
		return p, nil // nobody decoded it
	}
	came := p.size
	if came < 0 && !p.more {
		came = p.offset + int64(len(p.content))
	}
	listed := c.listedSize(ctx, r)
	changed := listed >= 0 && came >= 0 && listed != came
	if !changed {
		mime := mimeOf(r.path)
		namedText := mime == "" || strings.HasPrefix(mime, "text/") || mime == mimeJSON
		known := listed >= 0 && came >= 0
		if known || namedText && !bytes.Contains(shown, []byte("\uFFFD")) {
			return p, nil
		}
	}
	truth, ok := c.byCommand(ctx, r, p.offset, length)
	switch {
	case ok:
		return truth, nil
	case changed:
		return p, invalid(r.uri, "OpenClaw gave this file as text, and bytes of it that are not UTF-8 were lost on the way: it has %d bytes, and %d came. A command that would read them failed. The tool read_file may read it with encoding \"base64\"", listed, came)
	}
	return p, nil // nothing to compare with
}

// listedSize is the size of a file as its directory's list has it, -1 when unknown.
func (c *caller) listedSize(ctx context.Context, r ref) int64 {
	all, err := c.files(ctx, r.instance, path.Dir(r.path))
	if err != nil {
		return -1
	}
	for _, f := range all {
		if f.Name == path.Base(r.path) && !f.IsDir {
			return f.Size
		}
	}
	return -1
}

const (
	// maxPart is how much one command reads: as base64 it stays within what is kept
	// of an output.
	maxPart        = 600 << 10
	commandTimeout = time.Minute
)

// byCommand reads a part of a file through terminal/exec.
func (c *caller) byCommand(ctx context.Context, r ref, offset, length int64) (p part, ok bool) {
	dir, name := path.Split(r.path)
	if below, inside := strings.CutPrefix(dir, client.Workspace+"/"); inside {
		dir = "./" + strings.Trim(below, "/")
	}
	p.offset = offset
	for {
		n := min(length-int64(len(p.content)), maxPart)
		report, err := sandbox.New("file_look", sandbox.Params{
			"dir": dir, "name": name, "by_line": false, "start": offset + int64(len(p.content)), "window": n,
			"hashed": false, "sniff": 1, "read_below": -1,
		}).Run(ctx, c.client.Terminal, r.instance, commandTimeout)
		if err != nil || report.Verb != "file" || len(report.Parts) != 2 || report.Number(0) < offset {
			return p, false
		}
		got := report.Part(1)
		p.content, p.size = append(p.content, got...), report.Number(0)
		end := offset + int64(len(p.content))
		if p.more = end < p.size; !p.more || int64(len(p.content)) >= length {
			return p, true
		}
		if len(got) == 0 {
			return p, false // it shrinks
		}
	}
}
