package client

import (
	"math"
	"path"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// Workspace is where an instance's projects live, and what relative paths are
// relative to.
const Workspace = "/workspace"

// decodeFiles reads a listing of the directory dir and folds it to one level:
// what lies deeper becomes the directory that it lies in.
func decodeFiles(raw []byte, dir string) (Page[FileInfo], error) {
	l, err := decodeList(raw, "files")
	if err != nil {
		return Page[FileInfo]{}, err
	}
	f := folder{base: absolute(Workspace, dir), index: map[string]int{}}
	if dir == "" {
		if p := l.outer.text("path"); strings.HasPrefix(p, "/") {
			f.base = path.Clean(p)
		}
	}
	if p := l.outer.text("path"); strings.HasPrefix(p, "/") {
		f.real = path.Clean(p) // may differ: links are resolved
	}
	entries := make([]fileEntry, 0, len(l.items))
	for _, raw := range l.items {
		if isNull(raw) {
			continue
		}
		e, ok := decodeFileEntry(raw)
		if !ok {
			return Page[FileInfo]{}, shapeError("file entry", raw)
		}
		entries = append(entries, e)
	}
	for _, k := range []string{"directories", "folders", "dirs", "subdirectories"} {
		folders, _ := asArray(l.near[k]) // listed apart from the files
		for _, raw := range folders {
			if e, ok := decodeFileEntry(raw); ok {
				e.info.IsDir = true
				entries = append(entries, e)
			}
		}
	}
	f.stripWorkspace(entries)
	for i, e := range entries {
		entries[i] = fileEntry{} // not kept until the last of them is done
		f.add(e)
	}
	return Page[FileInfo]{Items: f.items, More: l.more, NextCursor: l.next}, nil
}

// fileEntry is one entry before its place is known.
type fileEntry struct {
	path string // relative to the listed directory, or absolute
	info FileInfo
}

func decodeFileEntry(raw jsontext.Value) (fileEntry, bool) {
	if s, ok := asString(raw); ok {
		return fileEntry{s, FileInfo{IsDir: strings.HasSuffix(s, "/"), Size: -1}}, s != ""
	}
	o, ok := asObject(raw)
	if !ok {
		return fileEntry{}, false
	}
	where := o.text("path", "name", "filename", "fileName")
	if where == "" {
		return fileEntry{}, false
	}
	info := FileInfo{Size: -1, IsDir: strings.HasSuffix(where, "/") || strings.HasSuffix(o.text("name"), "/") ||
		o.flag("is_dir", "isDirectory", "is_directory", "isDir")}
	switch strings.ToLower(o.text("type", "kind")) {
	case "dir", "directory", "folder", "tree":
		info.IsDir = true
	}
	const kind, directory = 0o170000, 0o040000 // of a mode, as stat has it
	if mode, ok := o.number("mode"); ok && int(mode)&kind == directory || strings.HasPrefix(o.text("mode", "permissions"), "d") {
		info.IsDir = true
	}
	if f, ok := o.number("size", "size_bytes", "sizeBytes", "bytes"); ok && f >= 0 && f == math.Trunc(f) && f < 1<<62 {
		info.Size = int64(f)
	}
	info.ModifiedAt = o.time("modified", "modified_at", "modifiedAt", "mtime", "updated_at", "updatedAt", "last_modified", "lastModified")
	if ms, ok := o.number("mtimeMs", "mtime_ms"); ok && info.ModifiedAt.IsZero() && ms > 0 && ms < 1e15 {
		info.ModifiedAt = time.UnixMilli(int64(ms)).UTC()
	}
	return fileEntry{where, info}, true
}

// folder collects the entries of one directory.
type folder struct {
	base  string
	real  string // what the service calls base, "" when it does not say
	items []FileInfo
	index map[string]int
}

// stripWorkspace recognises paths that are relative to the workspace rather
// than to the listed directory: all of them begin with its own path.
func (f *folder) stripWorkspace(entries []fileEntry) {
	prefix, ok := strings.CutPrefix(f.base, Workspace+"/")
	if !ok {
		return
	}
	prefix += "/"
	relative := 0
	for _, e := range entries {
		p := path.Clean(e.path)
		if path.IsAbs(p) {
			continue
		}
		if !strings.HasPrefix(p, prefix) {
			return
		}
		relative++
	}
	if relative == 0 {
		return
	}
	for i, e := range entries {
		if !path.IsAbs(e.path) {
			entries[i].path = strings.TrimPrefix(path.Clean(e.path), prefix)
		}
	}
}

func (f *folder) add(e fileEntry) {
	full := absolute(f.base, e.path)
	rest, inside := under(f.base, full)
	if !inside && f.real != "" {
		if rest, inside = under(f.real, full); inside {
			full = path.Join(f.base, rest)
		}
	}
	if !inside {
		// Not where it was looked for: shown as it is.
		e.info.Name, e.info.Path = path.Base(full), full
		f.put(e.info)
		return
	}
	if rest == "" {
		return // the directory itself
	}
	name, deeper, isDeep := strings.Cut(rest, "/")
	if isDeep && deeper != "" {
		e.info = FileInfo{IsDir: true, Size: -1}
	}
	e.info.Name, e.info.Path = name, full[:len(full)-len(rest)+len(name)]
	f.put(e.info)
}

// put adds an entry, or adds what it knows to the one that is there.
func (f *folder) put(info FileInfo) {
	i, ok := f.index[info.Path]
	if !ok {
		f.index[info.Path] = len(f.items)
		f.items = append(f.items, info)
		return
	}
	old := &f.items[i]
	old.IsDir = old.IsDir || info.IsDir
	if old.Size < 0 {
		old.Size = info.Size
	}
	if old.ModifiedAt.IsZero() {
		old.ModifiedAt = info.ModifiedAt
	}
}

// absolute gives p as an absolute path, seen from dir.
func absolute(dir, p string) string {
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}

// under gives the path of full within dir.
func under(dir, full string) (string, bool) {
	if full == dir {
		return "", true
	}
	if dir != "/" {
		dir += "/"
	}
	return strings.CutPrefix(full, dir)
}
