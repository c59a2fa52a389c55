//go:build !unix

package transport

import "context"

// WatchParent does nothing: here, the end of standard input is the one sign that
// the client is gone.
func WatchParent(context.Context, func()) {}
