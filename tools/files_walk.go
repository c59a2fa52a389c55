package tools

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

// listDeep lists several levels: with find in the sandbox, or directory by
// directory where that can't be.
func (r *request) listDeep(ctx context.Context, id string, p filePath, depth int) (listing, error) {
	var refused error // by the script
	if p.inside() {
		l, err := r.findFiles(ctx, id, p, depth)
		if err == nil {
			return l, nil
		}
		var no *noScript
		if _, ok := withoutScripts(err); !ok && !errors.As(err, &no) {
			refused = err
		}
	}
	if refused != nil && depth > 1 {
		return listing{}, refused
	}
	var l listing
	has := map[string]string{} // what a directory has
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
				if d == 0 && refused != nil && noEndpoint(err) {
					return listing{}, refused
				}
				if d == 0 {
					return listing{}, err
				}
				l.add(fmt.Sprintf("%s can't be listed: %v", path.Join(string(p), under), err))
				continue
			}
			has[under] = contents(l.entries[from:])
			if above, ok := circle(has, under); ok {
				l.entries = l.entries[:from]
				l.add(fmt.Sprintf("%s is not listed: it has what %s has, so it may be a link that leads back", path.Join(string(p), under), path.Join(string(p), above)))
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

// contents tells directories apart by what they have; "" where too little is known of that.
func contents(entries []fileEntry) string {
	var b strings.Builder
	known := false
	for _, e := range entries {
		known = known || e.size > 0 || e.modified > 0
		fmt.Fprintf(&b, "%q %s %d %d\n", path.Base(e.rel), e.kind, e.size, e.modified)
	}
	if !known {
		return ""
	}
	return b.String()
}

// circle finds a directory above one that has the same: services that follow links go round in circles.
func circle(has map[string]string, under string) (above string, ok bool) {
	for dir := under; dir != "" && has[under] != ""; {
		if dir = path.Dir(dir); dir == "." {
			dir = ""
		}
		if has[dir] == has[under] {
			return dir, true
		}
	}
	return "", false
}

// findFiles lists with find. The listing is packed, and comes in as many
// reports as it takes.
func (r *request) findFiles(ctx context.Context, id string, p filePath, depth int) (listing, error) {
	name := "openclaw-mcp-list-" + rand.Text()[:12]
	report, err := r.script(ctx, id, sandbox.New("file_list", p.params(sandbox.Params{
		"depth": depth, "list": name, "chunk": listChunk, "batch": sandbox.Text("file_list_batch"),
	})))
	if err != nil {
		return listing{}, err
	}
	if report.Verb == "missing" || report.Verb == "notfolder" {
		// The service says so in its own words.
		_, err := r.Client.Files.List(ctx, id, string(p))
		switch {
		case err == nil:
			err = &noScript{why: "commands do not see what the service lists"}
		case noEndpoint(err):
			err = refusal(report, p)
		}
		return listing{}, err
	}
	size := report.Number(0)
	if report.Verb != "list" || len(report.Parts) != 1 {
		return listing{}, refusal(report, p)
	}
	packed := report.Parts[0]
	if size == 0 && len(packed) >= listChunk {
		return listing{}, &noScript{why: "it has no room for the listing in /tmp"}
	}
	for int64(len(packed)) < size {
		more, err := r.script(ctx, id, sandbox.New("file_list_more", sandbox.Params{
			"list": name, "from": len(packed), "chunk": listChunk, "size": size,
		}))
		if err != nil {
			return listing{}, err
		}
		if more.Verb != "list" || len(more.Parts) != 1 || len(more.Parts[0]) == 0 {
			return listing{}, &noScript{why: "the listing broke off"}
		}
		packed = append(packed, more.Parts[0]...)
	}
	var in io.Reader = bytes.NewReader(packed)
	if report.Word(1) == "gzip" {
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
	if n := int(report.Number(2)); n > 0 {
		l.add(text.Count(n, "error", "errors") + " on the way: a directory could not be read")
	}
	return l, nil
}

// parseFind reads the batches that file_list.sh writes, as far as they are whole.
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
