//go:build !e2e && !windows

package sandbox

// shellNames are the shells that scripts are run under; with the tag e2e they are more.
var shellNames = []string{"dash"}
