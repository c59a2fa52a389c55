package emulator

import (
	"io/fs"
	"net/http"
	"path"
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
		list = append(list, entryWire(e.Name(), outside(child), info))
	}
	s.reply(c.w, http.StatusOK, list)
}

func entryWire(name, full string, info fs.FileInfo) object {
	kind, size := "file", info.Size()
	if info.IsDir() {
		kind, size = "directory", 0
	}
	return object{"name": name, "path": full, "type": kind, "size": size, "modified_at": stamp(info.ModTime())}
}
