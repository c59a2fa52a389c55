package e2e

import (
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// A short session with the built binary over each transport and in each era: it
// says that the whole is connected. The rest of this folder has the tag e2e.
func TestSmoke(t *testing.T) {
	up := newUpstream(t, emulatortest.Options{})
	each(t, func(t *testing.T, c combination) {
		s := c.connect(t, up.env())
		s.ok(t, "write_file", params{"path": "/workspace/" + c.name, "content": "from-42\n"})
		if r := s.ok(t, "exec_command", params{"command": "cat /workspace/" + c.name}); r.str("stdout") != "from-42\n" {
			t.Errorf("exec_command: %s", r.Text)
		}
		if r := s.ok(t, "send_chat_message", params{"message": "run: cat " + c.name}); !strings.Contains(r.str("reply"), "from-42") {
			t.Errorf("send_chat_message: %s", r.Text)
		}
	})
}
