package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
)

const (
	chats     = 1000
	chatWords = 6                      // of a reply
	chatPace  = 500 * time.Millisecond // between the words of one reply
)

// crowd is an agent whose replies begin when all chats wait for them. A word is
// the time when it was sent; the chats send theirs out of step.
type crowd struct {
	waiting chan struct{} // gets a value for each chat that waits
	release chan time.Time
}

func (c *crowd) Reply(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
	c.waiting <- struct{}{}
	next := <-c.release
	for range chatWords {
		select {
		case <-time.After(time.Until(next)):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: fmt.Sprintf("T%d; ", time.Now().UnixNano())}); err != nil {
			return err
		}
		next = next.Add(chatPace)
	}
	return nil
}

var stamp = regexp.MustCompile(`T(\d{16,});`)

// run starts all chats, calls idle when all of them wait, and releases them. A chat
// passes all that it reads to read. run returns the time from the sending of each
// word to its reading.
func (c *crowd) run(b *testing.B, idle func(), chat func(i int, read func([]byte)) error) (latency durations) {
	b.Helper()
	var mu sync.Mutex
	done := make(chan error, 1)
	go func() {
		done <- concurrently(chats, func(i int) error {
			var last int64
			return chat(i, func(text []byte) {
				now := time.Now().UnixNano()
				for _, m := range stamp.FindAllSubmatch(text, -1) {
					// The end of a reply may repeat the whole of it.
					if sent, _ := strconv.ParseInt(string(m[1]), 10, 64); sent > last {
						last = sent
						mu.Lock()
						latency = append(latency, time.Duration(now-sent))
						mu.Unlock()
					}
				}
			})
		})
	}()
	for range chats {
		select {
		case <-c.waiting:
		case err := <-done:
			b.Fatalf("the chats ended before all of them waited: %v", err)
		}
	}
	idle()
	begin := time.Now().Add(time.Second)
	for i := range chats {
		c.release <- begin.Add(chatPace * time.Duration(i) / chats)
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	if len(latency) != chats*chatWords {
		b.Fatalf("%d words arrived, want %d", len(latency), chats*chatWords)
	}
	return latency
}

// BenchmarkChats has 1,000 chats wait for their replies at once. It measures the
// memory of that, and the time from the service's sending of a word to the
// client's reading of it, beside chats that read the service's stream directly.
func BenchmarkChats(b *testing.B) {
	c := &crowd{waiting: make(chan struct{}), release: make(chan time.Time)}
	s := newService(b, c)
	var sessions [chats]string
	for i := range sessions {
		answer, err := s.fetch("POST", "/chat/sessions", []byte("{}"))
		var created struct{ ID string }
		if err := errors.Join(err, json.Unmarshal(answer, &created)); err != nil {
			b.Fatal(err)
		}
		sessions[i] = created.ID
	}
	for _, w := range ways {
		b.Run(w.name, func(b *testing.B) {
			var direct, our durations
			var before, waiting float64 // MiB
			for b.Loop() {
				direct = append(direct, c.run(b, func() {}, func(i int, read func([]byte)) error {
					stream, err := s.do("POST", "/chat/stream", fmt.Appendf(nil, `{"message":"hello","session_id":%q}`, sessions[i]))
					if err != nil {
						return err
					}
					defer stream.Close()
					lines := bufio.NewScanner(stream)
					for lines.Scan() {
						read(lines.Bytes())
					}
					return lines.Err()
				})...)
				p := startOurs(b, s, w, "OPENCLAW_MCP_SOFT_DEADLINE=10m")
				links := p.links(b, w, chats)
				before = p.resident(b)
				our = append(our, c.run(b, func() { waiting = p.resident(b) }, func(i int, read func([]byte)) error {
					r := call("send_chat_message", fmt.Sprintf(`{"message":"hello","session":%q}`, sessions[i]))
					r.progress = read
					_, err := links[i].ask(r)
					return err
				})...)
				p.stop()
			}
			report(b, metrics{
				"direct-p50-ms": direct.at(0.5), "direct-p99-ms": direct.at(0.99), "ours-p50-ms": our.at(0.5), "ours-p99-ms": our.at(0.99),
				"ours-MiB": waiting, "ours-KiB/chat": (waiting - before) * 1024 / chats,
			})
		})
	}
}
