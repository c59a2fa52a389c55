// Package rfb is a client of the remote framebuffer protocol, which VNC
// servers speak (RFC 6143): versions 3.3, 3.7 and 3.8, no security or VNC
// authentication, the encodings Raw, CopyRect, Hextile and ZRLE, screens that
// change their size, the pointer and the keyboard.
//
// It depends on nothing else in this module and works over any byte stream. A
// server is not trusted: sizes are checked before memory is taken for them, and
// whatever does not add up ends the connection with an [Error].
package rfb

import "fmt"

// Error says that the server did not keep to the protocol, or to the limits
// that this client sets.
type Error struct{ Message string }

// Error implements error.
func (e *Error) Error() string { return "rfb: " + e.Message }

func violation(format string, a ...any) error { return &Error{fmt.Sprintf(format, a...)} }

// AuthError says that the server refused the password, or wants a kind of
// authentication that this package does not know.
type AuthError struct {
	Message string
	// Password is true where another password may help.
	Password bool
}

// Error implements error.
func (e *AuthError) Error() string { return "rfb: " + e.Message }
