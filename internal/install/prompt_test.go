//go:build !windows

package install

import (
	"io"
	"strings"
	"testing"

	"github.com/creack/pty"
)

// On a terminal the key is asked for.
func TestPrompt(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{testKey + "\n": "", "two words\n": "one word of ASCII", "\n": "one word of ASCII"} {
		u := newUser(t)
		master, slave, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer master.Close()
		u.in = slave
		if _, err := master.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		_, stderr, err := u.try("cursor")
		if !strings.Contains(stderr, "API key") {
			t.Errorf("nothing was asked: %q", stderr)
		}
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: %v", typed, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %q", typed, err, want)
		case want == "":
			if got := u.read(u.path(".config", "openclaw-mcp", "api-key")); got != typed {
				t.Errorf("the key's file holds %q", got)
			}
		}
		_ = slave.Close()
		_, _ = io.Copy(io.Discard, master)
	}
}
