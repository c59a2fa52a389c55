package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	readSize     = 290_000 // about the most that one read_file gives
	writeSize    = 1_000_000
	transferSize = 64_000_000
	bulkRounds   = 20
)

// measureBulk compares how fast contents move with curl making the very
// requests that the bridge made, on the embedded service.
func measureBulk(ctx context.Context, l *lab) (string, error) {
	if _, err := exec.LookPath("curl"); err != nil {
		return "", fmt.Errorf("bulk is measured against curl: %w", err)
	}
	l.service.real.Store(true)
	defer l.service.real.Store(false)
	root := filepath.Join(l.dir, "local")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return "", err
	}
	workspace := l.service.emulator.Workspace(l.service.instance)
	line := "a line of text that is neither long nor short, with its number beside it\n"
	text := strings.Repeat(line, writeSize/len(line))
	if err := os.WriteFile(filepath.Join(workspace, "read.txt"), []byte(text[:readSize/len(line)*len(line)]), 0o644); err != nil {
		return "", err
	}
	noise := make([]byte, transferSize)
	_, _ = rand.Read(noise)
	if err := os.WriteFile(filepath.Join(root, "large"), noise, 0o644); err != nil {
		return "", err
	}
	b, w, err := l.connect(ctx, false, modern, "OPENCLAW_MCP_MAX_RESULT_CHARS=1048576", "OPENCLAW_MCP_TRANSFER_ROOTS="+root, "OPENCLAW_MCP_SOFT_DEADLINE=10m")
	if err != nil {
		return "", err
	}
	defer b.stop()
	t := newTable("what", "size", "requests", "curl", "bridge", "ratio", "target")
	for _, job := range []struct {
		tool   string
		args   params
		size   int
		rounds int
		reset  string // what each round makes
	}{
		{"read_file", params{"path": "/workspace/read.txt"}, readSize, bulkRounds, ""},
		{"write_file", params{"path": "/workspace/written.txt", "content": text}, len(text), bulkRounds, ""},
		{"upload_files", params{"local_path": filepath.Join(root, "large"), "path": "/workspace/large"}, transferSize, 3, filepath.Join(workspace, "large")},
		{"download_files", params{"path": "/workspace/large", "local_path": filepath.Join(root, "back")}, transferSize, 3, filepath.Join(root, "back")},
	} {
		var curl, through times
		requests := 0
		for range job.rounds {
			if err := clearPath(job.reset); err != nil {
				return "", err
			}
			call := prepareCall(w, job.tool, job.args, false) // curl has its body ready, too
			started := time.Now()
			log, err := l.service.record(func() error {
				_, err := exchangeCall(ctx, w, call, nil)
				return err
			})
			through = append(through, time.Since(started))
			if err != nil {
				return "", err
			}
			if err := clearPath(job.reset); err != nil {
				return "", err
			}
			took, err := l.curl(ctx, log)
			if err != nil {
				return "", err
			}
			curl, requests = append(curl, took), len(log)
			if job.tool == "upload_files" { // what the download is to find
				if err := os.WriteFile(filepath.Join(workspace, "large"), noise, 0o644); err != nil {
					return "", err
				}
			}
		}
		rate := func(t times) float64 { return float64(job.size) / 1e6 / t.at(0.5).Seconds() }
		ratio := rate(through) / rate(curl)
		t.row(job.tool, fmt.Sprintf("%.2f MB", float64(job.size)/1e6), fmt.Sprint(requests),
			fmt.Sprintf("%.1f MB/s", rate(curl)), fmt.Sprintf("%.1f MB/s", rate(through)), fmt.Sprintf("%.2f", ratio), "0.70: "+verdict(ratio >= 0.7))
	}
	return fmt.Sprintf(`### Bulk

Beside curl, which makes the very requests that the bridge made, one after the
other over one connection, on the embedded service; medians. curl's own start is
not counted. The bridge makes up to four requests of a transfer at once.

%s`, t), nil
}

func clearPath(path string) error {
	if path == "" {
		return nil
	}
	return os.RemoveAll(path)
}

// curl makes requests with one curl and gives the time that they took.
func (l *lab) curl(ctx context.Context, log []request) (time.Duration, error) {
	dir, err := os.MkdirTemp(l.dir, "curl-")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	quote := func(s string) string {
		b, _ := json.Marshal(s) // curl's configuration files quote alike
		return string(b)
	}
	base, _, _ := strings.Cut(l.service.url, "/api")
	var config strings.Builder
	for i, r := range log {
		if i > 0 {
			config.WriteString("next\n")
		}
		fmt.Fprintf(&config, "silent\nshow-error\nurl = %s\nrequest = %s\noutput = %s\nheader = %s\nwrite-out = \"%%{http_code} %%{time_total}\\n\"\n",
			quote(base+r.uri), r.method, quote(os.DevNull), quote("Authorization: Bearer "+serviceKey))
		if r.method != "GET" {
			body := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(body, r.body, 0o600); err != nil {
				return 0, err
			}
			fmt.Fprintf(&config, "header = \"Content-Type: application/json\"\nheader = \"Expect:\"\ndata-binary = %s\n", quote("@"+body))
		}
	}
	path := filepath.Join(dir, "config")
	if err := os.WriteFile(path, []byte(config.String()), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "curl", "-K", path)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("curl: %w: %s", err, problems.String())
	}
	var total time.Duration
	for answer := range strings.Lines(string(out)) {
		var status int
		var seconds float64
		if _, err := fmt.Sscan(answer, &status, &seconds); err != nil || status < 200 || status > 299 {
			return 0, fmt.Errorf("curl had the answer %q", answer)
		}
		total += time.Duration(seconds * float64(time.Second))
	}
	return total, nil
}
