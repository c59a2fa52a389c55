package client

import (
	"maps"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// codeKeys are the names of an exit code, the surest first.
var codeKeys = []string{"exit_code", "exitCode", "code", "returncode", "return_code", "returnCode", "exit_status", "exitStatus", "rc", "status"}

// execWrappers are the names of what an answer has its result in.
var execWrappers = []string{"result", "data", "logs", "output", "status"}

// decodeExec reads the answer to POST …/terminal/exec, which took so long and may have
// taken allowed, 0 for no limit. Of each output it keeps about limit bytes.
func decodeExec(body []byte, limit int, took, allowed time.Duration) (ExecResult, error) {
	if kindOf(body) == 0 {
		return ExecResult{}, &Error{Message: "the answer is empty: how the command ended is unknown"}
	}
	o, ok := asObject(body)
	if !ok {
		return ExecResult{}, &Error{Message: "the answer is " + describe(body) + " where the result of a command was expected"}
	}
	names := sortedKeys(o)
	if _, ok := o.object(execWrappers...); ok {
		for _, k := range []string{"code", "status"} { // they are the envelope's own
			if kindOf(o[k]) != '{' {
				delete(o, k)
			}
		}
	}
	o.merge(execWrappers...)

	r := ExecResult{ExitCode: exitStatus(o), TimedOut: o.flag("timed_out", "timedOut"), Truncated: o.flag("truncated")}
	r.Duration = duration(o, time.Millisecond, "duration_ms", "durationMs")
	if r.Duration == 0 {
		r.Duration = duration(o, time.Second, "duration")
	}
	stdout, beside, printed := output(o, "stdout", "output", "result")
	stderr, _, complained := output(o, "stderr")
	stderr += beside
	if r.ExitCode == nil && !printed && !complained && o.first("timed_out", "timedOut") == nil {
		if hasError(o) || o.denied() {
			return ExecResult{}, reportedFailure(o)
		}
		return ExecResult{}, &Error{Message: "the answer has no command result: it is " + describeKeys(names)}
	}
	if stderr == "" {
		// What a failure says outside of stderr is not lost.
		stderr = o.text("error")
		if e, ok := o.object("error"); ok {
			stderr = e.text("message")
		}
		if stderr == "" && o.denied() {
			stderr = o.text("message")
		}
	}
	r.Stdout, r.Stderr = fitOutput(stdout, limit), fitOutput(stderr, limit)
	if r.ExitCode != nil {
		// timeout(1) exits with 124; -1 stands for a process that was given up. Commands
		// end with these at once, too.
		r.TimedOut = r.TimedOut || (*r.ExitCode == 124 || *r.ExitCode == -1) && took >= allowed*3/4
		r.NotReady = *r.ExitCode != 0 && len(stderr) < 500 && notReady().MatchString(stderr)
	}
	return r, nil
}

// merge lifts the members of wrappers to the level of o. They win over members
// of the same name around them: {"status":"ok","result":{"exit_code":0}}.
func (o object) merge(wrappers ...string) {
	for range maxNesting {
		inner, ok := o.object(wrappers...)
		if !ok {
			return
		}
		for _, w := range wrappers {
			if kindOf(o[w]) == '{' {
				delete(o, w)
				break
			}
		}
		maps.Copy(o, inner)
	}
}

// output gives what the first of the named values has of a command's output, which
// may be empty: a text, in base64 where the answer says so, or a list of lines or of
// pieces, of which those of stderr are beside the rest. What is of no known form is
// shown as it came.
func output(o object, names ...string) (text, beside string, ok bool) {
	for _, k := range names {
		switch kindOf(o[k]) {
		case '"':
			text, _ = asString(o[k])
			if strings.EqualFold(o.text("encoding", "output_encoding", "outputEncoding"), "base64") {
				if decoded, err := decodeBase64(text); err == nil {
					text = strings.ToValidUTF8(string(decoded), "\uFFFD")
				}
			}
			return text, "", true
		case '[':
			items, _ := asArray(o[k])
			text, beside = pieces(items, o[k])
			return text, beside, true
		}
	}
	return "", "", false
}

// pieces joins the lines or pieces of an output.
func pieces(items []jsontext.Value, raw jsontext.Value) (text, beside string) {
	var out, err strings.Builder
	for _, item := range items {
		if line, ok := asString(item); ok {
			out.WriteString(line)
			if !strings.HasSuffix(line, "\n") {
				out.WriteByte('\n')
			}
			continue
		}
		piece, _ := asObject(item)
		said, _, ok := output(piece, "data", "text", "content", "chunk", "output", "line")
		switch {
		case !ok:
			return string(raw), ""
		case canonical(piece.text("type", "stream", "name", "fd")) == "stderr", piece.text("fd") == "2":
			err.WriteString(said)
		default:
			out.WriteString(said)
		}
	}
	return out.String(), err.String()
}

func exitStatus(o object) *int {
	for _, k := range codeKeys {
		if f, ok := number(o[k]); ok && f == math.Trunc(f) && math.Abs(f) < 1<<32 {
			code := int(f)
			return &code
		}
	}
	return nil
}

// duration gives the first of the named numbers, which count units; 0 where
// there is none that makes sense.
func duration(o object, unit time.Duration, names ...string) time.Duration {
	if f, ok := o.number(names...); ok && f > 0 && f < 1e9*float64(time.Second/unit) {
		return time.Duration(f * float64(unit))
	}
	return 0
}

// fitOutput keeps the beginning and the end of a text of more than limit bytes.
// Neither part is cut within a character.
func fitOutput(s string, limit int) Output {
	half := max(limit/2, utf8.UTFMax)
	if len(s) <= 2*half {
		return Output{Head: s}
	}
	head, tail := half, len(s)-half
	for head > 0 && !utf8.RuneStart(s[head]) {
		head--
	}
	for tail < len(s) && !utf8.RuneStart(s[tail]) {
		tail++
	}
	// Copies, so that the rest of the answer can be freed.
	return Output{Head: strings.Clone(s[:head]), Tail: strings.Clone(s[tail:]), Omitted: int64(tail - head)}
}

// notReady matches what a sandbox says right after its boot.
var notReady = pattern(`(?i)\b(agent|sandbox|instance|container|vm)\b.{0,40}\bnot (yet )?(ready|running|up|available)\b`)
