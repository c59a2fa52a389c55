package bench

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

// slowSpeaker is an agent that says one word and keeps on for a while.
type slowSpeaker struct{ said atomic.Int64 } // when, in nanoseconds

func (s *slowSpeaker) Reply(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
	s.said.Store(time.Now().UnixNano())
	if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: "first "}); err != nil {
		return err
	}
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
	return emit(emulator.AgentEvent{Kind: emulator.Text, Text: "last"})
}

var newText = regexp.MustCompile(`"openclaw-mcp/text":"[^"]`)

// BenchmarkFirstWord measures from the first word of a reply, or the first line of a
// command that prints one a second, to the notification that has it.
func BenchmarkFirstWord(b *testing.B) {
	agent := &slowSpeaker{}
	s := newService(b, agent)
	w := ways[0]
	p := startOurs(b, s, w)
	l := p.links(b, w, 1)[0]
	stampFile := filepath.Join(s.workspace, "stamp")
	for _, one := range []struct {
		name string
		call request
		said func() int64
	}{
		{"chat", call("send_chat_message", `{"message":"hello"}`), agent.said.Load},
		{"command", call("exec_command", `{"command":"date +%s%N >stamp; for i in 1 2 3; do echo line $i; sleep 1; done"}`), func() int64 {
			text, err := os.ReadFile(stampFile)
			if err != nil {
				b.Fatal(err)
			}
			at, err := strconv.ParseInt(string(text[:len(text)-1]), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return at
		}},
	} {
		b.Run(one.name, func(b *testing.B) {
			var took durations
			for b.Loop() {
				var first time.Time
				r := one.call
				r.progress = func(raw []byte) {
					if first.IsZero() && newText.Match(raw) {
						first = time.Now()
					}
				}
				answer, err := l.ask(r)
				if err != nil {
					b.Fatal(err)
				}
				if first.IsZero() {
					b.Fatalf("no notification has any text; the answer is %s", answer)
				}
				took = append(took, time.Duration(first.UnixNano()-one.said()))
			}
			report(b, metrics{"p50-ms": took.at(0.5), "max-ms": took.at(1)})
		})
	}
}
