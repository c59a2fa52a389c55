package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"openclaw-mcp/internal/text"
)

// mask is what stands where the key was.
const mask = text.Mask

// secret holds the API key where no printing by reflection finds it: inside a
// function. Every way to format it gives the mask.
type secret struct{ reveal func() string }

func newSecret(s string) secret { return secret{func() string { return s }} }

// Format implements [fmt.Formatter] for all verbs.
func (secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, mask) }

// LogValue implements [slog.LogValuer].
func (secret) LogValue() slog.Value { return slog.StringValue(mask) }

// MarshalText implements [encoding.TextMarshaler].
func (secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// newRedactor gives a function that masks the key in a text, in every spelling
// that an error message may carry it: bare, inside JSON, inside a URL.
func newRedactor(key string) func(string) string {
	if key == "" {
		return func(s string) string { return s }
	}
	var pairs []string
	for _, s := range spellings(key) {
		pairs = append(pairs, s, mask)
	}
	return strings.NewReplacer(pairs...).Replace
}

// spellings are the ways in which a text may have the key, itself first.
func spellings(key string) []string {
	spellings := []string{key}
	add := func(s string) {
		if s != "" && s != key {
			spellings = append(spellings, s)
		}
	}
	if b, err := json.Marshal(key, jsontext.EscapeForHTML(true)); err == nil {
		escaped := string(b[1 : len(b)-1])
		add(escaped)
		add(strings.ReplaceAll(escaped, "/", `\/`))
		add(upperEscapes(escaped, `\u`, 4))
	}
	plain := strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key)
	add(plain)
	add(strings.ReplaceAll(plain, "/", `\/`))
	for _, s := range []string{url.QueryEscape(key), url.PathEscape(key), percentAll(key)} {
		add(s)
		add(lowerEscapes(s))
	}
	return spellings
}

// maskAnswer masks the key in a whole answer: a service may well repeat it, in an
// example or in the environment of a sandbox.
func (c *core) maskAnswer(raw []byte) []byte {
	if len(c.masked()) == 0 {
		return raw
	}
	return c.maskBroken(c.maskSpelt(plainEscapes(raw)))
}

// maskSpelt masks the key where it is in one of its usual spellings.
func (c *core) maskSpelt(raw []byte) []byte {
	if c.repeatsKey(raw) {
		return []byte(c.redact(string(raw)))
	}
	return raw
}

// repeatsKey reports whether the key is in raw, in one of its usual spellings.
func (c *core) repeatsKey(raw []byte) bool {
	return slices.ContainsFunc(c.masked(), func(s string) bool { return bytes.Contains(raw, []byte(s)) })
}

// maskStream does so for an answer that is read as it comes.
func (c *core) maskStream(r io.ReadCloser) io.ReadCloser {
	if len(c.masked()) == 0 {
		return r
	}
	return &maskingReader{core: c, ReadCloser: r}
}

// maskingReader holds back no more than what may be the beginning of the key.
type maskingReader struct {
	*core
	io.ReadCloser
	out  []byte // masked, and not taken yet
	held []byte // may be the beginning of the key
	buf  []byte
	err  error
}

// Read implements [io.Reader].
func (m *maskingReader) Read(p []byte) (int, error) {
	for len(m.out) == 0 {
		if m.err != nil {
			return 0, m.err
		}
		if m.buf == nil {
			m.buf = make([]byte, 4<<10)
		}
		var n int
		n, m.err = m.ReadCloser.Read(m.buf)
		all := append(m.held, m.buf[:n]...)
		m.held = nil
		all = m.maskSpelt(all)
		if m.err == nil {
			cut := len(all) - m.keyStart(all)
			m.held, all = bytes.Clone(all[cut:]), all[:cut]
		}
		m.out = all
	}
	n := copy(p, m.out)
	m.out = m.out[n:]
	return n, nil
}

// keyStart is how many bytes at the end of b are the beginning of the key.
func (c *core) keyStart(b []byte) int {
	most := 0
	for _, s := range c.masked() {
		for n := min(len(s)-1, len(b)); n > most; n-- {
			if string(b[len(b)-n:]) == s[:n] {
				most = n
			}
		}
	}
	return most
}

// percentAll escapes all that is not a letter or a digit, as encodeURIComponent
// and stricter relatives do.
func percentAll(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func lowerEscapes(s string) string {
	return mapEscapes(s, "%", 2, strings.ToLower)
}

func upperEscapes(s, mark string, n int) string {
	return mapEscapes(s, mark, n, strings.ToUpper)
}

// mapEscapes applies f to the n digits behind each mark.
func mapEscapes(s, mark string, n int, f func(string) string) string {
	parts := strings.Split(s, mark)
	for i := 1; i < len(parts); i++ {
		if p := parts[i]; len(p) >= n {
			parts[i] = f(p[:n]) + p[n:]
		}
	}
	return strings.Join(parts, mark)
}

// redactError masks the key in all texts of e, its cause included.
func (c *core) redactError(e *Error) *Error {
	if e == nil {
		return nil
	}
	e.Code = c.redact(e.Code)
	e.Message = c.redact(e.Message)
	e.RequestID = c.redact(e.RequestID)
	if e.Err != nil {
		e.Err = c.redactCause(e.Err)
	}
	return e
}

// redactCause gives err itself where it is clean. Else it gives its masked
// text, and of its chain only the well-known errors that callers ask for: the
// rest of the chain would still print the key.
func (c *core) redactCause(err error) error {
	said := err.Error()
	clean := c.redact(said)
	if clean == said && !c.chainLeaks(err) {
		return err
	}
	masked := &maskedError{text: clean}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, ErrNoText, ErrTooLarge} {
		if errors.Is(err, known) {
			masked.known = append(masked.known, known)
		}
	}
	return masked
}

// chainLeaks looks for the key deeper in the chain: an outer error may print
// less than its cause.
func (c *core) chainLeaks(err error) bool {
	for err = errors.Unwrap(err); err != nil; err = errors.Unwrap(err) {
		if s := err.Error(); c.redact(s) != s {
			return true
		}
	}
	return false
}

type maskedError struct {
	text  string
	known []error
}

func (e *maskedError) Error() string   { return e.text }
func (e *maskedError) Unwrap() []error { return e.known }
