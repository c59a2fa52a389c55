package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/terminals"
	"openclaw-mcp/tools"
)

const terminalEndpoint = "GET /instances/{instance}/terminal/ws"

// terminalBench is a caller with all its tools, before the embedded service.
type terminalBench struct {
	*testing.T
	service  *emulatortest.Server
	instance string
	deps     *tools.Deps
	manager  *terminals.Manager
	rails    *tools.Rails
}

type silent struct{}

func (silent) Text(string)                   {}
func (silent) Line(string)                   {}
func (silent) Now(string)                    {}
func (silent) Together(tell, sending func()) { tell(); sending() }
func (silent) Close()                        {}

func newTerminalBench(t *testing.T, o emulatortest.Options, cfg terminals.Config) *terminalBench {
	t.Helper()
	if runtime.GOOS == "windows" {
		cfg.Family = client.TerminalLines // it has no pseudo-terminals, and no test here needs one then
	}
	service, err := emulatortest.New(o)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(service)
	b := &terminalBench{T: t, service: service, rails: &tools.Rails{}}
	t.Cleanup(func() {
		if b.manager != nil {
			b.manager.Close()
		}
		if err := service.Close(); err != nil {
			t.Error(err)
		}
		web.Close()
	})
	const key = "sk_live_terminals"
	if b.instance, err = service.AddInstance(key); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(nil, web.URL, key, client.WithRetry(1, 0, 0), client.WithReadOnly(tools.IsReadOnly))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	r, err := runs.NewManager(runs.Config{Client: c, APIKey: key, Principal: "p"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	cfg.Client, cfg.APIKey, cfg.Principal = c, key, "p"
	if b.manager, err = terminals.NewManager(cfg); err != nil {
		t.Fatal(err)
	}
	s := tools.NewServices(c, r)
	s.Terminals = b.manager
	b.deps = &tools.Deps{
		Services:  func(context.Context) (*tools.Services, error) { return s, nil },
		Progress:  func(context.Context, func(int) string) tools.Progress { return silent{} },
		Principal: func(context.Context) string { return "p" },
		Rails:     func(context.Context) *tools.Rails { return b.rails },
		OnCancel:  func(context.Context, func(string)) {},
		Confirm:   tools.NewConfirmer(tools.ConfirmAllow), SoftDeadline: 20 * time.Second, MaxResultChars: 20000,
	}
	return b
}

// shown is a result of a terminal's tool.
type shown struct {
	Terminal, Status, Text, Position, Ended, Next string
	ExitCode                                      *int `json:"exit_code"`
	Cursor                                        int64
	Notes                                         []string
	Content                                       string // read_file
	plain                                         string
}

type args = map[string]any

func (b *terminalBench) try(tool string, in args) (shown, bool) {
	b.Helper()
	for _, t := range tools.All() {
		if t.Name != tool {
			continue
		}
		raw, err := json.Marshal(in)
		if err != nil {
			b.Fatal(err)
		}
		r := t.Call(b.Context(), b.deps, raw, tools.Exchange{})
		var s shown
		if r.Structured != nil {
			raw, err := json.Marshal(r.Structured)
			if err != nil {
				b.Fatal(err)
			}
			if err := json.Unmarshal(raw, &s); err != nil {
				b.Fatal(err)
			}
		}
		s.plain = r.Text
		return s, !r.IsError
	}
	b.Fatalf("there is no tool %s", tool)
	return shown{}, false
}

func (b *terminalBench) call(tool string, in args) shown {
	b.Helper()
	s, ok := b.try(tool, in)
	if !ok {
		b.Fatalf("%s %v failed: %s", tool, in, s.plain)
	}
	return s
}

// refused gives the text of a call that must fail, and must say so.
func (b *terminalBench) refused(tool string, in args, want ...string) {
	b.Helper()
	s, ok := b.try(tool, in)
	if ok {
		b.Errorf("%s %v is allowed: %s", tool, in, s.plain)
	}
	for _, w := range want {
		if !strings.Contains(s.plain, w) {
			b.Errorf("%s %v says %q, which has no %q", tool, in, s.plain, w)
		}
	}
}

func (b *terminalBench) open(more args) string {
	b.Helper()
	in := args{"instance": b.instance}
	maps.Copy(in, more)
	s := b.call("open_terminal", in)
	if s.Status != "open" || s.Terminal == "" || !strings.Contains(s.plain, s.Terminal) {
		b.Fatalf("open_terminal: %s", s.plain)
	}
	return s.Terminal
}

func (b *terminalBench) write(terminal, text string, keys []string, waitFor string) shown {
	b.Helper()
	in := args{"terminal": terminal}
	if text != "" {
		in["text"] = text
	}
	if keys != nil {
		in["keys"] = keys
	}
	if waitFor != "" {
		in["wait_for"] = waitFor
	}
	s := b.call("write_terminal", in)
	if waitFor != "" && s.Ended != "pattern" {
		b.Fatalf("%q did not come: %s", waitFor, s.plain)
	}
	return s
}

var enter = []string{"enter"}

func TestTerminalPrompt(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(args{"cols": 100, "rows": 30})
	b.write(term, "stty size", enter, "30 100")
	b.write(term, `read -p "your name: " name; echo "<$name>"`, enter, `^your name: $`)
	s := b.write(term, "Ada", enter, `^<Ada>$`)
	if s.Status != "open" || !strings.Contains(s.Position, "of 30") || !strings.Contains(s.Position, "of 100") {
		t.Errorf("%+v", s)
	}
	b.write(term, "exit 3", enter, "")
	s = b.call("read_terminal", args{"terminal": term, "wait_for": "nothing more"})
	if s.Status != "exited" || s.ExitCode == nil || *s.ExitCode != 3 || !strings.Contains(s.plain, "exit code 3, cursor at row") || strings.Contains(s.plain, "ended by") {
		t.Errorf("after exit: %s", s.plain)
	}
	b.refused("write_terminal", args{"terminal": term, "text": "x"}, "its shell has ended", "open_terminal")
	if s := b.call("read_terminal", args{"terminal": term}); !strings.Contains(s.Text, "<Ada>") {
		t.Errorf("the screen of an ended terminal is gone: %s", s.plain)
	}
}

func TestTerminalInterrupt(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(nil)
	b.write(term, "sleep 100; echo code=$?", enter, "")
	s := b.write(term, "", []string{"ctrl-c"}, `\$ $|# $`)
	if !strings.Contains(s.Text, "^C") || strings.Contains(s.Text, "\ncode=0") {
		t.Errorf("%s", s.plain)
	}
	s = b.write(term, "cat", enter, "")
	s = b.write(term, "one\ntwo\n", []string{"ctrl-d"}, `\$ $|# $`)
	if !strings.Contains(s.Text, "cat\none\ntwo\none\ntwo") {
		t.Errorf("several lines: %q", s.Text)
	}
	if s := b.call("close_terminal", args{"terminal": term}); s.Status != "closed" {
		t.Errorf("%s", s.plain)
	}
	b.refused("write_terminal", args{"terminal": term, "keys": enter}, "closed")
}

// While a call waits for a terminal, the person is shown the line that it is at.
func TestTerminalProgress(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(args{"command": "PS1='> '"})
	for _, tool := range []string{"write_terminal", "read_terminal"} {
		in := args{"terminal": term, "text": "echo bui''lding; until [ -e go ]; do sleep 0.05; done; rm go; echo do''ne", "keys": enter, "wait_for": "^done$"}
		if tool == "read_terminal" {
			in["wait_for"] = "^building$"
			b.call("write_terminal", in)
			in = args{"terminal": term, "wait_for": "done\n> $"}
		}
		shown := &shownLines{on: "building", then: sync.OnceFunc(func() { b.call("write_file", args{"path": "go", "content": ""}) })}
		b.deps.Progress = func(context.Context, func(int) string) tools.Progress { return shown }
		// It goes on once the line was shown.
		if s := b.call(tool, in); s.Ended != "pattern" {
			t.Errorf("%s: %v were shown; %s", tool, shown.lines, s.plain)
		}
		b.deps.Progress = func(context.Context, func(int) string) tools.Progress { return silent{} }
	}
}

// shownLines is progress that does something when a line is shown.
type shownLines struct {
	silent
	lines []string
	on    string
	then  func()
}

func (s *shownLines) Now(line string) {
	if s.lines = append(s.lines, line); line == s.on {
		s.then()
	}
}

// What was drawn in place is on the screen: only what has left it is worth another call.
func TestTerminalDrawnInPlace(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(args{"rows": 10, "command": "PS1='> '"})
	drawn := b.write(term, `for i in $(seq 1 60); do printf '\033[H'; for row in 1 2 3 4 5; do printf '%d of %s\033[K\n' $row $i; done; done; echo dra''wn`, enter, "^drawn$")
	if !strings.Contains(drawn.Text, "5 of 60") || drawn.Next != "" {
		t.Errorf("drawn in place: %s", drawn.plain)
	}
	b.write(term, "clear", enter, "")
	if s := b.write(term, "seq 1 5; echo few''", enter, "^few$"); s.Next != "" {
		t.Errorf("a few lines: %s", s.plain)
	}
	if s := b.write(term, "seq 1 12; echo man''y", enter, "^many$"); !strings.Contains(s.Next, `"view":"new"`) {
		t.Errorf("more than the screen holds: %s", s.plain)
	}
}

func TestTerminalViews(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(args{"rows": 10, "command": "PS1='> '"})
	s := b.write(term, `for i in $(seq 1 60); do printf '\033[3%dmline %d\033[0m\n' $((i%8)) $i; done`, enter, "^line 60$")
	if !strings.Contains(s.Text, "line 60") || strings.Contains(s.Text, "line 40\n") {
		t.Errorf("the screen: %s", s.plain)
	}
	fresh := b.call("read_terminal", args{"terminal": term, "view": "new", "cursor": s.Cursor})
	for i := 1; i <= 60; i++ {
		if !strings.Contains(fresh.Text, fmt.Sprintf("\nline %d\n", i)) {
			t.Fatalf("line %d is not in the new output %q", i, fresh.Text)
		}
	}
	if strings.ContainsAny(fresh.Text, "\x1b\r") {
		t.Errorf("control sequences in %q", fresh.Text)
	}
	if again := b.call("read_terminal", args{"terminal": term, "view": "new"}); again.Text != "" {
		t.Errorf("read twice: %q", again.Text)
	}
	back := b.call("read_terminal", args{"terminal": term, "view": "scrollback"})
	if !strings.Contains(back.Text, "line 20\n") || strings.Contains(back.Text, "line 60") {
		t.Errorf("scrollback: %s", back.plain)
	}
	b.write(term, "sleep 0.2; echo late", enter, "")
	if s := b.call("read_terminal", args{"terminal": term, "wait_for": "^late$"}); s.Ended != "pattern" {
		t.Errorf("%s", s.plain)
	}
	if s := b.call("read_terminal", args{"terminal": term, "wait_for": "never", "wait_seconds": 1}); s.Ended != "time" || !strings.Contains(s.Next, "never") {
		t.Errorf("%s", s.plain)
	}
	if s := b.call("read_terminal", args{"terminal": term, "quiet_ms": 50}); s.Ended != "quiet" {
		t.Errorf("%s", s.plain)
	}
}

func TestTerminalWideCharacters(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(args{"cols": 20, "command": "PS1='> '; clear"})
	s := b.write(term, `printf '12345678901234567890\nx漢字かな交じり文のテスト\ne\314\201x 🙂|\n\033[18;6Hat'`, enter, "     at")
	// A wide character that has no room at the end of a line goes to the next.
	for _, want := range []string{"\n12345678901234567890\nx漢字かな交じり文の\nテスト\ne\u0301x 🙂|\n", "\n     at"} {
		if !strings.Contains(s.Text, want) {
			t.Errorf("the screen has no %q:\n%s", want, s.Text)
		}
	}
}

func TestTerminalRails(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{Limit: 2})
	term := b.open(nil)
	b.refused("write_terminal", args{"terminal": term}, "nothing to type")
	b.refused("write_terminal", args{"terminal": term, "keys": []string{"hyper"}}, "hyper", "page_up")
	b.refused("write_terminal", args{"terminal": term, "text": "x", "wait_for": "("}, "regular expression", "missing closing ): `(`")
	b.refused("write_terminal", args{"terminal": term, "text": "x", "quiet_ms": 0}, "quiet_ms")
	b.refused("read_terminal", args{"terminal": "term_x"}, "not a terminal handle of yours", "open_terminal")
	b.refused("read_terminal", args{"terminal": term[:len(term)-1]}, "open_terminal")
	b.open(nil)
	b.refused("open_terminal", args{"instance": b.instance}, "2, the most", "close_terminal")
	b.call("close_terminal", args{"terminal": term})
	b.open(nil)

	b.rails = &tools.Rails{ReadOnly: true}
	for _, tool := range []string{"open_terminal", "write_terminal", "close_terminal"} {
		b.refused(tool, args{"terminal": term}, "read-only")
	}
	b.call("read_terminal", args{"terminal": term})
	b.rails = &tools.Rails{ExcludeCommands: []*regexp.Regexp{regexp.MustCompile("rm")}}
	b.refused("open_terminal", args{"instance": b.instance}, "patterns", "exec_command")
	b.refused("write_terminal", args{"terminal": term, "text": "x"}, "patterns")
	b.rails = &tools.Rails{ExcludeInstances: []string{"*"}}
	b.refused("open_terminal", args{"instance": b.instance}, "excluded")
	b.refused("read_terminal", args{"terminal": term}, "excluded")
}

func TestTerminalRefusals(t *testing.T) {
	t.Parallel()
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	b.service.SetFaults(emulatortest.Fault{Endpoint: terminalEndpoint, Status: 403, Body: `{"error":"forbidden","message":"terminals need a plan"}`})
	b.refused("open_terminal", args{"instance": b.instance}, "terminals need a plan", "HTTP 403", "What happened: nothing")
	b.service.SetFaults(emulatortest.Fault{Endpoint: terminalEndpoint, Socket: &emulatortest.SocketFault{CloseCode: 4401, CloseReason: "expired"}})
	b.refused("open_terminal", args{"instance": b.instance}, "close code 4401", "expired", "What happened: nothing")
	b.service.SetFaults(emulatortest.Fault{Endpoint: terminalEndpoint, Socket: &emulatortest.SocketFault{CutBytes: 200, CloseCode: 1011, CloseReason: "out of memory"}})
	term := b.open(nil)
	s := b.call("write_terminal", args{"terminal": term, "text": "seq 1000", "keys": enter, "wait_for": "nothing prints this"})
	if s.Status != "lost" || !strings.Contains(s.plain, "the shell was lost") || !strings.Contains(s.plain, "out of memory") {
		t.Errorf("%s", s.plain)
	}
	b.refused("write_terminal", args{"terminal": term, "text": "x"}, "lost", "nothing was typed")
}

// A model gets a short handle, and what has changed on the screen where that is little.
func TestTerminalChanges(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // without pseudo-terminals there is no screen to speak of
	}
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	b.deps.Handles = tools.NewShortHandles()
	term := b.open(args{"cols": 80, "rows": 24})
	if term != "term-1" {
		t.Errorf("the terminal is %q", term)
	}
	b.write(term, "PS1='> '; clear; seq -f 'line %.0f of some file' 101 118", enter, "^line 118 of some file\n> ?$")
	s := b.write(term, "echo one-$((40+2))", enter, "^one-42$")
	if !strings.Contains(s.plain, "one-42") || strings.Contains(s.plain, "105") || !strings.Contains(s.plain, "the rest of the screen is as shown before") {
		t.Errorf("after a line: %s", s.plain)
	}
	s = b.write(term, "seq 201 204; echo done-$((40+2))", enter, "^done-42$")
	if !strings.HasPrefix(s.plain, "(scrolled up by ") || !strings.Contains(s.plain, "201\n202\n203\n204\ndone-42\n") || strings.Contains(s.plain, "115") {
		t.Errorf("after it has scrolled: %s", s.plain)
	}
	if s := b.call("read_terminal", args{"terminal": term}); !strings.Contains(s.plain, "115 of") || strings.Contains(s.plain, "as shown before") {
		t.Errorf("the whole screen: %s", s.plain)
	}
	if s := b.write(term, "clear; echo all-$((40+2))", enter, "^all-42$"); !strings.HasPrefix(s.plain, "all-42") {
		t.Errorf("after all has changed: %s", s.plain)
	}
	// Of a screen that a result has only parts of, nothing was shown before.
	budget := b.deps.MaxResultChars
	b.deps.MaxResultChars = 250
	b.write(term, "seq -f 'line %.0f of some file' 401 420; echo big-$((40+2))", enter, "^big-42$")
	if s := b.write(term, "echo after-$((40+2))", enter, "^after-42$"); strings.Contains(s.plain, "as shown before") || !strings.Contains(s.plain, "bytes left out") || !strings.Contains(s.plain, "after-42") {
		t.Errorf("after a large screen: %s", s.plain)
	}
	b.deps.MaxResultChars = budget
	// A program gets the screen.
	b.deps.Structured = func(context.Context) bool { return true }
	b.write(term, "seq 301 318", enter, "^318$")
	if s := b.write(term, "echo two-$((40+2))", enter, "^two-42$"); !strings.Contains(s.Text, "310") || !strings.HasPrefix(s.Terminal, "term_") {
		t.Errorf("a program gets %+v", s)
	}
}

// Several lines reach a program as a paste where it has asked for that, and keys by any of
// their usual names.
func TestTerminalPaste(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		return // it has no pseudo-terminals
	}
	b := newTerminalBench(t, emulatortest.Options{}, terminals.Config{})
	term := b.open(nil)
	b.write(term, `stty -icanon -echo -icrnl; printf '\033[?2004hready-%d\n' 42; head -c 22 | od -An -w22 -c`, enter, "^ready-42$")
	s := b.write(term, "a\nb\n", []string{"Shift+ArrowUp"}, `033\s+\[\s+1\s+;\s+2\s+A`)
	if !regexp.MustCompile(`033\s+\[\s+2\s+0\s+0\s+~\s+a\s+\\r\s+b\s+033\s+\[\s+2\s+0\s+1\s+~\s+\\r\s+033\s+\[\s+1\s+;\s+2\s+A`).MatchString(s.plain) {
		t.Errorf("the program got %s", s.plain)
	}
	b.refused("write_terminal", args{"terminal": term, "keys": []string{"entr"}}, "the nearest is enter", "page_up")
}
