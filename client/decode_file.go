package client

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
)

// envelope is what a scan found out about the answer to files/read: whether
// it is JSON around the content, and where in it the content is.
type envelope struct {
	wrapped   bool
	whole     bool  // the scan saw all that it needed; else the input ended early
	start     int64 // of the content's string, at its quote
	size      int64 // of the decoded content, in bytes
	digits    int64 // of the content as base64, -1 where it is none
	base64    bool
	encoding  string
	truncated bool
}

// scanEnvelope reads an answer and decides whether to unwrap it: only an
// object with a string content, all of whose keys are known to stand beside
// one; everything else may be a JSON file itself.
func scanEnvelope(r io.Reader, size int64) envelope {
	e := envelope{start: -1, size: -1}
	s := newScanner(r, size)
	err := e.object(s, 0)
	if err == nil {
		err = s.end()
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return envelope{start: -1, size: -1}
	}
	e.whole = true
	e.wrapped = err == nil && e.start >= 0 && knownEncoding(e.encoding)
	if e.base64 {
		e.size = -1
		if e.digits >= 0 {
			e.size = e.digits * 6 / 8
		}
	}
	return e
}

// errForeign says that an object is no envelope.
var errForeign = errors.New("not an envelope")

func (e *envelope) object(s *scanner, depth int) error {
	return s.object(func(key string) error {
		c, err := s.peek()
		if err != nil {
			return err
		}
		switch {
		case key == "file" && depth == 0 && c == '{' && e.start < 0:
			return e.object(s, 1)
		case key == "content":
			if c != '"' || e.start >= 0 {
				return errForeign
			}
			return e.content(s)
		case key == "encoding":
			if c != '"' {
				return s.skip()
			}
			e.encoding, err = s.text(100)
			e.base64 = strings.EqualFold(e.encoding, "base64")
			return err
		case key == "truncated":
			if c == 't' {
				e.truncated = true
			}
			return s.skip()
		case key == "path" || key == "size" || key == "name" ||
			strings.HasPrefix(key, "mime") || strings.HasPrefix(key, "modified"):
			return s.skip()
		}
		return errForeign
	})
}

// content measures the content's string, in both readings: as text, and as
// base64, since the encoding may be named behind it.
func (e *envelope) content(s *scanner) error {
	e.start = s.pos
	e.size, e.digits = 0, 0
	return s.str(func(p []byte) error {
		e.size += int64(len(p))
		for _, c := range p {
			switch {
			case e.digits < 0: // a text, as most files are
				return nil
			case c == '=' || c == '\n' || c == '\r' || c == ' ' || c == '\t':
			case c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '+' || c == '/' || c == '-' || c == '_':
				e.digits++
			default:
				e.digits = -1
			}
		}
		return nil
	})
}

func knownEncoding(s string) bool {
	switch strings.ToLower(s) {
	case "", "utf-8", "utf8", "text", "plain", "ascii", "us-ascii", "base64":
		return true
	}
	return false
}

// contentReader decodes the string that begins at r, which has size bytes; less than 0
// where that is not known.
func contentReader(r io.Reader, size int64, isBase64 bool) io.Reader {
	text := &stringReader{scan: newScanner(r, size)}
	if !isBase64 {
		return text
	}
	return base64.NewDecoder(base64.StdEncoding, &base64Cleaner{r: text})
}

// stringReader reads the text of one JSON string piece by piece.
type stringReader struct {
	scan    *scanner
	started bool
	rest    []byte
	err     error
}

// Read implements [io.Reader]. It fills p, since a text full of escapes comes in
// very small pieces.
func (r *stringReader) Read(p []byte) (int, error) {
	if !r.started {
		r.started = true
		r.err = r.scan.openString()
	}
	n := 0
	for n < len(p) {
		if len(r.rest) == 0 {
			if r.err != nil {
				break
			}
			var done bool
			if r.rest, done, r.err = r.scan.piece(); done && r.err == nil {
				r.err = io.EOF
			}
			continue
		}
		k := copy(p[n:], r.rest)
		n, r.rest = n+k, r.rest[k:]
	}
	if n == 0 && len(p) > 0 {
		return 0, r.err
	}
	return n, nil
}

// base64Cleaner maps the URL alphabet to the standard one, drops white space
// and adds the padding that some encoders leave out.
type base64Cleaner struct {
	r     io.Reader
	count int
	pad   string
	ended bool
}

// Read implements [io.Reader].
func (c *base64Cleaner) Read(p []byte) (int, error) {
	for !c.ended {
		n, err := c.r.Read(p)
		kept := 0
		for _, b := range p[:n] {
			switch b {
			case '-':
				b = '+'
			case '_':
				b = '/'
			case '\r', '\n', ' ', '\t':
				continue
			}
			p[kept] = b
			kept++
		}
		c.count += kept
		if err == io.EOF {
			c.ended = true
			if odd := c.count % 4; odd > 1 {
				c.pad = "=="[:4-odd]
			}
			err = nil
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
	n := copy(p, c.pad)
	c.pad = c.pad[n:]
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// contentError says what of a file could not be decoded.
func contentError(err error) error {
	if bad, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return &Error{Message: fmt.Sprintf("the content is not valid base64 at position %d", int64(bad)), Err: err}
	}
	return err
}
