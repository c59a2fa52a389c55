//go:build e2e && linux

package chaos

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/files"
	"openclaw-mcp/internal/fleet/natsfleet"
)

// What must be gone once all callers are done, and what once all processes have ended.

// eventually waits for what must come, all in all as long as patience lasts.
func (w *world) eventually(what string, check func() error) {
	if w.tidied.IsZero() {
		w.tidied = time.Now()
	}
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Since(w.tidied) > patience {
			w.violation("I9: %s: %v", what, err)
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// size is how much of the machine a replica takes.
type size struct{ goroutines, descriptors int }

// A replica may keep more than it began with: what it knows of its caller, idle
// connections, the desktop, and the names that it serves, each of which is a
// subscription with a goroutine of its own.
var mayGrow = size{goroutines: 100, descriptors: 15}

// size asks a replica.
func (r *replica) size() (s size, err error) {
	res, err := http.Get("http://" + r.admin + "/metrics")
	if err != nil {
		return s, err
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		n, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "go_goroutines":
			s.goroutines = int(n)
		case "process_open_fds":
			s.descriptors = int(n)
		}
	}
	if s.goroutines == 0 || s.descriptors == 0 {
		return s, fmt.Errorf("its metrics do not say how large it is")
	}
	return s, nil
}

// greet has each replica serve a call, and takes its measure.
func (w *world) greet() {
	for _, r := range w.replicas {
		transport := &http.Transport{}
		o := newClient("http://"+r.address(), modern, "measure", transport).call(context.Background(), "list_chat_sessions", nil)
		transport.CloseIdleConnections()
		var err error
		if r.began, err = r.size(); err != nil || !o.done() {
			w.t.Fatalf("%s can't be measured: %v, %s", r.name, err, o)
		}
	}
}

// settled holds the processes that live to what they may keep when nobody calls.
func (w *world) settled() {
	w.eventually("streams of the service are open", func() error {
		if n := w.service.OpenStreams(); n > 0 {
			return fmt.Errorf("%d of them", n)
		}
		return nil
	})
	for _, r := range w.replicas {
		var now size
		w.eventually(r.name+" has grown", func() (err error) {
			if now, err = r.size(); err != nil {
				return err
			}
			if now.goroutines > r.began.goroutines+mayGrow.goroutines || now.descriptors > r.began.descriptors+mayGrow.descriptors {
				return fmt.Errorf("from %+v to %+v", r.began, now)
			}
			return nil
		})
		w.t.Logf("%s: %+v at first, %+v in the end", r.name, r.began, now)
		if now.goroutines > r.began.goroutines+mayGrow.goroutines/2 {
			r.profile()
		}
	}
}

// profile keeps what the goroutines of a replica are at.
func (r *replica) profile() {
	res, err := http.Get("http://" + r.admin + "/debug/pprof/goroutine?debug=1")
	if err != nil {
		return
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err == nil {
		_ = os.WriteFile(filepath.Join(os.TempDir(), "chaos-"+r.name+".goroutines"), b, 0o600)
	}
}

// nothingLeft looks for what the processes left behind when they ended.
func (w *world) nothingLeft() {
	for what, open := range map[string]func() int{
		"streams": w.service.OpenStreams, "terminals": w.service.OpenTerminals, "desktops": w.service.OpenDesktops,
	} {
		w.eventually(what+" of the service are open", func() error {
			if n := open(); n > 0 {
				return fmt.Errorf("%d of them", n)
			}
			return nil
		})
	}
	w.noFacts()
	// A terminal whose opening had no answer ends by its age. Nobody waits for that here.
	w.mu.Lock()
	unanswered := w.unanswered
	w.mu.Unlock()
	kept := w.sandboxed("tmux ")
	if len(kept) > unanswered {
		w.violation("I9: %d terminals are there, and %d may be, whose opening had no answer: %v", len(kept), unanswered, kept)
	}
	if unanswered > 0 {
		w.end(kept)
		w.end(w.sandboxed("/watch "))
	}
	w.eventually("processes are left in the instance", func() error {
		if left := w.sandboxed(""); len(left) > 0 {
			return fmt.Errorf("%q", left)
		}
		return nil
	})
	if len(kept) == 0 {
		w.noSockets(w.dir)
	}
	if w.state != "" {
		w.noSockets(w.state)
	}
	for _, root := range []string{w.workspace, w.root} {
		staged, _ := filepath.Glob(filepath.Join(root, ".openclaw-mcp-*"))
		if len(staged) > 0 {
			w.violation("I9: parts of transfers are left: %v", staged)
		}
	}
}

// noFacts looks for facts of what is over. The others are kept for a day, for who repeats
// a call or takes up a handle.
func (w *world) noFacts() {
	var engine fleet.Fleet
	var err error
	switch {
	case w.nats != nil:
		engine, err = natsfleet.Open(natsfleet.Config{URL: "nats://" + w.nats[0].address(), Prefix: "openclaw", Replicas: len(w.nats)})
	case w.state != "":
		engine, err = files.Open(w.state)
	default:
		return
	}
	if err != nil {
		w.violation("harness: %v", err)
		return
	}
	defer engine.Close()
	shared, err := fleet.Sealed(engine, serviceKey, "local\x00"+serviceURL)
	if err != nil {
		w.violation("harness: %v", err)
		return
	}
	defer shared.Close()
	names := []string{"desktop/" + w.instance, "session/" + w.instance}
	w.mu.Lock()
	for _, s := range w.sessions {
		names = append(names, "place/"+w.instance+"\x00"+s)
	}
	w.mu.Unlock()
	w.eventually("facts are left", func() error {
		var errs error
		for _, name := range names {
			fact, found, err := shared.Find(context.Background(), name)
			if found {
				err = fmt.Errorf("%q: %s", name, shorten(string(fact.Value)))
			}
			errs = errors.Join(errs, err)
		}
		return errs
	})
}

// sandboxed gives the processes in the instance whose command line has these words.
func (w *world) sandboxed(words string) (list []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(b), "OPENCLAW_EMULATOR_WORKSPACE="+w.workspace+"\x00") {
			continue
		}
		dir := filepath.Dir(path)
		line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(line) == 0 { // it has ended
			continue
		}
		text := strings.ReplaceAll(string(line), "\x00", " ")
		if strings.Contains(text, words) {
			list = append(list, filepath.Base(dir)+" "+shorten(text))
		}
	}
	return list
}

// end kills processes that sandboxed gave.
func (w *world) end(list []string) {
	for _, one := range list {
		pid, _, _ := strings.Cut(one, " ")
		n, _ := strconv.Atoi(pid)
		if err := syscall.Kill(n, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			w.t.Error(err)
		}
	}
}

// noSockets looks for the files of sockets.
func (w *world) noSockets(dir string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.Type()&fs.ModeSocket != 0 {
			w.violation("I9: the socket %s is left", path)
		}
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
}
