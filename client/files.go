package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"openclaw-mcp/internal/jsonspan"
)

// maxSpool bounds the JSON around one file that is kept on disk while it is
// read.
const maxSpool = 2 << 30

// FilesService reads and writes the files of an instance. Projects live under
// /workspace.
type FilesService struct{ core *core }

// List gives the entries of one directory (GET /instances/{id}/files). A
// listing that goes deeper is folded to one level. Paths are absolute; a
// relative one, also of the argument, is seen from /workspace. An empty path
// leaves the directory to the service.
func (s *FilesService) List(ctx context.Context, instance, path string) (Page[FileInfo], error) {
	query := url.Values{}
	if path != "" {
		query.Set("path", path)
	}
	raw, req, err := s.core.get(ctx, instance, "/files", query)
	if err != nil {
		return Page[FileInfo]{}, err
	}
	page, err := decodeFiles(raw, path)
	if err != nil {
		return Page[FileInfo]{}, s.core.fail(req, err)
	}
	return page, nil
}

// FileBody is the content of a file as it arrives. The context that it was
// opened with governs it to the end; Close frees what it holds.
type FileBody struct {
	Size      int64 // bytes, -1 when unknown
	Truncated bool  // the service says that it gave only a part

	core  *core
	req   call
	r     io.Reader
	close []func() error
}

// Read implements [io.Reader]. What it fails with is an *[Error].
func (b *FileBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && err != io.EOF {
		err = b.core.fail(b.req, contentError(err))
	}
	return n, err
}

// Close implements [io.Closer].
func (b *FileBody) Close() error {
	var errs []error
	for _, f := range b.close {
		errs = append(errs, f())
	}
	b.close = nil
	return errors.Join(errs...)
}

// Open reads a file (GET /instances/{id}/files/read) in whatever form it comes:
// its bytes, or JSON around text or base64. JSON is unwrapped only where it
// cannot well be the file itself: it has a string "content" and no key that
// does not belong beside one. Of a large file little is held in memory; JSON
// around one goes through a temporary file.
func (s *FilesService) Open(ctx context.Context, instance, path string) (*FileBody, error) {
	endpoint, op, err := instancePath(http.MethodGet, instance, "/files/read")
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, notSent(op, errors.New("the path is empty"))
	}
	req := call{op: op, method: http.MethodGet, path: endpoint, query: url.Values{"path": {path}},
		accept: "*/*", stream: true, timeout: s.core.options.timeouts.Read}
	resp, err := s.core.do(ctx, req)
	if err != nil {
		return nil, err
	}
	resp.body.watchSilence(s.core.options.timeouts.Idle)
	b := &FileBody{Size: resp.length, core: s.core, req: req, close: []func() error{resp.body.Close}}
	if err := b.unwrap(resp); err != nil {
		_ = b.Close()
		return nil, s.core.fail(req, err)
	}
	return b, nil
}

// unwrap finds the content within the answer.
func (b *FileBody) unwrap(resp *reply) error {
	in := bufio.NewReader(resp.body)
	b.r = in
	mayWrap, err := beginsObject(in)
	if err != nil {
		return err
	}
	contentType := mediaType(resp.header)
	isJSON := contentType == "" || strings.HasSuffix(contentType, "json")
	if !mayWrap || !isJSON && contentType != "text/plain" {
		return nil
	}
	limit := b.core.options.spoolAbove
	start, err := readAll(io.LimitReader(in, limit+1), min(limit, resp.length))
	if err != nil {
		return err
	}
	env := scanEnvelope(bytes.NewReader(start), int64(len(start)))
	if int64(len(start)) <= limit {
		if isJSON && !env.wrapped { // a file's content is no error
			if o, ok := asObject(start); ok && onlyErrorKeys(o) {
				if e := wholeError(start); e != nil {
					e.Status = resp.status
					return e
				}
			}
		}
		b.r, b.Size = bytes.NewReader(start), int64(len(start))
		if env.wrapped {
			b.r = contentReader(bytes.NewReader(start[env.start:]), int64(len(start))-env.start, env.base64)
			b.Size, b.Truncated = env.size, env.truncated
		}
		return nil
	}
	whole := io.MultiReader(bytes.NewReader(start), in)
	if env.whole && !env.wrapped {
		b.r = whole // its beginning shows already that it is a file
		return nil
	}
	return b.spool(whole)
}

// spool puts the answer into a temporary file, since whether and how to unwrap
// it may be known only at its end.
func (b *FileBody) spool(in io.Reader) error {
	f, err := os.CreateTemp("", "openclaw-file-*")
	if err != nil {
		return &Error{Message: "no temporary file for the answer: " + err.Error(), Err: err}
	}
	b.close = append(b.close, f.Close, func() error { return os.Remove(f.Name()) })
	n, err := io.Copy(f, io.LimitReader(in, maxSpool+1))
	if err != nil {
		return err
	}
	if n > maxSpool {
		return &Error{Message: fmt.Sprintf("the answer is larger than %d bytes", int64(maxSpool)), Err: ErrTooLarge}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	env := scanEnvelope(f, n)
	if _, err := f.Seek(max(0, env.start), io.SeekStart); err != nil {
		return err
	}
	if !env.wrapped {
		_, err := f.Seek(0, io.SeekStart)
		b.r, b.Size = f, n
		return err
	}
	b.r = contentReader(f, n-env.start, env.base64)
	b.Size, b.Truncated = env.size, env.truncated
	return nil
}

// beginsObject reports whether the first byte that is no white space opens a
// JSON object, without consuming anything.
func beginsObject(in *bufio.Reader) (bool, error) {
	for n := 1; n <= in.Size(); n++ {
		p, err := in.Peek(n)
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		switch p[n-1] {
		case ' ', '\t', '\r', '\n':
			continue
		}
		return p[n-1] == '{', nil
	}
	return false, nil
}

// Read gives a file of at most limit bytes whole (0 or less: the limit of JSON
// answers, [WithMaxAnswer]). A larger one is an error that matches
// [ErrTooLarge].
func (s *FilesService) Read(ctx context.Context, instance, path string, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = s.core.options.maxJSON
	}
	b, err := s.Open(ctx, instance, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	tooLarge := func(size string) error {
		return s.core.fail(b.req, &Error{Err: ErrTooLarge,
			Message: fmt.Sprintf("the file has %s bytes, more than the %d that were asked for", size, limit)})
	}
	if b.Size > limit {
		return nil, tooLarge(fmt.Sprint(b.Size))
	}
	content, err := readAll(io.LimitReader(b, limit+1), b.Size)
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > limit {
		return nil, tooLarge(fmt.Sprintf("at least %d", len(content)))
	}
	return content, nil
}

// Write makes or replaces a text file (POST /instances/{id}/files/write). The
// content must be UTF-8, since it travels as JSON text; other content takes
// base64 and a command.
func (s *FilesService) Write(ctx context.Context, instance, path, content string) error {
	return s.change(ctx, instance, "/files/write", field{"path", "path", path}, field{"content", "content", content})
}

// Upload puts a text file into a directory (POST
// /instances/{id}/files/upload). The content must be UTF-8.
func (s *FilesService) Upload(ctx context.Context, instance, targetDir, fileName, content string) error {
	return s.change(ctx, instance, "/files/upload",
		field{"targetDir", "target directory", targetDir}, field{"fileName", "file name", fileName}, field{"content", "content", content})
}

// Mkdir makes a directory (POST /instances/{id}/files/mkdir). The service is
// believed to make parents too, and not to mind one that exists.
func (s *FilesService) Mkdir(ctx context.Context, instance, path string) error {
	return s.change(ctx, instance, "/files/mkdir", field{"path", "path", path})
}

// field is a text that a request carries.
type field struct{ key, name, text string }

// change sends a POST of texts whose answer says no more than whether it worked:
// any 2xx does unless ok or success is false.
func (s *FilesService) change(ctx context.Context, instance, rest string, fields ...field) error {
	path, op, err := instancePath(http.MethodPost, instance, rest)
	if err != nil {
		return err
	}
	size := 0
	for _, f := range fields {
		size += len(f.text)
		if f.text == "" && f.name != "content" {
			return notSent(op, fmt.Errorf("the %s is empty", f.name))
		}
		if err := checkText(f.name, f.text); err != nil {
			return notSent(op, err)
		}
	}
	// Contents may be megabytes: they are written once.
	payload := append(make(json.RawMessage, 0, size+size/16+100), '{')
	for i, f := range fields {
		if i > 0 {
			payload = append(payload, ',')
		}
		payload = jsonspan.AppendText(append(jsonspan.AppendText(payload, f.key), ':'), f.text)
	}
	payload = append(payload, '}')
	req := call{op: op, method: http.MethodPost, path: path, body: payload, timeout: s.core.options.timeouts.Write}
	if req.timeout > 0 {
		req.timeout += time.Duration(size>>18) * time.Second // large contents take their time
	}
	_, _, err = s.core.bytes(ctx, req)
	return err
}
