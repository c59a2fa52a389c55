package sandbox

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

// Report is what a script found or did.
type Report struct {
	Verb  string
	Words []string
	Parts [][]byte
}

// Word gives the i-th word after the verb, "" where there is none.
func (r Report) Word(i int) string {
	if i < len(r.Words) {
		return r.Words[i]
	}
	return ""
}

// Number gives the i-th word as a number, -1 where it is none.
func (r Report) Number(i int) int64 {
	n, err := strconv.ParseInt(r.Word(i), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Part gives the i-th part, nil where there is none.
func (r Report) Part(i int) []byte {
	if i < len(r.Parts) {
		return r.Parts[i]
	}
	return nil
}

// MissingTools names the programs that the script needs and the instance has not; "" for none.
func (r Report) MissingTools() string {
	if r.Verb != "missingTools" {
		return ""
	}
	return strings.Join(r.Words, " ")
}

// NoReport says that no whole report came.
type NoReport struct {
	Why      string
	Begun    bool // the script began, so perhaps a part of its work was done
	TooLong  bool // the service cut the output off
	TimedOut bool
	Size     int    // bytes of the output that came
	Printed  string // the beginning of what came instead
}

// surelyWhole is how much of an output every service returns: those that cut at 2 KiB may trim it, too.
const surelyWhole = 2000

// MayBeCut reports whether a shorter report of the same script may come whole. A service that cuts
// off what is long need not say so: then all that shows is that something is missing.
func (e *NoReport) MayBeCut() bool {
	return e.Begun && !e.TimedOut && (e.TooLong || e.Size > surelyWhole)
}

func (e *NoReport) Error() string {
	if e.Printed == "" {
		return e.Why
	}
	return e.Why + ": " + e.Printed
}

// Executor runs commands, and remembers which instances run none: *client.TerminalService,
// for one.
type Executor interface {
	Exec(ctx context.Context, instance string, r client.ExecRequest) (client.ExecResult, error)
	NoShell(instance string) (why string)
	SetNoShell(instance, why string)
}

// Op is the endpoint that scripts go through.
const Op = "POST /instances/{id}/terminal/exec"

// Run runs the script in an instance and reads its report. A service whose sandbox is not ready
// yet is a *[client.Error] with the code "agent_not_ready", and an answer without a whole report
// a *[NoReport]. An instance that was lately found to run no commands is not asked: that is a
// *[NoShell].
func (s Script) Run(ctx context.Context, e Executor, instance string, timeout time.Duration) (Report, error) {
	if why := e.NoShell(instance); why != "" {
		return Report{}, &NoShell{why}
	}
	res, err := e.Exec(ctx, instance, client.ExecRequest{Command: s.Command, Timeout: timeout})
	if err != nil {
		learn(ctx, e, instance, res, err)
		return Report{}, err
	}
	report, err := s.Read(res)
	var no *NoReport
	if errors.As(err, &no) && !no.Begun {
		if res.NotReady {
			return Report{}, NotReady(res)
		}
		if tooLong(res) {
			return Report{}, &client.Error{
				Op: Op, Status: http.StatusRequestEntityTooLarge, Outcome: client.OutcomeRejected,
				Message: "the instance takes only shorter commands: " + no.Printed,
			}
		}
		learn(ctx, e, instance, res, no)
	}
	return report, err
}

// tooLong reports whether no shell could be started with a script, since it is too long as an argument.
func tooLong(res client.ExecResult) bool {
	return res.ExitCode != nil && *res.ExitCode == 126 && res.Stdout.Head == "" && strings.Contains(res.Stderr.Head, "rgument list too long")
}

// NotReady is the error of a service that answered in place of a sandbox that is not ready. It
// is for scripts that did not begin: a command of the user's may print the same words.
func NotReady(res client.ExecResult) error {
	return &client.Error{
		Op: Op, Code: "agent_not_ready", Outcome: client.OutcomeRejected,
		Message: "the sandbox is not ready yet: " + clip(res.Stderr.Head+res.Stdout.Head),
	}
}

// Read finds the script's report in an answer; if there is none or not all of it, the error is a
// *[NoReport]. Services may change line ends to CRLF and trim the output.
func (s Script) Read(res client.ExecResult) (Report, error) {
	out := strings.ReplaceAll(res.Stdout.Head+res.Stdout.Tail, "\r\n", "\n")
	no := &NoReport{TooLong: res.Stdout.Omitted > 0 || res.Truncated, TimedOut: res.TimedOut, Size: len(out)}
	if res.TimedOut {
		no.Why = "it took too long"
	}
	failed := func(why string) (Report, error) {
		if no.Why == "" {
			no.Why = why
		}
		return Report{}, no
	}
	tooLong := func() (Report, error) {
		no.TooLong = true
		return failed(fmt.Sprintf("its report is longer than the service returns: %d bytes came", no.Size))
	}
	_, text, begun := strings.Cut(out, s.mark+" begin\n")
	if no.Begun = begun; !begun {
		no.Printed = clip(strings.TrimSpace(res.Stdout.Head + " " + res.Stderr.Head))
		return failed("the script did not start")
	}
	text, rest, whole := strings.Cut(text, s.mark+" end")
	switch {
	case !whole && no.TooLong, res.Stdout.Omitted > 0:
		return tooLong()
	case !whole:
		return failed(fmt.Sprintf("the script did not finish, or the service cut its report off: %d bytes came", no.Size))
	}
	_ = rest // what the script printed behind its report
	_, text, ok := strings.Cut(text, s.mark+" ")
	head, body, _ := strings.Cut(text, "\n")
	words := strings.Fields(head)
	if !ok || len(words) == 0 {
		return failed("its report is empty")
	}
	r := Report{Verb: words[0], Words: words[1:]}
	for body != "" {
		encoded, rest, ok := strings.Cut("\n"+body, "\n.")
		length, rest, whole := strings.Cut(rest, "\n")
		encoded, length = strings.TrimSpace(encoded), strings.TrimSpace(length)
		if n, err := strconv.Atoi(length); !ok || !whole || n != len(encoded) || err != nil && length != "" {
			return tooLong()
		}
		part, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
		if err != nil {
			return failed(fmt.Sprintf("part %d of its report is garbled", len(r.Parts)+1))
		}
		r.Parts, body = append(r.Parts, part), rest
	}
	return r, nil
}

// clip bounds what an instance said within an error.
func clip(s string) string { return text.Clip(strings.ToValidUTF8(s, "\uFFFD"), 200) }
