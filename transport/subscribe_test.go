package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// updates is a Subscriber that tests drive. Resources whose URI begins with
// "bad" do not exist.
type updates struct {
	mu       sync.Mutex
	watching map[string]map[*func()]bool
	changed  chan struct{} // closed and replaced at every change
}

func newUpdates() *updates {
	return &updates{watching: make(map[string]map[*func()]bool), changed: make(chan struct{})}
}

func (u *updates) note() {
	close(u.changed)
	u.changed = make(chan struct{})
}

func (u *updates) Subscribe(ctx context.Context, uri string, updated func()) (func(), error) {
	if p, ok := PrincipalFrom(ctx); !ok || p.Key == "" && p != Local {
		return nil, errors.New("there is no principal")
	}
	if strings.HasPrefix(uri, "bad") {
		return nil, fmt.Errorf("subscribing: %w", &eraError{})
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.watching[uri] == nil {
		u.watching[uri] = make(map[*func()]bool)
	}
	u.watching[uri][&updated] = true
	u.note()
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		if delete(u.watching[uri], &updated); len(u.watching[uri]) == 0 {
			delete(u.watching, uri)
		}
		u.note()
	}, nil
}

// update tells all who watch a resource that it changed.
func (u *updates) update(uri string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for f := range u.watching[uri] {
		(*f)()
	}
}

// await waits until so many watch a resource.
func (u *updates) await(t testing.TB, uri string, n int) {
	t.Helper()
	limit := time.After(patience)
	for {
		u.mu.Lock()
		got, changed := len(u.watching[uri]), u.changed
		u.mu.Unlock()
		if got == n {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%d watch %s, want %d", got, uri, n)
		}
	}
}

// eraError has a code of its own in each era.
type eraError struct{}

func (*eraError) Error() string { return "no such resource" }
func (*eraError) RPCError(modern bool) (int, any) {
	if modern {
		return mcp.INVALID_PARAMS, "m"
	}
	return mcp.RESOURCE_NOT_FOUND, "l"
}

// newWatched is a fixture whose resources can be subscribed to.
func newWatched() *fixture {
	f := newFixture()
	hooks := &server.Hooks{}
	hooks.AddOnError(OnError)
	f.server = server.NewMCPServer("fixture", "1", server.WithResourceCapabilities(true, false), server.WithHooks(hooks))
	f.server.AddResource(mcp.NewResource("bad", "bad"), func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		return nil, fmt.Errorf("reading: %w", &eraError{})
	})
	f.server.AddResource(mcp.NewResource("worse", "worse"), func(context.Context, mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
		return nil, errors.New("something else")
	})
	return f
}

// rawMsg is a message with all that subscriptions need of it.
type rawMsg struct {
	ID     json.RawMessage
	Method string
	Params struct {
		URI           string
		Notifications mcp.SubscriptionFilter
		Meta          map[string]json.RawMessage `json:"_meta"`
	}
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    any
	}
}

// rawStdio reads all that a stdio server says.
func rawStdio(t testing.TB, u *updates) (*stdioClient, <-chan rawMsg) {
	c := newStdio(t, newWatched(), StdioOptions{Options: Options{Subscriber: u}})
	ch := make(chan rawMsg, 64)
	go func() {
		defer close(ch)
		r := bufio.NewReader(c.out)
		for {
			line, err := r.ReadBytes('\n')
			if err != nil {
				return
			}
			var m rawMsg
			if err := json.Unmarshal(line, &m); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			ch <- m
		}
	}()
	return c, ch
}

func mustUpdate(t testing.TB, ch <-chan rawMsg, uri, tag string) {
	t.Helper()
	m := recv(t, ch, "the update of "+uri)
	if m.Method != "notifications/resources/updated" || m.Params.URI != uri || string(m.Params.Meta[mcp.MetaKeySubscriptionID]) != tag || m.ID != nil {
		t.Fatalf("got %+v, want the update of %s", m, uri)
	}
}

func TestStdioLegacySubscribe(t *testing.T) {
	u := newUpdates()
	c, ch := rawStdio(t, u)
	ask := func(id, method string, p params) rawMsg {
		t.Helper()
		c.send(t, string(encodeRequest(t, legacy, id, method, p))+"\n")
		m := recv(t, ch, "the answer to "+method)
		if string(m.ID) != id {
			t.Fatalf("got %+v, want the answer to %s", m, method)
		}
		return m
	}
	if m := ask("1", "initialize", initParams); !strings.Contains(string(m.Result), `"subscribe":true`) {
		t.Errorf("got %s", m.Result)
	}
	for _, uri := range []string{"a", "b", "a"} {
		if m := ask("2", "resources/subscribe", params{"uri": uri}); string(m.Result) != "{}" {
			t.Errorf("got %+v", m)
		}
	}
	u.await(t, "a", 1)
	for _, uri := range []string{"a", "b", "a"} {
		u.update(uri)
		mustUpdate(t, ch, uri, "")
	}
	ask("3", "resources/unsubscribe", params{"uri": "a"})
	ask("4", "resources/unsubscribe", params{"uri": "never"})
	u.await(t, "a", 0)
	u.update("b")
	mustUpdate(t, ch, "b", "")
	for uri, want := range map[string]int{"bad": mcp.RESOURCE_NOT_FOUND, "": mcp.INVALID_PARAMS} {
		if m := ask("5", "resources/subscribe", params{"uri": uri}); m.Error == nil || m.Error.Code != want {
			t.Errorf("%q: got %+v", uri, m)
		}
	}
	_ = c.in.Close()
	if err := recv(t, c.done, "the end"); err != nil {
		t.Error(err)
	}
	u.await(t, "b", 0)
}

// A client that does not read is told once, when it reads again, whatever
// happened meanwhile.
func TestStdioUpdatesDoNotPileUp(t *testing.T) {
	u := newUpdates()
	c, ch := rawStdio(t, u)
	c.send(t, string(encodeRequest(t, legacy, "1", "initialize", initParams))+"\n")
	recv(t, ch, "initialize")
	c.send(t, string(encodeRequest(t, legacy, "2", "resources/subscribe", params{"uri": "a"}))+"\n")
	recv(t, ch, "subscribe")
	for range 100_000 {
		u.update("a")
	}
	mustUpdate(t, ch, "a", "") // it may come after the answer to a ping: the two are not in order
	c.send(t, string(encodeRequest(t, legacy, "3", "ping", nil))+"\n")
	n := 1
	for m := recv(t, ch, "the ping"); m.ID == nil; m = recv(t, ch, "the ping") {
		n++
	}
	if n == 100_000 {
		t.Error("each update was told")
	}
}

func TestStdioListen(t *testing.T) {
	u := newUpdates()
	c, ch := rawStdio(t, u)
	listen := func(id string, filter params) {
		c.send(t, string(encodeRequest(t, modern, id, "subscriptions/listen", params{"notifications": filter}))+"\n")
	}
	listen("7", params{"resourceSubscriptions": []string{"a", "b", "a"}, "toolsListChanged": true})
	ack := recv(t, ch, "the acknowledgement")
	if ack.Method != "notifications/subscriptions/acknowledged" || string(ack.Params.Meta[mcp.MetaKeySubscriptionID]) != "7" ||
		!slices.Equal(ack.Params.Notifications.ResourceSubscriptions, []string{"a", "b"}) || ack.Params.Notifications.ToolsListChanged {
		t.Errorf("got %+v", ack)
	}
	listen(`"x"`, params{"resourceSubscriptions": []string{"b", "c"}})
	recv(t, ch, "the second acknowledgement")
	u.update("a")
	mustUpdate(t, ch, "a", "7")
	u.update("c")
	mustUpdate(t, ch, "c", `"x"`)
	c.send(t, string(encodeRequest(t, modern, "", "notifications/cancelled", params{"requestId": 7}))+"\n")
	u.await(t, "a", 0)
	u.update("b")
	mustUpdate(t, ch, "b", `"x"`)

	// One that can listen to nothing is over at once.
	listen("8", params{"toolsListChanged": true})
	recv(t, ch, "the acknowledgement")
	if m := recv(t, ch, "the result"); string(m.ID) != "8" || !strings.Contains(string(m.Result), `"resultType":"complete"`) ||
		!strings.Contains(string(m.Result), `"io.modelcontextprotocol/subscriptionId":8`) {
		t.Errorf("got %+v %s", m, m.Result)
	}
	for _, p := range []params{{}, {"notifications": 5}, {"notifications": params{"resourceSubscriptions": []string{"a", "bad"}}}} {
		c.send(t, string(encodeRequest(t, modern, "9", "subscriptions/listen", p))+"\n")
		if m := recv(t, ch, "the error"); m.Error == nil || m.Error.Code != mcp.INVALID_PARAMS {
			t.Errorf("%v: got %+v", p, m)
		}
	}
	u.await(t, "a", 0)

	// The end of the input ends the listening, and does not wait for it.
	began := time.Now()
	_ = c.in.Close()
	if m := recv(t, ch, "the result of the open one"); string(m.ID) != `"x"` || m.Result == nil {
		t.Errorf("got %+v", m)
	}
	if err := recv(t, c.done, "the end"); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	u.await(t, "b", 0)
}

// Ten thousand who come and go leave nothing behind, in either era.
func TestSubscribeCyclesOnTheWire(t *testing.T) {
	u := newUpdates()
	srv := watchedHTTP(t, u, HTTPOptions{})
	session := newSubscriptions(u, newWatchCount(), "")
	ctx := withServed(t.Context(), Local, nil)
	cycle := func(n int) {
		for i := range n {
			if err := session.subscribe(ctx, fmt.Sprint(i%3)); err != nil {
				t.Fatal(err)
			}
			u.update(fmt.Sprint(i % 3))
			session.unsubscribe(fmt.Sprint(i % 3))
		}
	}
	c := newHTTPClient(t, srv, modern)
	listen := func(n int) {
		for range n {
			ctx, hangUp := context.WithCancel(t.Context())
			ch := c.post(t, ctx, "1", "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": []string{"a"}}}, nil)
			recv(t, ch, "the acknowledgement")
			hangUp()
			for range ch {
			}
		}
	}
	cycle(100)
	listen(20)
	u.await(t, "a", 0)
	c.http.CloseIdleConnections()
	before := runtime.NumGoroutine()
	cycle(10_000)
	listen(200)
	u.await(t, "a", 0)
	c.http.CloseIdleConnections()
	for limit := time.Now().Add(patience); runtime.NumGoroutine() > before+10; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
	if len(session.watches) != 0 || len(session.pending) != 0 {
		t.Errorf("%d watches and %d updates are left", len(session.watches), len(session.pending))
	}
	for i := range maxSubscriptions + 1 {
		if err := session.subscribe(ctx, fmt.Sprint(i)); (err != nil) != (i == maxSubscriptions) {
			t.Errorf("subscription %d: %v", i, err)
		}
	}
	session.close()
}

// What one caller watches is bounded over all of its sessions, and is given back.
func TestWatchedByOneCaller(t *testing.T) {
	t.Parallel()
	u := newUpdates()
	of := newWatchCount()
	ctx := withServed(t.Context(), Local, nil)
	var all []*subscriptions
	fill := func(s *subscriptions, n int) error {
		for i := range n {
			if err := s.subscribe(ctx, fmt.Sprint(i)); err != nil {
				return err
			}
		}
		return nil
	}
	for range maxWatched / maxSubscriptions {
		s := newSubscriptions(u, of, "me")
		if err := fill(s, maxSubscriptions); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	mine, yours := newSubscriptions(u, of, "me"), newSubscriptions(u, of, "you")
	if err := fill(mine, 1); err != errWatchesTooMuch {
		t.Errorf("one more: %v", err)
	}
	if err := fill(yours, 1); err != nil {
		t.Errorf("another caller: %v", err)
	}
	all[0].unsubscribe("0")
	all[0].unsubscribe("0")
	if err := fill(mine, 2); err != errWatchesTooMuch {
		t.Errorf("two where there is room for one: %v", err)
	}
	for _, s := range append(all, mine, yours) {
		s.close()
		s.close()
	}
	if len(of.by) > 0 {
		t.Errorf("%v are left", of.by)
	}
}
