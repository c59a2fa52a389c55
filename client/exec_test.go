package client

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeExec(t *testing.T) {
	hi := Output{Head: "hi\n"}
	table(t, "exec", map[string]any{
		"snake.json":             ExecResult{Stdout: hi, ExitCode: ptr(0)},
		"camel.json":             ExecResult{Stdout: hi, Stderr: Output{Head: "warn"}, ExitCode: ptr(2)},
		"full.json":              ExecResult{Stdout: hi, ExitCode: ptr(0), Truncated: true, Duration: 12 * time.Millisecond},
		"output.json":            ExecResult{Stdout: hi, ExitCode: ptr(0)},
		"timed_out.json":         ExecResult{Stdout: hi, TimedOut: true},
		"nested_result.json":     ExecResult{Stdout: hi, ExitCode: ptr(0)},
		"nested_data.json":       ExecResult{Stdout: hi, ExitCode: ptr(3)},
		"no_code.json":           ExecResult{Stdout: hi},
		"code.json":              ExecResult{Stderr: Output{Head: "no"}, ExitCode: ptr(1)},
		"status_number.json":     ExecResult{ExitCode: ptr(7)},
		"status_word.json":       ExecResult{Stdout: hi},
		"codes_ranked.json":      ExecResult{ExitCode: ptr(1)},
		"code_124.json":          ExecResult{ExitCode: ptr(124), TimedOut: true},
		"code_minus_one.json":    ExecResult{ExitCode: ptr(-1), TimedOut: true},
		"null_code.json":         ExecResult{Stdout: hi},
		"null_streams.json":      ExecResult{ExitCode: ptr(0)},
		"not_ready.json":         ExecResult{Stderr: Output{Head: "error: agent not ready"}, ExitCode: ptr(1), NotReady: true},
		"error_beside_code.json": ExecResult{Stderr: Output{Head: "permission denied"}, ExitCode: ptr(126)},
		"not_ready_said_by_program.json": ExecResult{Stderr: Output{Head: "server not ready, giving up"},
			ExitCode: ptr(1)},
		"escapes.json":          ExecResult{Stdout: Output{Head: "é😀\t/\ufffdx"}, ExitCode: ptr(0)},
		"duration_seconds.json": ExecResult{ExitCode: ptr(0), Duration: 1500 * time.Millisecond},
		"failed_whole.json":     errorHas("Sandbox not found"),
		"failed_object.json":    errorHas("Sandbox not found (sandbox_gone)"),
		"bad_keys.json":         errorHas(`no result of a command: it is an object with the keys "accepted", "job"`),
		"bad_array.json":        errorHas("an array"),
		"bad_string.json":       errorHas("a string"),
		"bad_broken.txt":        errorHas("a control character in a string"),
		"bad_cut.txt":           errorHas("unexpected EOF"),
		"bad_tail.txt":          errorHas("more behind the end"),
		"bad_empty.txt":         errorHas("empty"),
	}, func(b []byte) (ExecResult, error) {
		// One byte at a time: nothing may depend on how the answer arrives.
		return decodeExec(&oneByte{b}, -1, 1<<20)
	})
}

type oneByte struct{ b []byte }

func (r *oneByte) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:1], r.b)
	r.b = r.b[n:]
	return n, nil
}

func TestCollector(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("abcdefghij", 10), strings.Repeat("é😀x", 50)} {
		for limit := 8; limit < 120; limit += 7 {
			for _, step := range []int{1, 3, 1000} {
				c := newCollector(limit)
				for rest := []byte(text); len(rest) > 0; {
					n := min(step, len(rest))
					_ = c.add(rest[:n])
					rest = rest[n:]
				}
				o := c.output()
				if len(o.Head)+len(o.Tail) > limit {
					t.Fatalf("limit %d: %d bytes kept", limit, len(o.Head)+len(o.Tail))
				}
				if !strings.HasPrefix(text, o.Head) || !strings.HasSuffix(text, o.Tail) || !utf8.ValidString(o.Head+o.Tail) {
					t.Fatalf("limit %d: head %q, tail %q of %q", limit, o.Head, o.Tail, text)
				}
				if got := int64(len(o.Head)+len(o.Tail)) + o.Omitted; got != int64(len(text)) {
					t.Fatalf("limit %d: accounts for %d of %d bytes", limit, got, len(text))
				}
				if len(text) <= limit/2*2 && o.Head != text {
					t.Fatalf("limit %d: %q was cut", limit, text)
				}
			}
		}
	}
}

// TestExecLarge runs a command whose output is one JSON string of 100 MB, and
// looks at the memory that this takes.
func TestExecLarge(t *testing.T) {
	const size = 100 << 20 / largeScale
	chunk := []byte(strings.Repeat(`0123456789abcdé\n`, 4096))
	text := int64(len(strings.Repeat("0123456789abcdé\n", 4096)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"stdout":"first`)
		for n := 0; n < size; n += len(chunk) {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, `last","stderr":"","exit_code":0}`)
	}))
	t.Cleanup(srv.Close)
	c := dial(t, srv.URL)

	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r, err := c.Terminal.Exec(t.Context(), "i1", ExecRequest{Command: "yes"})
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	// All that was allocated on the way, the server's part included, freed or not.
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 20<<20 {
		t.Errorf("%d MB were allocated for an output of which 1 MB is kept", grown>>20)
	}
	chunks := int64((size + len(chunk) - 1) / len(chunk))
	if total := int64(len(r.Stdout.Head)+len(r.Stdout.Tail)) + r.Stdout.Omitted; total != chunks*text+9 {
		t.Errorf("head, tail and omitted are %d bytes, want %d", total, chunks*text+9)
	}
	if !strings.HasPrefix(r.Stdout.Head, "first0123") || !strings.HasSuffix(r.Stdout.Tail, "\nlast") {
		t.Errorf("head begins %.20q, tail ends %q", r.Stdout.Head, r.Stdout.Tail[len(r.Stdout.Tail)-20:])
	}
	if !utf8.ValidString(r.Stdout.Head) || !utf8.ValidString(r.Stdout.Tail) {
		t.Error("a rune was cut")
	}
}

func TestExecRequest(t *testing.T) {
	var got string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.EscapedPath() + " " + r.Header.Get("Content-Type") + " " + string(b)
		_, _ = io.WriteString(w, `{"exit_code":0}`)
	})
	for _, tt := range []struct {
		req  ExecRequest
		want string
	}{
		{ExecRequest{Command: `echo "<&>"`}, `{"command":"echo \"<&>\""}`},
		{ExecRequest{Command: "ls", Timeout: 1500 * time.Millisecond}, `{"command":"ls","timeout_ms":1500}`},
		{ExecRequest{Command: "ls", Timeout: time.Nanosecond}, `{"command":"ls","timeout_ms":1}`},
	} {
		if _, err := c.Terminal.Exec(t.Context(), "i/1", tt.req); err != nil {
			t.Fatal(err)
		}
		if want := "POST /api/instances/i%2F1/terminal/exec application/json " + tt.want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	for _, req := range []ExecRequest{{}, {Command: "\xff"}, {Command: "ls", Timeout: -1}} {
		got = ""
		_, err := c.Terminal.Exec(t.Context(), "i1", req)
		if e := wantError(t, err); e.Outcome != OutcomeNotSent || got != "" {
			t.Errorf("%+v: outcome %q, sent %q", req, e.Outcome, got)
		}
	}
}

func TestExecFailures(t *testing.T) {
	cut := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"stdout":"par`)
	}
	for name, tt := range map[string]struct {
		h       http.HandlerFunc
		want    string
		timeout bool
	}{
		"cut":    {cut, "broke off", false},
		"page":   {answer(200, "text/html", "<!doctype html><title>Login</title>"), "a web page, not the API's: Login", false},
		"empty":  {answer(204, "", ""), "empty", false},
		"broken": {answer(200, "application/json", `{"stdout":nope}`), "broken JSON at byte", false},
		"408":    {answer(408, "application/json", `{"message":"Command timed out"}`), "Command timed out", true},
		"504":    {answer(504, "text/html", "<html><title>504 Gateway Time-out</title></html>"), "504 Gateway Time-out", true},
	} {
		c := serve(t, tt.h)
		_, err := c.Terminal.Exec(t.Context(), "i1", ExecRequest{Command: "ls"})
		e := wantError(t, err)
		if e.Outcome != OutcomeUnknown || e.Timeout() != tt.timeout || !strings.Contains(e.Error(), tt.want) {
			t.Errorf("%s: got %v (outcome %q, timeout %v), want %q", name, e, e.Outcome, e.Timeout(), tt.want)
		}
	}
}

// FuzzScanner compares the scanner with encoding/json: what is valid, and what
// strings decode to.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"stdout":"a\ud83d\ude00\ud800\u0041","exit_code":-1.5e3}`, `[1,null,true,{"a":[]}]`,
		`"\xff"`, "\"\xff\xc3\xa9\xe2\x82\"", `"\ud800\ud83d\ude00"`, `01`, `1.`, `-`, `{"a":1,}`, `"a`, ` [ ] `, `"\u00zz"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newScanner(&oneByte{b}, -1)
		err := s.skip()
		if err == nil {
			err = s.end()
		}
		if valid := json.Valid(b); valid != (err == nil) {
			t.Fatalf("valid is %v, the scanner says %v", valid, err)
		}
		if want, ok := asString(b); ok {
			for _, r := range []io.Reader{&oneByte{b}, bytes.NewReader(b)} {
				got, err := newScanner(r, -1).text(1 << 20)
				if err != nil || got != want {
					t.Fatalf("got %q, %v; want %q", got, err, want)
				}
			}
			all, err := io.ReadAll(contentReader(bytes.NewReader(b), int64(len(b)), false))
			if err != nil || string(all) != want {
				t.Fatalf("as a reader: got %q, %v; want %q", all, err, want)
			}
		}
	})
}

// FuzzExec checks that results agree with a decoder that holds everything.
func FuzzExec(f *testing.F) {
	f.Add([]byte(`{"stdout":"hi","stderr":"","exit_code":0}`))
	f.Add([]byte(`{"result":{"stdout":"hi","exitCode":0}}`))
	f.Add([]byte(`{"error":{"message":"x","code":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeExec(bytes.NewReader(b), int64(len(b)), 1<<20)
		var want struct {
			Stdout *string `json:"stdout"`
			Code   *int32  `json:"exit_code"`
		}
		if json.Unmarshal(b, &want) != nil || strings.Count(string(b), `"`) > 12 || strings.Contains(string(b), `\`) ||
			!strings.Contains(string(b), `"stdout"`) || !strings.Contains(string(b), `"exit_code"`) {
			return
		}
		if want.Stdout == nil || want.Code == nil || strings.Contains(string(b), "result") || strings.Contains(string(b), "data") {
			return
		}
		if err != nil {
			t.Fatalf("got %v for %q", err, b)
		}
		if diff := cmp.Diff(*want.Stdout, got.Stdout.Head); diff != "" && strings.Count(string(b), `"stdout"`) == 1 {
			t.Fatalf("stdout of %q (-want +got)\n%s", b, diff)
		}
	})
}
