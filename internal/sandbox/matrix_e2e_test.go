//go:build e2e && !windows

package sandbox

var shellNames = []string{"dash", "bash", "busybox"}
