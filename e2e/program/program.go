// Package program builds openclaw-mcp for the tests that drive it from outside, and keeps
// what it logs.
package program

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
)

// Build builds the program of this tree in folder, with more flags of go build, and gives
// its path.
func Build(folder string, flags ...string) (path string, err error) {
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	path = filepath.Join(folder, "openclaw-mcp")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.Command("go", append([]string{"build", "-o", path}, append(flags, ".")...)...)
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// Log is what a process writes to its standard error, to be read meanwhile.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements [io.Writer].
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
