package main

import (
	"os/exec"
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

// Tab completes in a real bash, as people have it.
func TestCompletionBash(t *testing.T) {
	t.Parallel()
	typing, screen := shellSession(t, "bash", "--norc", "--noprofile", "-i")
	typing("bind 'set enable-bracketed-paste off'; source <(openclaw-mcp completion bash); echo load''ed\n")
	screen.match(t, regexp.MustCompile(`loaded\r\n`))
	for _, tt := range completions {
		// What is typed stays short of the word, so that seeing it whole means
		// that it was completed.
		typing("openclaw-mcp " + tt.line + "\t")
		words := strings.Split(tt.line, " ")
		words[len(words)-1] = tt.want
		screen.match(t, regexp.MustCompile(regexp.QuoteMeta("openclaw-mcp "+strings.Join(words, " "))))
		typing("\x15") // away with the line
	}
	// A value that nothing is known of is a file's name, as ever.
	typing("cd / && openclaw-mcp call write_file content=x path=/et\t")
	screen.match(t, regexp.MustCompile(`path=/etc/`))
}

func TestCompletionFish(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("fish"); err != nil {
		t.Log("there is no fish here; CI has it")
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
		t.Log("there is no zsh here; CI has it")
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
