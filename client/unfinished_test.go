package client

import (
	"errors"
	"strings"
	"testing"
)

// unended are events of n bytes without an end, in each way that a stream can come.
func unended(n int) map[string]string {
	long := strings.Repeat("x", n)
	return map[string]string{
		"text/event-stream":        "data: {\"delta\":\"" + long,
		"text/event-stream; lines": strings.Repeat("data: "+long[:n/10]+"\n", 10),
		"text/event-stream; quiet": ":" + long,
		"application/x-ndjson":     `{"delta":"` + long,
		"application/json":         `{"reply":"` + long,
	}
}

// Streams share the memory for events that do not end. One that finds none left fails and says
// so, a small event is read all the same, and everything comes back.
func TestUnfinishedEventsShare(t *testing.T) {
	const size = 1 << 20
	if !eventStock.takeNow(unfinishedEvents - size/2) {
		t.Fatal("the stock is not whole")
	}
	for contentType, body := range unended(size) {
		c := collect(t, strings.NewReader(body), contentType, 0)
		if e, ok := errors.AsType[*Error](c.err); !ok || !errors.Is(e, ErrTooLarge) || !strings.Contains(e.Message, "no memory left") || e.Outcome != OutcomeUnknown {
			t.Errorf("%s: %v", contentType, c.err)
		}
	}
	if c := collect(t, strings.NewReader("data: {\"delta\":\""+strings.Repeat("x", freeEvent/4)+"\"}\n\ndata: [DONE]\n\n"), "text/event-stream", 0); !c.final() {
		t.Errorf("a small event: %v", c.err)
	}
	eventStock.give(unfinishedEvents - size/2)
	for contentType, body := range unended(size) {
		if c := collect(t, strings.NewReader(body), contentType, 0); c.err != nil && strings.Contains(c.err.Error(), "memory") {
			t.Errorf("%s, with memory: %v", contentType, c.err)
		}
	}
	if eventStock.free != unfinishedEvents {
		t.Errorf("%d bytes are free, of %d", eventStock.free, unfinishedEvents)
	}
}

// What a large event took is free once it was dealt with, though its stream goes on, and one
