package cli

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// A reply that outlasts the calls that wait for it is printed once all the same.
func TestChatOutlastsCalls(t *testing.T) {
	t.Parallel()
	turns := make(chan struct{})
	agent := emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		for _, piece := range []string{"one ", "two ", "three"} {
			if err := emit(emulator.AgentEvent{Kind: emulator.Text, Text: piece}); err != nil {
				return err
			}
			select {
			case <-turns:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
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
	var stdout, stderr bytes.Buffer
	c := newConsole("dev", []string{"OPENCLAW_API_KEY=" + key, "OPENCLAW_API_BASE_URL=" + srv.URL}, strings.NewReader(""), &stdout, &stderr)
	cfg, stop, err := c.settings()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	// Each wait is over before the next piece: the clock is not slept on, it is
	// what is being tested.
	cfg.SoftDeadline = time.Second
	s, err := c.connect(t.Context(), cfg, false)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(turns)
		for range 2 {
			select {
			case <-time.After(1500 * time.Millisecond):
			case <-t.Context().Done():
			}
			turns <- struct{}{}
		}
	}()
	talk := &conversation{console: c, mcp: s}
	err = talk.send(t.Context(), "count")
	if err = errors.Join(err, s.close()); err != nil || stdout.String() != "one two three\n" {
		t.Errorf("%v, standard output %q, standard error %q", err, &stdout, &stderr)
	}
}
