package command

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// A command whose directory can't be entered is not started, and nobody takes that for what
// a command itself says. So it stays: the same start that comes again starts nothing.
func TestNoDirectory(t *testing.T) {
	t.Parallel()
	for shell, wrap := range shells() {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			testNoDirectory(t, startBehind(t, emulatortest.Options{}, runstest.Wrapped(wrap)))
		})
	}
}

func testNoDirectory(t *testing.T, w *world) {
	w.sh("echo x >file; mkdir closed; chmod 0 closed")
	w.sh("mkdir ./-")
	for _, detach := range []bool{true, false} {
		if u := w.Done(w.command(Request{Command: "pwd", Dir: "-", Detach: detach, Wait: time.Minute}), nil); !strings.HasSuffix(output(u).Stdout.Head, "/-\n") {
			t.Errorf("a directory that is called -, detached %v: got %+v, %v", detach, output(u), u.Err)
		}
	}
	other := w.process(testKey, "")
	cases := map[string]string{"no/ such'dir": "was not found", "file": "is not a directory", "": ""}
	if os.Geteuid() != 0 {
		cases["closed"] = "can't be entered"
	}
	for dir, why := range cases {
		for _, detach := range []bool{true, false} {
			for _, together := range []bool{true, false} {
				u := w.Done(w.command(Request{Command: "touch ran; echo hi; false", Dir: dir, Detach: detach, Together: together, Wait: time.Minute}), nil)
				if why == "" {
					if u.Status != runs.StatusCompleted || code(u) != "1" || output(u).Stdout.Head != "hi\n" {
						t.Errorf("without a directory: %+v", u)
					}
					w.sh("rm ran")
					continue
				}
				no := (*DirError)(nil)
				if u.Status != runs.StatusFailed || !errors.As(u.Err, &no) || no.Dir != dir || !strings.Contains(no.Error(), why) {
					t.Errorf("%q, detached %v: got %s, %v", dir, detach, u.Status, u.Err)
				}
				if ran := w.sh("ls ran 2>/dev/null"); ran != "" {
					t.Fatalf("%q, detached %v: the command ran", dir, detach)
				}
				if !detach {
					continue
				}
				if u = w.Done(w.open(other, u.Handle), nil); u.Status != runs.StatusFailed || !errors.As(u.Err, &no) || no.Dir != dir || output(u).Stderr.Head != "" {
					t.Errorf("%q: elsewhere: %s, %v, %+v", dir, u.Status, u.Err, output(u))
				}
			}
		}
	}
}

// What a command prints and exits with is its own.
func TestNotTheDirectory(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	for _, detach := range []bool{true, false} {
		for _, command := range []string{
			"echo 'the command was not started: its working directory was not found'; exit 1",
			"echo openclaw-mcp:ABCDEFGH dirMissing; exit 1", "cd /no/such/dir 2>/dev/null || exit 1",
		} {
			if u := w.Done(w.command(Request{Command: command, Dir: "/usr/lib", Detach: detach, Wait: time.Minute}), nil); u.Status != runs.StatusCompleted || code(u) != "1" {
				t.Errorf("%q, detached %v: %s, %v", command, detach, u.Status, u.Err)
			}
		}
	}
}

// A directory that comes too late starts nothing: the answer was that nothing was started.
func TestNoDirectoryStays(t *testing.T) {
	t.Parallel()
	w := start(t, emulatortest.Options{})
	req := Request{Command: "touch ran", Dir: "late", Detach: true, IdempotencyKey: "k", Instance: w.ID, Wait: time.Minute}
	r := w.command(req)
	if u := w.Done(r, nil); !errors.As(u.Err, new(*DirError)) {
		t.Fatalf("got %+v", u)
	}
	w.sh("mkdir late")
	if _, err := w.m.commands.Start(t.Context(), Request{Command: "true", Dir: "later", Detach: true, Instance: w.ID}); !errors.As(err, new(*DirError)) {
		t.Errorf("a caller that does not wait: %v", err)
	}
	script := startScript(r.(*detached).state.ID, req, 0, false)
	if report, err := script.Run(t.Context(), w.Client.Terminal, w.ID, scriptTimeout); err != nil || report.Verb != "started" {
		t.Fatalf("the same start again: %+v, %v", report, err)
	}
	if u := w.Done(w.open(w.process(testKey, ""), r.Handle()), nil); !errors.As(u.Err, new(*DirError)) || w.sh("ls late") != "" {
		t.Errorf("got %s, %v", u.Status, u.Err)
	}
	// The key is free for a command that has its directory.
	if u := w.Done(w.command(req), nil); u.Status != runs.StatusCompleted || code(u) != "0" {
		t.Errorf("the same key again: %s, %v", u.Status, u.Err)
	}
}
