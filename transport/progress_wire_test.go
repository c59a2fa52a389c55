package transport

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Every notification arrives, in order, at the right call, before its result.
func TestProgressArrives(t *testing.T) {
	t.Parallel()
	const calls, each = 4, 2500
	forAll(t, func(t *testing.T, co combination) {
		c := co.connect(t, newFixture())
		var wg sync.WaitGroup
		for i := range calls {
			id := fmt.Sprint(i + 1)
			ch := call(t, c, id, "progress", params{"n": each, "name": "call" + id})
			wg.Go(func() { checkProgress(t, ch, id, each) })
		}
		wg.Wait()
	})
}

// One call alone may say that much, too.
func TestProgressOfOneCall(t *testing.T) {
	forAll(t, func(t *testing.T, co combination) {
		c := co.connect(t, newFixture())
		checkProgress(t, call(t, c, `"a"`, "progress", params{"n": 10_000, "name": `call"a"`}), `"a"`, 10_000)
	})
}

func checkProgress(t *testing.T, ch <-chan wireMsg, id string, want int) {
	last, n := 0.0, 0
	for m := range ch {
		if m.Method == "" {
			if n != want || m.text() != "done" || string(m.ID) != id {
				t.Errorf("call %s: result %q of %s after %d notifications, want %d", id, m.text(), m.ID, n, want)
			}
			if extra, open := <-ch; open {
				t.Errorf("call %s: %+v behind the result", id, extra)
			}
			return
		}
		n++
		p := m.Params
		if m.Method != "notifications/progress" || string(p.ProgressToken) != id || p.Progress <= last ||
			p.Message == nil || *p.Message != fmt.Sprintf("call%s %d", id, n) {
			t.Errorf("call %s: message %d is %+v", id, n, m)
			return
		}
		last = p.Progress
	}
	t.Errorf("call %s: no result", id)
}

// A client that sent no token (or one that MCP forbids) gets no progress.
func TestProgressOnlyWhenAsked(t *testing.T) {
	for _, token := range []any{nil, 1.5, true, []int{1}} {
		forAll(t, func(t *testing.T, co combination) {
			c := co.connect(t, newFixture())
			ch := c.start(t, "1", "tools/call", params{
				"name": "progress", "arguments": params{"n": 3}, "_meta": params{"progressToken": token},
			})
			if m := recv(t, ch, "the answer"); m.Method != "" {
				t.Errorf("token %v: %+v", token, m)
			}
		})
	}
}

// Behind the result nothing can be sent, whoever tries.
func TestProgressAfterResult(t *testing.T) {
	forAll(t, func(t *testing.T, co combination) {
		f := newFixture()
		ch := call(t, co.connect(t, f), "1", "block", nil)
		of := recv(t, f.calls, "the call")
		close(f.release)
		result(t, ch)
		if err := of.Progress("late"); err == nil || !strings.Contains(err.Error(), "already answered") {
			t.Errorf("got %v", err)
		}
	})
}
