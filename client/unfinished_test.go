package client

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
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

// Arguments of tools that come in pieces share that memory. Where none is left they are not shown,
// and the reply goes on; nor are they where only the end of them found room. It all comes back.
func TestPartialArgumentsShare(t *testing.T) {
	chunk := func(call string) string { return `data: {"choices":[{"index":0,"delta":` + call + "}]}\n\n" }
	begin := chunk(`{"tool_calls":[{"index":0,"id":"t1","function":{"name":"exec","arguments":"{\"a\":\""}}]}`)
	more := chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"` + strings.Repeat("x", freeEvent/2) + `"}}]}`)
	end := chunk(`{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]}`) +
		chunk(`{"content":"done"}`) + `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	body := begin + strings.Repeat(more, 8) + end
	arguments := func() (n int) {
		c := collect(t, strings.NewReader(body), "text/event-stream", 0)
		if c.shown != "done" || !c.final() {
			t.Errorf("the reply is %q, %v", c.shown, c.err)
		}
		for _, ev := range c.events {
			n = max(n, len(ev.Tool.Arguments))
		}
		return n
	}
	if !eventStock.takeNow(unfinishedEvents - freeEvent) {
		t.Fatal("the stock is not whole")
	}
	if n := arguments(); n > 2 {
		t.Errorf("arguments of %d bytes are shown for which there was no memory", n)
	}
	eventStock.give(unfinishedEvents - freeEvent)
	if n, want := arguments(), len(`{"a":""}`)+4*freeEvent; n != want {
		t.Errorf("arguments of %d bytes are shown, of %d", n, want)
	}
	n := &normaliser{yield: func(Event) bool { return true }}
	n.startPartial("0", object{})
	n.addPartial("0", strings.Repeat("x", 2*freeEvent))
	n.forget() // it was of another run
	if eventStock.free != unfinishedEvents {
		t.Errorf("%d bytes are free, of %d", eventStock.free, unfinishedEvents)
	}
}

// What may turn out to be the beginning of a reply takes of the memory for its text, and what does
// not fit is said to be missing.
func TestPiecesTakeRoom(t *testing.T) {
	const room = 64 << 10
	most := 0
	body := strings.Repeat("event: delta\ndata: {\"x\":\""+strings.Repeat("y", 10<<10)+"\"}\n\n", 100) + "event: delta\ndata: words\n\nevent: done\ndata: {}\n\n"
	c := collectFrom(t, streamAnswer{contentType: "text/event-stream", room: func(size int) int { most = max(most, size); return min(size, room) }}.decode(strings.NewReader(body)))
	said := false
	for _, ev := range c.events {
		said = said || ev.Kind == EventStatus && ev.Text == NoteNoRoom
	}
	if len(c.shown) != room || !said || strings.Contains(c.shown, "words") || most > 2*room {
		t.Errorf("%d bytes are shown, of a room of %d, for %d bytes; that some are missing is said: %v", len(c.shown), room, most, said)
	}
}

// Ids that a stream names share that memory, too: without any, it remembers few of them.
func TestIDsShare(t *testing.T) {
	if !eventStock.takeNow(unfinishedEvents) {
		t.Fatal("the stock is not whole")
	}
	n := &normaliser{yield: func(Event) bool { return true }}
	long := strings.Repeat("x", 500)
	for i := range 1000 {
		n.itemCall(object{"id": jsontext.Value(`"i` + itoa(i) + long + `"`), "call_id": jsontext.Value(`"c` + itoa(i) + long + `"`), "name": jsontext.Value(`"exec"`)})
		n.text.message("m"+itoa(i)+long, "words "+itoa(i)+" ")
	}
	if calls, messages := len(n.tools.calls), len(n.text.segs); calls > freeEvent/500 || messages > freeEvent/500+2 {
		t.Errorf("%d calls and %d messages are remembered", calls, messages)
	}
	n.tools.release()
	n.text.renew()
	eventStock.give(unfinishedEvents)
}
