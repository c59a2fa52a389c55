package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

// What the service's file endpoints can't do (parts of large files, atomic changes, moving,
// deleting, deep listings) is done by scripts in the sandbox. They act only within the workspace,
// links resolved. What lies outside is left to the file endpoints, where the service decides.

// filePath is a path of the instance, absolute and clean.
type filePath string

// toPath reads an argument that is a path.
func toPath(argument, p string) (filePath, error) {
	switch {
	case strings.TrimSpace(p) == "":
		return "", badArgument("argument %q must be a path; got an empty one", argument)
	case strings.ContainsRune(p, 0):
		return "", badArgument("argument %q must be a path without NUL characters", argument)
	case strings.ContainsRune(p, '\uFFFD'):
		return "", badArgument("argument %q contains U+FFFD, which stands for bytes that are not UTF-8: such a name can't be given here; exec_command reaches it with a pattern such as ab*", argument)
	}
	return filePath(absolute(p)), nil
}

// toFilePath is toPath for a file, not a directory.
func toFilePath(argument, p string) (filePath, error) {
	f, err := toPath(argument, p)
	if err == nil && (strings.HasSuffix(p, "/") || f == client.Workspace || f == "/") {
		return "", badArgument("argument %q must be a file's path, not a directory's; got %q", argument, p)
	}
	return f, err
}

// inside reports whether p is under /workspace, going by its text.
func (p filePath) inside() bool {
	return p == client.Workspace || strings.HasPrefix(string(p), client.Workspace+"/")
}

func (p filePath) base() string { return path.Base(string(p)) }

// params gives a script the file's folder, from the workspace on where it is inside, and its name.
func (p filePath) params(more sandbox.Params) sandbox.Params {
	more["dir"], more["name"] = p.split()
	return more
}

func (p filePath) split() (dir, name string) {
	if p == client.Workspace {
		return ".", "."
	}
	dir, name = path.Split(string(p))
	if p.inside() {
		dir = "./" + strings.Trim(strings.TrimPrefix(dir, client.Workspace), "/")
	}
	return dir, name
}

// noScript says that scripts can't be run, or not to the end. Whoever can do
// without them goes on without.
type noScript struct {
	why   string
	begun bool // part of it may have been done
	cut   int  // bytes that came of an answer; 0: a shorter one would not help
}

func (e *noScript) Error() string { return "the sandbox can't do this through terminal/exec: " + e.why }

// withoutScripts reports whether err leaves the way through the file endpoints
// open, and why the way through terminal/exec is not.
func withoutScripts(err error) (string, bool) {
	var no *noScript
	if errors.As(err, &no) && !no.begun {
		return no.why, true
	}
	var e *client.Error
	if errors.As(err, &e) {
		switch {
		case e.Code == "read_only":
			return "nothing is run on a read-only server", true
		case e.NoEndpoint(), e.Status == http.StatusOK, e.Status == http.StatusNotFound, e.Status == http.StatusForbidden, e.Status >= 500:
			return e.Error(), true
		}
	}
	return "", false
}

// script runs a script and reads its report.
func (r *request) script(ctx context.Context, instance string, s sandbox.Script) (sandbox.Report, error) {
	timeout := 30 * time.Second
	if d, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(d)*9/10, 100*time.Millisecond) // so that its answer comes in time
	}
	report, err := s.Run(ctx, r.Client.Terminal, instance, timeout)
	var no *sandbox.NoReport
	var shell *sandbox.NoShell
	switch {
	case errors.As(err, &shell):
		err = &noScript{why: text.Line(shell.Why, 400)}
	case errors.As(err, &no):
		script := &noScript{why: text.Line(no.Error(), 300), begun: no.Begun}
		if no.MayBeCut() {
			script.cut = no.Size
		}
		err = script
	case err != nil:
	case report.MissingTools() != "":
		err = &noScript{why: "it has no " + report.MissingTools()}
	case report.Verb == "noworkspace":
		err = &noScript{why: "commands see no " + client.Workspace + " there"}
	}
	return report, err
}

// answerRooms is how many bytes of files the answers of instances were found to have room for.
type answerRooms struct {
	mu   sync.Mutex
	room map[string]int
}

// leastRoom is the smallest part of a file that is asked for.
const leastRoom = 512

// fit gives how many of so many bytes to ask an instance for at once.
func (a *answerRooms) fit(instance string, want int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if room, ok := a.room[instance]; ok {
		return min(want, room)
	}
	return want
}

// shrink notes that an answer with so many bytes did not come whole, and reports whether one with
// fewer may.
func (a *answerRooms) shrink(instance string, asked int, err error) bool {
	no, ok := errors.AsType[*noScript](err)
	if !ok || no.cut == 0 || asked <= leastRoom {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	// What came had the file's beginning in it, too, and all of it as base64.
	room := max(min(asked/2, no.cut/4*3-2*sniffLen), leastRoom)
	if known, ok := a.room[instance]; ok {
		room = min(room, known)
	}
	if a.room == nil {
		a.room = make(map[string]int)
	}
	a.room[instance] = room
	return true
}

// refused is a file operation that was not done, in words that are complete.
type refused struct{ why, next string }

// missingError is a refused call whose path leads nowhere.
type missingError struct {
	refused
	path filePath
}

// refusedWithout is a refused call that a missing shell is the reason of.
type refusedWithout struct {
	refused
	noScript *noScript
}

func (e *refusedWithout) Unwrap() error { return e.noScript }

func (e *refused) Error() string {
	text := e.why + "\nWhat happened: nothing was changed."
	if e.next != "" {
		text += "\nNext: " + e.next
	}
	return text
}

// halfDone is a file operation that failed after it had changed something.
type halfDone struct{ why, happened string }

func (e *halfDone) Error() string {
	return e.why + "\nWhat happened: " + e.happened + "\nNext: list_files shows what there is now."
}

// refusal is the error that a report of failure stands for.
func refusal(p sandbox.Report, f filePath) error {
	switch p.Verb {
	case "missing":
		return &missingError{refused{fmt.Sprintf("there is no %q", f), "list_files shows what there is."}, f}
	case "notfile":
		what := map[string]string{
			"directory": "a directory", "fifo": "a FIFO (named pipe), which has no content of its own", "device": "a device, not a file",
			"socket": "a socket, not a file", "dangling": "a symbolic link that leads nowhere", "none": "not there",
		}[p.Word(0)]
		if what == "" {
			what = "not a regular file"
		}
		next := ""
		if p.Word(0) == "directory" {
			next = callArgs{{"path", string(f)}}.call("list_files")
		}
		return &refused{fmt.Sprintf("argument \"path\" must be a regular file; %q is %s", f, what), next}
	case "notfolder":
		next := ""
		if p.Word(0) == "file" {
			next = callArgs{{"path", string(f)}}.call("read_file") + " reads it."
		}
		return &refused{fmt.Sprintf("argument \"path\" must be a directory; %q is a %s", f, p.Word(0)), next}
	case "outside":
		return &refused{fmt.Sprintf("%q leads out of %s, and this tool works only inside of it", f, client.Workspace), "exec_command reaches the rest of the instance."}
	case "loop":
		return &refused{fmt.Sprintf("%q is a symbolic link that leads in circles", f), ""}
	case "denied":
		return &refused{fmt.Sprintf("permission denied: %q", f), "exec_command with ls -la shows the permissions."}
	case "busy":
		return &refused{fmt.Sprintf("somebody else is changing %q, and did not finish in time", f), "try again."}
	case "failed", "partly":
		reason := cmp.Or(text.Line(strings.ToValidUTF8(string(p.Part(0)), "\uFFFD"), 400), "the program gave no reason")
		why := fmt.Sprintf("the sandbox failed on %q: %s", f, reason)
		if p.Verb == "partly" {
			return &halfDone{why, becameOf(p, f)}
		}
		return &refused{why, ""}
	}
	return fmt.Errorf("the sandbox's report on %q can't be read: %s", f, text.Line(p.Verb+" "+strings.Join(p.Words, " "), 100))
}

// becameOf says what an operation that failed half-way has done.
func becameOf(p sandbox.Report, f filePath) string {
	switch p.Word(0) {
	case "deleted":
		return fmt.Sprintf("a part of it was deleted: of %s, %d are left.", text.Count(p.Number(2), "entry", "entries"), p.Number(1))
	case "copied":
		return "it is at its destination, and not all of the original could be deleted."
	case "moved":
		return "a part of it may be at its destination, and missing in the original."
	case "written":
		return "the file may have a part of the new content."
	case "kept":
		return fmt.Sprintf("the file may have a part of the new content; the old one is in %q.", path.Join(path.Dir(string(f)), p.Word(1)))
	}
	return "unknown: a part of it may have been done."
}

// bounded limits a file operation to the longest that a call may take.
func (r *request) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.fileDeadline())
}

func (r *request) fileDeadline() time.Duration {
	if r.SoftDeadline <= 0 {
		return 45 * time.Second
	}
	return max(r.SoftDeadline, 5*time.Second)
}

// where resolves what all file tools take: the instance and a path, within the
// rails.
func (r *request) where(ctx context.Context, instance string, paths ...filePath) (string, error) {
	for _, p := range paths {
		if err := r.rails.path(string(p)); err != nil {
			return "", err
		}
	}
	r.paths = paths
	return r.instance(ctx, instance)
}
