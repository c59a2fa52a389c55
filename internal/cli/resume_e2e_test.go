//go:build e2e

package cli

import (
	"bytes"
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// A reply that the person stops waiting for goes on, and is taken up again by
// another process.
func TestChatResumes(t *testing.T) {
	t.Parallel()
	turn := make(chan struct{})
	agent := emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for _, piece := range []string{"one ", "two ", "three "} {
			if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: piece}); err != nil {
				return err
			}
		}
		select {
		case <-turn:
		case <-ctx.Done():
			return ctx.Err()
		}
		return emit(emulator.AgentEvent{Kind: emulator.Text, Text: "four"})
	})
	const key = "sk_live_of_a_test"
	service, err := emulatortest.New(emulatortest.Options{Agent: agent, Keys: []string{key}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = service.Close() }()
	if _, err := service.AddInstance(key); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(service)
	defer srv.Close()
	p := newPerson(t, "OPENCLAW_API_KEY="+key, "OPENCLAW_API_BASE_URL="+srv.URL)
	p.wants(1, "there is no reply that you stopped waiting for", "", "chat", "--resume")

	ctx, interrupt := context.WithCancel(t.Context())
	out, errs := &notifying{wanted: "one", seen: interrupt}, new(bytes.Buffer)
	if code := Run(ctx, "dev", []string{"chat", "count"}, p.environ, strings.NewReader(""), out, errs); code != 130 || !strings.Contains(errs.String(), "still running: openclaw-mcp chat --resume") {
		t.Fatalf("exit code %d, %q", code, errs)
	}
	// It is told soon that the reply goes on, also where the service does not answer.
	for _, faults := range [][]emulatortest.Fault{nil, {{Endpoint: "GET /instances/{instance}/chat/messages", Delay: time.Hour}}} {
		service.SetFaults(faults...)
		begin := time.Now()
		p.wants(0, "chat, since", "", "status")
		if took := time.Since(begin); took > 11*time.Second { // in which it would be known that a reply has ended
			t.Errorf("with %d faults, status takes %s", len(faults), took)
		}
	}
	service.SetFaults()
	close(turn)
	code, stdout, stderr := p.runs("", "chat", "--resume")
	if code != 0 || stdout != "one two three four\n" || !strings.Contains(stderr, "the reply to: count") {
		t.Errorf("exit code %d, %q, %q", code, stdout, stderr)
	}
	p.wants(0, "running    nothing", "", "status")
	p.wants(1, "there is no reply that you stopped waiting for", "", "chat", "--resume")
	p.wants(2, "it takes no message", "", "chat", "--resume", "hello")
}

// notifying calls seen once it holds what is wanted.
type notifying struct {
	text   string
	wanted string
	seen   func()
}

func (n *notifying) Write(p []byte) (int, error) {
	n.text += string(p)
	if strings.Contains(n.text, n.wanted) {
		n.seen()
	}
	return len(p), nil
}
