//go:build e2e

package command

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// TestOldFiles clears away what ended long ago, and nothing else.
func TestOldFiles(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	begin := func(command string) string {
		r := w.command(Request{Detach: true, Command: command})
		if command == "true" {
			w.Done(r, nil)
		}
		return w.folder(r)
	}
	old, young, running := begin("true"), begin("true"), begin("sleep 100")
	w.sh("touch -d '2 days ago' " + old + "/* " + running + "/* " + young + "/out")
	begin("true") // the last sweep is not long ago
	if w.sh("ls -d "+old+" 2>/dev/null; true") == "" {
		t.Error("swept again at once")
	}
	w.m.commands.tidied[w.ID] = time.Now().Add(-tidyEvery)
	begin("true")
	eventually(t, "the old files to go", func() bool { return w.sh("ls -d "+old+" 2>/dev/null; true") == "" })
	if got := w.sh("ls -d " + young + " " + running + "; ls -A /workspace"); len(got) != len(young+running)+2 || !strings.Contains(got, young) || !strings.Contains(got, running) {
		t.Errorf("left are %q, want %s and %s", got, young, running)
	}
	if got := w.sh("stat -c %a " + young + " " + young + "/out"); got != "700\n600\n" {
		t.Errorf("others may read: %q", got)
	}
}

// TestLargeOutput has a command write 5 MB: its head and tail are shown, and
// the rest can be read.
func TestLargeOutput(t *testing.T) {
	const limit = 20_000
	w := start(t, emulatortest.Options{})
	var whole bytes.Buffer
	for i := 1; whole.Len() < 5_000_000; i++ {
		fmt.Fprintf(&whole, "line %d\n", i)
	}
	if err := os.WriteFile(filepath.Join(w.Srv.Workspace(w.ID), "data"), whole.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	r := w.command(Request{Detach: true, Command: "cat data"})
	eventually(t, "its end", func() bool { return runstest.Now(t, r).Status.Over() })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	u, err := r.Wait(t.Context(), runs.UntilDone, limit, nil)
	runtime.ReadMemStats(&after)
	if err != nil || u.Status != runs.StatusCompleted || !u.More {
		t.Fatalf("got %+v, %v", u, err)
	}
	o := output(u).Stdout
	if len(o.Head)+len(o.Tail) > limit || len(o.Head) < limit/2 || len(o.Tail) < limit/4 {
		t.Errorf("got %d and %d bytes", len(o.Head), len(o.Tail))
	}
	if int64(len(o.Head))+o.Omitted+int64(len(o.Tail)) != int64(whole.Len()) || output(u).StdoutSize != int64(whole.Len()) {
		t.Errorf("%d+%d+%d bytes are not %d", len(o.Head), o.Omitted, len(o.Tail), whole.Len())
	}
	if !bytes.HasPrefix(whole.Bytes(), []byte(o.Head)) || !bytes.HasSuffix(whole.Bytes(), []byte(o.Tail)) {
		t.Error("the head or the tail is not that of the output")
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("reading %d bytes of it took %d bytes of memory", limit, used)
	}
	var read strings.Builder
	read.WriteString(o.Head)
	for range 2 {
		if u, err = w.open(w.m, u.Handle).Wait(t.Context(), runs.UntilDone, 0, nil); err != nil {
			t.Fatal(err)
		}
		read.WriteString(output(u).Stdout.Head)
	}
	if !strings.HasPrefix(whole.String(), read.String()) || len(read.String()) < 1_000_000 {
		t.Errorf("%d bytes that were read on are not those of the output", len(read.String()))
	}
}

// TestOutputResumed reads the growing output of a command from one process
// after the other: nothing is lost or doubled, and no character is split.
func TestOutputResumed(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{Sandbox: mode})
			const lines = 150
			r := w.command(Request{Detach: true, Command: fmt.Sprintf(`i=0; while [ $i -lt %d ]; do
				printf 'zeile %%d wö👋' $i; printf '\303'; sleep 0.004; printf '\251\n'; printf 'ü%%d' $i >&2; i=$((i+1)); done`, lines)})
			var out, errs strings.Builder
			for i := range lines {
				fmt.Fprintf(&out, "zeile %d wö👋é\n", i)
				fmt.Fprintf(&errs, "ü%d", i)
			}
			handle := r.Handle()
			check := func(m *process) func() *process {
				return func() *process {
					if rand.IntN(3) == 0 {
						m.Close()
						m = w.process(testKey, "")
					}
					return m
				}
			}
			stdout, stderr, u := readOutput(t, handle, func() int { return 1 + rand.IntN(2000) },
				func() time.Duration { return time.Duration(rand.IntN(700)) * time.Millisecond }, check(w.m))
			if string(stdout) != out.String() || string(stderr) != errs.String() || code(u) != "0" {
				t.Errorf("got %d and %d bytes, want %d and %d; code %s", len(stdout), len(stderr), out.Len(), errs.Len(), code(u))
			}
		})
	}
}

// TestOutputBytes reads an output that is no text, and multi-byte characters at
// the borders of what is read at a time.
func TestOutputBytes(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	size, limit := 600, 600
	if thorough {
		size, limit = 10_000, 3000
	}
	binary := make([]byte, size)
	for i := range binary {
		binary[i] = byte(rand.IntN(256))
	}
	binary = append(binary, 0xF0, 0x9F) // half a character at the very end
	for name, content := range map[string][]byte{"binary": binary, "text": []byte(strings.Repeat("a👋é", 1300)), "tails": bytes.Repeat([]byte{0x80}, 3000)} {
		if !thorough && name != "binary" {
			continue
		}
		if err := os.WriteFile(filepath.Join(w.Srv.Workspace(w.ID), "data"), content, 0o644); err != nil {
			t.Fatal(err)
		}
		r := w.command(Request{Detach: true, Command: "cat data; cat data >&2"})
		for _, limit := range []int{0, limit} {
			stdout, stderr, u := readOutput(t, r.Handle(), constant(limit), constant(10*time.Second), constant(w.m))
			if !bytes.Equal(stdout, content) || !bytes.Equal(stderr, content) || code(u) != "0" {
				t.Errorf("%s, limit %d: got %d and %d bytes, want %d", name, limit, len(stdout), len(stderr), len(content))
			}
		}
	}
}
