package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// ofBatches are the params of an initialize of the version that has batches.
func ofBatches() params {
	p := maps.Clone(initParams)
	p["protocolVersion"] = batchVersion
	return p
}

const aBatch = `[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/initialized"},` +
	`{"jsonrpc":"2.0","id":"two","method":"tools/call","params":{"name":"echo","arguments":{"text":"hello"}}},{"jsonrpc":"2.0","id":3,"method":"nonsense"},7,` +
	`{"jsonrpc":"2.0","id":9,"result":{}}]`

// checkBatch holds an answer to aBatch to what JSON-RPC says.
func checkBatch(t *testing.T, raw string) {
	t.Helper()
	var all []struct {
		ID     json.RawMessage
		Result json.RawMessage
		Error  *struct{ Code int }
	}
	if err := json.Unmarshal([]byte(raw), &all); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	var got []string
	for _, a := range all {
		s := string(a.ID)
		if a.Error != nil {
			s += fmt.Sprint(" ", a.Error.Code)
		} else if strings.Contains(string(a.Result), "hello") {
			s += " hello"
		}
		got = append(got, s)
	}
	slices.Sort(got)
	if want := []string{`"two" hello`, "1", "3 -32601", "null -32600"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Batches of 2025-03-26 are answered, each by one array; those of other versions are
// refused.
func TestHTTPBatch(t *testing.T) {
	srv := newHTTPServer(t, newFixture(), HTTPOptions{})
	c := newHTTPClient(t, srv, "")
	h := c.status(t, "initialize", "POST", string(encodeRequest(t, legacy, "0", "initialize", ofBatches())), nil, 200)
	c.session, c.version = h.Get("Mcp-Session-Id"), batchVersion
	res := c.do(t, t.Context(), http.MethodPost, []byte(aBatch), nil)
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("status %d, %v", res.StatusCode, res.Header)
	}
	checkBatch(t, string(b))
	c.status(t, "nothing to answer", "POST", `[{"jsonrpc":"2.0","method":"notifications/initialized"}]`, nil, 202)
	c.status(t, "an empty batch", "POST", `[]`, nil, 400, "batches")
	c.status(t, "a large batch", "POST", "["+strings.Repeat(ping+",", maxBatch)+ping+"]", nil, 400, "batches")
	newHTTPClient(t, srv, legacy).status(t, "another version", "POST", aBatch, nil, 400, "batches")
}

// Each message of a batch counts against its caller's limits; a cancel and an answer get
// through.
func TestBatchIsLimited(t *testing.T) {
	t.Parallel()
	srv := newHTTPServer(t, newFixture(), HTTPOptions{Rate: 5}) // in bursts of ten
	c := newHTTPClient(t, srv, "")
	res := c.do(t, t.Context(), http.MethodPost, encodeRequest(t, legacy, "0", "initialize", ofBatches()), nil)
	_ = res.Body.Close()
	c.session, c.version = res.Header.Get("Mcp-Session-Id"), batchVersion
	var batch []string
	for i := range maxBatch - 2 {
		batch = append(batch, fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"ping"}`, i))
	}
	batch = append(batch, `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}`, `{"jsonrpc":"2.0","id":"x","result":{}}`)
	res = c.do(t, t.Context(), http.MethodPost, []byte("["+strings.Join(batch, ",")+"]"), nil)
	b, _ := io.ReadAll(res.Body)
	_ = res.Body.Close()
	var answers []struct {
		ID     *int
		Result json.RawMessage
		Error  struct {
			Code    int
			Message string
		}
	}
	if err := json.Unmarshal(b, &answers); err != nil || len(answers) != maxBatch-2 {
		t.Fatalf("%d answers, %v: %.300s", len(answers), err, b)
	}
	served := 0
	for _, a := range answers {
		switch {
		case a.Result != nil:
			served++
		case a.ID == nil || a.Error.Code != codeTooMany || !strings.Contains(a.Error.Message, "nothing was done"):
			t.Errorf("got %+v", a)
		}
	}
	if served < 5 || served > 15 { // a slow machine earns some meanwhile
		t.Errorf("%d of %d messages were served", served, len(answers))
	}
}

func TestStdioBatch(t *testing.T) {
	in, send := io.Pipe()
	receive, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- NewStdio(newFixture().server, StdioOptions{}).Serve(context.Background(), in, out)
		_ = out.Close()
	}()
	lines := bufio.NewReader(receive)
	say := func(line string) {
		if _, err := io.WriteString(send, line+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(line string) string {
		say(line)
		answer, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	if answer := ask("\ufeff" + string(encodeRequest(t, legacy, "0", "initialize", ofBatches()))); !strings.Contains(answer, batchVersion) {
		t.Fatal(answer)
	}
	checkBatch(t, ask(aBatch))
	// An error about nothing is not answered: what comes next is.
	say(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}`)
	say(`{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}`)
	say(`[{"jsonrpc":"2.0","method":"notifications/initialized"}]`)
	if answer := ask(ping); !strings.Contains(answer, `"id":1`) {
		t.Error(answer)
	}
	// What is under way at the end of input is answered.
	say(aBatch)
	_ = send.Close()
	answer, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	checkBatch(t, answer)
	if err := recv(t, ended, "the end"); err != nil {
		t.Error(err)
	}
}

// A client that can only open URLs is never sent a form.
func TestNoFormForURLClients(t *testing.T) {
	for want, capability := range map[string]params{
		"the client does not support": {"url": params{}},
		"Which color":                 {},
	} {
		p := maps.Clone(initParams)
		p["capabilities"] = params{"elicitation": capability}
		srv := newHTTPServer(t, newFixture(), HTTPOptions{})
		c := newHTTPClient(t, srv, "")
		h := c.status(t, "initialize", "POST", string(encodeRequest(t, legacy, "0", "initialize", p)), nil, 200)
		c.session, c.version = h.Get("Mcp-Session-Id"), legacy
		ctx, cancel := context.WithCancel(t.Context())
		res := c.do(t, ctx, http.MethodPost, encodeRequest(t, legacy, "1", "tools/call", params{"name": "elicit"}), nil)
		b := make([]byte, 1000)
		n, _ := res.Body.Read(b)
		cancel()
		_ = res.Body.Close()
		if asked := strings.Contains(string(b[:n]), "Which color"); asked != (want == "Which color") {
			t.Errorf("%v: %s", capability, b[:n])
		}
	}
}
