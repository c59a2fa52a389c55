package runs

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

// readOutput reads a background command with one handle after the other, from
// managers that open gives, for as long as wait at a time.
func readOutput(t *testing.T, handle string, limit func() int, wait func() time.Duration, open func() *Manager) (stdout, stderr []byte, last *Update) {
	t.Helper()
	for range 10_000 {
		r, err := open().Open(handle)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait())
		u, err := r.Wait(ctx, UntilNews, limit(), nil)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		stdout, stderr = append(stdout, u.Exec.Stdout.Head...), append(stderr, u.Exec.Stderr.Head...)
		if u.Status.Over() && !u.More {
			return stdout, stderr, u
		}
		handle = u.Handle
	}
	t.Fatal("no end")
	return nil, nil, nil
}

func constant[T any](v T) func() T { return func() T { return v } }

// TestOutputResumed reads the growing output of a command from one process
// after the other: nothing is lost or doubled, and no character is split.
func TestOutputResumed(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{Sandbox: mode})
			r := w.command(CommandRequest{Detach: true, Command: `i=0; while [ $i -lt 150 ]; do
				printf 'zeile %d wö👋' $i; printf '\303'; sleep 0.004; printf '\251\n'; printf 'ü%d' $i >&2; i=$((i+1)); done`})
			var out, errs strings.Builder
			for i := range 150 {
				fmt.Fprintf(&out, "zeile %d wö👋é\n", i)
				fmt.Fprintf(&errs, "ü%d", i)
			}
			handle := r.Handle()
			check := func(m *Manager) func() *Manager {
				return func() *Manager {
					if rand.IntN(3) == 0 {
						m.Close()
						m = w.manager(testKey, "")
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
	w := start(t, emulator.Options{})
	binary := make([]byte, 10_000)
	for i := range binary {
		binary[i] = byte(rand.IntN(256))
	}
	binary = append(binary, 0xF0, 0x9F) // half a character at the very end
	for name, content := range map[string][]byte{"binary": binary, "text": []byte(strings.Repeat("a👋é", 1300)), "tails": bytes.Repeat([]byte{0x80}, 3000)} {
		if err := os.WriteFile(filepath.Join(w.srv.Workspace(w.id), "data"), content, 0o644); err != nil {
			t.Fatal(err)
		}
		r := w.command(CommandRequest{Detach: true, Command: "cat data; cat data >&2"})
		for _, limit := range []int{0, 3000} {
			stdout, stderr, u := readOutput(t, r.Handle(), constant(limit), constant(10*time.Second), constant(w.m))
			if !bytes.Equal(stdout, content) || !bytes.Equal(stderr, content) || code(u) != "0" {
				t.Errorf("%s, limit %d: got %d and %d bytes, want %d", name, limit, len(stdout), len(stderr), len(content))
			}
		}
	}
}

// TestLargeOutput has a command write 5 MB: its head and tail are shown, and
// the rest can be read.
func TestLargeOutput(t *testing.T) {
	const limit = 20_000
	w := start(t, emulator.Options{})
	var whole bytes.Buffer
	for i := 1; whole.Len() < 5_000_000; i++ {
		fmt.Fprintf(&whole, "line %d\n", i)
	}
	if err := os.WriteFile(filepath.Join(w.srv.Workspace(w.id), "data"), whole.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	r := w.command(CommandRequest{Detach: true, Command: "cat data"})
	eventually(t, "its end", func() bool { return (<-nowait(t, r)).Status.Over() })
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	u, err := r.Wait(t.Context(), UntilDone, limit, nil)
	runtime.ReadMemStats(&after)
	if err != nil || u.Status != StatusCompleted || !u.More {
		t.Fatalf("got %+v, %v", u, err)
	}
	o := u.Exec.Stdout
	if len(o.Head)+len(o.Tail) > limit || len(o.Head) < limit/2 || len(o.Tail) < limit/4 {
		t.Errorf("got %d and %d bytes", len(o.Head), len(o.Tail))
	}
	if int64(len(o.Head))+o.Omitted+int64(len(o.Tail)) != int64(whole.Len()) || u.Exec.StdoutSize != int64(whole.Len()) {
		t.Errorf("%d+%d+%d bytes are not %d", len(o.Head), o.Omitted, len(o.Tail), whole.Len())
	}
	if !bytes.HasPrefix(whole.Bytes(), []byte(o.Head)) || !bytes.HasSuffix(whole.Bytes(), []byte(o.Tail)) {
		t.Error("the head or the tail is not that of the output")
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("reading %d bytes of it took %d bytes of memory", limit, used)
	}
	read := o.Head
	for range 2 {
		if u, err = w.open(w.m, u.Handle).Wait(t.Context(), UntilDone, 0, nil); err != nil {
			t.Fatal(err)
		}
		read += u.Exec.Stdout.Head
	}
	if !strings.HasPrefix(whole.String(), read) || len(read) < 1_000_000 {
		t.Errorf("%d bytes that were read on are not those of the output", len(read))
	}
}

// TestKill cancels a command with its children.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{Sandbox: mode})
			for name, command := range map[string]string{
				"willing":  "sleep 987 & echo $! $$; wait",
				"stubborn": "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $$; wait",
			} {
				for _, timeout := range []time.Duration{0, time.Hour} {
					r := w.command(CommandRequest{Detach: true, Command: command, Timeout: timeout})
					var pids []string
					eventually(t, "the pids", func() bool {
						pids = strings.Fields((<-nowait(t, r)).Exec.Stdout.Head)
						return len(pids) == 2
					})
					// Not kill -0: the dead may wait for init to collect them.
					kill0 := "for p in " + strings.Join(pids, " ") + `; do l=; read -r l </proc/$p/stat; case ${l##*) } in ""|Z*) ;; *) echo alive;; esac; done 2>/dev/null`
					if got := w.sh(kill0); got != "alive\nalive\n" {
						t.Fatalf("%s: got %q", name, got)
					}
					// Another wait for it protects it from a request's end.
					other, waited := w.open(w.m, r.Handle()), make(chan *Update, 1)
					go func() { u, _ := other.Wait(t.Context(), UntilDone, 0, nil); waited <- u }()
					eventually(t, "the other waiter", func() bool { return r.others() == 1 })
					r.CancelUnlessShared(t.Context())
					if got := w.sh(kill0); got != "alive\nalive\n" {
						t.Errorf("%s: a shared command was killed", name)
					}
					other.CancelUnlessShared(t.Context())
					if u := <-waited; u.Status != StatusCancelled || u.Err != nil {
						t.Errorf("%s: got %+v", name, u)
					}
					eventually(t, "the end of all of it", func() bool { return w.sh(kill0) == "" })
					if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "ended before") {
						t.Errorf("%s: got %q, %v", name, note, err)
					}
				}
			}
		})
	}
}

// TestGoneAndLost takes away what a command stands on.
func TestGoneAndLost(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulator.Options{Sandbox: mode})
			begin := func() (*Run, string) {
				r := w.command(CommandRequest{Detach: true, Command: "echo so far; sleep 300"})
				eventually(t, "its output", func() bool { return (<-nowait(t, r)).Exec.Stdout.Head == "so far\n" })
				return r, runDir(r.state.ID)
			}
			// kill ends the command and its supervisor, and does one more thing.
			kill := func(then string) *Run {
				r, dir := begin()
				w.sh(`d=` + dir + `; read -r p f <$d/pid; read -r l </proc/$p/stat; set -- ${l##*) }; kill -9 $2 -$p; ` + then)
				return r
			}
			gone, dir := begin()
			w.sh("rm -rf " + dir)
			if u := w.done(gone, nil); u.Status != StatusFailed || !strings.Contains(u.Err.Error(), "gone") {
				t.Errorf("got %+v", u)
			}
			if note, err := gone.Cancel(t.Context()); err != nil || !strings.Contains(note, "gone") {
				t.Errorf("got %q, %v", note, err)
			}
			lost := []*Run{
				kill(""),
				// Its number is another process's by now.
				kill("sleep 60 >/dev/null 2>&1 & echo $! $f >$d/pid"),
				// The supervisor died before it could say anything.
				kill("rm $d/pid; touch -d '2 minutes ago' $d/cmd"),
			}
			rebooted, _ := begin()
			if _, err := w.c.Instances.Reboot(t.Context(), w.id); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i, r := range append(lost, rebooted) {
				wg.Go(func() {
					u, err := r.Wait(t.Context(), UntilDone, 0, nil)
					if err != nil || u.Status != StatusFailed || !strings.Contains(fmt.Sprint(u.Err), "no exit code") || u.Exec.Stdout.Head != "so far\n" {
						t.Errorf("%d: got %+v, %v", i, u, err)
					}
					if note, err := r.Cancel(t.Context()); err != nil || !strings.Contains(note, "ended before") {
						t.Errorf("%d: got %q, %v", i, note, err)
					}
				})
			}
			wg.Wait()
		})
	}
}

// TestOldFiles clears away what ended long ago, and nothing else.
func TestOldFiles(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	begin := func(command string) string {
		r := w.command(CommandRequest{Detach: true, Command: command})
		if command == "true" {
			w.done(r, nil)
		}
		return runDir(r.state.ID)
	}
	old, young, running := begin("true"), begin("true"), begin("sleep 100")
	w.sh("touch -d '2 days ago' " + old + "/* " + running + "/* " + young + "/out")
	begin("true") // the last sweep is not long ago
	if w.sh("ls -d "+old+" 2>/dev/null; true") == "" {
		t.Error("swept again at once")
	}
	w.m.sweptFiles[w.id] = time.Now().Add(-sweepFiles)
	begin("true")
	eventually(t, "the old files to go", func() bool { return w.sh("ls -d "+old+" 2>/dev/null; true") == "" })
	if got := w.sh("ls -d " + young + " " + running + "; ls -A /workspace"); len(got) != len(young+running)+2 || !strings.Contains(got, young) || !strings.Contains(got, running) {
		t.Errorf("left are %q, want %s and %s", got, young, running)
	}
	if got := w.sh("stat -c %a " + young + " " + young + "/out"); got != "700\n600\n" {
		t.Errorf("others may read: %q", got)
	}
}

// TestStalledCommand has a command be silent for longer than the patience.
func TestStalledCommand(t *testing.T) {
	t.Parallel()
	w := start(t, emulator.Options{})
	w.m.cfg.StallAfter = 300 * time.Millisecond
	r := w.command(CommandRequest{Detach: true, Command: "echo so far; sleep 1.5; echo done"})
	var u *Update
	for range 20 {
		var err error
		if u, err = r.Wait(t.Context(), UntilDone, 0, nil); err != nil {
			t.Fatal(err)
		}
		if u.Status != StatusStalled {
			break
		}
		r = w.open(w.m, u.Handle)
	}
	if u.Status != StatusCompleted || !strings.HasSuffix(u.Exec.Stdout.Head, "done\n") {
		t.Errorf("got %+v", u)
	}
}
