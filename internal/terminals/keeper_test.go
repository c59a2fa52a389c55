//go:build !windows

package terminals

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// installed are the keepers to test besides tmux: abduco is not in every distribution.
func installed() []string {
	list := []string{"dtach", "screen"}
	if _, err := exec.LookPath("abduco"); err == nil {
		list = append(list, "abduco")
	}
	return list
}

// keptBy makes a bench whose instance has one keeper alone.
func keptBy(t *testing.T, keeper string, o emulatortest.Options, cfg Config) *bench {
	t.Helper()
	if _, err := exec.LookPath(keeper); err != nil {
		t.Fatalf("this test needs %s: .ci/install installs it", keeper)
	}
	o.Path = without(t, slices.DeleteFunc(slices.Clone(keepers), func(k string) bool { return k == keeper })...)
	return newBench(t, o, cfg)
}

// killed breaks the connections as kill -9 of their process does, and has that do
// nothing any more.
func (b *bench) killed() {
	b.breakAll()
	b.Manager.Close()
}

// elsewhere finds a terminal in another process.
func (b *bench) elsewhere(handle string) Session {
	b.Helper()
	s, _, err := b.manager(Config{}).Find(handle)
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *bench) read(s Session, q Query) View {
	b.Helper()
	v, err := s.Read(b.Context(), q)
	if err != nil {
		b.Fatal(err)
	}
	return v
}

// sh runs a command in the instance, beside the terminals.
func (b *bench) sh(command string) string {
	b.Helper()
	r, err := b.client.Terminal.Exec(b.Context(), b.instance, client.ExecRequest{Command: command})
	if err != nil {
		b.Fatal(err)
	}
	return r.Stdout.Head
}

// Nothing of a shell shows that it is kept: its size, its variables, its kind of
// terminal, what it answers, and its exit code are those of a plain one.
func TestKeptIsInvisible(t *testing.T) {
	for _, family := range []emulatortest.TerminalFamily{emulatortest.TerminalT1, emulatortest.TerminalT2, emulatortest.TerminalT3, emulatortest.TerminalT4} {
		t.Run(string(family), func(t *testing.T) {
			plain := newBench(t, emulatortest.Options{Path: plain(t), Terminal: family}, Config{Family: ""})
			kept := keptBy(t, "tmux", emulatortest.Options{Terminal: family}, Config{})
			ask := func(b *bench) string {
				_, s := b.open()
				b.write(s, "stty rows 24 cols 80", `[#$] $`) // T2 can't be told
				b.write(s, "clear; env | cut -d= -f1 | sort | tr '\\n' ' '; stty size; echo $TERM $0 $- $PWD; tty | cut -c1-8; [ -t 0 ] && echo 漢字-$((1+1))", `漢字-2\n.*[#$] $`)
				v := b.read(s, Query{Part: PartScreen})
				if v.FullScreen {
					t.Errorf("%+v", v)
				}
				if _, err := s.Write(b.Context(), Input{Text: "exit 3\n"}, Wait{}); err != nil {
					t.Fatal(err)
				}
				if v := b.status(s, StatusExited); v.ExitCode == nil && family != emulatortest.TerminalT2 && family != emulatortest.TerminalT4 || v.ExitCode != nil && *v.ExitCode != 3 {
					t.Errorf("the exit code: %+v", v)
				}
				return v.Text
			}
			if got, want := ask(kept), ask(plain); got != want {
				t.Errorf("kept by tmux:\n%s\nplain:\n%s", got, want)
			}
		})
	}
}

// A second process goes on with what the first one left, killed in the middle of
// it: screen, scrollback, and the program that runs.
func TestTakeUp(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	handle, s := b.open()
	b.write(s, `PS1="> "; x=kept; for i in $(seq 1 60); do echo "line $i"; done`, "^line 60$")
	first := b.write(s, `printf '\033(0lqk\033(B \033[31mred\033[0m 漢字 \033]2;a title\007'; cat`, "漢字")
	b.killed()
	other := b.elsewhere(handle)
	v := b.read(other, Query{Part: PartScreen})
	if v.Text != first.Text || v.Row != first.Row || v.Col != first.Col || v.Title != "a title" || !strings.Contains(v.Text, "┌─┐ red 漢字") {
		t.Errorf("the screen was\n%s\nand is\n%s\n%+v", first.Text, v.Text, v)
	}
	if h := b.read(other, Query{Part: PartHistory, Cursor: -1}); !strings.Contains(h.Text, "line 1\nline 2\n") || strings.Contains(h.Text, "line 60") {
		t.Errorf("the scrollback: %q", h.Text)
	}
	if n := b.read(other, Query{Part: PartNew, Cursor: first.Cursor}); n.Text != "" || len(n.Notes) == 0 {
		t.Errorf("new output: %+v", n)
	}
	from := b.read(other, Query{Part: PartNew, Cursor: -1}).Cursor
	b.write(other, "typed", "^typed\n")
	if _, err := other.Write(t.Context(), Input{Keys: []string{"ctrl-d"}}, Wait{Pattern: "> $", For: 2 * time.Minute}); err != nil {
		t.Fatal(err)
	}
	b.write(other, "echo $x-$x", "^kept-kept$")
	if n := b.read(other, Query{Part: PartNew, Cursor: from}); !strings.HasPrefix(n.Text, "typed\r\ntyped\r\n") || strings.Count(n.Text, "kept-kept") != 1 {
		t.Errorf("new output: %q", n.Text)
	}
}

// What a full-screen program draws, and the screen behind it, come over whole.
func TestTakeUpFullScreen(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	handle, s := b.open()
	b.write(s, `PS1="> "; echo behind-$((1+1))`, "^behind-2$")
	b.write(s, "seq 1 300 >n; less n", `^n$|^:`)
	first, err := s.Write(t.Context(), Input{Text: "50g"}, Wait{Pattern: `\A50$`, For: 2 * time.Minute})
	if err != nil || first.Ended != EndPattern {
		t.Fatalf("%v, %+v", err, first)
	}
	other := b.elsewhere(handle)
	v := b.read(other, Query{Part: PartScreen})
	if v.Text != first.Text || !v.FullScreen || v.Row != first.Row || v.Col != first.Col {
		t.Errorf("the screen was\n%+v\nand is\n%+v", first, v)
	}
	// The keys that less has asked for work.
	v, err = other.Write(t.Context(), Input{Keys: []string{"down", "down"}}, Wait{Pattern: `\A52$`, For: 2 * time.Minute})
	if err != nil || v.Ended != EndPattern {
		t.Errorf("%v, %+v", err, v)
	}
	v, err = other.Write(t.Context(), Input{Text: "q"}, Wait{Pattern: `> $`, For: 2 * time.Minute})
	if err != nil || v.FullScreen || !strings.Contains(v.Text, "\nbehind-2\n") {
		t.Errorf("behind it: %v, %+v", err, v)
	}
}

// Two processes that are both alive take turns, and each line runs once.
func TestTurns(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	handle, _ := b.open()
	managers := []*Manager{b.Manager, b.manager(Config{}), b.manager(Config{})}
	for i := range 6 {
		s, _, err := managers[i%3].Find(handle)
		if err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("echo turn-$((%d+1)) | tee -a turns", i)
		for {
			_, err := s.Write(t.Context(), Input{Text: line, Keys: []string{"enter"}}, Wait{Pattern: fmt.Sprintf("^turn-%d$", i+1), For: 2 * time.Minute})
			var ended *EndedError
			if !errors.As(err, &ended) || ended.Status != StatusMoved {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if s, _, err = managers[i%3].Find(handle); err != nil { // nothing was typed
				t.Fatal(err)
			}
		}
	}
	if got := b.sh("cat turns"); got != "turn-1\nturn-2\nturn-3\nturn-4\nturn-5\nturn-6\n" {
		t.Errorf("typed: %q", got)
	}
}

// Many calls at once take a terminal up once.
func TestTakeUpOnce(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	handle, s := b.open()
	b.write(s, "echo here-$((1+1))", "^here-2$")
	b.killed()
	m := b.manager(Config{})
	before := b.service.Calls(endpoint)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, _, err := m.Find(handle)
			if err != nil {
				t.Error(err)
				return
			}
			if v, err := s.Read(t.Context(), Query{Part: PartScreen}); err != nil || !strings.Contains(v.Text, "here-2") {
				t.Errorf("%v, %+v", err, v)
			}
		})
	}
	all.Wait()
	if n := b.service.Calls(endpoint) - before; n != 1 {
		t.Errorf("%d connections", n)
	}
}

// A broken connection is made again, though the service knows nothing of shells.
func TestKeptResume(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	_, s := b.open()
	b.write(s, "x=kept; (sleep 0.3; echo mean''while) &", `[#$] $`)
	b.breakAll()
	await(t, func() bool { return b.service.Calls(endpoint) == 2 })
	v := b.write(s, "wait; echo $x-$x", "^kept-kept$")
	if v.Status != StatusOpen || !strings.Contains(v.Text, "meanwhile") {
		t.Errorf("%+v", v)
	}
}

// Closing ends all that runs in the terminal, also what does not listen to a
// hang-up, and leaves nothing in the instance.
func TestKeptClose(t *testing.T) {
	for _, keeper := range append(installed(), "tmux") {
		t.Run(keeper, func(t *testing.T) {
			b := keptBy(t, keeper, emulatortest.Options{}, Config{})
			handle, s := b.open()
			b.write(s, `sh -c 'trap "" HUP TERM; echo deaf-$((1+1)); exec sleep 4321'`, "^deaf-2$")
			s = b.elsewhere(handle)
			if v, err := s.Close(t.Context()); err != nil || v.Status != StatusClosed {
				t.Fatalf("%v, %+v", err, v)
			}
			left := ""
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("left: %s", left)
				}
			})
			await(t, func() bool {
				left = strings.TrimSpace(b.sh(`ls -d /tmp/openclaw-mcp-*/t-* 2>/dev/null; for f in /proc/[0-9]*/cmdline; do tr '\0' ' ' <$f | grep -E '^(sleep 4321|tmux|SCREEN|dtach|abduco|sh /tmp/openclaw-mcp-[^ ]*/watch )'; done 2>/dev/null`))
				return left == ""
			})
			var ended *EndedError
			if _, err := b.elsewhere(handle).Read(t.Context(), Query{}); !errors.As(err, &ended) {
				t.Errorf("read again: %v", err)
			}
		})
	}
}

// A shell that nobody comes back to ends by itself.
func TestKeptIdle(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{Idle: 2 * time.Second})
	handle, _ := b.open()
	// Its process lets go of it, and a call finds it again.
	await(t, func() bool { return b.Count() == 0 })
	s, _, err := b.Find(handle)
	if err != nil {
		t.Fatal(err)
	}
	b.write(s, "echo back-$((1+1))", "^back-2$")
	b.Manager.Close()
	await(t, func() bool { return b.sh("ls /tmp/openclaw-mcp-*") == "" })
}

// Programs that keep a shell but not its screen let it go on, and say what is
// not shown.
func TestOtherKeepers(t *testing.T) {
	for _, keeper := range installed() {
		t.Run(keeper, func(t *testing.T) {
			b := keptBy(t, keeper, emulatortest.Options{}, Config{})
			handle, s := b.open()
			b.write(s, "x=kept; stty size", "^24 80")
			b.write(s, "seq 1 300 >n; less n", `^n$|^:`)
			b.killed()
			other := b.elsewhere(handle)
			v := b.read(other, Query{Part: PartScreen, Wait: Wait{Pattern: "^23$", For: 2 * time.Minute}})
			if !strings.HasPrefix(v.Text, "1\n2\n") || !strings.Contains(strings.Join(v.Notes, " "), keeper) {
				t.Errorf("%+v", v)
			}
			if _, err := other.Write(t.Context(), Input{Text: "q"}, Wait{Quiet: 300 * time.Millisecond, For: time.Minute}); err != nil {
				t.Fatal(err)
			}
			b.write(other, "echo $x-$x", "^kept-kept")
			if _, err := other.Write(t.Context(), Input{Text: "exit 5\n"}, Wait{}); err != nil {
				t.Fatal(err)
			}
			if v := b.status(other, StatusExited); v.ExitCode == nil || *v.ExitCode != 5 {
				t.Errorf("%+v", v)
			}
		})
	}
}

// Where there is no keeper, and the process that had the shell is gone, that is said.
func TestPlainIsElsewhere(t *testing.T) {
	b := newBench(t, emulatortest.Options{Path: plain(t)}, Config{})
	handle, s := b.open()
	b.write(s, "echo here-$((1+1))", "^here-2$")
	for name, call := range map[string]func(context.Context, Session) error{
		"write": func(ctx context.Context, s Session) error {
			_, err := s.Write(ctx, Input{Text: "x"}, Wait{})
			return err
		},
		"read":  func(ctx context.Context, s Session) error { _, err := s.Read(ctx, Query{}); return err },
		"close": func(ctx context.Context, s Session) error { _, err := s.Close(ctx); return err },
	} {
		if err := call(t.Context(), b.elsewhere(handle)); !errors.Is(err, ErrElsewhere) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A service with one shell for all connections, where the keeper is not: nothing of the line that
// was typed for it is on the first screen.
func TestSharedShellWithoutKeeper(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	var mu sync.Mutex
	screen := "welcome\r\n$ "
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/terminal/ws") {
			b.service.ServeHTTP(w, r)
			return
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		say := func(out string) error {
			return wsjson.Write(r.Context(), ws, map[string]string{"type": "output", "data": out})
		}
		mu.Lock()
		err = say(screen)
		mu.Unlock()
		for err == nil {
			var in struct{ Data string }
			if err = wsjson.Read(r.Context(), ws, &in); err != nil || in.Data == "" {
				continue
			}
			line := strings.TrimSuffix(in.Data, "\r")
			path := strings.Trim(strings.Fields(line)[1], "'")
			answer := line + "\r\nsh: 0: cannot open " + path + ": No such file\r\n$ "
			mu.Lock()
			screen += answer
			mu.Unlock()
			_ = say(answer)
			return
		}
	}))
	defer web.Close()
	c, err := client.New(nil, web.URL, testKey, client.WithRetry(1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	m, err := NewManager(Config{Client: c, APIKey: testKey})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, s, err := m.Open(t.Context(), b.instance, 80, 24)
	if err != nil {
		t.Fatal(err)
	}
	if v := b.read(s, Query{Part: PartScreen}); !strings.Contains(v.Text, "welcome") || strings.Contains(v.Text, "start") {
		t.Errorf("the screen: %q", v.Text)
	}
}
