package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// readOutput reads a background command with one handle after the other, from
// managers that open gives, for as long as wait at a time.
func readOutput(t *testing.T, handle string, limit func() int, wait func() time.Duration, open func() *process) (stdout, stderr []byte, last *runs.Update) {
	t.Helper()
	for range 10_000 {
		r, err := open().Open(handle)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), wait())
		u, err := r.Wait(ctx, runs.UntilNews, limit(), nil)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		stdout, stderr = append(stdout, output(u).Stdout.Head...), append(stderr, output(u).Stderr.Head...)
		if u.Status.Over() && !u.More {
			return stdout, stderr, u
		}
		handle = u.Handle
	}
	t.Fatal("no end")
	return nil, nil, nil
}

func constant[T any](v T) func() T { return func() T { return v } }

// TestKill cancels a command with its children.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, mode := range modes {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{Sandbox: mode})
			for name, command := range map[string]string{
				"willing":  "sleep 987 & echo $! $$; wait",
				"stubborn": "trap '' TERM; sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & echo $$; wait",
			} {
				for _, timeout := range []time.Duration{0, time.Hour} {
					if !thorough && (name != "willing" || timeout != 0) {
						continue
					}
					r := w.command(Request{Detach: true, Command: command, Timeout: timeout})
					var pids []string
					eventually(t, "the pids", func() bool {
						pids = strings.Fields(output(runstest.Now(t, r)).Stdout.Head)
						return len(pids) == 2
					})
					// Not kill -0: the dead may wait for init to collect them.
					kill0 := "for p in " + strings.Join(pids, " ") + `; do l=; read -r l </proc/$p/stat; case ${l##*) } in ""|Z*) ;; *) echo alive;; esac; done 2>/dev/null`
					if got := w.sh(kill0); got != "alive\nalive\n" {
						t.Fatalf("%s: got %q", name, got)
					}
					// Another wait for it protects it from a request's end.
					other, waited := w.open(w.m, r.Handle()), make(chan *runs.Update, 1)
					go func() { u, _ := other.Wait(t.Context(), runs.UntilDone, 0, nil); waited <- u }()
					eventually(t, "the other waiter", func() bool { return r.OtherWaits() == 1 })
					if err := runs.CancelUnlessShared(t.Context(), r); err != nil {
						t.Error(err)
					}
					if got := w.sh(kill0); got != "alive\nalive\n" {
						t.Errorf("%s: a shared command was killed", name)
					}
					if err := runs.CancelUnlessShared(t.Context(), other); err != nil {
						t.Error(err)
					}
					if u := <-waited; u.Status != runs.StatusCancelled || u.Err != nil {
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
			w := start(t, emulatortest.Options{Sandbox: mode})
			begin := func() (runs.Run, string) {
				r := w.command(Request{Detach: true, Command: "echo so far; sleep 300"})
				eventually(t, "its output", func() bool { return output(runstest.Now(t, r)).Stdout.Head == "so far\n" })
				return r, w.folder(r)
			}
			// kill ends the command and its supervisor, and does one more thing.
			kill := func(then string) runs.Run {
				r, dir := begin()
				w.sh(`d=` + dir + `; read -r p f <$d/pid; read -r l </proc/$p/stat; set -- ${l##*) }; kill -9 $2 -$p; ` + then)
				return r
			}
			gone, dir := begin()
			w.sh("rm -rf " + dir)
			if u := w.Done(gone, nil); u.Status != runs.StatusFailed || !strings.Contains(u.Err.Error(), "gone") {
				t.Errorf("got %+v", u)
			}
			for _, want := range []string{"killed, with all", "gone"} {
				if note, err := gone.Cancel(t.Context()); err != nil || !strings.Contains(note, want) {
					t.Errorf("got %q, %v", note, err)
				}
			}
			// Its number is another process's by now.
			lost := []runs.Run{kill("sleep 60 >/dev/null 2>&1 & echo $! $f >$d/pid")}
			if thorough {
				// The supervisor died before it could say anything.
				lost = append(lost, kill(""), kill("rm $d/pid; touch -d '2 minutes ago' $d/cmd"))
			}
			rebooted, _ := begin()
			if _, err := w.Client.Instances.Reboot(t.Context(), w.ID); err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for i, r := range append(lost, rebooted) {
				wg.Go(func() {
					u, err := r.Wait(t.Context(), runs.UntilDone, 0, nil)
					if err != nil || u.Status != runs.StatusFailed || !strings.Contains(fmt.Sprint(u.Err), "no exit code") || output(u).Stdout.Head != "so far\n" {
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

// TestStalledCommand has a command be silent for longer than the patience.
func TestStalledCommand(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	w.m.Config.StallAfter = 300 * time.Millisecond
	r := w.command(Request{Detach: true, Command: "echo so far; sleep 1.5; echo done"})
	var u *runs.Update
	for range 20 {
		var err error
		if u, err = r.Wait(t.Context(), runs.UntilDone, 0, nil); err != nil {
			t.Fatal(err)
		}
		if u.Status != runs.StatusStalled {
			break
		}
		r = w.open(w.m, u.Handle)
	}
	if u.Status != runs.StatusCompleted || !strings.HasSuffix(output(u).Stdout.Head, "done\n") {
		t.Errorf("got %+v", u)
	}
}
