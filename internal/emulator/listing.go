package emulator

import (
	"io/fs"
	"net/http"
	"path"
	"strings"
	"syscall"
)

// listFiles answers GET files: one level of a directory, in order of names.
func (s *Server) listFiles(c *call) {
	p := c.r.URL.Query().Get("path")
	if p == "" {
		p = workspaceRoot
	}
	rel, ok := s.locate(c, p)
	if !ok {
		return
	}
	info, err := c.in.files.Stat(rel)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if err != nil {
		s.failWith(c.w, fileError(err, rel))
		return
	}
	if s.opts.FileNames {
		s.listNames(c, rel)
		return
	}
	entries, err := fs.ReadDir(c.in.files.FS(), rel)
	if err != nil {
		s.failWith(c.w, fileError(err, rel))
		return
	}
	list := []object{}
	for _, e := range entries {
		// A link is shown as what it leads to, or as a file of its own when it
		// leads nowhere or outside.
		child := path.Join(rel, e.Name())
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if to, err := resolve(c.in.files, child); err == nil {
				if target, err := c.in.files.Stat(to); err == nil {
					info = target
				}
			}
		}
		list = append(list, s.entryWire(e.Name(), outside(child), info))
	}
	switch s.opts.Messages {
	case Camel:
		s.reply(c.w, http.StatusOK, object{"data": list})
	case Wrapped:
		s.reply(c.w, http.StatusOK, object{"path": outside(rel), "entries": list})
	default:
		s.reply(c.w, http.StatusOK, list)
	}
}

func (s *Server) entryWire(name, full string, info fs.FileInfo) object {
	size := info.Size()
	if info.IsDir() {
		size = 0
	}
	switch s.opts.Messages {
	case Camel:
		return object{"name": name, "path": full, "isDirectory": info.IsDir(), "size": size,
			"mtimeMs": info.ModTime().UnixMilli()}
	case Wrapped:
		kind := "file"
		if info.IsDir() {
			kind = "dir"
		}
		return object{"name": name, "type": kind, "size_bytes": size, "updated_at": stamp(info.ModTime())}
	}
	kind := "file"
	if info.IsDir() {
		kind = "directory"
	}
	return object{"name": name, "path": full, "type": kind, "size": size, "modified_at": stamp(info.ModTime())}
}

// listNames answers with names alone, relative to the directory, of all levels.
// Directories end in a slash.
func (s *Server) listNames(c *call, rel string) {
	names := []string{}
	err := fs.WalkDir(c.in.files.FS(), rel, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == rel {
			return err
		}
		name := p
		if rel != "." {
			name = strings.TrimPrefix(p, rel+"/")
		}
		if e.IsDir() {
			name += "/"
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		s.failWith(c.w, fileError(err, rel))
		return
	}
	s.reply(c.w, http.StatusOK, object{"files": names})
}
