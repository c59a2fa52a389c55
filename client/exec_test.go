package client

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeExec(t *testing.T) {
	hi := Output{Head: "hi\n"}
	table(t, "exec", map[string]any{
		"snake.json":             ExecResult{Stdout: hi, ExitCode: new(0)},
		"camel.json":             ExecResult{Stdout: hi, Stderr: Output{Head: "warn"}, ExitCode: new(2)},
		"full.json":              ExecResult{Stdout: hi, ExitCode: new(0), Truncated: true, Duration: 12 * time.Millisecond},
		"output.json":            ExecResult{Stdout: hi, ExitCode: new(0)},
		"timed_out.json":         ExecResult{Stdout: hi, TimedOut: true},
		"nested_result.json":     ExecResult{Stdout: hi, ExitCode: new(0)},
		"nested_data.json":       ExecResult{Stdout: hi, ExitCode: new(3)},
		"no_code.json":           ExecResult{Stdout: hi},
		"code.json":              ExecResult{Stderr: Output{Head: "no"}, ExitCode: new(1)},
		"status_number.json":     ExecResult{ExitCode: new(7)},
		"status_word.json":       ExecResult{Stdout: hi},
		"codes_ranked.json":      ExecResult{ExitCode: new(1)},
		"code_124.json":          ExecResult{ExitCode: new(124), TimedOut: true},
		"code_minus_one.json":    ExecResult{ExitCode: new(-1), TimedOut: true},
		"null_code.json":         ExecResult{Stdout: hi},
		"null_streams.json":      ExecResult{ExitCode: new(0)},
		"not_ready.json":         ExecResult{Stderr: Output{Head: "error: agent not ready"}, ExitCode: new(1), NotReady: true},
		"error_beside_code.json": ExecResult{Stderr: Output{Head: "permission denied"}, ExitCode: new(126)},
		"not_ready_said_by_program.json": ExecResult{Stderr: Output{Head: "server not ready, giving up"},
			ExitCode: new(1)},
		"escapes.json":          ExecResult{Stdout: Output{Head: "é😀\t/\ufffdx"}, ExitCode: new(0)},
		"duration_seconds.json": ExecResult{ExitCode: new(0), Duration: 1500 * time.Millisecond},
		"failed_whole.json":     errorHas("Sandbox not found"),
		"failed_object.json":    errorHas("Sandbox not found (sandbox_gone)"),
		"bad_keys.json":         errorHas(`no command result: it is an object with the keys "accepted", "job"`),
		"bad_array.json":        errorHas("an empty array where"),
		"bad_string.json":       errorHas("a string"),
		"bad_broken.txt":        errorHas("broken JSON at byte 13 where the result of a command was expected"),
		"bad_cut.txt":           errorHas("broken JSON: it breaks off after"),
		"bad_tail.txt":          errorHas("broken JSON: more follows its end at byte 15"),
		"bad_empty.txt":         errorHas("empty"),
	}, func(b []byte) (ExecResult, error) {
		return decodeExec(b, 1<<20, "", 0, 0)
	})
}

// TestExecForms has the forms in which services give a command's output.
func TestExecForms(t *testing.T) {
	for body, want := range map[string]string{
		`{"stdout":"aGkK","stderr":"","exit_code":0,"encoding":"base64"}`:                                     "hi\n||0",
		`{"stdout":["hi","there"],"stderr":["oh"],"exit_code":0}`:                                             "hi\nthere\n|oh\n|0",
		`{"stdout":["hi\n","there\n"],"stderr":[],"exit_code":0}`:                                             "hi\nthere\n||0",
		`{"output":[{"type":"stdout","data":"hi\n"},{"type":"stderr","data":"oh\n"}],"exit_code":0}`:          "hi\n|oh\n|0",
		`{"stdout":[{"odd":1}],"exit_code":0}`:                                                                `[{"odd":1}]||0`,
		`{"logs":{"stdout":["hi\n"],"stderr":[]},"exitCode":3}`:                                               "hi\n||3",
		`{"output":{"stdout":"hi\n","stderr":""},"exit_code":0}`:                                              "hi\n||0",
		`{"stdout":"hi\n","return_code":2}`:                                                                   "hi\n||2",
		`{"stdout":"hi\n","exitStatus":2}`:                                                                    "hi\n||2",
		`{"stdout":"hi\n","rc":2}`:                                                                            "hi\n||2",
		`{"stdout":"hi\n","status":{"code":2}}`:                                                               "hi\n||2",
		`{"stdout":"hi\n","status":"completed","exit_code":2}`:                                                "hi\n||2",
		`{"stdout":"hi\n","exit_code":null,"signal":"SIGKILL"}`:                                               "hi\n||",
		`{"stdout":{"type":"Buffer","data":[104,105,10]},"stderr":{"type":"Buffer","data":[]},"exit_code":0}`: "hi\n||0",
		`{"code":0,"message":"ok","stdout":"hi\n","exitcode":3}`:                                              "hi\n||3",
		`{"code":0,"msg":"success","response":{"stdout":"hi\n","exit_code":3}}`:                               "hi\n||3",
		`{"status":0,"success":false,"stdout":"hi\n","process":{"exit_code":3}}`:                              "hi\n||3",
		`{"status":200,"stdout":"hi\n"}`:                                                                      "hi\n||",
		`{"code":0,"success":false,"stdout":"hi\n"}`:                                                          "hi\n||",
		`{"stdout_b64":"aGkK","stderr_b64":"b2gK","exit_code":3}`:                                             "hi\n|oh\n|3",
		`{"stdout":"aGkK","stderr":"","exit_code":0,"base64":true}`:                                           "hi\n||0",
		`{"stdout":null,"output":"hi\n","exit_code":0}`:                                                       "hi\n||0",
	} {
		r, err := decodeExec([]byte(body), 1<<20, "", 0, 0)
		got := r.Stdout.Head + "|" + r.Stderr.Head + "|"
		if r.ExitCode != nil {
			got += strconv.Itoa(*r.ExitCode)
		}
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", body, got, err, want)
		}
	}
}

// The code of an envelope is not that of a command which is not in it.
func TestExecEnvelope(t *testing.T) {
	for _, body := range []string{`{"code":0,"msg":"success","answer":{"stdout":"hi"}}`, `{"status":0,"job":"x"}`} {
		if r, err := decodeExec([]byte(body), 1<<20, "", 0, 0); err == nil {
			t.Errorf("%s: got %+v", body, r)
		}
	}
	r, err := decodeExec([]byte(`{"stdout":"h","exit_code":0,"stdout_truncated":true}`), 1<<20, "", 0, 0)
	if err != nil || !r.Truncated {
		t.Errorf("got %+v, %v", r, err)
	}
}

// An answer that comes before the command has ended is not its result.
func TestExecEarly(t *testing.T) {
	for _, body := range []string{`{"id":"x","status":"running"}`, `{"status":"queued","stdout":""}`, `{"stdout":"so far","state":"in_progress","exit_code":null}`} {
		r, err := decodeExec([]byte(body), 1<<20, "", 0, 0)
		if err == nil || !strings.Contains(err.Error(), "before the command's end") {
			t.Errorf("%s: got %+v, %v", body, r, err)
		}
	}
}

func TestFitOutput(t *testing.T) {
	for _, text := range []string{"", "short", strings.Repeat("abcdefghij", 10), strings.Repeat("é😀x", 50)} {
		for limit := 8; limit < 120; limit += 7 {
			o := fitOutput(text, "", limit)
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

// Of a large output the beginning and the end are kept. One that no answer may
// have is an error that says so.
func TestExecLarge(t *testing.T) {
	line := "0123456789abcdé\n"
	n := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"stdout":"first`+strings.ReplaceAll(strings.Repeat(line, n), "\n", `\n`)+`last","stderr":"","exit_code":0}`)
	}, WithMaxAnswer(4<<20), WithMaxExecOutput(64<<10))
	n = 200_000
	r, err := c.Terminal.Exec(t.Context(), "i1", ExecRequest{Command: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	if total := int64(len(r.Stdout.Head)+len(r.Stdout.Tail)) + r.Stdout.Omitted; total != int64(n*len(line)+9) {
		t.Errorf("head, tail and omitted are %d bytes, want %d", total, n*len(line)+9)
	}
	if !strings.HasPrefix(r.Stdout.Head, "first0123") || !strings.HasSuffix(r.Stdout.Tail, "\nlast") {
		t.Errorf("head begins %.20q, tail ends %q", r.Stdout.Head, r.Stdout.Tail[len(r.Stdout.Tail)-20:])
	}
	if kept := len(r.Stdout.Head) + len(r.Stdout.Tail); kept > 64<<10 || kept < 64<<10-8 {
		t.Errorf("%d bytes are kept", kept)
	}
	n = 300_000
	_, err = c.Terminal.Exec(t.Context(), "i1", ExecRequest{Command: "yes"})
	if e := wantError(t, err); !errors.Is(err, ErrTooLarge) || e.Outcome != OutcomeUnknown || !strings.Contains(e.Message, "larger than 4194304 bytes") {
		t.Errorf("got %v, outcome %q", e, e.Outcome)
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
		if _, err := c.Terminal.Exec(t.Context(), "i+1", tt.req); err != nil {
			t.Fatal(err)
		}
		if want := "POST /api/instances/i+1/terminal/exec application/json " + tt.want; got != want {
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

// FuzzExec checks that results agree with a decoder that holds everything.
func FuzzExec(f *testing.F) {
	f.Add([]byte(`{"stdout":"hi","stderr":"","exit_code":0}`))
	f.Add([]byte(`{"result":{"stdout":"hi","exitCode":0}}`))
	f.Add([]byte(`{"error":{"message":"x","code":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := decodeExec(b, 1<<20, "", 0, 0)
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

// The code of an envelope is not the command's, and a command may end at once with what
// a time-out ends with.
func TestExecEnvelopes(t *testing.T) {
	for body, want := range map[string]ExecResult{
		`{"code":0,"data":{"stderr":"boom","returncode":1}}`:  {Stderr: Output{Head: "boom"}, ExitCode: new(1)},
		`{"code":0,"data":{"stderr":"boom","rc":1}}`:          {Stderr: Output{Head: "boom"}, ExitCode: new(1)},
		`{"status":200,"data":{"stdout":"hi"}}`:               {Stdout: Output{Head: "hi"}},
		`{"code":200,"result":{"stdout":"hi","exit_code":3}}`: {Stdout: Output{Head: "hi"}, ExitCode: new(3)},
		`{"exit_code":4,"result":{"stdout":"hi"}}`:            {Stdout: Output{Head: "hi"}, ExitCode: new(4)},
		`{"exit_code":-1,"stderr":"spawn error"}`:             {Stderr: Output{Head: "spawn error"}, ExitCode: new(-1)},
		`{"exit_code":124,"stdout":"hi"}`:                     {Stdout: Output{Head: "hi"}, ExitCode: new(124)},
	} {
		got, err := decodeExec([]byte(body), 1<<20, "", time.Second, time.Minute)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", body, err, diff)
		}
	}
	for code, seconds := range map[string]int{"124": 59, "-1": 59, "137": 60, "143": 60, "-9": 61, "-15": 61} {
		took := time.Duration(seconds) * time.Second
		if got, err := decodeExec([]byte(`{"exit_code":`+code+`}`), 1<<20, "", took, time.Minute); err != nil || !got.TimedOut {
			t.Errorf("%s at its limit: %+v, %v", code, got, err)
		}
	}
	if got, err := decodeExec([]byte(`{"exit_code":137}`), 1<<20, "", 59*time.Second, time.Minute); err != nil || got.TimedOut {
		t.Errorf("killed before its limit: %+v, %v", got, err)
	}
}
