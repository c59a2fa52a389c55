package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// build builds the binary as releases do.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "openclaw-mcp")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
}

// bridge is a running binary.
type bridge struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.ReadCloser
	url    string // over HTTP
}

var servedAt = regexp.MustCompile(`(http://[^\s"]+/mcp)`)

// start starts the binary, over HTTP or on its standard streams.
func (l *lab) start(ctx context.Context, overHTTP bool, env ...string) (*bridge, error) {
	b := &bridge{cmd: exec.CommandContext(ctx, l.binary)}
	if overHTTP {
		b.cmd.Args = append(b.cmd.Args, "--http", "127.0.0.1:0")
	}
	b.cmd.Env = append([]string{
		"HOME=" + l.dir, "TMPDIR=" + l.dir, "OPENCLAW_API_KEY=" + serviceKey, "OPENCLAW_API_BASE_URL=" + l.service.url,
		"OPENCLAW_INSTANCE_ID=" + l.service.instance, "OPENCLAW_MCP_CONFIRM=allow",
	}, env...)
	stderr, err1 := b.cmd.StderrPipe()
	stdin, err2 := b.cmd.StdinPipe()
	stdout, err3 := b.cmd.StdoutPipe()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	b.stdin, b.stdout = stdin, stdout
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(stderr)
	for overHTTP && b.url == "" {
		if !lines.Scan() {
			return nil, errors.Join(errors.New("the binary ended before it listened"), b.cmd.Wait())
		}
		if m := servedAt.FindStringSubmatch(lines.Text()); m != nil {
			b.url = m[1]
		}
	}
	go func() {
		for lines.Scan() {
		}
	}()
	return b, nil
}

// stop ends the binary.
func (b *bridge) stop() {
	_ = b.stdin.Close()
	_ = b.cmd.Process.Signal(os.Interrupt)
	ended := time.AfterFunc(15*time.Second, func() { _ = b.cmd.Process.Kill() })
	defer ended.Stop()
	_ = b.cmd.Wait()
}

// memory gives the resident set in MB: now, and at its largest.
func (b *bridge) memory() (now, peak float64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("memory is measured on Linux only: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		kB, _ := strconv.ParseFloat(words[1], 64)
		switch words[0] {
		case "VmRSS:":
			now = kB * 1024 / 1e6
		case "VmHWM:":
			peak = kB * 1024 / 1e6
		}
	}
	return now, peak, nil
}

// cpu gives the processor time used so far; the kernel counts it in hundredths
// of a second.
func (b *bridge) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("processor time is measured on Linux only: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	words := strings.Fields(rest)
	if len(words) < 13 {
		return 0, errors.New("/proc/PID/stat is shorter than known")
	}
	user, err1 := strconv.Atoi(words[11])
	system, err2 := strconv.Atoi(words[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// describeMachine says what the figures were measured on.
func describeMachine(w io.Writer, binary string) error {
	model := runtime.GOARCH
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	st, err := os.Stat(binary)
	if err != nil {
		return err
	}
	load := ""
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		load = ", load average " + strings.Fields(string(text))[0] + " at the start"
	}
	_, err = fmt.Fprintf(w, "Measured on %s with %d cores (%s, %s/%s%s), by `make bench`. The binary has %.1f MB (target: under 25).\n",
		model, runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH, load, float64(st.Size())/1e6)
	return err
}
