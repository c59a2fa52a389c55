package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/secret"
)

// relay is a call that can be gone on with: its tool says the words that it is given,
// and its place is how many of them went out.
type relay struct {
	first   chan string // words for the process that the call began in
	later   chan string // and for one that goes on with it
	resumed atomic.Int32
	tool    string // of the last call that was resumed
	place   []byte // and its place
}

// say reports words until there are no more, from the one with this number on.
func say(ctx context.Context, words <-chan string, from int) (*mcp.CallToolResult, error) {
	call := CallFrom(ctx)
	var sent atomic.Int64
	sent.Store(int64(from))
	call.Resumable(func() []byte { return []byte(strconv.FormatInt(sent.Load(), 10)) })
	p := NewReporter(call, func(s int) string { return fmt.Sprint(s) })
	defer p.Close()
	for n := from; ; n++ {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case word, ok := <-words:
			if !ok {
				return mcp.NewToolResultText(fmt.Sprintf("all %d words", n)), nil
			}
			p.Together(func() { p.Text(word[:1]); p.Text(word[1:]) }, func() { sent.Store(int64(n) + 1) })
		}
	}
}

func (y *relay) resume(ctx context.Context, tool string, place []byte) (*mcp.CallToolResult, error) {
	y.resumed.Add(1)
	y.tool, y.place = tool, place
	if place == nil {
		return mcp.NewToolResultError("nothing is known of " + tool), nil
	}
	from, err := strconv.Atoi(string(place))
	if err != nil {
		return nil, err
	}
	return say(ctx, y.later, from)
}

// wireEvent is what an event of a call says.
type wireEvent struct {
	ID     json.RawMessage
	Method string
	Params struct {
		ProgressToken json.RawMessage
		Progress      float64
		Message       string
		Meta          progressMeta `json:"_meta"`
	}
	Result struct {
		IsError bool
		Content []struct{ Text string }
	}
	Error *struct{ Message string }
}

func readEvent(t testing.TB, e sseEvent) (m wireEvent) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.data), &m); err != nil {
		t.Fatalf("event %q: %v", e.data, err)
	}
	return m
}

// isAlice authenticates everybody as one caller, with a key that outlives a server.
func isAlice(*http.Request) (Principal, error) {
	return Principal{Name: "alice", Key: secret.Text("key")}, nil
}

// replicas gives clients of one session at two servers.
func replicas(t testing.TB, f *fixture, opts HTTPOptions) (one, two *httpClient) {
	opts.Authenticate = isAlice
	first, second := newHTTPServer(t, f, opts), newHTTPServer(t, f, opts)
	one = newHTTPClient(t, first, legacy)
	return one, &httpClient{url: second.url, version: legacy, session: one.session, http: one.http}
}

func toolCallOf(t testing.TB, id, tool string, args params) []byte {
	return encodeRequest(t, legacy, id, "tools/call", params{"name": tool, "arguments": args, "_meta": params{"progressToken": "p"}})
}

// Whatever event a stream broke behind, a process that never had it goes on with the
// call: every word comes once, and the result is that of the request.
func TestHTTPTakeOver(t *testing.T) {
	const n = 12
	for cut := 1; cut < n; cut += 3 {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			t.Parallel()
			f, y := newFixture(), &relay{first: make(chan string), later: make(chan string)}
			f.server.AddTool(mcp.NewTool("say"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return say(ctx, y.first, 0)
			})
			one, two := replicas(t, f, HTTPOptions{Resume: y.resume})
			res := one.do(t, t.Context(), http.MethodPost, toolCallOf(t, "7", "say", nil), nil)
			defer func() { _ = res.Body.Close() }()
			r := bufio.NewReader(res.Body)
			var text strings.Builder
			var steps []float64
			last := ""
			take := func(e sseEvent) wireEvent {
				m := readEvent(t, e)
				if m.Method != "" {
					if string(m.Params.ProgressToken) != `"p"` {
						t.Errorf("progress for %s", m.Params.ProgressToken)
					}
					text.WriteString(m.Params.Meta.Text)
					steps = append(steps, m.Params.Progress)
				}
				last = e.id
				return m
			}
			for i := range cut {
				go func() { y.first <- fmt.Sprintf("word%d ", i) }()
				for !strings.HasSuffix(text.String(), fmt.Sprintf("word%d ", i)) {
					take(readEvents(t, r, 1)[0])
				}
			}
			// The first process gets no more words: as if it were gone.
			again := two.resumed(t, t.Context(), last)
			defer func() { _ = again.Body.Close() }()
			from := last
			both := two.resumed(t, t.Context(), from) // a client that lost this answer, too
			defer func() { _ = both.Body.Close() }()
			go func() {
				for i := cut; i < n; i++ {
					y.later <- fmt.Sprintf("word%d ", i)
				}
				close(y.later)
			}()
			events := readEvents(t, bufio.NewReader(both.Body), -1)
			for _, e := range events[:len(events)-1] {
				take(e)
			}
			m := take(events[len(events)-1])
			var want strings.Builder
			for i := range n {
				fmt.Fprintf(&want, "word%d ", i)
			}
			if text.String() != want.String() {
				t.Errorf("the progress says %q", text.String())
			}
			if !slices.IsSorted(steps) || len(slices.Compact(slices.Clone(steps))) != len(steps) {
				t.Errorf("the progress goes %v", steps)
			}
			if string(m.ID) != "7" || len(m.Result.Content) != 1 || !strings.HasPrefix(m.Result.Content[0].Text, "all ") {
				t.Errorf("the result is %s", events[len(events)-1].data)
			}
			if got := y.resumed.Load(); got != 1 {
				t.Errorf("the call was gone on with %d times", got)
			}
			// Behind the result there is nothing: not here, and not in a third process.
			three := &httpClient{url: newHTTPServer(t, f, HTTPOptions{Authenticate: isAlice, Resume: y.resume}).url, version: legacy, session: one.session, http: one.http}
			for _, c := range []*httpClient{two, three} {
				end := c.resumed(t, t.Context(), last)
				if rest := readEvents(t, bufio.NewReader(end.Body), -1); len(rest) > 0 {
					t.Errorf("behind the result comes %v", rest)
				}
				closeBody(end)
			}
		})
	}
}

// What changes nothing is served again; where nothing is known of a call, the answer
// says so; nobody else's event leads anywhere.
func TestHTTPTakeOverWithoutPlace(t *testing.T) {
	f, y := newFixture(), &relay{}
	f.server.AddTool(mcp.NewTool("look", mcp.WithReadOnlyHintAnnotation(true)), decoded(f.block))
	one, two := replicas(t, f, HTTPOptions{Resume: y.resume})
	// begin gives the id of the first event of a call.
	begin := func(id, tool string) string {
		started := make(chan *http.Response)
		go func() {
			started <- one.do(t, t.Context(), http.MethodPost, toolCallOf(t, id, tool, params{"name": "of " + id}), nil)
		}()
		if err := recv(t, f.calls, "the call").Progress("first"); err != nil {
			t.Fatal(err)
		}
		recv(t, f.started, "the call")
		res := recv(t, started, "the stream")
		t.Cleanup(func() { _ = res.Body.Close() })
		return readEvents(t, bufio.NewReader(res.Body), 1)[0].id
	}
	rest := func(res *http.Response) wireEvent {
		defer func() { _ = res.Body.Close() }()
		events := readEvents(t, bufio.NewReader(res.Body), -1)
		return readEvent(t, events[len(events)-1])
	}
	blind := begin(`"b"`, "block")
	if m := rest(two.resumed(t, t.Context(), blind)); string(m.ID) != `"b"` || !m.Result.IsError || m.Result.Content[0].Text != "nothing is known of block" {
		t.Errorf("got %+v", m)
	}
	look := begin(`"l"`, "look")
	again := two.resumed(t, t.Context(), look)
	if got := recv(t, f.started, "the second look"); got != `of "l"` {
		t.Errorf("served again, its arguments are %q", got)
	}
	close(f.release)
	if m := rest(again); string(m.ID) != `"l"` || m.Result.Content[0].Text != "released" {
		t.Errorf("got %+v", m)
	}
	if y.resumed.Load() != 1 {
		t.Error("a read was gone on with")
	}
	other := &httpClient{url: two.url, version: legacy, http: two.http}
	other.session = newHTTPClient(t, httpServer{url: one.url}, legacy).session
	stream, _, _ := strings.Cut(look, ".")
	for name, id := range map[string]string{
		"cut": look[:len(look)-1], "changed": look[:len(look)-20] + strings.Repeat("A", 20), "without its seal": stream,
		"with another's seal": stream + blind[strings.Index(blind, "."):len(blind)-2],
	} {
		two.status(t, name, "GET", "", http.Header{"Last-Event-Id": {id}}, 400, "can't be resumed")
	}
	other.status(t, "another session's", "GET", "", http.Header{"Last-Event-Id": {look}}, 400, "can't be resumed")
}

// While the user is asked, nothing was done: a process that takes the call over asks
// again.
func TestHTTPTakeOverAQuestion(t *testing.T) {
	f, y := newFixture(), &relay{}
	one, two := replicas(t, f, HTTPOptions{Resume: y.resume})
	ask := func(c *httpClient, res *http.Response) (*bufio.Reader, sseEvent, string) {
		t.Cleanup(func() { _ = res.Body.Close() })
		r := bufio.NewReader(res.Body)
		for {
			e := readEvents(t, r, 1)[0]
			if m := readEvent(t, e); m.Method == "elicitation/create" {
				return r, e, strings.Trim(string(m.ID), `"`)
			}
		}
	}
	_, question, first := ask(one, one.do(t, t.Context(), http.MethodPost, toolCallOf(t, "3", "elicit", nil), nil))
	rest, _, second := ask(two, two.resumed(t, t.Context(), question.id))
	answer := func(id, color string) {
		two.status(t, "an answer", "POST", fmt.Sprintf(`{"jsonrpc":"2.0","id":%q,"result":{"action":"accept","content":{"color":%q}}}`, id, color), nil, 202)
	}
	answer(first, "red") // too late: its process is gone
	answer(second, "blue")
	m := readEvent(t, readEvents(t, rest, 1)[0])
	if string(m.ID) != "3" || !strings.Contains(m.Result.Content[0].Text, "blue") || y.resumed.Load() != 0 {
		t.Errorf("got %+v", m)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add((&cursor{kind: cursorPlace, steps: 3, id: []byte("7"), token: []byte(`"p"`), tool: "say", place: []byte("12")}).marshal())
	f.Add((&cursor{kind: cursorAgain, request: []byte("{}")}).marshal())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, ok := unmarshalCursor(b); ok {
			if back, ok := unmarshalCursor(c.marshal()); !ok || back.tool != c.tool || string(back.place) != string(c.place) || string(back.id) != string(c.id) {
				t.Errorf("%q is %+v, and then %+v", b, c, back)
			}
		}
	})
}

// A cancel that comes while nobody has the call, since its process is gone and its client has
// not come back yet, holds for whoever goes on with it.
func TestHTTPTakeOverCancelled(t *testing.T) {
	f, y := newFixture(), &relay{first: make(chan string, 1), later: make(chan string)}
	f.server.AddTool(mcp.NewTool("say"), func(ctx context.Context, _ mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return say(ctx, y.first, 0)
	})
	causes := make(chan error, 1)
	servers, clients := joined(t, f, 2, HTTPOptions{Resume: func(ctx context.Context, tool string, place []byte) (*mcp.CallToolResult, error) {
		result, err := y.resume(ctx, tool, place)
		causes <- context.Cause(ctx)
		return result, err
	}})
	y.first <- "word "
	res := clients[0].do(t, t.Context(), http.MethodPost, toolCallOf(t, "7", "say", nil), nil)
	defer func() { _ = res.Body.Close() }()
	last := readEvents(t, bufio.NewReader(res.Body), 1)[0].id
	if err := servers[0].Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	closeBody(clients[1].do(t, t.Context(), http.MethodPost, cancelOf(t, legacy, "7", "stop"), nil))
	shared := servers[1].peers.get(Principal{Name: "alice", Key: "key"})
	for found := false; !found; { // the cancel is seen to after its answer
		_, found, _ = shared.Find(t.Context(), cancelledFact(callID{clients[1].session, "7"}))
	}
	again := clients[1].resumed(t, t.Context(), last)
	defer func() { _ = again.Body.Close() }()
	if cause := recv(t, causes, "the end of the call"); cause != ErrCancelled {
		t.Errorf("the call ended for %v", cause)
	}
}
