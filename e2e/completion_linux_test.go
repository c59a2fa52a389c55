//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// shellSession types into a shell on a terminal.
func shellSession(t *testing.T, name string, args ...string) (typing func(string), screen *transcript) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(withBinary(t), "TERM=xterm", "PS1=ready> ")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 40, Cols: 120})
	if err != nil {
		t.Fatal(err)
	}
	screen = newTranscript()
	read := make(chan struct{})
	go func() {
		defer close(read)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			_, _ = screen.Write(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = tty.Close()
		<-read
	})
	return func(keys string) {
		if _, err := tty.WriteString(keys); err != nil {
			t.Fatal(err)
		}
	}, screen
}

// bashCompletion is what the completion of most programs needs in bash.
const bashCompletion = "/usr/share/bash-completion/bash_completion"

// Tab completes in a real bash, as people have it.
func TestCompletionBash(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(bashCompletion); err != nil {
		t.Log("bash-completion is not installed here; CI has it")
		return
	}
	typing, screen := shellSession(t, "bash", "--norc", "--noprofile", "-i")
	typing("bind 'set enable-bracketed-paste off'; source " + bashCompletion + "; source <(openclaw-mcp completion bash); echo load''ed\n")
	screen.match(t, regexp.MustCompile(`loaded\r\n`))
	for _, tt := range completions {
		// What is typed stays short of the word, so that seeing it whole means
		// that it was completed.
		typing("openclaw-mcp " + tt.line + "\t")
		words := strings.Split(tt.line, " ")
		words[len(words)-1] = tt.want
		screen.match(t, regexp.MustCompile(regexp.QuoteMeta("openclaw-mcp "+strings.Join(words, " "))))
		typing("\x15") // delete the line
	}
	// For any other value, the name of a file completes.
	typing("cd / && openclaw-mcp call write_file content=x path=/et\t")
	screen.match(t, regexp.MustCompile(`path=/etc/`))
}

func TestCompletionFish(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("fish"); err != nil {
		t.Log("fish is not installed here; CI has it")
		return
	}
	for _, tt := range completions {
		cmd := exec.Command("fish", "--no-config", "-c", "openclaw-mcp completion fish | source; complete -C 'openclaw-mcp "+tt.line+"'")
		cmd.Env = withBinary(t)
		out, err := cmd.CombinedOutput()
		if got, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\t"); err != nil || got != tt.want {
			t.Errorf("%s: %v, %q, want %s", tt.line, err, out, tt.want)
		}
	}
}

func TestCompletionZsh(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("zsh"); err != nil {
		t.Log("zsh is not installed here; CI has it")
		return
	}
	typing, screen := shellSession(t, "zsh", "-f", "-i")
	typing("autoload -Uz compinit && compinit -u -D; source <(openclaw-mcp completion zsh); unset zle_bracketed_paste\n")
	typing("look() { print -r -- \"[$BUFFER]\" }; zle -N look; bindkey '^X' look; echo load''ed\n")
	screen.match(t, regexp.MustCompile(`loaded\r\n`))
	for _, tt := range completions {
		typing("openclaw-mcp " + tt.line + "\t\x18")
		words := strings.Split(tt.line, " ")
		words[len(words)-1] = tt.want
		screen.match(t, regexp.MustCompile(regexp.QuoteMeta("[openclaw-mcp "+strings.Join(words, " "))+` ?\]`))
		typing("\x15")
	}
}

// completions are the words before the cursor, and what the last of them becomes.
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
