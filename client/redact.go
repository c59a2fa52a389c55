package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
)

// mask is what stands where the key was.
const mask = "***"

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
	spellings := []string{key}
	add := func(s string) {
		if s != "" && s != key {
			spellings = append(spellings, s)
		}
	}
	if b, err := json.Marshal(key); err == nil {
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
	var pairs []string
	for _, s := range spellings {
		pairs = append(pairs, s, mask)
	}
	return strings.NewReplacer(pairs...).Replace
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
	text := err.Error()
	clean := c.redact(text)
	if clean == text && !c.chainLeaks(err) {
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
