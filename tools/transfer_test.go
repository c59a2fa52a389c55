package tools

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/runs"
)

// startTransfers is a bench whose tools may touch a folder of this machine.
func startTransfers(t *testing.T, opts emulator.Options) (b *bench, root string) {
	t.Helper()
	b, root = newBench(t, opts), t.TempDir()
	s, err := b.deps.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Runs, err = runs.NewManager(runs.Config{Client: s.Client, APIKey: "key", TransferRoots: []string{root}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Runs.Close)
	b.deps.Transfers = func(context.Context) bool { return true }
	b.deps.Progress = func(context.Context) Progress { return silent{} }
	b.deps.OnCancel = func(context.Context, func(string)) {}
	return b, root
}

type silent struct{}

func (silent) Text(string) {}
func (silent) Line(string) {}
func (silent) Close()      {}

func callTransfer(b *bench, name string, a args) Result {
	b.Helper()
	raw, err := json.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range slices.Concat(transferTools(), runTools()) {
		if t.Name == name {
			return t.Call(b.Context(), b.deps, raw, Exchange{})
		}
	}
	b.Fatalf("no tool %s", name)
	return Result{}
}

func TestTransferTools(t *testing.T) {
	t.Parallel()
	b, root := startTransfers(t, emulator.Options{})
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
	b.srv.SetFaults(emulator.Fault{Endpoint: "POST /instances/{instance}/terminal/exec", Call: 1, Release: hold})
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

// Tools cost their client context.
func TestTransferToolsAreShort(t *testing.T) {
	for _, tool := range transferTools() {
		b, err := json.Marshal(tool.Definition())
		if err != nil || len(b) > 1800 {
			t.Errorf("%s takes %d bytes, %v", tool.Name, len(b), err)
		}
	}
}

func TestTransferToolsAreLimited(t *testing.T) {
	t.Parallel()
	b, root := startTransfers(t, emulator.Options{})
	if err := os.WriteFile(filepath.Join(root, "f"), []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	good := args{"local_path": "f", "path": "/workspace/app/f", "instance": b.id}
	r := callTransfer(b, "upload_files", args{"local_path": "f", "path": "/workspace/app/f", "wait_seconds": 0})
	handle := r.Structured.(*runOut).Run
	if handle == "" {
		handle = b.handle()
	}
	callTransfer(b, "wait_run", args{"runs": []string{handle}})
	refused := func(why string, name string, a args, words ...string) {
		t.Helper()
		before := b.srv.Mutations()
		r := callTransfer(b, name, a)
		for _, w := range words {
			if !r.IsError || !strings.Contains(r.Text, w) {
				t.Errorf("%s: %s, want %q", why, r.Text, w)
			}
		}
		if b.srv.Mutations() != before {
			t.Errorf("%s: something was sent", why)
		}
	}
	refused("a path outside", "upload_files", args{"local_path": "/etc/passwd", "path": "x"}, `"local_path"`, "not under a folder", "corrected")
	refused("a path outside", "download_files", args{"local_path": "../x", "path": "x"}, `"local_path"`)
	refused("no file", "upload_files", args{"local_path": "none", "path": "x"}, "there is no")
	refused("a bad path", "upload_files", args{"local_path": "f", "path": "x\x00"}, "NUL")
	refused("a word too much", "upload_files", args{"local_path": "f", "path": "x", "mode": "x"}, "unknown argument")

	rails := &Rails{}
	b.deps.Rails = func(context.Context) *Rails { return rails }
	for why, set := range map[string]Rails{
		"read-only": {ReadOnly: true}, "paths": {Paths: []string{"/workspace/other"}}, "instances": {Instances: []string{"other"}},
		"excluded": {ExcludeTools: []string{"upload_files"}}, "toolsets": {Toolsets: []string{"runs"}},
	} {
		*rails = set
		word := "not allowed"
		if why == "instances" {
			word = "allowed"
		}
		refused(why, "upload_files", good, word)
		refused(why+", taken up", "wait_run", args{"runs": []string{handle}}, word)
	}
	*rails = Rails{}
	b.deps.Transfers = func(context.Context) bool { return false }
	for _, name := range []string{"upload_files", "download_files"} {
		refused("not over stdio", name, good, "only over stdio")
	}
	refused("taken up not over stdio", "wait_run", args{"runs": []string{handle}}, "only over stdio")
	refused("cancelled not over stdio", "cancel_run", args{"run": handle}, "only over stdio")

	// Where the rails leave no room beside the target, temporary files are in it.
	b.deps.Transfers = func(context.Context) bool { return true }
	*rails = Rails{Paths: []string{"/workspace/app"}}
	var stages []string
	b.between = func(_ http.ResponseWriter, r *http.Request) bool {
		for _, pattern := range []string{".openclaw-mcp-*", "app/.openclaw-mcp-*"} {
			list, _ := filepath.Glob(filepath.Join(b.dir, pattern))
			stages = append(stages, list...)
		}
		return false
	}
	if err := os.WriteFile(filepath.Join(root, "f"), []byte("2"), 0o644); err != nil {
		t.Fatal(err)
	}
	r = callTransfer(b, "upload_files", args{"local_path": "f", "path": "/workspace/app/f"})
	if r.IsError {
		t.Errorf("%s", r.Text)
	}
	if len(stages) == 0 || !strings.HasPrefix(stages[0], filepath.Join(b.dir, "app")) {
		t.Errorf("temporary files are in %q", stages)
	}
}

// handle gives the newest run's.
func (b *bench) handle() string {
	s, err := b.deps.Services(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return s.Runs.List()[0].Handle
}
