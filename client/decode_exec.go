package client

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"time"
	"unicode/utf8"
)

// collector keeps the beginning and the end of a text of any length.
type collector struct {
	head  []byte
	tail  []byte // a ring once it is full
	start int    // of the ring
	total int64
	half  int
}

func newCollector(limit int) *collector { return &collector{half: max(limit/2, utf8.UTFMax)} }

func (c *collector) add(p []byte) error {
	c.total += int64(len(p))
	if n := min(len(p), c.half-len(c.head)); n > 0 {
		c.head = append(c.head, p[:n]...)
		p = p[n:]
	}
	if len(p) >= c.half {
		p = p[len(p)-c.half:]
		c.tail, c.start = append(c.tail[:0], p...), 0
		return nil
	}
	if n := min(len(p), c.half-len(c.tail)); n > 0 {
		c.tail = append(c.tail, p[:n]...)
		p = p[n:]
	}
	for len(p) > 0 {
		n := copy(c.tail[c.start:], p)
		p = p[n:]
		c.start = (c.start + n) % c.half
	}
	return nil
}

// output gives what was kept. Neither part ends or begins within a rune.
func (c *collector) output() Output {
	tail := slices.Concat(c.tail[c.start:], c.tail[:c.start])
	if int64(len(c.head)+len(tail)) == c.total {
		return Output{Head: string(c.head) + string(tail)}
	}
	o := Output{Head: trimPartialRune(string(c.head))}
	for len(tail) > 0 && !utf8.RuneStart(tail[0]) {
		tail = tail[1:]
	}
	o.Tail = string(tail)
	o.Omitted = c.total - int64(len(o.Head)) - int64(len(o.Tail))
	return o
}

// codeKeys are the names of an exit code, the surest first.
var codeKeys = []string{"exit_code", "exitCode", "code", "returncode", "status"}

// execDecoder reads the answer to terminal/exec as it arrives. Of the outputs
// it holds no more than they may have; of the rest, next to nothing.
type execDecoder struct {
	scan     *scanner
	streams  map[string]*collector // by name: stdout, output, result, stderr
	limit    int
	codes    map[string]int
	timedOut bool
	cut      bool
	duration time.Duration
	problem  object // what an error object would hold
	keys     []string
	known    bool // something of an execution was there
}

// decodeExec reads one answer. An object that has nothing of an execution is
// an error: the one that it holds, or one that names its keys. The answer has size
// bytes; less than 0 where that is not known.
func decodeExec(r io.Reader, size int64, limit int) (ExecResult, error) {
	d := &execDecoder{scan: newScanner(r, size), streams: map[string]*collector{}, limit: limit,
		codes: map[string]int{}, problem: object{}}
	c, err := d.scan.peek()
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && d.scan.pos == 0:
		return ExecResult{}, &Error{Message: "the answer is empty: how the command ended is unknown"}
	case err != nil:
		return ExecResult{}, err
	case c != '{':
		return ExecResult{}, d.notObject()
	}
	if err := d.object(0); err != nil {
		return ExecResult{}, err
	}
	if err := d.scan.end(); err != nil {
		return ExecResult{}, err
	}
	if !d.known {
		if hasError(d.problem) || d.problem.denied() {
			e := decodeErrorObject(d.problem, 0)
			if e.Message == "" {
				e.Message = "the service reports a failure without a reason"
			}
			return ExecResult{}, e
		}
		slices.Sort(d.keys)
		return ExecResult{}, &Error{Message: "the answer holds no result of a command: it is " + describeKeys(d.keys)}
	}
	return d.result(), nil
}

// notObject names what came instead of an object.
func (d *execDecoder) notObject() *Error {
	start, _ := io.ReadAll(io.LimitReader(d.scan.r, maxErrorBody))
	if looksHTML(start) {
		return pageError(0, start)
	}
	return &Error{Message: "the answer is " + describeFlat(start) + " where the result of a command was expected"}
}

func (d *execDecoder) object(depth int) error {
	return d.scan.object(func(key string) error {
		if depth == 0 && len(d.keys) < 100 {
			d.keys = append(d.keys, key)
		}
		return d.field(key, depth)
	})
}

func (d *execDecoder) field(key string, depth int) error {
	c, err := d.scan.peek()
	if err != nil {
		return err
	}
	switch c {
	case '{':
		switch {
		case (key == "result" || key == "data") && depth < maxNesting:
			return d.object(depth + 1)
		case key == "error":
			return d.keepProblem(key)
		}
		return d.scan.skip()
	case '"':
		switch key {
		case "stdout", "output", "stderr", "result":
			d.known = d.known || key != "result" || depth == 0
			if d.streams[key] == nil {
				d.streams[key] = newCollector(d.limit)
			}
			return d.scan.str(d.streams[key].add)
		case "error", "message", "detail", "hint", "code", "request_id", "requestId":
			return d.keepProblem(key)
		}
		return d.scan.skip()
	case '[':
		return d.scan.skip()
	}
	word, err := d.scan.literal()
	if err != nil {
		return err
	}
	d.word(key, word)
	return nil
}

// word takes a number or a boolean.
func (d *execDecoder) word(key, word string) {
	f, isNumber := number([]byte(word))
	switch {
	case slices.Contains(codeKeys, key):
		if isNumber && f == math.Trunc(f) && math.Abs(f) < 1<<32 {
			d.codes[key] = int(f)
			d.known = true
		}
	case key == "timed_out" || key == "timedOut":
		d.timedOut = d.timedOut || word == "true"
		d.known = true
	case key == "truncated":
		d.cut = d.cut || word == "true"
	case key == "duration_ms" || key == "durationMs":
		if isNumber && f > 0 && f < 1e12 {
			d.duration = time.Duration(f * float64(time.Millisecond))
		}
	case key == "duration":
		if isNumber && f > 0 && f < 1e9 && d.duration == 0 {
			d.duration = time.Duration(f * float64(time.Second))
		}
	case key == "ok" || key == "success":
		d.problem[key] = json.RawMessage(word)
	}
}

// keepProblem keeps the beginning of a text, or the texts of an error object.
func (d *execDecoder) keepProblem(key string) error {
	const limit = 4 << 10
	c, err := d.scan.peek()
	if err != nil {
		return err
	}
	if c == '"' {
		s, err := d.scan.text(limit)
		if err != nil {
			return err
		}
		d.problem[key], err = json.Marshal(s)
		return err
	}
	inner := map[string]string{}
	err = d.scan.object(func(k string) error {
		if c, err := d.scan.peek(); err != nil || c != '"' || len(inner) > 20 {
			if err != nil {
				return err
			}
			return d.scan.skip()
		}
		s, err := d.scan.text(limit)
		inner[k] = s
		return err
	})
	if err != nil {
		return err
	}
	d.problem[key], err = json.Marshal(inner)
	return err
}

func (d *execDecoder) result() ExecResult {
	r := ExecResult{Duration: d.duration, TimedOut: d.timedOut, Truncated: d.cut}
	for _, k := range []string{"stdout", "output", "result"} {
		if c := d.streams[k]; c != nil {
			r.Stdout = c.output()
			break
		}
	}
	if c := d.streams["stderr"]; c != nil {
		r.Stderr = c.output()
	}
	for _, k := range codeKeys {
		if code, ok := d.codes[k]; ok {
			r.ExitCode = &code
			break
		}
	}
	if r.Stderr.Head == "" {
		// What a failure says outside of stderr is not lost.
		if s := d.problem.text("error"); s != "" {
			r.Stderr.Head = s
		} else if o, ok := d.problem.object("error"); ok {
			r.Stderr.Head = o.text("message")
		} else if d.problem.denied() {
			r.Stderr.Head = d.problem.text("message")
		}
	}
	if r.ExitCode != nil {
		// 124 is timeout(1)'s own, -1 that of a process that was given up.
		r.TimedOut = r.TimedOut || *r.ExitCode == 124 || *r.ExitCode == -1
		r.NotReady = *r.ExitCode != 0 && len(r.Stderr.Head) < 500 && notReady.MatchString(r.Stderr.Head)
	}
	return r
}

// notReady matches what a sandbox says right after its boot.
var notReady = regexp.MustCompile(`(?i)\b(agent|sandbox|instance|container|vm)\b.{0,40}\bnot (yet )?(ready|running|up|available)\b`)
