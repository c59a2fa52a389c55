package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// cancel gives up a request. id is JSON.
func cancel(t testing.TB, c wireClient, id, reason string) {
	t.Helper()
	c.notify(t, "notifications/cancelled", params{"requestId": json.RawMessage(id), "reason": reason})
}

// mustEnd checks how a "block" call ended.
func (f *fixture) mustEnd(t testing.TB, name string, cause error) {
	t.Helper()
	if e := recv(t, f.ended, "the end of "+name); e.name != name || !errors.Is(e.cause, cause) {
		t.Errorf("%q ended with %v, want %q with %v", e.name, e.cause, name, cause)
	}
}

func (f *fixture) mustHook(t testing.TB, want string) {
	t.Helper()
	if got := recv(t, f.hooks, "the OnCancel hook"); got != want {
		t.Errorf("hook got %q, want %q", got, want)
	}
}

// A cancel ends the request that it names, and no other one: not that with the
// same digits as a string.
func TestCancelHitsTheRightCall(t *testing.T) {
	forAll(t, func(t *testing.T, co combination) {
		f := newFixture()
		c := co.connect(t, f)
		ids := []string{`1`, `"1"`, `2`, `9007199254740993`, `9007199254740992`}
		answers := make(map[string]<-chan wireMsg)
		for _, id := range ids {
			answers[id] = call(t, c, id, "block", params{"name": id})
			recv(t, f.started, "the call")
		}
		cancelled := []string{`"1"`, `9007199254740993`}
		for _, id := range cancelled {
			cancel(t, c, id, "enough")
			f.mustEnd(t, id, ErrCancelled)
			f.mustHook(t, id+": enough")
		}
		cancel(t, c, `77`, "nobody")
		cancel(t, c, `"1"`, "again")
		close(f.release)
		for _, id := range ids {
			if !slices.Contains(cancelled, id) {
				if m := result(t, answers[id]); m.text() != "released" || string(m.ID) != id {
					t.Errorf("call %s: %+v", id, m)
				}
			}
		}
		for _, id := range cancelled {
			noAnswer(t, co, answers[id], id)
		}
		if len(f.hooks) > 0 {
			t.Errorf("hook %q", <-f.hooks)
		}
	})
}

// noAnswer checks that a cancelled call was not answered. On HTTP its response
// ends; on stdio the other answers were written later.
func noAnswer(t *testing.T, co combination, ch <-chan wireMsg, id string) {
	t.Helper()
	if co.http {
		for m := range ch {
			t.Errorf("cancelled call %s got %+v", id, m)
		}
		return
	}
	select {
	case m := <-ch:
		t.Errorf("cancelled call %s got %+v", id, m)
	default:
	}
}

// A client that does not read its output can still cancel.
func TestCancelPastBackPressure(t *testing.T) {
	f := newFixture()
	c := newStdio(t, f, StdioOptions{}) // nobody reads
	c.version = modern
	c.start(t, "1", "tools/call", params{
		"name": "flood", "arguments": params{"name": "flood"}, "_meta": params{"progressToken": 1},
	})
	recv(t, f.started, "the call")
	// What the reader itself has to answer must not hold it up either.
	for range 10 {
		c.send(t, `{"jsonrpc":"2.0","id":"p","method":"ping"}`+"\n")
		c.send(t, "garbage\n")
	}
	cancel(t, c, "1", "too slow")
	f.mustHook(t, "flood: too slow")
	go c.read(t)
	f.mustEnd(t, "flood", ErrCancelled)
}

func TestCancelInSessionsWithEqualIDs(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{})
	a, b := newHTTPClient(t, srv, legacy), newHTTPClient(t, srv, legacy)
	call(t, a, "1", "block", params{"name": "a"})
	recv(t, f.started, "a")
	answer := call(t, b, "1", "block", params{"name": "b"})
	recv(t, f.started, "b")
	cancel(t, a, "1", "")
	f.mustEnd(t, "a", ErrCancelled)
	close(f.release)
	if m := result(t, answer); m.text() != "released" {
		t.Errorf("b got %+v", m)
	}
}

// Modern clients have no sessions: where a cancel may mean two calls, it means
// none.
func TestModernCancelAmbiguous(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{})
	a, b := newHTTPClient(t, srv, modern), newHTTPClient(t, srv, modern)
	answerA := call(t, a, "1", "block", params{"name": "a"})
	recv(t, f.started, "a")
	answerB := call(t, b, "1", "block", params{"name": "b"})
	recv(t, f.started, "b")
	cancel(t, a, "1", "")
	close(f.release)
	for _, ch := range []<-chan wireMsg{answerA, answerB} {
		if m := result(t, ch); m.text() != "released" {
			t.Errorf("got %+v", m)
		}
	}
	if len(f.hooks) > 0 {
		t.Error("a hook was called")
	}
}

// The cancel of a call that was just answered comes too late for that one, and
// must not hit another client's with the same id.
func TestModernLateCancel(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{})
	a, b := newHTTPClient(t, srv, modern), newHTTPClient(t, srv, modern)
	result(t, call(t, a, "1", "echo", nil))
	answer := call(t, b, "1", "block", params{"name": "b"})
	recv(t, f.started, "b")
	cancel(t, a, "1", "late")
	close(f.release)
	if m := result(t, answer); m.text() != "released" {
		t.Errorf("b got %+v", m)
	}
}

// A client of another kind is another scope.
func TestModernCancelScope(t *testing.T) {
	f := newFixture()
	srv := newHTTPServer(t, f, HTTPOptions{})
	a := newHTTPClient(t, srv, modern)
	answer := call(t, a, "1", "block", params{"name": "a"})
	recv(t, f.started, "a")
	res := a.do(t, t.Context(), http.MethodPost, []byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}`),
		http.Header{"User-Agent": {"somebody else"}})
	closeBody(res)
	close(f.release)
	if m := result(t, answer); m.text() != "released" {
		t.Errorf("got %+v", m)
	}
}

// Clients exist that send a modern cancel without _meta.
func TestModernCancelWithoutMeta(t *testing.T) {
	f := newFixture()
	c := newHTTPClient(t, newHTTPServer(t, f, HTTPOptions{}), modern)
	call(t, c, "1", "block", params{"name": "a"})
	recv(t, f.started, "a")
	c.notifyBody(t, []byte(`{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1,"reason":"bare"}}`))
	f.mustHook(t, "a: bare")
	f.mustEnd(t, "a", ErrCancelled)
}

// A closed connection ends the request, but is no cancel; the cancel may follow.
func TestDisconnectThenCancel(t *testing.T) {
	for _, version := range []string{legacy, modern} {
		t.Run(version, func(t *testing.T) {
			f := newFixture()
			srv := newHTTPServer(t, f, HTTPOptions{})
			c := newHTTPClient(t, srv, version)
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			ch := c.startCtx(t, ctx, "1", "tools/call", params{"name": "block", "arguments": params{"name": "a"}})
			recv(t, f.started, "a")
			hangUp()
			f.mustEnd(t, "a", ErrDisconnected)
			for range ch {
				t.Error("an answer over a closed connection")
			}
			select {
			case h := <-f.hooks:
				t.Errorf("a closed connection called the hook: %s", h)
			default:
			}
			cancel(t, c, "1", "after all")
			f.mustHook(t, "a: after all")
		})
	}
}

// A hook registered behind the cancel is called, too; one that panics harms
// nobody.
func TestOnCancelLateAndPanicking(t *testing.T) {
	f := newFixture()
	logs := make(chan string, 4)
	c := newStdioClient(t, f, StdioOptions{Options: Options{Log: logTo(logs)}}, modern)
	call(t, c, "1", "block", params{"name": "a"})
	of := recv(t, f.calls, "the call")
	of.OnCancel(func(string) { panic("oh") })
	cancel(t, c, "1", "stop")
	f.mustHook(t, "a: stop")
	recv(t, logs, "the log of the panic")
	late := make(chan string, 1)
	of.OnCancel(func(reason string) { late <- reason })
	if got := recv(t, late, "the late hook"); got != "stop" {
		t.Errorf("got %q", got)
	}
	if err := of.Progress("late"); !errors.Is(err, ErrCancelled) && !errors.Is(err, errCallDone) {
		t.Errorf("Progress: %v", err)
	}
}

// What is remembered of ended calls is forgotten in time, and bounded.
func TestInflightForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newInflight()
		ends := 0
		add := func(id string) *Call {
			c := &Call{cancel: func(error) { ends++ }}
			f.add(callID{"s", id}, c, false)
			return c
		}
		id := callID{"s", "1"}
		f.remove(id, add("1"), false, false)
		add("1")
		if f.cancel(id, "") {
			t.Error("a cancel that may mean an answered call was obeyed")
		}
		time.Sleep(endedMemory)
		if !f.cancel(id, "") || ends != 1 {
			t.Error("a cancel was not obeyed")
		}

		lost := callID{"s", "2"}
		f.remove(lost, add("2"), true, false)
		time.Sleep(lostCallMemory - 1)
		if !f.cancel(lost, "") {
			t.Error("a lost call can't be cancelled")
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		add("2")
		if f.cancel(lost, "") {
			t.Error("a cancel that may mean a lost call was obeyed")
		}

		for range 3 * maxEnded {
			f.remove(callID{"s", "x"}, add("x"), false, false)
		}
		if len(f.queue) > maxEnded || len(f.calls[callID{"s", "x"}]) > 0 {
			t.Errorf("%d ended calls are remembered", len(f.queue))
		}
		if _, ok := f.ended[callID{"s", "x"}]; !ok {
			t.Error("the latest was forgotten")
		}
	})
}
