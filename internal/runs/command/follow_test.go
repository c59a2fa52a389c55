package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// step is a part of a command that goes on once a file is there.
func step(name string) string { return "until [ -e " + name + " ]; do sleep 0.02; done\n" }

// waiting waits for a run in a goroutine.
func waiting(t *testing.T, r runs.Run, limit int, p runs.Progress) <-chan *runs.Update {
	t.Helper()
	done := make(chan *runs.Update, 1)
	go func() {
		u, err := r.Wait(t.Context(), runs.UntilDone, limit, p)
		if err != nil {
			t.Error(err)
		}
		done <- u
	}()
	return done
}

// Who watches a command is told all of its output as it comes, also what the result has no room
// for; the handle in the result reads on where the result's beginning ends.
func TestProgressIsWhole(t *testing.T) {
	t.Parallel()
	for name, command := range map[string]string{
		"together": "seq 1 20000\n" + step("go") + "seq 20001 30000\n" + step("end") + "echo last",
		"both":     "seq 1 20000; seq 1 2000 >&2\n" + step("go") + "seq 20001 30000\n" + step("end") + "echo last",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{})
			r := w.command(Request{Detach: true, Command: command, Watched: true})
			ReadPlain(r)
			var p runstest.Record
			done := waiting(t, r, 3000, &p)
			has := func(line string) func() bool {
				return func() bool { return strings.Contains(p.Joined(), "\n"+line+"\n") }
			}
			eventually(t, "what is beyond the result's beginning", has("20000"))
			w.sh("touch go")
			eventually(t, "what came later", has("30000"))
			w.sh("touch end")
			u := <-done
			var want strings.Builder
			want.WriteString(w.sh("seq 1 30000; echo last"))
			if name == "both" {
				for i := range 2000 {
					want.WriteString(fmt.Sprintln(i + 1))
				}
			}
			if got := p.Joined(); len(got) != len(want.String()) || name == "together" && got != want.String() {
				t.Errorf("the progress has %d bytes, the command wrote %d", len(got), len(want.String()))
			}
			o := output(u)
			if u.Status != runs.StatusCompleted || !u.More || !strings.HasPrefix(want.String(), o.Stdout.Head) || len(o.Stdout.Head) > 2000 || o.Stdout.Omitted == 0 || !strings.HasSuffix(o.Stdout.Tail, "last\n") {
				t.Errorf("got %+v", u)
			}
			more := w.Done(w.open(w.m, u.Handle), nil)
			if got := o.Stdout.Head + output(more).Stdout.Head; !strings.HasPrefix(want.String(), got) || len(got) == len(o.Stdout.Head) {
				t.Errorf("reading on continues %q with %q", shortEnd(o.Stdout.Head), output(more).Stdout.Head[:20])
			}
		})
	}
}

func shortEnd(s string) string { return s[max(0, len(s)-20):] }

// A flood is not told all: its progress keeps up, and says how much it leaves out.
func TestProgressOfFlood(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	const size = 3 * maxBehind
	r := w.command(Request{Detach: true, Command: fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x; echo; echo last", size), Watched: true})
	ReadPlain(r)
	eventually(t, "all of it", func() bool { return output(runstest.Now(t, r)).StdoutSize == int64(size+len("\nlast\n")) })
	var p runstest.Record
	w.Done(w.open(w.m, r.Handle()), &p)
	got, left := p.Joined(), 0
	for _, line := range p.Lines {
		if _, err := fmt.Sscanf(line.Text, "status: %d bytes of the output are left out here", &left); err != nil {
			t.Errorf("%q: %v", line.Text, err)
		}
	}
	if len(p.Lines) != 1 || len(got)+left != size+len("\nlast\n") || !strings.HasSuffix(got, "x\nlast\n") {
		t.Errorf("told are %d bytes, left out %d of %d: %v", len(got), left, size, p.Lines)
	}
}

// The result has all of an output that fits, however it came, and does not claim that there is
// more to read.
func TestOutputThatFits(t *testing.T) {
	t.Parallel()
	for _, watched := range []bool{false, true} {
		for size, fits := range map[int]bool{1900: true, 2100: true, 2990: true, 3100: false} {
			t.Run(fmt.Sprint(size, watched), func(t *testing.T) {
				t.Parallel()
				w := start(t, emulatortest.Options{})
				text := strings.Repeat("0123456789", size/10)
				r := w.command(Request{Detach: true, Command: "echo begun\n" + step("go") + "echo " + text})
				want := "begun\n" + text + "\n"
				var p runs.Progress
				var told runstest.Record
				if watched {
					p = &told
				}
				done := waiting(t, r, 3000, p)
				w.sh("touch go")
				u := <-done
				o := output(u)
				if u.More == fits || fits && (o.Stdout.Head != want || o.Stdout.Tail != "" || o.Stdout.Omitted != 0) {
					t.Errorf("there is more: %v; the result has %d and %d of %d bytes, %d are omitted", u.More, len(o.Stdout.Head), len(o.Stdout.Tail), len(want), o.Stdout.Omitted)
				}
				if watched && told.Joined() != want {
					t.Errorf("told are %d of %d bytes", len(told.Joined()), len(want))
				}
				if again := w.Done(w.open(w.m, u.Handle), nil); fits && output(again).Stdout.Head != "" {
					t.Errorf("read again: %q", output(again).Stdout.Head)
				}
			})
		}
	}
}

// The output of a command that ends at once is told, too.
func TestProgressOfQuickCommands(t *testing.T) {
	t.Parallel()
	for name, req := range map[string]Request{
		"with its start": {Detach: true, Wait: time.Minute, Inline: 1000, Watched: true},
		"attached":       {},
		"not detached":   {Detach: true, Watched: true}, // since it is too long
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{})
			w.m.commands.beginWait = time.Minute
			req.Command = "printf 'out\\n10%%\\r20%%\\n'; echo err >&2"
			if name == "not detached" {
				req.Command += " #" + strings.Repeat("x", maxDetached)
			}
			for plain, want := range map[bool]string{false: "out\n10%\r20%\nerr\n", true: "out\n20%\nerr\n"} {
				r := w.command(req)
				if plain {
					ReadPlain(r)
				}
				var p runstest.Record
				if u := w.Done(r, &p); p.Joined() != want || u.Status != runs.StatusCompleted {
					t.Errorf("plain %v: told is %q, want %q", plain, p.Joined(), want)
				}
			}
		})
	}
}

// Of lines that are redrawn, who watches sees each state, and is told the last one: what the
// result has.
func TestProgressOfRedrawnLines(t *testing.T) {
	t.Parallel()
	const steps = 4
	var command strings.Builder
	command.WriteString("printf 'begun\\nwork'\n")
	for i := range steps {
		command.WriteString(step(fmt.Sprint("go", i)) + fmt.Sprintf("printf '\\r%d of %d'\n", i, steps))
	}
	command.WriteString(step("end") + "printf '\\r\\033[Kdone\\nopen'")
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprint("plain ", plain), func(t *testing.T) {
			t.Parallel()
			w := start(t, emulatortest.Options{})
			r := w.command(Request{Detach: true, Command: command.String(), Watched: true})
			if plain {
				ReadPlain(r)
			}
			var p runstest.Record
			done := waiting(t, r, 0, &p)
			for i := range steps {
				w.sh(fmt.Sprint("touch go", i))
				state := fmt.Sprintf("%d of %d", i, steps)
				eventually(t, state, func() bool {
					if plain {
						return p.Joined() == "begun\n" && p.Open() == state
					}
					return strings.HasSuffix(p.Joined(), "\r"+state)
				})
			}
			w.sh("touch end")
			u := <-done
			if got := p.Joined(); got != output(u).Stdout.Head || plain && got != "begun\n\x1b[Kdone\nopen" {
				t.Errorf("told is %q, the result has %q", got, output(u).Stdout.Head)
			}
		})
	}
}

// followed is a Progress of which somebody else can go on.
type followed struct {
	runstest.Record
	mu   sync.Mutex
	at   runs.State
	told string // up to there
}

func (f *followed) Upto(at runs.State, tell func()) {
	tell()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.told = at, f.Joined()
}

// Whoever goes on with a wait tells the rest, also of a line that is being written.
func TestProgressGoesOn(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	r := w.command(Request{Detach: true, Command: "printf 'begun\n10%%\r20%%'\n" + step("go") + "printf '\rdone\nlast\n'", Watched: true})
	ReadPlain(r)
	var p followed
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() {
		defer close(left)
		_, _ = r.Wait(ctx, runs.UntilDone, 0, &p)
	}()
	eventually(t, "the open line", func() bool { return p.Open() == "20%" })
	p.mu.Lock()
	at, told := r.(*detached).state, p.told
	at.Read, at.ReadErr = p.at.Read, p.at.ReadErr
	p.mu.Unlock()
	if told != "begun\n" || at.Read != int64(len(told)) {
		t.Errorf("told is %q, up to byte %d", told, at.Read)
	}
	leave() // the process is gone
	<-left
	other := w.process(testKey, "")
	next := w.open(other, other.Seal(at))
	ReadPlain(next)
	var rest runstest.Record
	done := waiting(t, next, 0, &rest)
	w.sh("touch go")
	<-done
	if got := told + rest.Joined(); got != "begun\ndone\nlast\n" {
		t.Errorf("told are %q and %q", told, rest.Joined())
	}
}

// A wait that is to end in time does not wait for what the sandbox does not tell.
func TestEndInTime(t *testing.T) {
	t.Parallel()
	w, held, hold := startHeld(t)
	w.m.commands.leastLook = time.Hour
	r := w.command(soon("echo x >>count; echo out"))
	<-held
	EndInTime(r)
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	ended := make(chan *runs.Update, 1)
	go func() { u, _ := r.Wait(ctx, runs.UntilDone, 0, nil); ended <- u }()
	select {
	case u := <-ended:
		if u == nil || u.Status != runs.StatusRunning {
			t.Errorf("got %+v", u)
		}
	case <-time.After(5 * time.Minute):
		t.Error("it waits for the start")
	}
	close(hold)
	w.Done(r, nil)
}

// A process that takes a command up finds out what it is, and other processes list it as it
// ended.
func TestListedAfterRestart(t *testing.T) {
	t.Parallel()
	w, ps := several(t, 3, emulatortest.Options{})
	req := Request{Detach: true, Command: "echo 'what it is about'\n\texit 3"}
	first := w.startAt(ps[0], req)
	w.Done(first, nil)
	ps[0].kill()
	w.Done(w.open(ps[1], first.Handle()), nil)
	for i, p := range ps[1:] {
		var all []runs.Update
		eventually(t, "the list", func() bool {
			var err error
			all, err = p.ListEverywhere(t.Context())
			return err == nil && len(all) == 1
		})
		if u := all[0]; u.About != "echo 'what it is about' exit 3" || code(&u) != "3" || u.Status != runs.StatusCompleted {
			t.Errorf("process %d lists %+v with exit code %s", i+1, u, code(&u))
		}
	}
}

// While the sandbox does not answer, a command is listed as it was last seen.
func TestListedWhileAway(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	r := w.command(Request{Detach: true, Command: "exit 3"})
	w.Done(r, nil)
	w.Srv.SetFaults(emulatortest.Fault{Endpoint: execEndpoint, Drop: true})
	if u := runstest.Now(t, r); !output(u).Unseen || len(u.Notes) != 1 {
		t.Errorf("got %+v", u)
	}
	if u := w.m.List()[0]; u.Status != runs.StatusCompleted || code(&u) != "3" || u.About != "exit 3" {
		t.Errorf("listed is %+v", u)
	}
}

func TestNaps(t *testing.T) {
	for d, want := range map[time.Duration][2]int{-time.Second: {}, 0: {}, 49 * time.Millisecond: {}, newsEvery: {4, 4}, 500 * time.Millisecond: {10, 10}, longPoll: {22, 35}} {
		if got := [2]int{naps(d, longNap), naps(d, firstNap)}; got != want {
			t.Errorf("%s takes %d naps, want %d", d, got, want)
		}
	}
}

// A key that a command writes in two pieces is in one result, where it can be masked.
func TestKeyIsNotSplit(t *testing.T) {
	t.Parallel()
	const key = "sk_live_0123456789abcdef"
	c, err := client.New(nil, "http://127.0.0.1:1", key)
	if err != nil {
		t.Fatal(err)
	}
	svc := &Service{c: c}
	for _, cut := range []int{4, 12, len(key) - 1} {
		if got := string(svc.whole([]byte("a "+key[:cut]), true)); got != "a " {
			t.Errorf("of %q, %q is given before it is known", key[:cut], got)
		}
		if got := string(svc.behindKey([]byte(key[len(key)-cut:] + " b"))); got != " b" {
			t.Errorf("of %q, %q is given at the start", key[len(key)-cut:], got)
		}
	}
	for _, s := range []string{"a sk_", "a " + key, "é"} {
		if got := string(svc.whole([]byte(s), true)); got != s {
			t.Errorf("%q is given as %q", s, got)
		}
	}
	if got := string(svc.whole([]byte(key[:9]), false)); got != key[:9] {
		t.Errorf("the end of an output is given as %q", got)
	}
}
