package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// However many calls block, pings are answered and cancels obeyed.
func TestStdioManyBlockedCalls(t *testing.T) {
	const calls = 128
	f := newFixture()
	c := newStdioClient(t, f, StdioOptions{MaxCalls: calls}, legacy)
	answers := make([]<-chan wireMsg, calls)
	for i := range calls {
		answers[i] = call(t, c, fmt.Sprint(i), "block", params{"name": fmt.Sprint(i)})
	}
	for range calls {
		recv(t, f.started, "a call")
	}
	// Even where there is no room for one call more.
	if m := result(t, c.start(t, `"ping"`, "ping", nil)); m.Error != nil {
		t.Errorf("ping: %+v", m)
	}
	m := result(t, call(t, c, `"more"`, "echo", nil))
	if m.Error == nil || !strings.Contains(m.Error.Message, "128 requests are in flight") || !strings.Contains(m.Error.Message, "not started") {
		t.Errorf("one call too many: %+v", m.Error)
	}
	cancel(t, c, "77", "")
	f.mustEnd(t, "77", ErrCancelled)
	close(f.release)
	for i, ch := range answers {
		if i == 77 {
			continue
		}
		if m := result(t, ch); m.text() != "released" {
			t.Errorf("call %d: %+v", i, m)
		}
	}
}

func TestStdioDuplicateID(t *testing.T) {
	f := newFixture()
	c := newStdioClient(t, f, StdioOptions{}, modern)
	call(t, c, "1", "block", params{"name": "a"})
	recv(t, f.started, "a")
	m := result(t, call(t, c, "1", "echo", nil))
	if m.Error == nil || m.Error.Code != -32600 || !strings.Contains(m.Error.Message, "in flight already") {
		t.Errorf("got %+v", m.Error)
	}
	close(f.release)
	f.mustEnd(t, "a", nil)
}

// As soon as an answer is read, its id may be used again.
func TestIDReusedAtOnce(t *testing.T) {
	forAll(t, func(t *testing.T, co combination) {
		c := co.connect(t, newFixture())
		for i := range 100 {
			if m := result(t, call(t, c, "1", "echo", params{"text": "x"})); m.text() != "x" {
				t.Fatalf("call %d: %+v", i, m.Error)
			}
		}
	})
}

func TestLargeMessages(t *testing.T) {
	t.Parallel()
	for _, co := range combinations[1:3] {
		c := co.connect(t, newFixture())
		m := result(t, call(t, c, "1", "echo", params{"text": strings.Repeat("y", largeSize)}))
		if got := m.text(); len(got) != largeSize || got[0] != 'y' {
			t.Errorf("%s: %d bytes came back as %d", co.name, largeSize, len(got))
		}
	}
}

func TestStdioLineLimit(t *testing.T) {
	const limit = 60_000
	c := newStdioClient(t, newFixture(), StdioOptions{Options: Options{MaxMessage: limit}}, legacy)
	pad := func(size int) string {
		const head, tail = `{"jsonrpc":"2.0","id":"pad","method":"ping","params":{"x":"`, `"}}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	for _, end := range []string{"\n", "\r\n"} {
		c.send(t, pad(limit)+end)
		if m := recv(t, c.other, "the answer"); m.Error != nil || string(m.ID) != `"pad"` {
			t.Errorf("a line of the longest length: %+v", m.Error)
		}
		for _, size := range []int{limit + 1, limit + 65536, 5 * limit} {
			c.send(t, pad(size)+end)
			if m := recv(t, c.other, "the answer"); m.Error == nil || m.Error.Code != -32600 || string(m.ID) != "null" {
				t.Errorf("a line of %d: %+v", size, m)
			}
		}
	}
	if m := result(t, c.start(t, "1", "ping", nil)); m.Error != nil {
		t.Errorf("the next line: %+v", m)
	}
}

// What a line with a wrong message is answered with, by either transport.
var wrongMessages = []struct{ name, line, id, text string }{
	{"garbage", `hello`, "null", "-32700 not valid JSON"},
	{"cut off", `{"jsonrpc":"2.0","id":1,"method":"ping"`, "null", "-32700 not valid JSON"},
	{"two messages", `{"jsonrpc":"2.0","id":1,"method":"ping"}{}`, "null", "-32700 not valid JSON"},
	{"too deep", strings.Repeat("[", 20000), "null", "-32700 not valid JSON"},
	{"batch", `[{"jsonrpc":"2.0","id":1,"method":"ping"}]`, "null", "-32600 JSON-RPC batches"},
	{"string", `"ping"`, "null", "-32600 a JSON-RPC message must be a JSON object"},
	{"null", `null`, "null", "-32600 a JSON-RPC message must be a JSON object"},
	{"no version", `{"id":1,"method":"ping"}`, "1", `-32600 jsonrpc must be "2.0"`},
	{"old version", `{"jsonrpc":"1.0","id":"a","method":"ping"}`, `"a"`, `-32600 jsonrpc must be "2.0"`},
	{"version of a wrong type", `{"jsonrpc":2.0,"id":7,"method":"ping"}`, "7", `-32600 jsonrpc must be a string, not a number`},
	{"method of a wrong type", `{"jsonrpc":"2.0","id":7,"method":5}`, "7", "-32600 method must be a string, not a number"},
	{"wrong in two ways", `{"jsonrpc":"2.0","id":{"a":1},"method":5}`, "null", "-32600 a request id"},
	{"null id", `{"jsonrpc":"2.0","id":null,"method":"ping"}`, "null", "-32600 a request id"},
	{"object id", `{"jsonrpc":"2.0","id":{},"method":"ping"}`, "null", "-32600 a request id"},
	{"fraction id", `{"jsonrpc":"2.0","id":1.5,"method":"ping"}`, "null", "-32600 a request id"},
	{"boolean id", `{"jsonrpc":"2.0","id":true,"method":"ping"}`, "null", "-32600 a request id"},
	{"id not in UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":\"\xff\",\"method\":\"ping\"}", "null", "-32700 not valid JSON"},
	{"nothing", `{"jsonrpc":"2.0"}`, "null", "-32600 a message must have a method"},
	{"only an id", `{"jsonrpc":"2.0","id":3}`, "3", "-32600 a message must have a method"},
	{"both kinds", `{"jsonrpc":"2.0","id":3,"method":"ping","result":{}}`, "3", "-32600 a message must be a request or an answer"},
	{"unknown method", `{"jsonrpc":"2.0","id":3,"method":"no/such"}`, "3", "-32601 "},
	{"cancel with an id", `{"jsonrpc":"2.0","id":3,"method":"notifications/cancelled"}`, "3", "-32601 "},
	{"params of a wrong type", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":5}`, "3", "-32602 params must be an object, not a number"},
	{"unknown tool", `{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"none"}}`, "9007199254740993", `-32602 unknown tool "none"`},

	{"Method", `{"jsonrpc":"2.0","id":3,"Method":"ping"}`, "3", `-32600 unknown member "Method"`},
	{"ID", `{"jsonrpc":"2.0","ID":3,"method":"ping"}`, "null", `-32600 unknown member "ID"`},
	{"Params", `{"jsonrpc":"2.0","id":3,"method":"ping","Params":{}}`, "3", `-32600 unknown member "Params"`},
	{"paramſ", `{"jsonrpc":"2.0","id":3,"method":"ping","paramſ":{}}`, "3", `-32600 unknown member "paramſ"`},
	{"escaped", `{"jsonrpc":"2.0","id":3,"method":"ping","\u0050arams":{}}`, "3", `-32600 unknown member "Params"`},
	{"Result", `{"jsonrpc":"2.0","id":3,"method":"ping","Result":{}}`, "3", `-32600 unknown member "Result"`},
	{"two methods", `{"jsonrpc":"2.0","id":3,"method":"ping","method":"initialize"}`, "3", `-32600 member "method" occurs twice`},
	{"two methods, one escaped", `{"jsonrpc":"2.0","id":3,"method":"ping","\u006dethod":"initialize"}`, "3", `-32600 member "method" occurs twice`},
	{"two params", `{"jsonrpc":"2.0","id":3,"params":{},"method":"ping","params":{}}`, "3", `-32600 member "params" occurs twice`},
	{"two ids", `{"jsonrpc":"2.0","id":3,"id":4,"method":"ping"}`, "null", `-32600 member "id" occurs twice`},
	{"two of a kind in a result", `{"jsonrpc":"2.0","id":3,"result":{"action":"accept","action":"decline"}}`, "3", `-32600 member "action" occurs twice`},
	{"Action", `{"jsonrpc":"2.0","id":3,"result":{"Action":"accept"}}`, "3", `-32600 result: unknown member "Action"`},
	{"Name", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"Name":"echo"}}`, "3", `-32602 unknown member "Name"`},
	{"Arguments", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","Arguments":{}}}`, "3", `-32602 unknown member "Arguments"`},
	{"_Meta", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","_Meta":{}}}`, "3", `-32602 unknown member "_Meta"`},
	{"ProgressToken", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","_meta":{"ProgressToken":1}}}`, "3", `-32602 params._meta: unknown member "ProgressToken"`},
	{"a user's answer", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"elicit","inputResponses":{"color":{"Action":"accept"}}}}`, "3", `-32602 params.inputResponses.color: unknown member "Action"`},
	{"two names", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","name":"big"}}`, "3", `-32602 member "name" occurs twice (at /params/name)`},
	{"two arguments", `{"jsonrpc":"2.0","method":"tools/call","params":{"name":"echo","arguments":{"text":"a","text":"b"}},"id":3}`, "3", `-32602 member "text" occurs twice (at /params/arguments/text)`},
	{"two deep in arguments", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"a":[{"b":1,"b":2}]}}}`, "3", `-32602 member "b" occurs twice (at /params/arguments/a/0/b)`},
	{"for mcp-go", `{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"Cursor":"x"}}`, "3", `-32602 unknown member "Cursor"`},
	{"two for mcp-go", `{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"cursor":"x","cursor":"y"}}`, "3", `-32602 member "cursor" occurs twice`},
	{"a wrong type for mcp-go", `{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"cursor":5}}`, "3", `-32602 params.cursor must be a string`},
	{"no name", `{"jsonrpc":"2.0","id":3,"method":"tools/call"}`, "3", `-32602 params.name is missing`},
	{"name of a wrong type", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":["echo"]}}`, "3", `-32602 params.name must be a string, not an array`},
	{"arguments of a wrong type", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":"{}"}}`, "3", `-32602 params.arguments must be an object, not a string`},
	{"_meta of a wrong type", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","_meta":7}}`, "3", `-32602 params._meta must be an object, not a number`},
	{"answers of a wrong type", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"elicit","inputResponses":{"color":true}}}`, "3", `-32602 params.inputResponses.color must be an object, not a boolean`},
	{"state of a wrong type", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"elicit","requestState":{}}}`, "3", `-32602 params.requestState must be a string, not an object`},
	{"not in UTF-8", "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"echo\",\"arguments\":{\"text\":\"\xe9\"}}}", "null", "-32700 not valid JSON: it is not UTF-8"},
	{"no capabilities", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}`, "3", `-32602 missing or invalid _meta field io.modelcontextprotocol/clientCapabilities`},
	{"a version to come", `{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","_meta":{"io.modelcontextprotocol/protocolVersion":"2099-01-01","io.modelcontextprotocol/clientCapabilities":{}}}}`, "3", `-32022 unsupported protocol version: "2099-01-01"`},
}

func TestStdioWrongMessages(t *testing.T) {
	c := newStdioClient(t, newFixture(), StdioOptions{}, legacy)
	for _, tt := range wrongMessages {
		c.send(t, tt.line+"\n")
		m := recv(t, c.other, tt.name)
		if m.Error == nil || string(m.ID) != tt.id || !strings.HasPrefix(fmt.Sprint(m.Error.Code, " ", m.Error.Message), tt.text) {
			t.Errorf("%s: id %s, %+v; want id %s, %s", tt.name, m.ID, m.Error, tt.id, tt.text)
		}
	}
	// Neither empty lines nor notifications nor answers to nobody are answered.
	c.send(t, "\n\r\n \t\n"+`{"jsonrpc":"2.0","method":"no/such"}`+"\n"+`{"jsonrpc":"2.0","id":1,"result":{}}`+"\r\n"+
		`{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"no"}}`+"\n")
	if m := result(t, c.start(t, "1", "ping", nil)); m.Error != nil {
		t.Errorf("ping: %+v", m)
	}
	if len(c.other) > 0 {
		t.Errorf("an answer to nothing: %+v", <-c.other)
	}
}

// An id comes back as it was sent, whatever the number.
func TestIDsComeBack(t *testing.T) {
	forAll(t, func(t *testing.T, co combination) {
		c := co.connect(t, newFixture())
		for _, id := range []string{"0", "-1", "9007199254740993", "123456789012345678901234567890", `""`, `"é\u0001/"`} {
			if m := result(t, call(t, c, id, "echo", nil)); string(m.ID) != id {
				t.Errorf("id %s came back as %s: %+v", id, m.ID, m.Error)
			}
		}
	})
}

func TestPanicIsContained(t *testing.T) {
	for _, co := range combinations {
		f, logs := newFixture(), make(chan string, 16)
		var c wireClient
		if co.http {
			c = newHTTPClient(t, newHTTPServer(t, f, HTTPOptions{Options: Options{Log: logTo(logs)}}), co.version)
		} else {
			c = newStdioClient(t, f, StdioOptions{Options: Options{Log: logTo(logs)}}, co.version)
		}
		m := result(t, call(t, c, "1", "panic", nil))
		if m.Error == nil || m.Error.Code != -32603 || strings.Contains(m.Error.Message, "secret") || string(m.ID) != "1" {
			t.Errorf("%s: %s %+v", co.name, m.ID, m.Error)
		}
		if log := recv(t, logs, "the log"); !strings.Contains(log, panicText) || !strings.Contains(log, "stack=") {
			t.Errorf("logged %q", log)
		}
		if m := result(t, call(t, c, "2", "echo", params{"text": "alive"})); m.text() != "alive" {
			t.Errorf("%s: afterwards %+v", co.name, m)
		}
	}
}

// The last line counts without a newline, and what is in flight is answered
// behind the end of input.
func TestStdioEndOfInput(t *testing.T) {
	f := newFixture()
	c := newStdioClient(t, f, StdioOptions{}, modern)
	blocked := call(t, c, "1", "block", params{"name": "a"})
	recv(t, f.started, "a")
	c.send(t, string(encodeRequest(t, modern, "2", "tools/call", params{"name": "echo", "arguments": params{"text": "last"}})))
	_ = c.in.Close()
	if m := recv(t, c.other, "the answer to the last line"); m.text() != "last" {
		t.Errorf("got %+v", m)
	}
	close(f.release)
	if m := result(t, blocked); m.text() != "released" {
		t.Errorf("got %+v", m)
	}
	if err := recv(t, c.done, "the end of Serve"); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// What a cancel sets off is waited for: a client may cancel and leave.
func TestStdioEndWaitsForHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture()
		f.hooks = make(chan string)
		c := newStdioClient(t, f, StdioOptions{}, modern)
		call(t, c, "1", "block", params{"name": "a"})
		recv(t, f.started, "a")
		cancel(t, c, "1", "stop")
		f.mustEnd(t, "a", ErrCancelled)
		_ = c.in.Close()
		synctest.Wait()
		select {
		case <-c.done:
			t.Error("Serve returned before the hook")
		default:
		}
		f.mustHook(t, "a: stop")
		if err := recv(t, c.done, "the end of Serve"); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// Who does not end by itself is told to hurry, and still heard.
func TestStdioDrainHurries(t *testing.T) {
	f := newFixture()
	c := newStdioClient(t, f, StdioOptions{Drain: time.Millisecond}, modern)
	ch := call(t, c, "1", "block", params{"name": "a"})
	recv(t, f.started, "a")
	_ = c.in.Close()
	f.mustEnd(t, "a", ErrDraining)
	if m := result(t, ch); m.text() != ErrDraining.Error() {
		t.Errorf("got %+v", m)
	}
	if err := recv(t, c.done, "the end of Serve"); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestStdioContextDone(t *testing.T) {
	f := newFixture()
	inR, inW := io.Pipe()
	defer inW.Close()
	out := make(chanWriter, 8)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- NewStdio(f.server, StdioOptions{}).Serve(ctx, inR, out) }()
	fmt.Fprintf(inW, "%s\n", encodeRequest(t, modern, "1", "tools/call", params{"name": "block", "arguments": params{"name": "a"}}))
	recv(t, f.started, "a")
	stop()
	f.mustEnd(t, "a", ErrDraining)
	if line := recv(t, out, "the answer"); !strings.Contains(line, ErrDraining.Error()) {
		t.Errorf("got %s", line)
	}
	if err := recv(t, done, "the end of Serve"); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// A closed standard output ends Serve, and the calls with the right cause.
func TestStdioBrokenOutput(t *testing.T) {
	f := newFixture()
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer inR.Close()
	defer inW.Close()
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer outW.Close()
	done := make(chan error, 1)
	go func() { done <- NewStdio(f.server, StdioOptions{}).Serve(t.Context(), inR, outW) }()
	fmt.Fprintf(inW, "%s\n", encodeRequest(t, modern, "1", "tools/call", params{"name": "block", "arguments": params{"name": "a"}}))
	recv(t, f.started, "a")
	_ = outR.Close()
	fmt.Fprintf(inW, "%s\n", encodeRequest(t, modern, "2", "tools/call", params{"name": "echo"}))
	if err := recv(t, done, "the end of Serve"); err == nil || !strings.HasPrefix(err.Error(), "standard output: ") {
		t.Errorf("Serve: %v", err)
	}
	f.mustEnd(t, "a", ErrDisconnected)
	if len(f.hooks) > 0 {
		t.Error("a closed connection called the hook")
	}
}

func TestStdioBrokenInput(t *testing.T) {
	boom := errors.New("boom")
	in := io.MultiReader(strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"ping"}`+"\n"), readerFunc(func([]byte) (int, error) { return 0, boom }))
	var out strings.Builder
	if err := NewStdio(newFixture().server, StdioOptions{}).Serve(t.Context(), in, &out); !errors.Is(err, boom) {
		t.Errorf("Serve: %v", err)
	}
	if want := `{"jsonrpc":"2.0","id":1,"result":{}}` + "\n"; out.String() != want || !json.Valid([]byte(out.String())) {
		t.Errorf("got %q", out.String())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
