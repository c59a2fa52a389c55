package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"openclaw-mcp/tools"
)

// say runs the program in this process.
func say(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, nil, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestGoldenHelp shows every change of what people are told.
func TestGoldenHelp(t *testing.T) {
	const file = "testdata/golden/help.txt"
	calls := [][]string{{"--help"}}
	for _, s := range commands() {
		calls = append(calls, []string{s.name, "--help"})
	}
	calls = append(calls, []string{"call", "--list"}, []string{"call", "exec_command", "--help"}, []string{"call", "send_chat_message", "--help"},
		[]string{completeCommand, ""}, []string{completeCommand, "--"}, []string{completeCommand, "doctor", "--"}, []string{completeCommand, "call", "send_chat_message", ""})
	var got strings.Builder
	for _, args := range calls {
		code, stdout, stderr := say(t, args...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: exit code %d, %q", args, code, stderr)
		}
		got.WriteString("$ openclaw-mcp " + strings.Join(args, " ") + "\n" + stdout + "\n")
	}
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the help has changed (%s). If that is meant, run: make golden\n%s", file, firstDifference(string(want), got.String()))
	}
}

// All help fits the width of a terminal, and each command and tool has some.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	var calls [][]string
	for _, s := range commands() {
		calls = append(calls, []string{s.name, "--help"}, []string{"help", s.name})
	}
	for _, tool := range tools.All() {
		calls = append(calls, []string{"call", tool.Name, "--help"})
	}
	calls = append(calls, []string{"call", "--list"}, []string{"help", "settings"})
	for _, args := range calls {
		code, stdout, stderr := say(t, args...)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("%v: exit code %d, %q, %q", args, code, stdout, stderr)
		}
		for line := range strings.Lines(stdout) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%v: a line has %d columns: %s", args, n, line)
			}
		}
	}
}

// What is mistyped is named, with what is near to it.
func TestCommandLineMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"docter"}, `unknown command "docter" (did you mean "doctor"?); there is: demo, install, doctor, call,`},
		{[]string{"--lcoal"}, `did you mean "local"?`},
		{[]string{"help", "chta"}, `did you mean "chat"?`},
		{[]string{"completion", "bsh"}, `no completion for "bsh" (did you mean "bash"?); there is: bash, zsh, fish, powershell`},
		{[]string{"completion"}, "bash, zsh, fish, powershell"},
		{[]string{"man", "now"}, `man takes no arguments, but got "now"`},
		{[]string{"help", "a", "b"}, `but got "b"`},
		{[]string{"--local", "man"}, "man does not take --local"},
		{[]string{"--http", "127.0.0.1:1", "chat"}, "--http serves MCP and goes with no command"},
		{[]string{"doctor", "--patience", "soon"}, `--patience is "soon"; it must be a duration`},
		{[]string{"doctor", "--patience"}, "--patience needs a value"},
		{[]string{"doctor", "--no-caht"}, `did you mean "no-chat"?`},
		{[]string{"call", "nonsense", "--help"}, `unknown tool "nonsense"`},
		{[]string{completeCommand}, "words"},
	} {
		if code, stdout, stderr := say(t, tt.args...); code != 2 || stdout != "" || !strings.Contains(stderr, tt.want) {
			t.Errorf("%v: exit code %d, %q, %q, want %q", tt.args, code, stdout, stderr, tt.want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"chat", "chat", 0}, {"chta", "chat", 1}, {"docter", "doctor", 1}, {"cal", "call", 1}, {"kitten", "sitting", 3}} {
		if got := editDistance(tt.a, tt.b); got != tt.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

// completions are the words before the cursor, and what may stand there.
var completions = []struct{ line, want string }{
	{"do", "doctor"},
	{"--loc", "--local"},
	{"--local cha", "chat"},
	{"doctor --no-s", "--no-sockets"},
	{"completion z", "zsh"},
	{"help sett", "settings"},
	{"call exec_com", "exec_command"},
	{"call exec_command com", "command="},
	{"call --json send_chat_message if_busy=q", "if_busy=queue"},
	{"call send_chat_message if_b", "if_busy="},
}

func TestCompletionCandidates(t *testing.T) {
	t.Parallel()
	for _, tt := range completions {
		_, stdout, _ := say(t, append([]string{completeCommand}, strings.Split(tt.line, " ")...)...)
		if got, _, _ := strings.Cut(stdout, "\t"); got != tt.want || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%s: %q, want %s alone", tt.line, stdout, tt.want)
		}
	}
	// What nothing is known of, and what was given already, is not offered.
	for _, line := range []string{"nonsense ", "chat --instance ", "--http ", "call nonsense ", "call exec_command command=ls comm"} {
		if _, stdout, _ := say(t, append([]string{completeCommand}, strings.Split(line, " ")...)...); stdout != "" {
			t.Errorf("%q: %q", line, stdout)
		}
	}
}

// withBinary is an environment in which the program is found by its name.
func withBinary(t *testing.T) []string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	return append(environment(home, "TERM=dumb"), "PATH="+filepath.Dir(path)+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// The manual page names all there is, and the programs that read such pages
// have nothing to say against it.
func TestManPage(t *testing.T) {
	t.Parallel()
	code, page, stderr := say(t, "man")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	plain := strings.NewReplacer(`\-`, "-", `\e`, `\`).Replace(page)
	var want []string
	for _, s := range commands() {
		want = append(want, ".SS "+s.name, s.summary[1:])
		for _, f := range s.flags {
			want = append(want, ".B "+f.label(), f.doc)
		}
	}
	c := reflect.TypeFor[config]()
	for i := range c.NumField() {
		want = append(want, ".B "+c.Field(i).Tag.Get("env"))
	}
	for _, w := range want {
		if !strings.Contains(plain, w) {
			t.Errorf("the manual page lacks %q", w)
		}
	}
	for _, reader := range [][]string{{"groff", "-man", "-Tutf8", "-ww", "-z"}, {"mandoc", "-T", "lint", "-W", "error"}} {
		if _, err := exec.LookPath(reader[0]); err != nil {
			t.Logf("there is no %s here; CI has it", reader[0])
			continue
		}
		cmd := exec.Command(reader[0], reader[1:]...)
		cmd.Stdin = strings.NewReader(page)
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v: %v\n%s", reader, err, out)
		}
	}
}
