package tools

import (
	"context"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// A path that leads nowhere is answered with what is there instead.
func TestMissingPaths(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("src/app/main.go", "package main")
	b.put("src/app/main_test.go", "package main")
	b.put("notes.txt", "x")
	b.put("secret/key", "x")
	rails := &Rails{ExcludePaths: []string{"/workspace/secret"}}
	b.deps.Rails = func(context.Context) *Rails { return rails }
	for _, tt := range []struct {
		tool  string
		args  args
		words []string
	}{
		{"read_file", args{"path": "src/app/mian.go"}, []string{`there is no "/workspace/src/app/mian.go"; /workspace/src/app has main.go, main_test.go`, `"/workspace/src/app/main.go" may be meant`, "nothing was changed", `list_files {"path":"/workspace/src/app"`}},
		{"list_files", args{"path": "scr/app"}, []string{`there is no "/workspace/scr"`, `"/workspace/src/app" may be meant`}},
		{"edit_file", args{"path": "note.txt", "old_text": "x", "new_text": "y"}, []string{`"/workspace/notes.txt" may be meant`}},
		{"search_files", args{"path": "lib", "pattern": "x"}, []string{`there is no "/workspace/lib"; /workspace has notes.txt, src/`}},
		{"manage_files", args{"action": "delete", "path": "notes.tx"}, []string{`"/workspace/notes.txt" may be meant`}},
		{"list_files", args{"path": "notes.txt"}, []string{`"/workspace/notes.txt" is a file`, `read_file {"path":"/workspace/notes.txt"`}},
		{"read_file", args{"path": "notes.txt/more"}, []string{"notes.txt"}},
		{"list_files", args{"path": "/etc"}, []string{`"/etc" is outside of /workspace`, "paths in /workspace are allowed", "exec_command"}},
		{"write_file", args{"path": "/etc/x", "content": "y"}, []string{`"/etc/x" is outside of /workspace`}},
	} {
		b.refuse(tt.tool, tt.args, tt.words...)
		if r := b.try(tt.tool, tt.args); strings.Contains(r.Text, "secret") || strings.Contains(r.Text, "try again when it is ready") {
			t.Errorf("%s %v says %s", tt.tool, tt.args, r.Text)
		}
	}
	rails.ExcludePaths = nil
	b.put("empty/x", "")
	b.try("manage_files", args{"action": "delete", "path": "empty/x"})
	b.refuse("read_file", args{"path": "empty/x"}, `there is no "/workspace/empty/x"; /workspace/empty is empty`)
}

// Of a large folder an error shows the beginning.
func TestMissingPathInLargeFolder(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	for i := range 26 * 4 {
		b.put(strings.Repeat(string(rune('a'+i%26)), 8+i/26), "")
	}
	b.refuse("read_file", args{"path": "0"}, "aaaaaaaa, ", " more\n")
	if r := b.try("read_file", args{"path": "0"}); len(r.Text) > 800 {
		t.Errorf("the error has %d bytes: %s", len(r.Text), r.Text)
	}
}
