package tools

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"openclaw-mcp/client"
)

// byReading searches without programs of the sandbox: it lists, and reads file by file.
func (s *search) byReading(ctx context.Context, why string) (err error) {
	dir, names, sizes := s.path, []string(nil), make(map[string]int64)
	l, err := s.listDeep(ctx, s.id, s.path, maxDepth)
	if err != nil {
		if _, readErr := s.Client.Files.Read(ctx, s.id, string(s.path), searchReadSize); readErr != nil && !errors.Is(readErr, client.ErrTooLarge) {
			return err
		}
		dir, names = filePath(path.Dir(string(s.path))), []string{s.path.base()}
		var beside listing // which has its size
		_ = s.listOne(ctx, s.id, dir, "", &beside)
		for _, e := range beside.entries {
			sizes[e.rel] = e.size
		}
	}
	if l.note != "" {
		s.notes = append(s.notes, l.note)
	}
	for _, e := range l.entries {
		sizes[e.rel] = e.size
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
		content, cut, err := s.Client.Files.ReadPart(ctx, s.id, path.Join(string(dir), name), searchReadSize)
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
		if cut || sizes[name] > int64(len(content)) {
			s.part++
		}
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
