package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

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
	req, err := get(instance, "/files", query)
	if err != nil {
		return Page[FileInfo]{}, err
	}
	return fetch(ctx, s.core, req, func(raw []byte) (Page[FileInfo], error) { return decodeFiles(raw, path) })
}

// FileBody is the content of a file. Where it comes as bytes, they are read as
// they arrive, and the context that it was opened with ends the reading. Close
// frees what it holds.
type FileBody struct {
	Size      int64 // bytes, -1 when unknown
	Truncated bool  // the service says that it gave only a part, or tells a larger size

	r     io.Reader
	whole []byte // all that r gives, where it was read at once
	reply *reply
}

// Read implements [io.Reader]. Except for [io.EOF], every error is an *[Error].
func (b *FileBody) Read(p []byte) (int, error) { return b.r.Read(p) }

// Close implements [io.Closer].
func (b *FileBody) Close() error {
	b.reply.release()
	return b.reply.body.Close()
}

// Open reads a file (GET /instances/{id}/files/read) in whatever form it comes:
// its bytes, or JSON around text or base64. JSON is unwrapped only where it is
// unlikely to be the file itself: it has a string "content" and no member that
// does not belong beside one. Bytes of any number are passed on as they arrive.
// JSON around a file is read whole: where it is larger than [WithMaxAnswer], the
// error matches [ErrTooLarge].
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
	b := &FileBody{Size: resp.length, reply: resp}
	if err := b.unwrap(path, s.core.options.maxJSON, s.core.repeatsKey); err != nil {
		_ = b.Close()
		return nil, s.core.fail(req, err)
	}
	return b, nil
}

// unwrap finds the content of the file of path within the answer. An error that repeats the key, which
// repeatsKey finds, is one whatever it is called, and no file.
func (b *FileBody) unwrap(path string, limit int64, repeatsKey func([]byte) bool) error {
	resp := b.reply
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
	// Most JSON files show at once that they are not an envelope: those are
	// passed on as they arrive.
	const first = 64 << 10
	start, err := readAll(io.LimitReader(in, first), min(first, resp.length))
	if err != nil {
		return err
	}
	if _, kind, _ := decodeEnvelope(start, path); kind == noEnvelope && len(start) == first {
		b.r = io.MultiReader(bytes.NewReader(start), in)
		return nil
	}
	whole, err := resp.readWhole(io.MultiReader(bytes.NewReader(start), io.LimitReader(&paced{Reader: in}, limit+1-int64(len(start)))), min(limit, resp.length))
	if err != nil {
		return err
	}
	if int64(len(whole)) > limit {
		return &Error{Err: ErrTooLarge, Message: fmt.Sprintf("the answer wraps a file's content in JSON, and is larger than %d bytes", limit)}
	}
	content, kind, err := decodeEnvelope(whole, path)
	if err != nil {
		return err
	}
	if kind == wholeContent || kind == partContent {
		b.Truncated = kind == partContent
		b.set(content)
		return nil
	}
	o, ok := asObject(whole)
	switch {
	case ok && onlyErrorKeys(o) && (isJSON || repeatsKey(whole)) && isWholeError(o):
		e := reportedFailure(o)
		e.Status = resp.status
		return e
	case !ok && isJSON && repeatsKey(whole):
		return &Error{Status: resp.status, Message: "the answer is broken JSON, and no file: it repeats the API key"}
	}
	b.set(whole)
	return nil
}

func (b *FileBody) set(whole []byte) {
	b.whole, b.r, b.Size = whole, bytes.NewReader(whole), int64(len(whole))
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
// answers, [WithMaxAnswer]), as far as the service does. A larger one is an error
// that matches [ErrTooLarge].
func (s *FilesService) Read(ctx context.Context, instance, path string, limit int64) ([]byte, error) {
	content, _, err := s.ReadPart(ctx, instance, path, limit)
	return content, err
}

// ReadPart is Read, and tells whether the service says that it gave only a part.
func (s *FilesService) ReadPart(ctx context.Context, instance, path string, limit int64) (content []byte, cut bool, err error) {
	if limit <= 0 {
		limit = s.core.options.maxJSON
	}
	b, err := s.Open(ctx, instance, path)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = b.Close() }()
	tooLarge := func(size string) error {
		return s.core.fail(b.reply.body.req, &Error{Err: ErrTooLarge,
			Message: fmt.Sprintf("the file has %s bytes, more than the %d that were asked for", size, limit)})
	}
	if b.Size > limit {
		return nil, false, tooLarge(fmt.Sprint(b.Size))
	}
	if b.whole != nil {
		return b.whole, b.Truncated, nil
	}
	content, err = b.reply.readWhole(io.LimitReader(b, limit+1), b.Size)
	if err != nil {
		return nil, false, err
	}
	if int64(len(content)) > limit {
		return nil, false, tooLarge(fmt.Sprintf("at least %d", len(content)))
	}
	return content, b.Truncated, nil
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

// Put is Write, or Upload where the service lacks files/write.
func (s *FilesService) Put(ctx context.Context, instance, file, content string) error {
	err := s.Write(ctx, instance, file, content)
	if e, ok := errors.AsType[*Error](err); !ok || !e.NoEndpoint() {
		return err
	}
	dir, name := path.Split(file)
	uploadErr := s.Upload(ctx, instance, path.Clean(dir), name, content)
	if e, ok := errors.AsType[*Error](uploadErr); ok && e.NoEndpoint() {
		return err
	}
	return uploadErr
}

// Mkdir makes a directory (POST /instances/{id}/files/mkdir). The service is
// believed to make parents too, and not to mind one that exists.
func (s *FilesService) Mkdir(ctx context.Context, instance, path string) error {
	return s.change(ctx, instance, "/files/mkdir", field{"path", "path", path})
}

// field is a text that a request carries.
type field struct{ key, name, text string }

// objectOf makes an object of texts that are UTF-8. They may be large: the object is made
// in one piece, not grown.
func objectOf(fields ...field) jsontext.Value {
	size := len("{}")
	for _, f := range fields {
		size += quotedLen(f.key) + quotedLen(f.text) + len(":,")
	}
	b := append(make(jsontext.Value, 0, size), '{')
	for i, f := range fields {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, f.key)
		b, _ = jsontext.AppendQuote(append(b, ':'), f.text)
	}
	return append(b, '}')
}

// quotedLen is how long a text becomes as JSON, or a little more.
func quotedLen(s string) int {
	n := len(`""`) + len(s)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"', c == '\\', c == '\n', c == '\r', c == '\t':
			n++
		case c < ' ':
			n += len(`\u0000`) - 1
		}
	}
	return n
}

// noSpace matches a refusal that came while the file was written: some services empty it first.
var noSpace = pattern(`(?i)no space left|disk (is )?full|\bENOSPC\b|\bEDQUOT\b|quota exceeded`)

// change sends a POST of texts whose answer says no more than whether it worked:
// any 2xx does that does not say otherwise.
func (s *FilesService) change(ctx context.Context, instance, rest string, fields ...field) error {
	req, err := post(instance, rest, nil)
	if err != nil {
		return err
	}
	size := 0
	for _, f := range fields {
		size += len(f.text)
		if f.text == "" && f.name != "content" {
			return notSent(req.op, fmt.Errorf("the %s is empty", f.name))
		}
		if err := checkText(f.name, f.text); err != nil {
			return notSent(req.op, err)
		}
	}
	req.body, req.timeout = objectOf(fields...), s.core.options.timeouts.Write
	if req.timeout > 0 {
		req.timeout += time.Duration(size>>18) * time.Second // large contents take their time
	}
	answer, r, err := s.core.bytes(ctx, req)
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok && e.Outcome == OutcomeRejected && noSpace().MatchString(e.Message) {
			e.Outcome = OutcomeUnknown
		}
		return err
	}
	defer r.release()
	written := 0
	for _, f := range fields {
		if f.key == "content" {
			written = len(f.text)
		}
	}
	if e := refusal(answer, written); e != nil {
		e.Status = r.status
		return s.core.fail(req, e)
	}
	return nil
}
