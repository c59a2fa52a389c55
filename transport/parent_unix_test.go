//go:build unix

package transport

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestWatchParent(t *testing.T) {
	t.Parallel()
	const child = "TRANSPORT_TEST_WATCH_PARENT" // makes this test the watching process
	if os.Getenv(child) != "" {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		parent := os.Getppid()
		fmt.Println("ready")
		watchParent(ctx, parent, func() { fmt.Println("gone") })
		return
	}
	// The shell is the parent; it ends with its input.
	cmd := exec.Command("sh", "-c", `"$0" -test.run '^TestWatchParent$' </dev/null & read line`, os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the child says %q", lines.Text())
	}
	_ = stdin.Close()
	if !lines.Scan() || lines.Text() != "gone" {
		t.Errorf("the child says %q when its parent is gone", lines.Text())
	}
	_ = cmd.Wait()
}

func TestWatchParentEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	WatchParent(ctx, func() { t.Error("the parent is there") })
}
