//go:build e2e && !windows

package terminals

import (
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// A process that is stopped, and takes nothing of what the terminal prints, holds up
// nobody who takes it up.
func TestTakeUpFromTheStopped(t *testing.T) {
	b := keptBy(t, "tmux", emulatortest.Options{}, Config{})
	handle, s := b.open()
	b.write(s, "echo here-$((1+1))", "^here-2$")
	b.Manager.Close()
	h, err := b.sealer.open(handle)
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.prepare(t.Context(), b.instance, h.id, false, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	stopped, _, err := b.attach(t.Context(), b.instance, h.id, client.TerminalOptions{}, p, false) // nobody reads from it any more
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stopped.Close() })
	if err := stopped.Write(t.Context(), "until [ -e enough ]; do yes $(printf %0200d 7) | head -n 10000; done; echo all-$((1+1))\r"); err != nil {
		t.Fatal(err)
	}
	// Until the flood is stuck, since the instance has as much as it sends to nobody; tmux
	// may also throw away what nobody reads, and then it goes on.
	before, shown := "", b.sh("tmux -S "+p.dir+"/s capture-pane -p")
	for range 20 {
		if before, shown = shown, b.sh("sleep 0.5; tmux -S "+p.dir+"/s capture-pane -p"); shown == before {
			break
		}
	}
	b.sh("touch enough")
	v := b.write(b.elsewhere(handle), "echo done-$((1+1))", "^done-2$")
	if !strings.Contains(v.Text, "0007\nall-2") {
		t.Errorf("%+v", v)
	}
}
