package cli

import (
	"bytes"
	"cmp"
	"context"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/golden"
	"openclaw-mcp/tools"
)

// say runs the program in this process.
func say(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = Run(t.Context(), "dev", args, nil, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// commands lists the program's commands as Run has them.
func commands(t *testing.T) []*cobra.Command {
	t.Helper()
	root := rootCommand(newConsole("dev", nil, strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer)))
	root.InitDefaultHelpCmd()
	return visibleCommands(root)
}

// TestGoldenHelp shows every change of what people are told.
func TestGoldenHelp(t *testing.T) {
	calls := [][]string{{"--help"}}
	for _, cmd := range commands(t) {
		calls = append(calls, []string{cmd.Name(), "--help"})
	}
	calls = append(calls, []string{"call", "--list"}, []string{"call", "exec_command", "--help"}, []string{"call", "send_chat_message", "--help"})
	var got strings.Builder
	for _, args := range calls {
		code, stdout, stderr := say(t, args...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: exit code %d, %q", args, code, stderr)
		}
		got.WriteString("$ openclaw-mcp " + strings.Join(args, " ") + "\n" + stdout + "\n")
	}
	for _, args := range [][]string{{""}, {"--"}, {"doctor", "--"}, {"call", "send_chat_message", ""}, {"install", "c"}} {
		code, stdout, _ := say(t, append([]string{cobra.ShellCompRequestCmd}, args...)...)
		if code != 0 {
			t.Errorf("completion of %v: exit code %d", args, code)
		}
		got.WriteString("$ openclaw-mcp " + cobra.ShellCompRequestCmd + " " + strings.Join(args, " ") + "\n" + stdout + "\n")
	}
	golden.File(t, "../../testdata/golden/help.txt", got.String())
}

// All help fits the width of a terminal, and each command and tool has some.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	calls := [][]string{{"--help"}, {"help", "settings"}, {"settings"}, {"call", "--list"}}
	for _, cmd := range commands(t) {
		calls = append(calls, []string{cmd.Name(), "--help"}, []string{"help", cmd.Name()})
	}
	for _, tool := range tools.All() {
		calls = append(calls, []string{"call", tool.Name, "--help"})
	}
	for _, args := range calls {
		code, stdout, stderr := say(t, args...)
		if code != 0 || stdout == "" || stderr != "" {
			t.Errorf("%v: exit code %d, %q, %q", args, code, stdout, stderr)
		}
		for line := range strings.Lines(stdout) {
			if strings.HasPrefix(line, `Use "openclaw-mcp completion`) {
				continue // cobra's own line
			}
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > helpWidth {
				t.Errorf("%v: a line has %d columns: %s", args, n, line)
			}
		}
	}
}

// Ways to ask for the same help give the same answer.
func TestHelpWays(t *testing.T) {
	t.Parallel()
	for _, ways := range [][][]string{
		{{"--help"}, {"-h"}, {"help"}},
		{{"chat", "--help"}, {"chat", "-h"}, {"help", "chat"}, {"chat", "hello", "--help"}},
		{{"call", "read_file", "--help"}, {"call", "--help", "read_file", "path=x"}, {"help", "call", "read_file"}},
		{{"help", "settings"}, {"settings"}},
		{{"--version"}, {"-v"}, {"version"}},
	} {
		_, want, _ := say(t, ways[0]...)
		for _, args := range ways[1:] {
			if code, stdout, stderr := say(t, args...); code != 0 || stdout != want || stderr != "" {
				t.Errorf("%v: exit code %d, %q, %q; %v says %q", args, code, stdout, stderr, ways[0], want)
			}
		}
	}
	if _, stdout, _ := say(t, "--version"); stdout != "openclaw-mcp dev\n" {
		t.Errorf("the version is %q", stdout)
	}
}

// A mistake is named, with what is near to it, on one line; the second says where
// to find help.
func TestCommandLineMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args       []string
		want, help string
	}{
		{[]string{"docter"}, `unknown command "docter": did you mean "doctor"?`, "openclaw-mcp --help"},
		{[]string{"chta", "hello"}, `unknown command "chta": did you mean "chat"?`, "openclaw-mcp --help"},
		{[]string{"serve"}, `unknown command "serve": did you mean "--http ADDR"?`, "openclaw-mcp --help"},
		{[]string{"uninstall", "cursor"}, `unknown command "uninstall": did you mean "install CLIENT --uninstall"?`, "openclaw-mcp --help"},
		{[]string{"exec", "ls"}, `unknown command "exec": did you mean "call exec_command command='ls -la'"?`, "openclaw-mcp --help"},
		{[]string{"list_files"}, `unknown command "list_files": did you mean "call list_files"?`, "openclaw-mcp --help"},
		{[]string{"update"}, `unknown command "update"; the commands are call, chat, completion, config, demo, doctor, help, install, login, logout, logs, man, status, version`, "openclaw-mcp --help"},
		{[]string{"-locl"}, "unknown flag -locl: did you mean --local?", "openclaw-mcp --help"},
		{[]string{"install", "curser"}, `unknown client "curser": did you mean "cursor"?`, "openclaw-mcp install --help"},
		{[]string{"doctor", "--patience", "7200"}, "--patience is 2h0m0s; it must be from 100ms to 1h", "openclaw-mcp doctor --help"},
		{[]string{"call", "exec_command", "command=ls", "raw=perhaps"}, `argument "raw" must be true or false`, "openclaw-mcp call exec_command --help"},
		{[]string{"--locl"}, "unknown flag --locl: did you mean --local?", "openclaw-mcp --help"},
		{[]string{"--lcoal", "chat"}, "unknown flag --lcoal: did you mean --local?", "openclaw-mcp --help"},
		{[]string{"-local"}, "unknown flag -local: did you mean --local?", "openclaw-mcp --help"},
		{[]string{"-V"}, "unknown flag -V: did you mean -v?", "openclaw-mcp --help"},
		{[]string{"--nonsense"}, "unknown flag --nonsense", "openclaw-mcp --help"},
		{[]string{"--http"}, "--http needs a value: --http ADDR", "openclaw-mcp --help"},
		{[]string{"--local=perhaps"}, `--local takes true or false, not "perhaps"`, "openclaw-mcp --help"},
		{[]string{"--=x"}, "bad flag syntax: --=x", "openclaw-mcp --help"},
		{[]string{"help", "chta"}, `no help for "chta": did you mean "chat"?`, "openclaw-mcp help --help"},
		{[]string{"help", "chat", "b"}, `help takes one command, but got "b"`, "openclaw-mcp help --help"},
		{[]string{"help", "call", "red_file"}, `unknown tool "red_file": did you mean "read_file"?`, "openclaw-mcp call --list"},
		{[]string{"completion", "bsh"}, `unknown command "bsh": did you mean "bash"?`, "openclaw-mcp completion --help"},
		{[]string{"completion"}, "completion needs the name of a shell: bash, fish, powershell, zsh", "openclaw-mcp completion --help"},
		{[]string{"completion", "bash", "now"}, `bash takes no arguments, but got "now"`, "openclaw-mcp completion bash --help"},
		{[]string{"man", "now"}, `man takes no arguments, but got "now"`, "openclaw-mcp man --help"},
		{[]string{"--http", "127.0.0.1:1", "chat"}, `--http serves MCP, so it can't be combined with the command "chat"`, "openclaw-mcp chat --help"},
		{[]string{"doctor", "--patience", "soon"}, `--patience is "soon"; it must be a duration, such as 15s or 2m, or a number of seconds`, "openclaw-mcp doctor --help"},
		{[]string{"doctor", "--patience", "2h"}, "--patience is 2h0m0s; it must be from 100ms to 1h", "openclaw-mcp doctor --help"},
		{[]string{"doctor", "--patience"}, "--patience needs a value: --patience TIME", "openclaw-mcp doctor --help"},
		{[]string{"doctor", "--no-caht"}, "unknown flag --no-caht: did you mean --no-chat?", "openclaw-mcp doctor --help"},
		{[]string{"call", "nonsense", "--help"}, `unknown tool "nonsense"`, "openclaw-mcp call --list"},
		{[]string{"call"}, "call needs the name of a tool", "openclaw-mcp call --list"},
		{[]string{"call", "exec_command", "x=1"}, `unknown argument "x"; exec_command takes command, background,`, "openclaw-mcp call exec_command --help"},
		{[]string{"install", "cursor", "--env", "OPENCLAW_MCP_READONLY=true"}, "--env OPENCLAW_MCP_READONLY is not a setting of openclaw-mcp: did you mean OPENCLAW_MCP_READ_ONLY?", "openclaw-mcp install --help"},
		{[]string{"install", "code"}, `unknown client "code": did you mean "claude-code" or "vscode" or "codex"?`, "openclaw-mcp install --help"},
		{[]string{"call", "exec_command", "ls", "-la"}, "unknown flag -la; a tool's arguments are KEY=VALUE, in quotes if there are spaces: command='ls -la'", "openclaw-mcp call --help"},
		{[]string{"call", "exec_command", "--yess"}, "unknown flag --yess: did you mean --yes?", "openclaw-mcp call --help"},
		{[]string{"login", "--key", "x"}, "unknown flag --key; it asks for the key, or reads it from standard input", "openclaw-mcp login --help"},
		{[]string{"install", "emacs"}, `unknown client "emacs"; the clients are claude-desktop, `, "openclaw-mcp install --help"},
	} {
		code, stdout, stderr := say(t, tt.args...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "openclaw-mcp: "+tt.want) || !strings.HasSuffix(stderr, "\nRun '"+tt.help+"' for help.\n") || strings.Count(stderr, "\n") != 2 {
			t.Errorf("%v: exit code %d, %q, %q, want %q and %q", tt.args, code, stdout, stderr, tt.want, tt.help)
		}
	}
}

// Completion offers what fits, and nothing where nothing is known.
func TestCompletion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"--local cha":                     "chat :4",
		"doctor --no-s":                   "--no-sockets :4",
		"completion z":                    "zsh :4",
		"help sett":                       "settings :4",
		"install curs":                    "cursor :4",
		"call exec_com":                   "exec_command :4",
		"call exec_command com":           "command= :38",
		"call write_file path=/et":        ":0",
		"call send_chat_message if_busy=": "if_busy=queue if_busy=reject if_busy=send :4",
		"call exec_command raw=t":         "raw=true :4",
		"call exec_command command=ls co": ":38",
		"call wait_run runs=one ru":       "runs= :38",
		"nonsense ":                       ":4",
		"call nonsense ":                  ":4",
		"chat --instance ":                ":4",
		"--http ":                         ":4",
		"doctor ":                         ":4",
		"install json --config ":          ":0",
	} {
		code, stdout, _ := say(t, append([]string{cobra.ShellCompRequestCmd}, strings.Split(line, " ")...)...)
		var words []string
		for candidate := range strings.Lines(stdout) {
			word, _, _ := strings.Cut(strings.TrimSuffix(candidate, "\n"), "\t")
			words = append(words, word)
		}
		if got := strings.Join(words, " "); code != 0 || got != want {
			t.Errorf("%q: exit code %d, %q, want %q", line, code, got, want)
		}
	}
}

// No arguments are given as nil, too: then the process's own must not be read.
func TestNoArguments(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := Run(context.Background(), "dev", nil, nil, strings.NewReader(""), &stdout, &stderr); code != 2 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "set OPENCLAW_API_KEY") {
		t.Errorf("exit code %d, %q, %q", code, &stdout, &stderr)
	}
}

// The manual page names every command, flag and setting, and the programs that
// read such pages don't complain.
func TestManPage(t *testing.T) {
	t.Parallel()
	code, page, stderr := say(t, "man")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, %q", code, stderr)
	}
	plain := strings.NewReplacer(`\-`, "-", `\e`, `\`).Replace(page)
	var want []string
	for _, cmd := range commands(t) {
		want = append(want, ".SS "+cmd.Name(), strings.Split(cmp.Or(cmd.Long, cmd.Short), "\n")[0])
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			_, usage := pflag.UnquoteUsage(f)
			want = append(want, "--"+f.Name, usage)
		})
	}
	for _, setting := range config.Settings() {
		want = append(want, ".B "+setting.Name)
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
