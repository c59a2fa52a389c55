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
	if err := stopped.Write(t.Context(), "yes $(printf %0200d 7) | head -n 600000; echo all-$((1+1))\r"); err != nil {
		t.Fatal(err)
	}
	// Until the flood is stuck: the instance has as much as it sends to nobody.
	shown := ""
	await(t, func() bool {
		before := shown
		shown = b.sh("sleep 0.5; tmux -S " + p.dir + "/s capture-pane -p")
		return shown == before
	})
	if strings.Contains(shown, "all-2") {
		t.Fatal("nothing held the flood up: it has to be larger")
	}
	v := b.write(b.elsewhere(handle), "echo done-$((1+1))", "^done-2$")
	if !strings.Contains(v.Text, "0007\nall-2") {
		t.Errorf("%+v", v)
	}
}
