package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/terminals"
)

// said is a tool's answer as a model and as a program beside it see it.
type said struct {
	text  string
	facts map[string]any
	isErr bool
}

// say calls any tool.
func (b *bench) say(name string, a args) said {
	b.Helper()
	raw, err := json.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	for _, t := range All() {
		if t.Name != name {
			continue
		}
		r := t.Call(b.Context(), b.deps, raw, Exchange{})
		s := said{text: r.Text, isErr: r.IsError}
		if r.Facts != nil {
			raw, err := json.Marshal(r.Facts)
			if err != nil {
				b.Fatal(err)
			}
			if err := json.Unmarshal(raw, &s.facts); err != nil {
				b.Fatal(err)
			}
		}
		return s
	}
	b.Fatalf("no tool %s", name)
	return said{}
}

func (s said) run() string    { word, _ := s.facts["run"].(string); return word }
func (s said) handle() string { sealed, _ := s.facts["handle"].(string); return sealed }

// first is the first run of a wait's or a list's facts.
func (s said) first() said {
	all, _ := s.facts["runs"].([]any)
	if len(all) == 0 {
		return said{}
	}
	one, _ := all[0].(map[string]any)
	return said{text: s.text, facts: one}
}

func newHandleBench(t *testing.T) *bench {
	t.Helper()
	b := newBench(t, emulatortest.Options{})
	b.deps.Handles = NewShortHandles()
	b.deps.Progress = func(context.Context, func(int) string) Progress { return silent{} }
	b.deps.OnCancel = func(context.Context, func(string)) {}
	return b
}

// A model gets short words, each of which goes on to mean what it meant; the sealed
// forms stay with the facts, and open the same.
func TestShortHandles(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // its commands are not detached
	}
	b := newHandleBench(t)
	command := "until [ -e begin ]; do sleep 0.05; done; echo one; until [ -e go ]; do sleep 0.05; done; echo two; until [ -e end ]; do sleep 0.05; done; echo three"
	started := b.say("exec_command", args{"command": command, "background": true})
	first := started.run()
	if !regexp.MustCompile(`^run-[0-9b-z]{4}$`).MatchString(first) || !strings.HasPrefix(started.handle(), "run_") {
		t.Fatalf("the run is %q, %q: %s", first, started.handle(), started.text)
	}
	if !strings.Contains(started.text, fmt.Sprintf("wait_run {\"runs\":[%q]}", first)) || strings.Contains(started.text, "run_") {
		t.Errorf("the text has another handle: %s", started.text)
	}
	if strings.Contains(started.text, b.id) {
		t.Errorf("the text names the only instance: %s", started.text)
	}
	b.put("begin", "")
	news := b.say("wait_run", args{"runs": []string{first}, "until": "news"}).first()
	second := news.run()
	if second != first+".1" || !strings.HasPrefix(news.text, "one\n") {
		t.Errorf("after the first line: %q: %s", second, news.text)
	}
	b.put("go", "")
	third := b.say("wait_run", args{"runs": []string{second}, "until": "news"}).first()
	if third.run() != first+".2" || !strings.HasPrefix(third.text, "two\n") {
		t.Errorf("after the second line: %q: %s", third.run(), third.text)
	}
	// Nothing new: the place is the same, and so is its word, however it is spelt.
	for _, spelling := range []string{third.run(), "`" + third.run() + "`", strings.ToUpper(third.run())} {
		if again := b.say("wait_run", args{"runs": []string{spelling}, "wait_seconds": 0}).first(); again.run() != third.run() {
			t.Errorf("%s: with no news the word is %q", spelling, again.run())
		}
	}
	b.put("end", "")
	for word, want := range map[string]string{
		first: "one\ntwo\nthree\n", second: "two\nthree\n", third.run(): "three\n", started.handle(): "one\ntwo\nthree\n", news.handle(): "two\nthree\n", " " + first + "\n": "one\ntwo\nthree\n",
	} {
		if r := b.say("wait_run", args{"runs": []string{word}}); !strings.HasPrefix(r.text, want+"[status: completed, exit code 0]") {
			t.Errorf("%q reads %q, want %q", word, r.text, want)
		}
	}
	list := b.say("list_runs", nil)
	want := fmt.Sprintf("%s: command %q [status: completed, exit code 0]\n", first, runs.About(command))
	if !strings.Contains(list.text, want) || list.first().run() != first {
		t.Errorf("the list is %s\nwant %s", list.text, want)
	}
	// A chat is listed by its message, under the handle that it was given.
	release := make(chan struct{})
	b.between = func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/chat/stream") {
			<-release
		}
		return false
	}
	chat := b.say("send_chat_message", args{"message": "say\n" + strings.Repeat("größe ", 20), "wait_seconds": 0})
	list = b.say("list_runs", nil)
	given, _, _ := strings.Cut(chat.run(), ".") // without the place in the run
	want = fmt.Sprintf("%s: chat %q [status: running", given, "say "+strings.Repeat("größe ", 12)+"größ…")
	if given == "" || !strings.Contains(list.text, want) {
		t.Errorf("the list is %s\nwant %s; the chat: %s", list.text, want, chat.text)
	}
	close(release)
	if r := b.say("wait_run", args{"runs": []string{given}}); !strings.HasPrefix(r.text, "größe größe ") {
		t.Errorf("the listed handle reads %s", r.text)
	}
	for word, words := range map[string]string{
		"run-zzzz": "list_runs lists the runs", first + ".9": first + " reads this run from the start",
	} {
		if r := b.say("cancel_run", args{"run": word}); !r.isErr || !strings.Contains(r.text, words) || !strings.Contains(r.text, "nothing was") {
			t.Errorf("%s: %s", word, r.text)
		}
	}
	// A program that wants data gets what works everywhere.
	b.deps.Structured = func(context.Context) bool { return true }
	if r := b.say("list_runs", nil); !strings.Contains(r.text, "run_") || strings.Contains(r.text, first) {
		t.Errorf("a program gets %s", r.text)
	}
	b.deps.Handles = nil
	if r := b.say("wait_run", args{"runs": []string{first}}); !r.isErr || !strings.Contains(r.text, "which this server does not give") {
		t.Errorf("without short handles: %s", r.text)
	}
}

// A handle of the wrong kind is called what it is, and where it stands in the call.
func TestHandlesOfTheWrongKind(t *testing.T) {
	t.Parallel()
	b := newHandleBench(t)
	s, err := b.deps.Services(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Terminals, err = terminals.NewManager(terminals.Config{Client: s.Client, APIKey: "key", Principal: "p"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Terminals.Close)
	run := b.say("exec_command", args{"command": "until [ -e go ]; do sleep 0.05; done", "background": true})
	defer b.put("go", "")
	for _, tt := range []struct {
		tool  string
		args  args
		words []string
	}{
		{"wait_run", args{"runs": []string{"term-1"}}, []string{"runs[0]: term-1 is a terminal, not a run", "read_terminal", "list_runs"}},
		{"cancel_run", args{"run": " term_" + strings.Repeat("A", 90)}, []string{"term_AAAA", "… is a terminal, not a run"}},
		{"read_terminal", args{"terminal": run.run()}, []string{run.run() + " is a run, not a terminal", "wait_run and cancel_run take it", "open_terminal"}},
		{"write_terminal", args{"terminal": run.handle(), "text": "x"}, []string{"… is a run, not a terminal: nothing was typed"}},
		{"close_terminal", args{"terminal": run.run() + ".3"}, []string{"is a run, not a terminal"}},
		{"wait_run", args{"runs": []string{run.run(), run.run(), run.handle(), run.run(), "run-zzzz"}}, []string{"runs[4]: there is no run run-zzzz", "list_runs"}},
		{"wait_run", args{"runs": []string{run.run(), "term-2", run.run()}}, []string{"runs[1]: term-2 is a terminal"}},
		{"wait_run", args{"runs": []string{"runner"}}, []string{"runs[0]: this is not a run handle", "list_runs"}},
		{"read_terminal", args{"terminal": "term-9"}, []string{"there is no terminal term-9", "open_terminal"}},
	} {
		r := b.say(tt.tool, tt.args)
		for _, word := range tt.words {
			if !r.isErr || !strings.Contains(r.text, word) {
				t.Errorf("%s %v: %q lacks %q", tt.tool, tt.args, r.text, word)
			}
		}
		if strings.Contains(r.text, strings.Repeat("A", 40)) {
			t.Errorf("%s repeats all of a handle: %s", tt.tool, r.text)
		}
	}
	// What stands twice is waited for once, wherever it stands.
	b.put("go", "")
	if r := b.say("wait_run", args{"runs": []string{run.run(), run.handle(), run.run()}, "wait_seconds": 30}); strings.Count(r.text, "status:") != 2 {
		t.Errorf("one run twice: %s", r.text)
	}
}

func newManager(t *testing.T, principal string, f fleet.Fleet) *runs.Manager {
	t.Helper()
	shared, err := fleet.Sealed(f, "key", principal)
	if err != nil {
		t.Fatal(err)
	}
	m, err := runs.NewManager(runs.Config{APIKey: "key", Principal: principal, Fleet: shared})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close(); _ = shared.Close() })
	return m
}

func newAlone(t *testing.T) fleet.Fleet {
	f := fleet.Alone()
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// The words of different runs differ, however many there are, and the oldest make room.
func TestShortHandlesOfManyRuns(t *testing.T) {
	t.Parallel()
	m := newManager(t, "p", newAlone(t))
	f := m.Config.Fleet
	h := NewShortHandles()
	words := make(map[string]string)
	var last []string
	for i := range 2 * maxWordedRuns {
		// Ids whose first four letters are always the same.
		state := runs.NewState(runs.KindCommand, "i")
		state.ID = fmt.Sprintf("%016x", i*28*28*28*28)
		word := h.run(t.Context(), f, m, m.Seal(state))
		if other, ok := words[word]; ok {
			t.Fatalf("%s is the word of %s and %s", word, other, state.ID)
		}
		words[word] = state.ID
		last = append(last, word)
	}
	for _, word := range last {
		sealed, err := h.open(t.Context(), f, word)
		state, inspectErr := m.Inspect(sealed)
		if err != nil || inspectErr != nil || state.ID != words[word] {
			t.Fatalf("%s leads to %q, not %q: %v, %v", word, state.ID, words[word], err, inspectErr)
		}
	}
	state := runs.NewState(runs.KindCommand, "i")
	for i := range 2 * maxWordsOfRun {
		state.Read = int64(i)
		h.run(t.Context(), f, m, m.Seal(state))
	}
	if n := len(h.given); n > maxWordedRuns+maxWordsOfRun+2 {
		t.Errorf("%d words are kept", n)
	}
	if len(h.runs) != maxWordedRuns || len(h.order) != maxWordedRuns {
		t.Errorf("%d, %d runs are kept, not %d", len(h.runs), len(h.order), maxWordedRuns)
	}
	for i := range 2 * maxWordedTerms {
		h.terminal(t.Context(), f, fmt.Sprint("term_", i))
	}
	if len(h.terms) != maxWordedTerms || len(h.termsAt) != maxWordedTerms {
		t.Errorf("%d terminals are kept", len(h.terms))
	}
	if sealed, err := h.open(t.Context(), f, h.terminal(t.Context(), f, "term_new")); err != nil || sealed != "term_new" {
		t.Errorf("the newest terminal: %q, %v", sealed, err)
	}
}

// Processes of one caller agree on what each word means, and another caller's know none of
// it. A handle that knows more takes the place of one that knows less.
func TestShortHandlesAreShared(t *testing.T) {
	t.Parallel()
	shared := newAlone(t)
	ma, mb, mc := newManager(t, "p", shared), newManager(t, "p", shared), newManager(t, "other", shared)
	a, b, c := NewShortHandles(), NewShortHandles(), NewShortHandles()
	ctx := t.Context()
	state := runs.NewState(runs.KindChat, "i")
	first := a.run(ctx, ma.Config.Fleet, ma, ma.Seal(state))
	at := func(read int64) runs.State { s := state; s.Read = read; return s }
	one := a.run(ctx, ma.Config.Fleet, ma, ma.Seal(at(10)))
	// The other process reads on from there, and goes another way.
	if got := b.run(ctx, mb.Config.Fleet, mb, mb.Seal(state)); got != first {
		t.Errorf("the other process calls %s %s", first, got)
	}
	two := b.run(ctx, mb.Config.Fleet, mb, mb.Seal(at(20)))
	if same := b.run(ctx, mb.Config.Fleet, mb, mb.Seal(at(10))); one == two || same == two {
		t.Errorf("10 is %s, 20 is %s, and then 10 is %s", one, two, same)
	}
	for word, read := range map[string]int64{first: 0, one: 10, two: 20} {
		for name, open := range map[string]func() (string, error){
			"the one":   func() (string, error) { return a.open(ctx, ma.Config.Fleet, word) },
			"the other": func() (string, error) { return b.open(ctx, mb.Config.Fleet, word) },
			"a later":   func() (string, error) { return NewShortHandles().open(ctx, ma.Config.Fleet, word) },
		} {
			sealed, err := open()
			got, inspectErr := ma.Inspect(sealed)
			if err != nil || inspectErr != nil || got.ID != state.ID || got.Read != read {
				t.Errorf("%s process reads %s from %d: %v, %v", name, word, got.Read, err, inspectErr)
			}
		}
		if sealed, err := c.open(ctx, mc.Config.Fleet, word); err == nil {
			t.Errorf("another caller has %s: %s", word, sealed)
		}
	}
	if ta, tb := a.terminal(ctx, ma.Config.Fleet, "term_a"), b.terminal(ctx, mb.Config.Fleet, "term_b"); ta != "term-1" || tb != "term-2" {
		t.Errorf("two terminals are %s and %s", ta, tb)
	}
	if sealed, err := b.open(ctx, mb.Config.Fleet, "term-1"); err != nil || sealed != "term_a" || b.terminal(ctx, mb.Config.Fleet, sealed) != "term-1" {
		t.Errorf("the one's terminal is %s to the other, %v", sealed, err)
	}
	named := at(10)
	named.Session = "s1"
	if got := a.run(ctx, ma.Config.Fleet, ma, ma.Seal(named)); got != one {
		t.Errorf("with its session the place is %s", got)
	}
	for _, word := range []string{first, one} {
		sealed, err := NewShortHandles().open(ctx, mb.Config.Fleet, word)
		if got, _ := mb.Inspect(sealed); err != nil || got.Session != "s1" {
			t.Errorf("%s does not know the session: %+v, %v", word, got, err)
		}
	}
}

// awayFleet can't be reached.
type awayFleet struct{ fleet.Fleet }

func (awayFleet) Create(context.Context, string, []byte) (fleet.Fact, bool, error) {
	return fleet.Fact{}, false, fleet.ErrAway
}

func (awayFleet) Change(context.Context, fleet.Fact, []byte) (fleet.Fact, error) {
	return fleet.Fact{}, fleet.ErrAway
}

func (awayFleet) Find(context.Context, string) (fleet.Fact, bool, error) {
	return fleet.Fact{}, false, fleet.ErrAway
}

// Where nobody can be told, words work in this process, and an unknown one is not said to
// be none.
func TestShortHandlesAlone(t *testing.T) {
	t.Parallel()
	m := newManager(t, "p", newAlone(t))
	h := NewShortHandles()
	sealed := m.Seal(runs.NewState(runs.KindCommand, "i"))
	word := h.run(t.Context(), awayFleet{}, m, sealed)
	if got, err := h.open(t.Context(), awayFleet{}, word); err != nil || !strings.HasPrefix(got, "run_") || !strings.HasPrefix(word, "run-") {
		t.Errorf("%s is %s: %v", word, got, err)
	}
	if _, err := h.open(t.Context(), awayFleet{}, "run-zzzz"); !errors.Is(err, fleet.ErrAway) {
		t.Errorf("an unknown one: %v", err)
	}
}
