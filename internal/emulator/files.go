package emulator

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
	"syscall"
	"unicode/utf8"
)

const workspaceRoot = "/workspace"

var errOutside = &failure{http.StatusForbidden, "forbidden", "Paths have to be under " + workspaceRoot}

// inside gives a path of the API as one relative to the workspace ("." is the
// workspace itself). Relative paths are taken from the workspace.
func inside(p string) (string, error) {
	if strings.ContainsRune(p, 0) {
		return "", &failure{http.StatusUnprocessableEntity, "validation_error", "path must not contain NUL"}
	}
	if !strings.HasPrefix(p, "/") {
		p = workspaceRoot + "/" + p
	}
	p = path.Clean(p)
	if p == workspaceRoot {
		return ".", nil
	}
	rel, ok := strings.CutPrefix(p, workspaceRoot+"/")
	if !ok {
		return "", errOutside
	}
	return rel, nil
}

// outside is the reverse of inside.
func outside(rel string) string { return path.Join(workspaceRoot, rel) }

// fileError turns an error of the file system into an answer. It names the path
// of the API, never that of this machine.
func fileError(err error, rel string) error {
	name := outside(rel)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &failure{http.StatusNotFound, "not_found", "No such file or directory: " + name}
	case errors.Is(err, syscall.EISDIR):
		return &failure{http.StatusConflict, "is_directory", name + " is a directory"}
	case errors.Is(err, syscall.ENOTDIR):
		return &failure{http.StatusConflict, "not_directory", name + " is not under a directory"}
	case errors.Is(err, fs.ErrExist):
		return &failure{http.StatusConflict, "exists", name + " exists and is not a directory"}
	case errors.Is(err, fs.ErrPermission):
		return &failure{http.StatusForbidden, "forbidden", "Permission denied: " + name}
	}
	cause := err
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		cause = pe.Err
	}
	if strings.Contains(cause.Error(), "escapes") { // os.Root has no exported error for it
		return errOutside
	}
	return &failure{http.StatusInternalServerError, "io_error", name + ": " + cause.Error()}
}

// locate prepares a request about a path: the instance has to be ready and the
// path inside of it.
func (s *Server) locate(c *call, p string) (string, bool) {
	if !s.ready(c) {
		return "", false
	}
	rel, err := inside(p)
	if err == nil {
		rel, err = resolve(c.in.files, rel)
	}
	if err != nil {
		s.failWith(c.w, err)
		return "", false
	}
	return rel, true
}

// resolve follows symbolic links, because those to /workspace/… are inside for
// the instance but not for os.Root, to which every absolute link is an escape.
// Whatever it gets wrong in a race, os.Root still refuses to leave.
func resolve(root *os.Root, rel string) (string, error) {
	parts := strings.Split(rel, "/")
	done := "."
	for links := 0; len(parts) > 0; {
		next := path.Join(done, parts[0])
		target, err := root.Readlink(next)
		if err != nil { // no link, or nothing there
			done, parts = next, parts[1:]
			continue
		}
		if links++; links > 40 {
			return "", &failure{http.StatusConflict, "too_many_links", "Too many symbolic links: " + outside(rel)}
		}
		if !strings.HasPrefix(target, "/") {
			target = outside(path.Join(done, target))
		}
		if target, err = inside(target); err != nil {
			return "", err
		}
		done = "."
		parts = append(strings.Split(target, "/"), parts[1:]...)
	}
	return done, nil
}

func (s *Server) readFile(c *call) {
	p := c.r.URL.Query().Get("path")
	if p == "" {
		s.invalid(c.w, "path", "is required")
		return
	}
	rel, ok := s.locate(c, p)
	if !ok {
		return
	}
	info, err := c.in.files.Stat(rel)
	switch {
	case err != nil:
		err = fileError(err, rel)
	case info.IsDir():
		err = fileError(syscall.EISDIR, rel)
	case !info.Mode().IsRegular():
		// Opening a pipe would wait for its other end.
		err = &failure{http.StatusConflict, "not_a_file", outside(rel) + " is not a regular file"}
	}
	if err != nil {
		s.failWith(c.w, err)
		return
	}
	f, err := c.in.files.Open(rel)
	if err != nil {
		s.failWith(c.w, fileError(err, rel))
		return
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		s.failWith(c.w, fileError(err, rel))
		return
	}
	if utf8.Valid(content) && !bytes.ContainsRune(content, 0) {
		s.reply(c.w, http.StatusOK, object{"path": outside(rel), "content": string(content)})
		return
	}
	s.reply(c.w, http.StatusOK, object{"path": outside(rel), "encoding": "base64", "content": content})
}

func (s *Server) writeFile(c *call) {
	var body struct {
		Path    *string `json:"path"`
		Content *string `json:"content"`
	}
	if !s.body(c, &body) || !s.need(c, "path", body.Path, false) || !s.need(c, "content", body.Content, true) {
		return
	}
	s.store(c, *body.Path, *body.Content)
}

func (s *Server) uploadFile(c *call) {
	var body struct {
		TargetDir *string `json:"targetDir"`
		FileName  *string `json:"fileName"`
		Content   *string `json:"content"`
	}
	if !s.body(c, &body) || !s.need(c, "targetDir", body.TargetDir, false) ||
		!s.need(c, "fileName", body.FileName, false) || !s.need(c, "content", body.Content, true) {
		return
	}
	if name := *body.FileName; strings.ContainsAny(name, "/\\\x00") || name == "." || name == ".." {
		s.invalid(c.w, "fileName", "has to be a name without a path")
		return
	}
	s.store(c, *body.TargetDir+"/"+*body.FileName, *body.Content)
}

// store writes a file and the directories above it.
func (s *Server) store(c *call, p, content string) {
	rel, ok := s.locate(c, p)
	if !ok {
		return
	}
	if err := storeFile(c.in.files, rel, content); err != nil {
		s.failWith(c.w, fileError(err, rel))
		return
	}
	s.reply(c.w, http.StatusOK, object{"ok": true, "path": outside(rel), "size": len(content)})
}

func storeFile(root *os.Root, rel, content string) error {
	if info, err := root.Stat(rel); err == nil && !info.Mode().IsRegular() {
		if info.IsDir() {
			return syscall.EISDIR
		}
		return errors.New("not a regular file")
	}
	if err := root.MkdirAll(path.Dir(rel), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(rel, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, content)
	return errors.Join(err, f.Close())
}

func (s *Server) makeDirectory(c *call) {
	var body struct {
		Path *string `json:"path"`
	}
	if !s.body(c, &body) || !s.need(c, "path", body.Path, false) {
		return
	}
	rel, ok := s.locate(c, *body.Path)
	if !ok {
		return
	}
	err := c.in.files.MkdirAll(rel, 0o755)
	if err == nil {
		if info, statErr := c.in.files.Stat(rel); statErr == nil && !info.IsDir() {
			err = fs.ErrExist
		}
	}
	if err != nil {
		s.failWith(c.w, fileError(err, rel))
		return
	}
	s.reply(c.w, http.StatusOK, object{"ok": true, "path": outside(rel)})
}
