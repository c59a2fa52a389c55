//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// eventStream is the stream of a call, as its client reads it over several
// connections.
type eventStream struct {
	id, last string
	text     strings.Builder
	steps    []float64
	run      string  // the handle that the first progress tells
	result   message // the answer, once it is there
	body     *bufio.Reader
	close    func()
}

// post calls a tool and reads its stream.
func (w *httpWire) post(t *testing.T, id, tool string, args params) *eventStream {
	t.Helper()
	e := &eventStream{id: id, close: func() {}}
	e.read(w.do(t, t.Context(), http.MethodPost, encodeRequest(t, legacy, id, "tools/call", params{
		"name": tool, "arguments": args, "_meta": params{"progressToken": "of " + id},
	}), nil))
	return e
}

func (e *eventStream) read(res *http.Response) {
	e.close()
	e.body, e.close = bufio.NewReaderSize(res.Body, 64<<10), func() { _ = res.Body.Close() }
}

// resume reads the stream on at another server.
func (e *eventStream) resume(t *testing.T, w *httpWire) {
	t.Helper()
	res := w.do(t, t.Context(), http.MethodGet, nil, params{"Last-Event-ID": e.last, "Accept": "text/event-stream"})
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET behind %q: status %d", e.last, res.StatusCode)
	}
	e.read(res)
}

// until reads events until there are so many words, or the answer where it is "". It
// reports false where the connection ends before.
func (e *eventStream) until(t *testing.T, words string) bool {
	t.Helper()
	for words == "" || !strings.HasSuffix(strings.TrimSpace(e.text.String()), words) {
		if !e.event(t) {
			return false
		}
		if e.result.ID != nil {
			return words == ""
		}
	}
	return true
}

// event reads one event, and reports false where the connection ends.
func (e *eventStream) event(t *testing.T) bool {
	t.Helper()
	var data, id string
	for {
		line, err := e.body.ReadString('\n')
		if err != nil {
			return false
		}
		switch line = strings.TrimSuffix(line, "\n"); {
		case strings.HasPrefix(line, "id: "):
			id = line[4:]
		case strings.HasPrefix(line, "data: "):
			data = line[6:]
		case line == "" && id != "":
			if e.last = id; data != "" {
				e.take(t, data)
			}
			return true
		}
	}
}

// take takes in what an event says.
func (e *eventStream) take(t *testing.T, data string) {
	t.Helper()
	m := parseMessage(t, []byte(data))
	if m.Method == "" {
		e.result = m
		if string(m.ID) != e.id {
			t.Errorf("the answer is to %s: %s", m.ID, shorten(data, 300))
		}
		return
	}
	if string(m.Params.ProgressToken) != fmt.Sprintf("%q", "of "+e.id) {
		t.Errorf("progress of another call: %s", data)
	}
	if m.Params.Meta.Run != "" {
		e.run = m.Params.Meta.Run
	}
	e.text.WriteString(m.Params.Meta.Text)
	if n := len(e.steps); n > 0 && m.Params.Progress <= e.steps[n-1] {
		t.Errorf("progress %v behind %v", m.Params.Progress, e.steps[n-1])
	}
	e.steps = append(e.steps, m.Params.Progress)
}

// answer is the structured result.
func (e *eventStream) answer(t *testing.T) result {
	t.Helper()
	var r struct {
		IsError           bool
		Content           []struct{ Text string }
		StructuredContent map[string]any
	}
	if err := json.Unmarshal(e.result.Result, &r); err != nil || len(r.Content) == 0 {
		t.Fatalf("the answer is %s %+v", e.result.Result, e.result.Error)
	}
	return result{Text: r.Content[0].Text, IsError: r.IsError, Data: r.StructuredContent}
}

// at is the session at another server.
func (w *httpWire) at(url string) *httpWire {
	return &httpWire{version: w.version, url: url, session: w.session, http: w.http}
}

// A stream whose server is killed is read on at another one, and at a third that
// started after all others were gone. Every word comes once, in order, and the result
// is whole.
func TestResumeChatAfterKill(t *testing.T) {
	t.Parallel()
	for _, family := range []emulatortest.Family{emulatortest.FamilyA, emulatortest.FamilyD, emulatortest.FamilyE} {
		t.Run(string(family), func(t *testing.T) {
			t.Parallel()
			words := make(chan string)
			up := newUpstream(t, emulatortest.Options{Family: family, Agent: steppedAgent(words)})
			one, url := launchHTTP(t, up.env())
			two, secondURL := launchHTTP(t, up.env())
			w := newHTTPWire(t, url, legacy)
			var want strings.Builder
			say := func(word string) {
				words <- word + " "
				want.WriteString(word + " ")
			}
			posted := make(chan *eventStream, 1)
			go func() { posted <- w.post(t, "41", "send_chat_message", params{"message": "a long task"}) }()
			say("one")
			e := recv(t, posted, "the stream")
			defer func() { e.close() }()
			for _, word := range []string{"two", "three"} {
				say(word)
				if !e.until(t, word) {
					t.Fatalf("the stream ended; it says %q", e.text.String())
				}
			}
			one.kill(t)
			say("four") // while nobody is there
			e.resume(t, w.at(secondURL))
			// The service's history has a reply when it is complete, so nothing more of it
			// is to be seen yet; but the second server has the call.
			for steps := len(e.steps); len(e.steps) == steps; {
				if !e.event(t) {
					t.Fatal("the second server's stream ended")
				}
			}
			say("five")
			two.kill(t)
			say("six")
			_, thirdURL := launchHTTP(t, up.env())
			e.resume(t, w.at(thirdURL))
			say("seven")
			close(words)
			if !e.until(t, "") {
				t.Fatalf("the third server's stream ended without an answer; in all it says %q", e.text.String())
			}
			r := e.answer(t)
			if got, want := strings.TrimSpace(e.text.String()), strings.TrimSpace(want.String()); got != want || strings.TrimSpace(r.str("reply")) != want {
				t.Errorf("the progress says %q and the result %q; the agent said %q", got, r.str("reply"), want)
			}
			if r.str("status") != "completed" {
				t.Errorf("the result is %s", r.Text)
			}
			if n := up.userMessages(r.str("session")); n != 1 {
				t.Errorf("the message was sent %d times", n)
			}
			// Behind the answer there is nothing.
			e.resume(t, w.at(thirdURL))
			if e.event(t) {
				t.Error("something comes behind the answer")
			}
		})
	}
}

// A command's stream is read on in the same way; the command itself runs once.
func TestResumeCommandAfterKill(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	one, url := launchHTTP(t, up.env())
	_, secondURL := launchHTTP(t, up.env())
	w := newHTTPWire(t, url, legacy)
	e := w.post(t, "7", "exec_command", params{
		"command": "echo ran >>runs; for i in 1 2 3 4 5 6; do echo line $i; until [ -e go$i ]; do sleep 0.1; done; done; echo oops >&2; exit 3",
	})
	defer func() { e.close() }()
	next := func(i int) {
		if err := os.WriteFile(filepath.Join(up.Workspace(up.instance), fmt.Sprint("go", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := 1; i <= 3; i++ {
		if !e.until(t, fmt.Sprint("line ", i)) {
			t.Fatalf("the stream ended; it says %q", e.text.String())
		}
		next(i)
	}
	if e.run == "" {
		t.Error("no progress told the command's handle")
	}
	one.kill(t)
	e.resume(t, w.at(secondURL))
	for i := 4; i <= 6; i++ {
		if !e.until(t, fmt.Sprint("line ", i)) {
			t.Fatalf("the second server's stream ended; in all it says %q", e.text.String())
		}
		next(i)
	}
	if !e.until(t, "") {
		t.Fatal("no answer came")
	}
	var lines strings.Builder
	for i := range 6 {
		fmt.Fprintf(&lines, "line %d\n", i+1)
	}
	r, want := e.answer(t), lines.String()
	if got := e.text.String(); got != want+"oops\n" || r.str("stdout") != want || r.str("stderr") != "oops\n" || !strings.Contains(r.Text, "exit code 3") {
		t.Errorf("the progress says %q and the result %s", got, r.Text)
	}
	ran, err := os.ReadFile(filepath.Join(up.Workspace(up.instance), "runs"))
	if string(ran) != "ran\n" {
		t.Errorf("the command ran %q, %v", ran, err)
	}
}

// The handle of a command is out before the command is: whoever has it finds the
// command, whenever its server is killed.
func TestHandleBeforeCommand(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c combination) {
		hold := make(chan struct{})
		up := newUpstream(t, emulatortest.Options{Faults: []emulatortest.Fault{{
			Endpoint: "POST /instances/{instance}/terminal/exec", Call: 1, StallBytes: emulatortest.AtStart, Release: hold,
		}}})
		defer close(hold)
		s := c.connect(t, up.env())
		line := newLifeline(t, up, "line")
		begun := s.begin(t, "exec_command", params{"command": "echo ran >>runs; exec 3>line; echo up; sleep 1000"})
		first := begun.progress(t)
		line.open(t)
		run := first.Params.Meta.Run
		if run == "" {
			t.Fatalf("the first progress has no handle: %+v", first)
		}
		s.proc.kill(t) // before the service answered
		s = c.connect(t, up.env())
		r := s.ok(t, "wait_run", params{"runs": []string{run}, "until": "news", "wait_seconds": 20}).run(0)
		if r.str("status") != "running" || r.str("stdout") != "up\n" {
			t.Errorf("found again, the command is %s", r.Text)
		}
		if r := s.ok(t, "cancel_run", params{"run": run}); r.str("status") != "cancelled" {
			t.Errorf("cancel_run: %s", r.Text)
		}
		line.cut(t)
		if ran, err := os.ReadFile(filepath.Join(up.Workspace(up.instance), "runs")); string(ran) != "ran\n" {
			t.Errorf("the command ran %q, %v", ran, err)
		}
	})
}

// The processes of one user list each other's runs, for as long as they live.
func TestListRunsOfOtherProcesses(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	env := up.env("OPENCLAW_MCP_STATE_DIR=" + t.TempDir())
	one, two := connect(t, env), connect(t, env)
	begun := one.ok(t, "exec_command", params{"command": "sleep 1000", "background": true})
	var listed result
	eventually(t, "the other process lists the run", func() bool {
		listed = two.ok(t, "list_runs", nil)
		return len(listed.Data["runs"].([]any)) == 1
	})
	if r := listed.run(0); r.str("status") != "running" || r.str("instance") != up.instance || !strings.Contains(listed.Text, "sleep 1000") {
		t.Errorf("it lists %s", listed.Text)
	}
	if r := two.ok(t, "cancel_run", params{"run": listed.run(0).str("run")}); r.str("status") != "cancelled" {
		t.Errorf("cancel_run: %s", r.Text)
	}
	if r := one.ok(t, "wait_run", params{"runs": []string{begun.str("run")}, "wait_seconds": 20}).run(0); r.str("status") != "cancelled" {
		t.Errorf("for the process that began it, the run is %s", r.Text)
	}
	one.proc.kill(t)
	eventually(t, "the process is forgotten with its runs", func() bool {
		listed = two.ok(t, "list_runs", nil)
		return !strings.Contains(listed.Text, "did not answer")
	})
}
