// Package secret holds text that must not be printed: API keys, tokens and
// passwords.
package secret

import (
	"log/slog"
	"strings"
)

// Text is a secret. It prints as ***, whichever way it is printed, logged or
// encoded; string(t) is the way to use it.
type Text string

const hidden = "***"

// String implements fmt.Stringer.
func (Text) String() string { return hidden }

// GoString implements fmt.GoStringer.
func (Text) GoString() string { return hidden }

// LogValue implements slog.LogValuer.
func (Text) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements encoding.TextMarshaler.
func (Text) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It drops white space around
// the secret, which files and shells like to add.
func (t *Text) UnmarshalText(b []byte) error {
	*t = Text(strings.TrimSpace(string(b)))
	return nil
}
