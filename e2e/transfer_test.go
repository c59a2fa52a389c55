//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

const writeFileEndpoint = "POST /instances/{instance}/files/write"

// The tools that touch files of this machine are there over stdio, where they
// are configured, and nowhere else.
func TestTransferOnlyWhereConfigured(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "f"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	roots := "OPENCLAW_MCP_TRANSFER_ROOTS=" + root
	args := params{"local_path": filepath.Join(root, "f"), "path": "/workspace/" + "f"}
	each(t, func(t *testing.T, c combination) {
		for _, env := range [][]string{{roots}, {}, {roots, "OPENCLAW_MCP_READ_ONLY=true"}} {
			s := c.connect(t, up.env(env...))
			want := len(env) == 1 && !c.http
			for _, name := range []string{"upload_files", "download_files"} {
				if listed := s.tools[name] != nil; listed != want {
					t.Errorf("%s %q: listed %v", name, env, listed)
				}
				if want {
					continue
				}
				before := up.Mutations()
				m := s.request(t, "tools/call", params{"name": name, "arguments": args})
				if !bytes.Contains(m.Result, []byte(`"isError":true`)) && m.Error == nil || up.Mutations() != before {
					t.Errorf("%s %q: %s", name, env, m.Result)
				}
			}
		}
	})
}

// An upload that was killed and is asked for again goes on with the parts that are
// there, and leaves none of them behind.
func TestTransferIsRepeatedAfterAKill(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	root := t.TempDir()
	large := make([]byte, 10<<20)
	for i := range large {
		large[i] = byte(i >> 12)
	}
	if err := os.WriteFile(filepath.Join(root, "large"), large, 0o644); err != nil {
		t.Fatal(err)
	}
	env := up.env("OPENCLAW_INSTANCE_ID="+up.instance, "OPENCLAW_MCP_TRANSFER_ROOTS="+root, "OPENCLAW_MCP_STATE_DIR="+t.TempDir())
	hold := make(chan struct{})
	up.SetFaults(emulatortest.Fault{Endpoint: writeFileEndpoint, Call: 10, Release: hold})
	args := params{"local_path": "large", "path": "large"}
	s := combinations[0].connect(t, env)
	s.begin(t, "upload_files", args)
	eventually(t, "a part is held", func() bool { return up.Calls(writeFileEndpoint) >= 10 })
	s.proc.kill(t)
	close(hold)

	s = combinations[1].connect(t, env)
	if r := s.ok(t, "upload_files", args); r.str("status") != "completed" {
		t.Fatalf("%s", r.Text)
	}
	if got, err := os.ReadFile(filepath.Join(up.Workspace(up.instance), "large")); err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes arrived, of %d: %v", len(got), len(large), err)
	}
	parts := len(large)/(704<<10) + 1
	if n := up.Calls(writeFileEndpoint); n > parts+4 {
		t.Errorf("%d parts were sent in all, where %d are needed", n, parts)
	}
	if left, _ := filepath.Glob(filepath.Join(up.Workspace(up.instance), ".openclaw-mcp-*")); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

// A tree goes up and comes back, over a kill of the server in the middle; and a
// server over HTTP does not take the handle up.
func TestTransferSurvivesAKill(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	root := t.TempDir()
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<20/16)
	for i := range large {
		large[i] ^= byte(i >> 12)
	}
	if err := os.MkdirAll(filepath.Join(root, "src", "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(root, "src", "sub", fmt.Sprint(i)), fmt.Appendf(nil, "file %d", i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "src", "large"), large, 0o644); err != nil {
		t.Fatal(err)
	}
	env := up.env("OPENCLAW_INSTANCE_ID="+up.instance, "OPENCLAW_MCP_TRANSFER_ROOTS="+root)
	hold := make(chan struct{})
	up.SetFaults(emulatortest.Fault{Endpoint: writeFileEndpoint, Call: 15, Release: hold})
	s := combinations[0].connect(t, env)
	r := s.ok(t, "upload_files", params{"local_path": "src", "path": "app", "wait_seconds": 0})
	handle := r.str("run")
	if r.str("status") != "running" || handle == "" {
		t.Fatalf("%s", r.Text)
	}
	eventually(t, "a part is held", func() bool { return up.Calls(writeFileEndpoint) >= 15 })
	s.proc.kill(t)
	close(hold)
	sent := up.Calls(writeFileEndpoint)

	web := combinations[2].connect(t, env)
	if r := web.call(t, "wait_run", params{"runs": []string{handle}}); !r.IsError || !strings.Contains(r.Text, "only over stdio") {
		t.Errorf("over HTTP: %s", r.Text)
	}
	s = combinations[1].connect(t, env)
	r = s.ok(t, "wait_run", params{"runs": []string{handle}})
	if run := r.run(0); run.str("status") != "completed" {
		t.Fatalf("%s", r.Text)
	}
	parts := len(large)/(704<<10) + 1
	if n := up.Calls(writeFileEndpoint); n > parts+8 || n <= sent {
		t.Errorf("%d of %d parts were sent before the kill, and %d in all", sent, parts, n)
	}
	r = s.ok(t, "download_files", params{"local_path": filepath.Join(root, "back"), "path": "/workspace/app"})
	for r.str("status") == "running" {
		r = s.follow(t, r).run(0)
	}
	var data struct {
		StructuredContent struct{ Transfer struct{ Files int } }
	}
	_ = json.Unmarshal(r.raw, &data)
	got, err := os.ReadFile(filepath.Join(root, "back", "large"))
	if n := data.StructuredContent.Transfer.Files; err != nil || !bytes.Equal(got, large) || n != 0 && n != 301 {
		t.Errorf("%v, %d bytes, %d files", err, len(got), n)
	}
	if got, err := os.ReadFile(filepath.Join(root, "back", "sub", "299")); err != nil || string(got) != "file 299" {
		t.Errorf("%q, %v", got, err)
	}
}
