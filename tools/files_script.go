package tools

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/client"
)

// What the service's file endpoints can't do (parts of large files, atomic
// changes, moving, deleting, deep listings) is done by POSIX shell scripts
// through terminal/exec. A script prints fileMark and "begin", then fileMark and
// what it found: a verb and its words on one line, and perhaps base64 texts,
// each ended by a line with a dot. Exit codes and stderr are not relied on: not
// every form of exec's answer has them.
//
// Scripts act only within the workspace, links resolved. What lies outside is
// left to the file endpoints, where the service decides.
const (
	fileMark      = "openclaw-mcp:"
	workspaceRoot = "/workspace"
)

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
	if err == nil && (strings.HasSuffix(p, "/") || f == workspaceRoot || f == "/") {
		return "", badArgument("argument %q must be a file's path, not a directory's; got %q", argument, p)
	}
	return f, err
}

// inside reports whether p is under /workspace, going by its text.
func (p filePath) inside() bool {
	return p == workspaceRoot || strings.HasPrefix(string(p), workspaceRoot+"/")
}

func (p filePath) base() string { return path.Base(string(p)) }

// vars sets the script's variables for p: its directory, from the workspace on
// where it is inside, and its name.
func (p filePath) vars(dir, name string) string {
	d, n := path.Split(string(p))
	if p == workspaceRoot {
		return dir + "=. " + name + "=.\n"
	}
	if p.inside() {
		d = "./" + strings.Trim(strings.TrimPrefix(d, workspaceRoot), "/")
	}
	return fmt.Sprintf("%s=%s %s=%s\n", dir, shellQuote(d), name, shellQuote(n))
}

// shellQuote makes s one word for a POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// scriptHead is at the start of every script.
const scriptHead = `echo "` + fileMark + `begin"
exec 2>/dev/null
LC_ALL=C; export LC_ALL; unset CDPATH
w=${OPENCLAW_EMULATOR_WORKSPACE:-` + workspaceRoot + `}
say() { echo "` + fileMark + `$*"; exit 0; }
need() { for prog; do command -v "$prog" >/dev/null || say lacks "$prog"; done; }
fail() { echo "` + fileMark + `failed"; printf %s "$1" | head -c 600 | base64; echo .; exit 0; }
within() { case $PWD/ in "$W"/*) ;; *) return 1;; esac; }
kind() {
  if [ -d "$1" ]; then ty=directory; elif [ -f "$1" ]; then ty=file; elif [ -p "$1" ]; then ty=fifo
  elif [ -S "$1" ]; then ty=socket; elif [ -c "$1" ] || [ -b "$1" ]; then ty=device
  elif [ -L "$1" ]; then ty=dangling; elif [ -e "$1" ]; then ty=special; else ty=none; fi
}
root() { cd -P -- "$w" || say noworkspace; W=$PWD; }
enter() {
  case $1 in /*) to=$1;; *) to=$W/$1;; esac
  cd -P -- "$to" || { [ ! -d "$to" ] || say denied; say missing; }
}
follow() {
  i=0
  while [ -L "./$n" ]; do
    i=$((i+1)); [ $i -le 40 ] || say loop
    need readlink
    t=$(readlink "./$n" && echo .) || say denied
    t=${t%??}
    case $t in ` + workspaceRoot + `) t=$W;; ` + workspaceRoot + `/*) t=$W${t#` + workspaceRoot + `};; esac
    case $t in */) t=$t.;; esac
    case $t in */*) cd -P -- "${t%/*}/" || say missing; n=${t##*/};; *) n=$t;; esac
  done
}
size() { stat -L -c %s "$1" || stat -L -f %z "$1" || wc -c <"$1"; }
sum() {
  if command -v sha256sum >/dev/null 2>&1; then sha256sum; elif command -v shasum >/dev/null 2>&1; then shasum -a 256
  elif command -v openssl >/dev/null 2>&1; then openssl dgst -sha256 -r; else echo none; fi
}
hash() { h=$(sum <"$1") || h=none; h=${h%% *}; }
`

// report is what a script found.
type report struct {
	verb  string
	words []string
	parts [][]byte
}

// word gives the i-th word, "" where there is none.
func (p report) word(i int) string {
	if i < len(p.words) {
		return p.words[i]
	}
	return ""
}

func (p report) number(i int) int64 {
	n, err := strconv.ParseInt(p.word(i), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// noScript says that scripts can't be run, or not to the end. Whoever can do
// without them goes on without.
type noScript struct {
	why   string
	begun bool // part of it was done, perhaps
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
		case e.Status == http.StatusNotFound, e.Status == http.StatusMethodNotAllowed, e.Status == http.StatusForbidden, e.Status >= 500:
			return e.Error(), true
		}
	}
	return "", false
}

const execOp = "POST /instances/{id}/terminal/exec"

// script runs a script and reads its report.
func (r *request) script(ctx context.Context, instance, script string) (report, error) {
	timeout := 30 * time.Second
	if d, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(d)*9/10, 100*time.Millisecond) // so that its answer comes in time
	}
	res, err := r.Client.Terminal.Exec(ctx, instance, client.ExecRequest{Command: scriptHead + script, Timeout: timeout})
	if err != nil {
		return report{}, err
	}
	if res.NotReady {
		return report{}, &client.Error{
			Op: execOp, Code: "agent_not_ready", Outcome: client.OutcomeRejected,
			Message: "the sandbox is not ready yet: " + clip(res.Stderr.Head+res.Stdout.Head, 200),
		}
	}
	p, err := readReport(res.Stdout)
	if err == nil && p.verb == "lacks" {
		err = &noScript{why: "it lacks " + p.word(0)}
	}
	if err == nil && p.verb == "noworkspace" {
		err = &noScript{why: "commands see no " + workspaceRoot + " there"}
	}
	var no *noScript
	if errors.As(err, &no) {
		switch {
		case res.TimedOut:
			no.why = "it took too long"
		case !no.begun && res.Stderr.Head != "":
			no.why += ": " + clip(res.Stderr.Head, 200)
		}
	}
	return p, err
}

// readReport finds a report in what a command printed.
func readReport(out client.Output) (report, error) {
	_, text, ok := strings.Cut(out.Head+out.Tail, fileMark+"begin\n")
	if !ok {
		return report{}, &noScript{why: "a script did not start"}
	}
	_, text, ok = strings.Cut(text, fileMark)
	if !ok {
		return report{}, &noScript{why: "a script did not come to its end", begun: true}
	}
	if out.Omitted > 0 {
		return report{}, &noScript{why: "a report is too long", begun: true}
	}
	head, body, _ := strings.Cut(text, "\n")
	words := strings.Fields(head)
	if len(words) == 0 {
		return report{}, &noScript{why: "a report is cut", begun: true}
	}
	p := report{verb: words[0], words: words[1:]}
	for body != "" {
		encoded, rest, ok := strings.Cut("\n"+body, "\n.\n")
		if !ok {
			return report{}, &noScript{why: "a report is cut", begun: true}
		}
		part, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
		if err != nil {
			return report{}, &noScript{why: "a report is garbled", begun: true}
		}
		p.parts, body = append(p.parts, part), rest
	}
	return p, nil
}

// refused is a file operation that was not done, in words that are complete.
type refused struct{ why, next string }

func (e *refused) Error() string {
	text := e.why + "\nWhat happened: nothing was changed."
	if e.next != "" {
		text += "\nNext: " + e.next
	}
	return text
}

// refusal is the error that a report of failure stands for.
func (p report) refusal(f filePath) error {
	switch p.verb {
	case "missing":
		return &refused{fmt.Sprintf("there is no %q", f), "list_files shows what there is."}
	case "notfile":
		what := map[string]string{
			"directory": "a directory", "fifo": "a FIFO (named pipe), which has no content of its own", "device": "a device, not a file",
			"socket": "a socket, not a file", "dangling": "a symbolic link that leads nowhere", "none": "not there",
		}[p.word(0)]
		if what == "" {
			what = "no regular file"
		}
		next := ""
		if p.word(0) == "directory" {
			next = callArgs{{"path", string(f)}}.call("list_files")
		}
		return &refused{fmt.Sprintf("argument \"path\" must be a regular file; %q is %s", f, what), next}
	case "outside":
		return &refused{fmt.Sprintf("%q leads out of %s, and this tool works only inside of it", f, workspaceRoot), "exec_command reaches the rest of the instance."}
	case "loop":
		return &refused{fmt.Sprintf("%q is a symbolic link that leads in circles", f), ""}
	case "denied":
		return &refused{fmt.Sprintf("permission denied: %q", f), "exec_command with ls -la shows the permissions."}
	case "busy":
		return &refused{fmt.Sprintf("somebody else is changing %q, and did not finish in time", f), "try again."}
	case "failed":
		text := "no reason given"
		if len(p.parts) > 0 {
			text = clip(strings.ToValidUTF8(string(p.parts[0]), "\uFFFD"), 400)
		}
		return &refused{fmt.Sprintf("the sandbox failed on %q: %s", f, text), ""}
	}
	return fmt.Errorf("the sandbox's report on %q can't be read: %s", f, clip(p.verb+" "+strings.Join(p.words, " "), 100))
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
	return r.instance(ctx, instance)
}
