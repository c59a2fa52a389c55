package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/fleettest"
)

const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if dir := os.Getenv("FLEET_FILES_DIR"); dir != "" {
		if err := other(dir, os.Getenv("FLEET_FILES_DO")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// other is another process of the fleet. It says "ready", and ends with its input.
func other(dir, do string) error {
	f, err := Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx := context.Background()
	switch do {
	case "serve":
		_, err = f.Serve("x", func(ctx context.Context, body []byte, part func([]byte) error) ([]byte, error) {
			if err := part(fmt.Appendf(nil, "%d has %s", os.Getpid(), body)); err != nil {
				return nil, err
			}
			if string(body) == "slow" {
				<-ctx.Done()
				fmt.Println("left")
			}
			return nil, nil
		})
	case "hear":
		_, err = f.Hear("x", func(body []byte) { fmt.Printf("heard %s\n", body) })
	case "count": // as fast as it can
		for range 200 {
			for {
				fact, _, err := f.Create(ctx, "count", []byte("0"))
				if err != nil {
					return err
				}
				n, err := strconv.Atoi(string(fact.Value))
				if err != nil {
					return err
				}
				_, err = f.Change(ctx, fact, []byte(strconv.Itoa(n+1)))
				if err == nil {
					break
				}
				if !errors.Is(err, fleet.ErrChanged) {
					return err
				}
			}
		}
	case "create":
		fact, ours, err := f.Create(ctx, "x", fmt.Append(nil, os.Getpid()))
		if err != nil {
			return err
		}
		fmt.Println(ours, string(fact.Value))
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// process is another one that shares the folder.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines chan string
}

func start(t *testing.T, dir, do string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(os.Args[0]), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), "FLEET_FILES_DIR="+dir, "FLEET_FILES_DO="+do)
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-read
		_ = p.cmd.Wait()
	})
	return p
}

// says waits for the process's next line.
func (p *process) says(t *testing.T) string {
	t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			t.Fatal("the process has ended")
		}
		return line
	case <-time.After(patience):
		t.Fatal("the process says nothing")
		return ""
	}
}

func (p *process) ready(t *testing.T) *process {
	t.Helper()
	if got := p.says(t); got != "ready" {
		t.Fatalf("it says %q", got)
	}
	return p
}

func open(t *testing.T, dir string) *Fleet {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestFiles(t *testing.T) {
	fleettest.Run(t, func(t *testing.T) (a, b fleet.Fleet) {
		dir := t.TempDir()
		return open(t, dir), open(t, dir)
	})
}

func TestFilesSealed(t *testing.T) {
	fleettest.Run(t, func(t *testing.T) (a, b fleet.Fleet) {
		dir := t.TempDir()
		var both [2]fleet.Fleet
		for i := range both {
			s, err := fleet.Sealed(open(t, dir), "key", "alice")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			both[i] = s
		}
		return both[0], both[1]
	})
}

// TestProcesses asks and tells other processes, and kills them.
func TestProcesses(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	a, b := start(t, dir, "serve").ready(t), start(t, dir, "hear").ready(t)
	if got, err := fleettest.All(f.Ask(t.Context(), "x", []byte("this"))); err != nil || got != strconv.Itoa(a.cmd.Process.Pid)+" has this" {
		t.Errorf("got %q, %v", got, err)
	}
	for i := range 20 {
		fleettest.Tell(t, f, "x", strconv.Itoa(i))
	}
	for i := range 20 {
		if got := b.says(t); got != fmt.Sprintf("heard %d", i) {
			t.Errorf("it says %q, want %d", got, i)
		}
	}

	// Who leaves is not worked for.
	for _, err := range f.Ask(t.Context(), "x", []byte("slow")) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if got := a.says(t); got != "left" {
		t.Errorf("it says %q", got)
	}

	// Killed while it answers, it is lost; after that, gone.
	var last error
	for part, err := range f.Ask(t.Context(), "x", []byte("slow")) {
		if last = err; part != nil {
			_ = a.cmd.Process.Kill()
		}
	}
	if !errors.Is(last, fleet.ErrLost) {
		t.Errorf("got %v", last)
	}
	if _, err := fleettest.All(f.Ask(t.Context(), "x", nil)); !errors.Is(err, fleet.ErrGone) {
		t.Errorf("got %v", err)
	}
	// Its lock goes a moment after its socket.
	for end := time.Now().Add(patience); len(list(t, f.folder)) != 2; { // b's socket and lock
		if _, err := fleettest.All(f.Ask(t.Context(), "x", nil)); !errors.Is(err, fleet.ErrGone) || time.Now().After(end) {
			t.Fatalf("got %v; a killed process leaves %q", err, list(t, f.folder))
		}
	}
	_ = b.stdin.Close()
	if _, ok := <-b.lines; ok {
		t.Error("it says more")
	}
	if left := list(t, f.folder); len(left) != 0 {
		t.Errorf("a process that ended leaves %q", left)
	}
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestProcessesCount has processes change one fact, some of which are killed
// meanwhile: no change is lost, none is made twice, and nothing stays locked.
func TestProcessesCount(t *testing.T) {
	dir := t.TempDir()
	f := open(t, dir)
	var wg sync.WaitGroup
	var counted []*process
	for range 3 {
		counted = append(counted, start(t, dir, "count"))
		victim := start(t, dir, "count")
		wg.Go(func() {
			// At no particular place, but while it writes.
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if fact, ok, _ := f.Find(context.Background(), "count"); ok && len(fact.Value) > 0 && string(fact.Value) != "0" {
					break
				}
			}
			_ = victim.cmd.Process.Kill()
		})
	}
	for _, p := range counted {
		p.ready(t)
	}
	wg.Wait()
	fact, _, err := f.Create(t.Context(), "count", nil)
	n, _ := strconv.Atoi(string(fact.Value))
	if err != nil || n < 600 || n > 1200 {
		t.Errorf("it counts %q, %v", fact.Value, err)
	}
}

// TestProcessesOnce has many processes make one fact.
func TestProcessesOnce(t *testing.T) {
	dir := t.TempDir()
	var all []*process
	for range 6 {
		all = append(all, start(t, dir, "create"))
	}
	ours, values := 0, map[string]bool{}
	for _, p := range all {
		mine, value, _ := strings.Cut(p.says(t), " ")
		if values[value] = true; mine == "true" {
			ours++
		}
	}
	if ours != 1 || len(values) != 1 {
		t.Errorf("%d made it, and it is %v", ours, values)
	}
}

// TestAge has facts be over after a day, and what is old be cleared away.
func TestAge(t *testing.T) {
	f := open(t, t.TempDir())
	fact, _, err := f.Create(t.Context(), "x", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	old := func(age time.Duration) {
		if err := os.Chtimes(f.fileOf("x"), time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	old(fleet.Day - time.Minute)
	if got, ok, err := f.Find(t.Context(), "x"); !ok || err != nil || string(got.Value) != "1" {
		t.Errorf("got %+v, %v, %v", got, ok, err)
	}
	old(fleet.Day)
	if got, ok, err := f.Find(t.Context(), "x"); ok || err != nil {
		t.Errorf("after a day it is %q, %v", got.Value, err)
	}
	if _, err := f.Change(t.Context(), fact, nil); !errors.Is(err, fleet.ErrChanged) {
		t.Errorf("after a day it was changed: %v", err)
	}
	if _, ours, err := f.Create(t.Context(), "x", []byte("2")); !ours || err != nil {
		t.Errorf("after a day it could not be made again: %v", err)
	}
	old(fleet.Day + 2*sweepEvery)
	left := filepath.Join(f.dir, "facts", "left.tmp")
	if err := errors.Join(os.WriteFile(left, nil, 0o600), os.Chtimes(left, time.Time{}, time.Now().Add(-26*time.Hour))); err != nil {
		t.Fatal(err)
	}
	f.swept = time.Time{}
	if _, _, err := f.Create(t.Context(), "y", nil); err != nil {
		t.Fatal(err)
	}
	if got := list(t, filepath.Join(f.dir, "facts")); len(got) != 1 || got[0] != fleet.Address("y") {
		t.Errorf("left are %q", got)
	}
}

// A file that a power failure cut says nothing.
func TestCutFile(t *testing.T) {
	f := open(t, t.TempDir())
	if err := os.WriteFile(f.fileOf("x"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, ours, err := f.Create(t.Context(), "x", []byte("1")); !ours || err != nil {
		t.Errorf("got %v, %v", ours, err)
	}
}

// Somebody may clear the folder away while it is used.
func TestClearedFolder(t *testing.T) {
	f := open(t, t.TempDir())
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	if _, ours, err := f.Create(t.Context(), "x", []byte("1")); !ours || err != nil {
		t.Errorf("got %v, %v", ours, err)
	}
	if _, ok, err := f.Find(t.Context(), "x"); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}

// A lock that somebody keeps ends in an error that says that nothing was done.
func TestHeldLock(t *testing.T) {
	f := open(t, t.TempDir())
	lock, err := tryLock(filepath.Join(f.dir, "locks", fleet.Address("x")[:2]))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := f.Create(ctx, "x", nil); !errors.Is(err, fleet.ErrAway) || !strings.Contains(err.Error(), "lock") {
		t.Errorf("got %v", err)
	}
}

// TestOpen refuses folders that can't be ours.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{file, filepath.Join(file, "below")} {
		if _, err := Open(bad); err == nil {
			t.Errorf("%s could be used", bad)
		}
	}
	if runtime.GOOS == "windows" {
		return
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(link); err == nil {
		t.Error("a link could be used")
	}
	wide := filepath.Join(dir, "wide")
	if err := errors.Join(os.Mkdir(wide, 0o755), os.Chmod(wide, 0o755)); err != nil {
		t.Fatal(err)
	}
	open(t, wide)
	for _, d := range []string{wide, filepath.Join(wide, "facts"), filepath.Join(wide, "locks")} {
		if st, err := os.Stat(d); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s is %v, %v", d, st.Mode(), err)
		}
	}
}

// The path of a socket must be short; that of a state folder need not.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 30))
	f, g := open(t, dir), open(t, dir)
	t.Cleanup(func() { _ = os.Remove(f.folder) })
	if len(f.path(f.id)) > maxPath {
		t.Fatalf("the path is %s", f.path(f.id))
	}
	if _, err := f.Serve("x", func(_ context.Context, b []byte, part func([]byte) error) ([]byte, error) { return b, nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := fleettest.All(g.Ask(t.Context(), "x", []byte("1"))); err != nil || got != "1" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A body beyond all sense is refused, and not sent in part.
func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	f, g := open(t, dir), open(t, dir)
	if _, err := f.Serve("x", func(context.Context, []byte, func([]byte) error) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := fleettest.All(g.Ask(t.Context(), "x", bytes.Repeat([]byte("x"), maxFrame+1))); err == nil {
		t.Error("no error")
	}
}

// An answer ends when its asker is there, and takes nothing.
func TestAskerStopped(t *testing.T) {
	dir := t.TempDir()
	f, g := open(t, dir), open(t, dir)
	f.stalled = time.Millisecond
	ended := make(chan struct{})
	if _, err := f.Serve("x", func(_ context.Context, _ []byte, part func([]byte) error) ([]byte, error) {
		defer close(ended)
		for {
			if err := part(make([]byte, 1<<20)); err != nil {
				return nil, err
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	for range g.Ask(t.Context(), "x", nil) {
		<-ended // it reads one part
	}
}

func BenchmarkCreate(b *testing.B) {
	f, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		if _, _, err := f.Create(b.Context(), strconv.Itoa(i), make([]byte, 200)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAsk(b *testing.B) {
	dir := b.TempDir()
	f, _ := Open(dir)
	g, _ := Open(dir)
	defer f.Close()
	defer g.Close()
	_, _ = f.Serve("x", func(_ context.Context, b []byte, part func([]byte) error) ([]byte, error) { return b, nil })
	for b.Loop() {
		if _, err := fleettest.All(g.Ask(b.Context(), "x", nil)); err != nil {
			b.Fatal(err)
		}
	}
}
