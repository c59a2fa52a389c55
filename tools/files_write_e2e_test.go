//go:build e2e

package tools

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand"
	"os"
	"strings"
	"sync"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// TestWriteLarge: 20 MB arrive as a whole or not at all.
func TestWriteLarge(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	content := strings.Repeat("0123456789abcde\n", 20<<20/16)
	b.put("big", "old")
	for i, f := range []emulatortest.Fault{
		{Endpoint: writeEndpoint, Call: 4, Status: 500},
		{Endpoint: writeEndpoint, Call: 2, Drop: true},
		{Endpoint: execEndpoint, Call: 2, Status: 502, Body: "<html>"},
	} {
		content := content
		if i > 0 {
			content = content[:5<<20] // is in parts, too, and faster
		}
		b.srv.SetFaults(f)
		b.refuse("write_file", args{"path": "big", "content": content})
		b.want("big", "old")
		b.clean()
	}
	b.srv.SetFaults()
	got := call[writeFileOut](b, "write_file", args{"path": "big", "content": content})
	if *got.Bytes != 20<<20 || got.SHA256 != hashOf([]byte(content)) {
		t.Errorf("got %+v", got)
	}
	b.want("big", content)
	b.clean()

	// The answer to the last step is lost, but the step was made.
	b.srv.SetFaults(emulatortest.Fault{Endpoint: execEndpoint, Call: 2, Drop: true, After: true})
	small := strings.Repeat("x", 100<<10)
	if got := call[writeFileOut](b, "write_file", args{"path": "big", "content": small, "if_match": got.SHA256}); got.SHA256 != hashOf([]byte(small)) {
		t.Errorf("got %+v", got)
	}
	b.srv.SetFaults()
	// What would be refused is refused before anything is sent.
	before := b.srv.Calls(writeEndpoint)
	b.refuse("write_file", args{"path": "big", "content": content[:5<<20], "mode": "create"}, "exists")
	if n := b.srv.Calls(writeEndpoint); n != before {
		t.Errorf("%d parts were sent in vain", n-before)
	}
	noise := make([]byte, 5<<20+1)
	_, _ = rand.New(rand.NewSource(1)).Read(noise)
	call[writeFileOut](b, "write_file", args{"path": "noise", "content": base64.StdEncoding.EncodeToString(noise), "encoding": "base64"})
	b.want("noise", string(noise))

	// With no commands, one request has to do.
	b.noExec()
	call[writeFileOut](b, "write_file", args{"path": "big", "content": content[:5<<20]})
	b.want("big", content[:5<<20])
	b.refuse("write_file", args{"path": "big", "content": "x", "mode": "append"}, "not found", "nothing was changed")
	b.refuse("edit_file", args{"path": "big", "old_text": "abc", "new_text": "x"}, "nothing was changed")
	b.clean()
}

// TestWriteRaces: of writers that go by the same content, one wins.
func TestWriteRaces(t *testing.T) {
	t.Parallel()
	writers := 10
	if !thorough {
		writers = 3
	}
	for _, lacking := range []string{"", "flock"} {
		if lacking != "" && !thorough {
			continue
		}
		b := newBench(t, emulatortest.Options{})
		if lacking != "" {
			b.without(lacking)
		}
		b.put("f", "start")
		hash := hashOf([]byte("start"))
		var wg sync.WaitGroup
		results := make([]Result, writers)
		created := make([]Result, writers)
		for i := range results {
			wg.Go(func() {
				results[i] = b.try("write_file", args{"path": "f", "content": fmt.Sprint("by ", i), "if_match": hash})
				created[i] = b.try("write_file", args{"path": "g", "content": fmt.Sprint("by ", i), "mode": "create"})
				if r := b.try("write_file", args{"path": "log", "content": fmt.Sprintf("line %d\n", i), "mode": "append"}); r.IsError {
					t.Error(r.Text)
				}
			})
		}
		wg.Wait()
		for name, all := range map[string][]Result{"f": results, "g": created} {
			winner := -1
			for i, r := range all {
				switch {
				case !r.IsError && winner >= 0:
					t.Errorf("%s: both %d and %d won", name, winner, i)
				case !r.IsError:
					winner = i
				case !strings.Contains(r.Text, "nothing was changed"):
					t.Errorf("%s: %s", name, r.Text)
				}
			}
			b.want(name, fmt.Sprint("by ", winner))
		}
		log, _ := os.ReadFile(b.path("log"))
		if strings.Count(string(log), "\n") != len(results) || len(log) != 7*len(results) {
			t.Errorf("the log is %q", log)
		}
		b.clean()
	}
}

func TestEdit(t *testing.T) {
	t.Parallel()
	writers(t, func(b *bench) {
		b.put("a.go", "package a\n\nfunc one() {}\nfunc two() {}\nfunc one2() {}\n")
		if err := os.Chmod(b.path("a.go"), 0o600); err != nil {
			b.Fatal(err)
		}
		got := call[editFileOut](b, "edit_file", args{"path": "a.go", "old_text": "func two() {}", "new_text": "func two() {\n}"})
		b.want("a.go", "package a\n\nfunc one() {}\nfunc two() {\n}\nfunc one2() {}\n")
		if want := "@@ -2,4 +2,5 @@\n \n func one() {}\n-func two() {}\n+func two() {\n+}\n func one2() {}\n"; got.Diff != want {
			b.Errorf("got the diff\n%swant\n%s", got.Diff, want)
		}
		b.refuse("edit_file", args{"path": "a.go", "old_text": "func", "new_text": "f"}, "3 times", "lines 3, 4, 6", "replace_all")
		got = call[editFileOut](b, "edit_file", args{"path": "a.go", "old_text": "func", "new_text": "f", "replace_all": true, "if_match": got.SHA256})
		if got.Replacements != 3 {
			b.Errorf("got %+v", got)
		}
		b.refuse("edit_file", args{"path": "a.go", "old_text": "f two()  {", "new_text": ""}, "not in the file", "line 4", `Next: read_file {"path":"a.go","line":1,"count":11}`)
		b.refuse("edit_file", args{"path": "a.go", "old_text": "zzz", "new_text": ""}, "not in the file", `Next: read_file {"path":"a.go"}`)
		b.refuse("edit_file", args{"path": "a.go", "old_text": "f", "new_text": "f"}, "same")
		b.refuse("edit_file", args{"path": "a.go", "old_text": "one()", "new_text": "", "if_match": strings.Repeat("a", 64)}, got.SHA256)
		b.refuse("edit_file", args{"path": "none", "old_text": "a", "new_text": "b"}, "none")
		b.refuse("edit_file", args{"path": "/etc/passwd", "old_text": "a", "new_text": "b"}, "leads out")
		if info, _ := os.Stat(b.path("a.go")); info.Mode().Perm() != 0o600 {
			b.Errorf("the permissions became %v", info.Mode())
		}
		b.put("crlf", "one\r\ntwo\r\n")
		call[editFileOut](b, "edit_file", args{"path": "crlf", "old_text": "one\r\ntwo", "new_text": "x\r\ny"})
		b.want("crlf", "x\r\ny\r\n")
		b.refuse("edit_file", args{"path": "crlf", "old_text": "x\r\n", "new_text": "x\n"}, "line ends", "nothing was changed")
		b.want("crlf", "x\r\ny\r\n")
		b.put("latin", "caf\xe9 one\n\x00")
		call[editFileOut](b, "edit_file", args{"path": "latin", "old_text": "one", "new_text": "zwei"})
		b.want("latin", "caf\xe9 zwei\n\x00")
		le := utf16Order(encUTF16LE)
		b.put("wide", "\xff\xfe"+string(toUTF16("one 😀\n", le)))
		call[editFileOut](b, "edit_file", args{"path": "wide", "old_text": "one", "new_text": "Ж"})
		b.want("wide", "\xff\xfe"+string(toUTF16("Ж 😀\n", le)))
		large := strings.Repeat("0123456789abcde\n", 20000)
		b.put("large", large+"here\n"+large)
		call[editFileOut](b, "edit_file", args{"path": "large", "old_text": "here", "new_text": "there"})
		b.want("large", large+"there\n"+large)
		b.clean()
	})
}

func TestWriteExecutable(t *testing.T) {
	t.Parallel()
	writers(t, func(b *bench) {
		mode := func(name string) os.FileMode {
			b.Helper()
			info, err := os.Stat(b.path(name))
			if err != nil {
				b.Fatal(err)
			}
			return info.Mode().Perm()
		}
		script := "#!/bin/sh\necho hi\n"
		for _, a := range []args{
			{"path": "run.sh"}, {"path": "run.sh"}, {"path": "d/new.sh", "mode": "create"}, {"path": "add.sh", "mode": "append"},
		} {
			a["content"], a["executable"] = script, true
			if r := b.try("write_file", a); r.IsError || !strings.Contains(r.Text, "executable") {
				b.Errorf("%v: got %s", a, r.Text)
			}
			name := a["path"].(string)
			b.want(name, script)
			if got := mode(name); got&0o100 == 0 {
				b.Errorf("%v: the mode is %v", a, got)
			}
		}
		b.put("old.sh", "x")
		if err := os.Chmod(b.path("old.sh"), 0o600); err != nil {
			b.Fatal(err)
		}
		call[writeFileOut](b, "write_file", args{"path": "old.sh", "content": script, "executable": true})
		if got := mode("old.sh"); got&0o700 != 0o700 || got&0o066 != 0 {
			b.Errorf("the mode is %v", got)
		}
		b.clean()
	})
	b := newBench(t, emulatortest.Options{})
	b.noExec()
	b.refuse("write_file", args{"path": "x", "content": "x", "executable": true}, "executable")
	b.gone("x")
}

// TestEditRaces: whatever succeeds is in the file, the rest is told, and
// nothing is mixed up: through one bridge and through several.
func TestEditRaces(t *testing.T) {
	t.Parallel()
	n := 20
	if !thorough {
		n = 5
	}
	b := newBench(t, emulatortest.Options{})
	second := newServicesOf(b)
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("line %d: old", i))
	}
	b.put("f", strings.Join(all, "\n")+"\nshared\n")
	var wg sync.WaitGroup
	own, shared := make([]Result, n), make([]Result, n)
	for i := range n {
		tools := b
		if i%5 == 0 {
			tools = second
		}
		wg.Go(func() {
			own[i] = tools.try("edit_file", args{"path": "f", "old_text": fmt.Sprintf("line %d: old", i), "new_text": fmt.Sprintf("line %d: new", i)})
		})
		wg.Go(func() {
			shared[i] = tools.try("edit_file", args{"path": "f", "old_text": "\nshared\n", "new_text": fmt.Sprintf("\nby %d\n", i)})
		})
	}
	wg.Wait()
	winner := -1
	for i := range n {
		if !own[i].IsError {
			all[i] = fmt.Sprintf("line %d: new", i)
		} else if !strings.Contains(own[i].Text, "nothing was changed") {
			t.Errorf("%d: %s", i, own[i].Text)
		}
		switch {
		case !shared[i].IsError && winner >= 0:
			t.Errorf("both %d and %d won", winner, i)
		case !shared[i].IsError:
			winner = i
		case !strings.Contains(shared[i].Text, "nothing was changed"):
			t.Errorf("%d: %s", i, shared[i].Text)
		}
	}
	b.want("f", strings.Join(all, "\n")+fmt.Sprintf("\nby %d\n", winner))
	lost := 0
	for _, r := range own {
		if r.IsError {
			lost++
		}
	}
	if lost > n/4 {
		t.Errorf("%d of %d edits of different lines gave up", lost, n)
	}
	b.clean()
}

// newServicesOf is a second bridge to the same instance.
func newServicesOf(b *bench) *bench {
	s, err := b.deps.Services(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	deps := *b.deps
	other := NewServices(s.Client, testRuns(b.T, s.Client))
	deps.Services = func(context.Context) (*Services, error) { return other, nil }
	c := &bench{T: b.T, srv: b.srv, id: b.id, dir: b.dir, deps: &deps}
	return c
}
