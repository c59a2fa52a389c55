//go:build e2e

package tools

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// TestListPages goes through a directory of 10,000 files, some of which come and
// go meanwhile, at one level and through find.
func TestListPages(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{Dir: memoryDir(t)})
	for i := range 10000 {
		name := b.path(fmt.Sprintf("many/f%05d", i))
		if i == 0 {
			if err := os.Mkdir(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range []args{{"path": "many", "limit": 1000}, {"depth": 2, "glob": "many/f*", "limit": 1000, "sort": "size"}} {
		b.deps.MaxResultChars = 100000
		seen := map[string]int{}
		calls := 0
		for {
			calls++
			out := call[listFilesOut](b, "list_files", a)
			for _, f := range out.Entries {
				seen[f.Path]++
			}
			if out.Cursor == "" || calls > 30 {
				break
			}
			next := nextCall(t, out.Next)
			if next["cursor"] != out.Cursor {
				t.Errorf("cursor %q, next %q", out.Cursor, out.Next)
			}
			// What the page ended with goes, and so nothing may be lost with it.
			if calls == 2 {
				last := out.Entries[len(out.Entries)-1].Path
				if err := os.Remove(b.path(strings.TrimPrefix(last, "/workspace/"))); err != nil {
					t.Fatal(err)
				}
				defer b.put(strings.TrimPrefix(last, "/workspace/"), "")
			}
			a = next
		}
		for name, n := range seen {
			if n != 1 {
				t.Fatalf("%v: %s came %d times", a, name, n)
			}
		}
		if len(seen) < 9998 || calls < 10 {
			t.Errorf("%v: %d files in %d calls", a, len(seen), calls)
		}
	}
	b.refuse("list_files", args{"path": "many", "cursor": call[listFilesOut](b, "list_files", args{"path": "many"}).Cursor, "sort": "size"}, "another listing")
}

// TestListHuge: 50,000 entries, whose listing comes in several parts.
func TestListHuge(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{Dir: memoryDir(t)})
	b.without("gzip")
	for d := range 50 {
		dir := b.path(fmt.Sprintf("d%02d", d))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for i := range 1000 {
			if err := os.Symlink("nowhere", filepath.Join(dir, fmt.Sprintf("link-%d", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := call[listFilesOut](b, "list_files", args{"depth": 3, "limit": 60})
	if out.Total != 50050 || len(out.Entries) != 60 || out.Entries[59].Type != "symlink" {
		t.Errorf("got %d of %d", len(out.Entries), out.Total)
	}
	if n := b.srv.Calls(execEndpoint); n < 2 || n > 12 {
		t.Errorf("it took %d commands", n)
	}
	left, _ := filepath.Glob("/tmp/openclaw-mcp-list-*")
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}
