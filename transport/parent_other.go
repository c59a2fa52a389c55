//go:build !unix

package transport

import "context"

// WatchParent returns when ctx is done: here, the end of standard input is the
// one sign that the client is gone.
func WatchParent(ctx context.Context, _ func()) { <-ctx.Done() }
