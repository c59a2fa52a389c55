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

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/transfers"
)

// startTransfers is a bench whose tools may touch a folder of this machine.
func startTransfers(t *testing.T, opts emulatortest.Options) (b *bench, root string) {
	t.Helper()
	b, root = newBench(t, opts), t.TempDir()
	s, err := b.deps.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Files = transfers.New(s.Runs, transfers.Config{Roots: []string{root}})
	b.deps.Transfers = func(context.Context) bool { return true }
	b.deps.Progress = func(context.Context, func(int) string) Progress { return silent{} }
	b.deps.OnCancel = func(context.Context, func(string)) {}
	return b, root
}

type silent struct{}

func (silent) Text(string)                   {}
func (silent) Line(string)                   {}
func (silent) Now(string)                    {}
func (silent) Together(tell, sending func()) { tell(); sending() }
func (silent) Close()                        {}

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

// What would run on this machine is asked about, once the rest is there; and what was
// agreed to is what is written.
func TestDownloadAsks(t *testing.T) {
	t.Parallel()
	b, root := startTransfers(t, emulatortest.Options{})
	b.put("app/main.go", "1")
	b.put("app/.envrc", "touch pwned")
	b.put("app/.vscode/tasks.json", "{}")
	a := args{"local_path": "dst", "path": "app"}
	exists := func(name string) bool {
		_, err := os.Lstat(filepath.Join(root, "dst", name))
		return err == nil
	}
	b.deps.Confirm = NewConfirmer(ConfirmDeny)
	r := callTransfer(b, "download_files", a)
	if r.IsError || !strings.Contains(r.Text, "1 of 1 files in place") || !strings.Contains(r.Text, "2 held back") || !strings.Contains(r.Text, "OPENCLAW_MCP_CONFIRM=deny") {
		t.Errorf("denied: %s", r.Text)
	}
	b.deps.Confirm = NewConfirmer(ConfirmAsk)
	r = callTransfer(b, "download_files", a)
	if !r.IsError || !strings.Contains(r.Text, "1 of 1 files in place") || !strings.Contains(r.Text, ".envrc, .vscode/tasks.json") || strings.Contains(r.Text, "Nothing was done") {
		t.Errorf("asked: %s", r.Text)
	}
	if !exists("main.go") || exists(".envrc") || exists(".vscode/tasks.json") {
		t.Fatal("what would run is there before anybody agreed, or the rest is not")
	}
	_, rest, _ := strings.Cut(r.Text, `confirm: "`)
	token, _, _ := strings.Cut(rest, `"`)
	b.put("other/.envrc", "touch pwned")
	b.put("other/.vscode/tasks.json", "{}")
	for _, c := range []args{{"local_path": "home", "path": "app"}, {"local_path": "dst", "path": "other"}} {
		c["confirm"] = token
		if r = callTransfer(b, "download_files", c); !r.IsError || !strings.Contains(r.Text, "not the confirmation of this very call") {
			t.Errorf("the agreement is good for %v: %s", c, r.Text)
		}
		if _, err := os.Lstat(filepath.Join(root, "home", ".envrc")); err == nil || exists(".envrc") {
			t.Errorf("%v: .envrc was written", c)
		}
	}
	// The question is about the names of this machine.
	one := callTransfer(b, "download_files", args{"local_path": "home/.bashrc", "path": "app/main.go"})
	if !one.IsError || !strings.Contains(one.Text, "from /workspace/app/main.go on instance "+b.id+" to "+filepath.Join(root, "home")+" ") || !strings.Contains(one.Text, " .bashrc (contents") {
		t.Errorf("asked: %s", one.Text)
	}
	b.put("app/.envrc", "touch worse")
	a["confirm"] = token
	if r = callTransfer(b, "download_files", a); !r.IsError || exists(".envrc") {
		t.Errorf("the agreement to one content is good for another: %s", r.Text)
	}
	b.put("app/.envrc", "touch pwned")
	if r = callTransfer(b, "download_files", a); r.IsError || !exists(".envrc") || !exists(".vscode/tasks.json") || !strings.Contains(r.Text, "3 of 3 files") {
		t.Errorf("agreed: %s", r.Text)
	}
	delete(a, "confirm")
	if r = callTransfer(b, "download_files", a); r.IsError || !strings.Contains(r.Text, "3 were there already") {
		t.Errorf("again: %s", r.Text)
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
	b, root := startTransfers(t, emulatortest.Options{})
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
