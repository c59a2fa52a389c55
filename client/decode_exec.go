package client

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/internal/text"

	"github.com/go-json-experiment/json/jsontext"
)

// codeNames are the names of an exit code, however they are spelt, the surest first. Those of
// plainCodes may be an envelope's own.
var (
	codeNames  = []string{"exit_code", "exitCode", "returncode", "return_code", "returnCode", "exit_status", "exitStatus", "rc", "code", "status"}
	plainCodes = []string{"code", "status"}
)

// execWrappers are the names of what an answer has its result in.
var execWrappers = []string{"result", "data", "response", "process", "logs", "output", "status"}

// decodeExec reads the answer to POST …/terminal/exec, which took so long and may have
// taken allowed, 0 for no limit. Of each output it keeps about limit bytes. mark stands
// where something was left out already, see [shortener].
func decodeExec(body []byte, limit int, mark string, took, allowed time.Duration) (ExecResult, error) {
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
	o.plainOutput()

	r := ExecResult{ExitCode: exitStatus(o), TimedOut: o.flag("timed_out", "timedOut"),
		Truncated: o.flag("truncated", "isTruncated", "is_truncated", "stdout_truncated", "stdoutTruncated", "stderr_truncated", "stderrTruncated", "output_truncated", "outputTruncated")}
	r.Duration = duration(o, time.Millisecond, "duration_ms", "durationMs")
	if r.Duration == 0 {
		r.Duration = duration(o, time.Second, "duration")
	}
	stdout, beside, printed := output(o, mark, "stdout", "output", "result")
	stderr, _, complained := output(o, mark, "stderr")
	stderr += beside
	if word := o.text("status", "state"); r.ExitCode == nil && !r.TimedOut && slices.Contains(acceptedWords, canonical(word)) {
		return ExecResult{}, &Error{Message: fmt.Sprintf("the service answered before the command's end: its status is %q, and its output so far %q", oneLine(word, 40), oneLine(stdout+stderr, 400))}
	}
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
	r.Stdout, r.Stderr = fitOutput(stdout, mark, limit), fitOutput(stderr, mark, limit)
	if r.ExitCode != nil {
		// timeout(1) exits with 124; -1 stands for a process that was given up. Commands
		// end with these at once, too.
		switch *r.ExitCode {
		case 124, -1:
			r.TimedOut = r.TimedOut || took >= allowed*3/4
		case 128 + 9, 128 + 15, -9, -15: // the service killed it then
			r.TimedOut = r.TimedOut || allowed > 0 && took >= allowed
		}
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
func output(o object, mark string, names ...string) (text, beside string, ok bool) {
	for _, k := range names {
		switch kindOf(o[k]) {
		case '"':
			text, _ = asString(o[k])
			if strings.EqualFold(o.text("encoding", "output_encoding", "outputEncoding"), "base64") {
				text = decodeOutput(text, mark)
			}
			return text, "", true
		case '[':
			items, _ := asArray(o[k])
			text, beside = pieces(items, o[k], mark)
			return text, beside, true
		case '{':
			inner, _ := asObject(o[k])
			if text, ok = nodeBuffer(inner); ok {
				return text, "", true
			}
		}
	}
	return "", "", false
}

// decodeOutput decodes base64. Where something was left out of it, it ends there: what
// follows may begin anywhere within a byte.
func decodeOutput(s, mark string) string {
	head, tail, left := split(s, mark)
	if left > 0 {
		head = string(squeeze([]byte(head)))
		head = head[:len(head)/4*4]
	}
	decoded, err := decodeBase64([]byte(head))
	if err != nil {
		return s
	}
	text := strings.ToValidUTF8(string(decoded), "\uFFFD")
	if left > 0 {
		text += fmt.Sprint(mark, (left+int64(len(tail)))/4*3, mark)
	}
	return text
}

// pieces joins the lines or pieces of an output.
func pieces(items []jsontext.Value, raw jsontext.Value, mark string) (text, beside string) {
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
		said, _, ok := output(piece, mark, "data", "text", "content", "chunk", "output", "line")
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

// nodeBuffer gives the bytes of {"type":"Buffer","data":[104,105]}, as Node.js writes them.
func nodeBuffer(o object) (text string, ok bool) {
	list, isList := asArray(o["data"])
	if !isList || o.text("type") != "Buffer" {
		return "", false
	}
	raw := make([]byte, len(list))
	for i, item := range list {
		f, ok := number(item)
		if !ok || f != math.Trunc(f) || f < 0 || f > 255 {
			return "", false
		}
		raw[i] = byte(f)
	}
	return strings.ToValidUTF8(string(raw), "\uFFFD"), true
}

// exitStatus gives the exit code, or nil. What may be an envelope's own counts beside an
// output alone, and not where it may be that of HTTP or is contradicted.
func exitStatus(o object) *int {
	for _, name := range codeNames {
		for _, k := range sortedKeys(o) {
			f, ok := number(o[k])
			if foldName(k) != foldName(name) || !ok || f != math.Trunc(f) || math.Abs(f) >= 1<<32 {
				continue
			}
			code := int(f)
			if slices.Contains(plainCodes, name) && (code == 0 && o.denied() || code == 200 || o.first("stdout", "stderr", "output", "result") == nil) {
				continue
			}
			return &code
		}
	}
	return nil
}

// plainOutput gives outputs their usual names where their names say that they are base64.
func (o object) plainOutput() {
	for k, v := range o {
		for _, name := range []string{"stdout", "stderr", "output"} {
			if end, ok := strings.CutPrefix(foldName(k), name); ok && (end == "b64" || end == "base64") && o[name] == nil {
				o[name], o["encoding"] = v, jsontext.Value(`"base64"`)
			}
		}
	}
	if o.flag("base64", "isBase64", "is_base64") {
		o["encoding"] = jsontext.Value(`"base64"`)
	}
}

// duration gives the first of the named numbers, which count units; 0 where
// there is none that makes sense.
func duration(o object, unit time.Duration, names ...string) time.Duration {
	if f, ok := o.number(names...); ok && f > 0 && f < 1e9*float64(time.Second/unit) {
		return time.Duration(f * float64(unit))
	}
	return 0
}

// fitOutput keeps the beginning and the end of a text of more than limit bytes, or of one
// out of which mark says that something was left. Neither part is cut within a character.
func fitOutput(s, mark string, limit int) Output {
	half := max(limit/2, utf8.UTFMax)
	head, tail, left := split(s, mark)
	all := int64(len(head)+len(tail)) + left
	if left == 0 {
		if len(s) <= 2*half {
			return Output{Head: s}
		}
		tail = s
	}
	// Copies, so that the rest of the answer can be freed.
	o := Output{Head: strings.Clone(text.Head(head, half)), Tail: strings.Clone(text.Tail(tail, half))}
	o.Omitted = all - int64(len(o.Head)+len(o.Tail))
	return o
}

// notReady matches what a sandbox says right after its boot.
var notReady = pattern(`(?i)\b(agent|sandbox|instance|container|vm)\b.{0,40}\bnot (yet )?(ready|running|up|available)\b`)
