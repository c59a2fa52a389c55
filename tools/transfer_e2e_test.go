//go:build e2e

package tools

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestTransferTools(t *testing.T) {
	t.Parallel()
	b, root := startTransfers(t, emulatortest.Options{})
	for name, content := range map[string]string{"src/a": "1", "src/b/c": "22", "src/x.log": "3", "src/.gitignore": "*.log"} {
		path := filepath.Join(root, name)
		_ = os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := callTransfer(b, "upload_files", args{"local_path": "src", "path": "app"})
	out, ok := r.Structured.(*runOut)
	if r.IsError || !ok || out.Status != "completed" || out.Run != "" || out.Transfer.Files != 3 || out.Transfer.Bytes != 8 || out.Transfer.Ignored != 1 {
		t.Fatalf("%s %+v", r.Text, out.Transfer)
	}
	if !strings.Contains(r.Text, "3 of 3 files in place, 8 of 8 bytes, 1 left out by .gitignore") {
		t.Errorf("the text is %q", r.Text)
	}
	if got, _ := os.ReadFile(filepath.Join(b.dir, "app/b/c")); string(got) != "22" {
		t.Errorf("app/b/c holds %q", got)
	}
	r = callTransfer(b, "upload_files", args{"local_path": filepath.Join(root, "src"), "path": "/workspace/app", "ignore": false, "overwrite": false})
	if out := r.Structured.(*runOut); out.Transfer.Files != 4 || out.Transfer.Unchanged != 3 {
		t.Errorf("%s %+v", r.Text, out.Transfer)
	}
	r = callTransfer(b, "download_files", args{"local_path": "back", "path": "app"})
	if got, _ := os.ReadFile(filepath.Join(root, "back/x.log")); r.IsError || string(got) != "3" {
		t.Errorf("%s: %q", r.Text, got)
	}

	// What went wrong is named, and told as a failure.
	_ = os.MkdirAll(filepath.Join(b.dir, "bad/a/in the way"), 0o755)
	r = callTransfer(b, "upload_files", args{"local_path": "src", "path": "bad"})
	if !r.IsError || !strings.Contains(r.Text, "failed: a: it can't be put in place") || !strings.Contains(r.Text, "2 of 3 files") {
		t.Errorf("%s", r.Text)
	}

	// A wait without time gives the handle, and wait_run the end.
	hold := make(chan struct{})
	b.srv.SetFaults(emulatortest.Fault{Endpoint: "POST /instances/{instance}/terminal/exec", Call: 1, Release: hold})
	r = callTransfer(b, "upload_files", args{"local_path": "src", "path": "later", "wait_seconds": 0})
	out = r.Structured.(*runOut)
	if r.IsError || out.Status != "running" || out.Run == "" || !strings.Contains(out.Next, "wait_run") {
		t.Errorf("%s", r.Text)
	}
	r2 := callTransfer(b, "upload_files", args{"local_path": "src", "path": "later", "wait_seconds": 0})
	if !strings.Contains(r2.Text, "joins it") {
		t.Errorf("%s", r2.Text)
	}
	close(hold)
	r = callTransfer(b, "wait_run", args{"runs": []string{out.Run}})
	if r.IsError || !strings.Contains(r.Text, "3 of 3 files") {
		t.Errorf("%s", r.Text)
	}
	if r := callTransfer(b, "list_runs", args{}); r.IsError || !strings.Contains(r.Text, "download") && !strings.Contains(r.Text, "3 of 3 files") {
		t.Errorf("%s", r.Text)
	}
}
