//go:build e2e

package e2e

import (
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// What progress tells programs of a command joins to what it wrote, as the result shows it,
// however it runs and however long it is; people see how each line stands.
func TestProgressJoins(t *testing.T) {
	t.Parallel()
	const (
		held  = `; until [ -e go ]; do sleep 0.1; done; `
		lines = `yes 'some words of a long output' | head -n 1000; echo half`
		bar   = `printf 'begun\n1 of 3\r2 of 3'` + held + `printf '\r\033[Kdone\n'`
	)
	long := strings.Repeat("some words of a long output\n", 1000) + "half\n"
	for _, tt := range []struct {
		name  string
		args  params
		shows string // before it goes on
		want  string
	}{
		{"at once", params{"command": "echo one; printf two"}, "", "one\ntwo"},
		{"within a limit", params{"command": "echo one" + held + "echo two", "timeout_seconds": 600}, "one", "one\ntwo\n"},
		{"a bar", params{"command": bar}, "2 of 3", "begun\ndone\n"},
		{"a bar as it is", params{"command": bar, "raw": true}, "2 of 3", "begun\n1 of 3\r2 of 3\r\x1b[Kdone\n"},
		{"binary bytes before text", params{"command": `printf 'a\033]b\nc\n'` + held + `printf '\033]0;title\007d\n\033_e'`}, "c", "ab\nc\nd\ne"},
		{"an escape sequence in a long line", params{"command": `printf '%4094d\033[3' 7` + held + `printf '1mred\n'`}, "7", strings.Repeat(" ", 4093) + "7red\n"},
		{"longer than a result", params{"command": lines + held + lines}, "half", long + long},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			each(t, func(t *testing.T, c combination) {
				up := newUpstream(t, emulatortest.Options{})
				s := c.connect(t, up.env())
				call := s.begin(t, "exec_command", tt.args)
				told := ""
				for shown := ""; shown != tt.shows; {
					m := call.progress(t)
					shown, told = m.Params.Message, told+m.Params.Meta.Text
				}
				s.ok(t, "write_file", params{"path": "/workspace/go", "content": ""})
				r := call.result(t)
				if told += r.streamed(); told != tt.want {
					t.Errorf("the progress says %q", shorten(told, 500))
				}
				if got := r.str("stdout"); got != tt.want && len(tt.want) < 1000 {
					t.Errorf("the result says %q", got)
				}
			})
		})
	}
}
