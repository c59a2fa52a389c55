//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/prompts"
	"openclaw-mcp/tools"
)

// updated is a notification or an answer, with what subscriptions need of it.
type updated struct {
	ID     json.RawMessage
	Method string
	Params struct {
		URI  string
		Meta map[string]any `json:"_meta"`
	}
	Result json.RawMessage
	Error  *struct {
		Code    int
		Message string
		Data    struct{ URI, Reason string }
	}
}

// subscriber is one client that subscribed: its updates arrive in order.
type subscriber struct {
	name string
	ch   chan updated
}

// bridged is the binary, reached over HTTP.
type bridged struct {
	up  *upstream
	url string
	t   *testing.T
}

func newBridged(t *testing.T, opts emulatortest.Options, env ...string) *bridged {
	up := newUpstream(t, opts)
	_, url := launchHTTP(t, up.env(env...))
	return &bridged{up, url, t}
}

// request makes an HTTP request of one era; header has pairs.
func (b *bridged) request(ctx context.Context, method, era string, body []byte, header ...string) *http.Response {
	b.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, b.url, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	req.Header.Set("Mcp-Protocol-Version", era)
	for i := 0; i < len(header); i += 2 {
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return res
}

// initialize opens a legacy session.
func (b *bridged) initialize() (session string) {
	res := b.request(b.t.Context(), "POST", legacy, encodeRequest(b.t, legacy, "1", "initialize", initializeParams()))
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.Header.Get("Mcp-Session-Id")
}

// ask sends a request over HTTP and gives its answer; session is "" in the
// modern era.
func (b *bridged) ask(session, method string, p params, header ...string) updated {
	b.t.Helper()
	era := legacy
	if session == "" {
		era = modern
		header = append(header, "Mcp-Method", method)
		for _, key := range []string{"uri", "name"} {
			if name, ok := p[key].(string); ok {
				header = append(header, "Mcp-Name", name)
			}
		}
	}
	res := b.request(b.t.Context(), "POST", era, encodeRequest(b.t, era, "5", method, p), append(header, "Mcp-Session-Id", session)...)
	ch := make(chan updated, 16)
	readUpdates(b.t, res.Body, ch)
	var last updated
	for m := range ch {
		last = m
	}
	return last
}

// readUpdates reads messages, as lines of JSON or of events, to the end.
func readUpdates(t *testing.T, in io.ReadCloser, ch chan<- updated) {
	defer close(ch)
	defer func() { _ = in.Close() }()
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadBytes('\n')
		line = bytes.TrimPrefix(line, []byte("data: "))
		if bytes.HasPrefix(line, []byte("{")) {
			var m updated
			if err := json.Unmarshal(line, &m); err != nil {
				t.Errorf("%q: %v", line, err)
			}
			ch <- m
		}
		if err != nil {
			return
		}
	}
}

// subscribeHTTP subscribes as a client of its own.
func (b *bridged) subscribeHTTP(era, uri string) *subscriber {
	s := &subscriber{"HTTP " + era, make(chan updated, 4096)}
	if era == legacy {
		session := b.initialize()
		res := b.request(b.t.Context(), "GET", legacy, nil, "Mcp-Session-Id", session)
		go readUpdates(b.t, res.Body, s.ch)
		if m := b.ask(session, "resources/subscribe", params{"uri": uri}); string(m.Result) != "{}" {
			b.t.Fatalf("got %+v", m)
		}
		return s
	}
	body := encodeRequest(b.t, modern, "9", "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": []string{uri}}})
	res := b.request(b.t.Context(), "POST", modern, body, "Mcp-Method", "subscriptions/listen")
	go readUpdates(b.t, res.Body, s.ch)
	if m := recv(b.t, s.ch, "the acknowledgement"); m.Method != "notifications/subscriptions/acknowledged" {
		b.t.Fatalf("got %+v", m)
	}
	return s
}

// subscribeStdio subscribes through a process of its own.
func (b *bridged) subscribeStdio(era, uri string) *subscriber {
	s := &subscriber{"stdio " + era, make(chan updated, 4096)}
	p := launch(b.t, b.up.env())
	go readUpdates(b.t, p.stdout, s.ch)
	send := func(id, method string, params params) updated {
		if _, err := p.stdin.Write(append(encodeRequest(b.t, era, id, method, params), '\n')); err != nil {
			b.t.Fatal(err)
		}
		return recv(b.t, s.ch, "the answer to "+method)
	}
	if era == modern {
		send(`"s"`, "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": []string{uri}}})
		return s
	}
	send("1", "initialize", initializeParams())
	send("2", "resources/subscribe", params{"uri": uri})
	return s
}

// Whoever subscribes to a session, in either era and over either transport, is
// told of each message once, and upstream sees one follower of each process,
// though connections are cut ten times.
func TestResourceUpdatesReachEverySubscriber(t *testing.T) {
	release := make(chan struct{})
	agent := emulator.AgentFunc(func(ctx context.Context, _ emulator.Turn, emit func(emulator.AgentEvent) error) error {
		select {
		case <-release:
		case <-ctx.Done():
			return ctx.Err()
		}
		return emit(emulator.AgentEvent{Kind: emulator.Text, Text: "reply"})
	})
	b := newBridged(t, emulatortest.Options{Agent: agent})
	c, err := client.New(nil, b.up.url, b.up.key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	session, err := c.Chat.CreateSession(t.Context(), b.up.instance, "")
	if err != nil {
		t.Fatal(err)
	}
	const events, processes = "GET /instances/{instance}/chat/events", 3 // one over HTTP, two over stdio
	var cuts []emulatortest.Fault
	for i := range 10 {
		cuts = append(cuts, emulatortest.Fault{Endpoint: events, Call: i + 1, CutEvents: 1})
	}
	b.up.SetFaults(cuts...)
	uri := "openclaw://instances/" + b.up.instance + "/sessions/" + session.ID + "/messages"
	var all []*subscriber
	for _, era := range []string{legacy, modern} {
		all = append(all, b.subscribeHTTP(era, uri), b.subscribeHTTP(era, uri), b.subscribeStdio(era, uri))
	}
	nobodyElse := b.subscribeHTTP(legacy, "openclaw://instances/"+b.up.instance)
	everybody := func(what string) {
		t.Helper()
		for _, s := range all {
			m := recv(t, s.ch, "at "+s.name+" "+what)
			tagged := m.Params.Meta["io.modelcontextprotocol/subscriptionId"] != nil
			if m.Method != "notifications/resources/updated" || m.Params.URI != uri || tagged != strings.HasSuffix(s.name, modern) {
				t.Fatalf("%s got %+v", s.name, m)
			}
		}
	}
	for i := range 8 {
		sent := make(chan error, 1)
		go func() {
			_, err := c.Chat.Send(t.Context(), b.up.instance, client.SendRequest{SessionID: session.ID, Message: fmt.Sprint(i)})
			sent <- err
		}()
		everybody(fmt.Sprintf("message %d", i))
		release <- struct{}{}
		everybody(fmt.Sprintf("reply %d", i))
		if err := recv(t, sent, "the reply"); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the stream is open again", func() bool { return b.up.OpenStreams() == processes && b.up.Calls(events) == 10+processes })
	for _, s := range append(all, nobodyElse) {
		if len(s.ch) > 0 {
			t.Errorf("%s got one more: %+v", s.name, <-s.ch)
		}
	}
	if n := b.up.Calls(events); n != 10+processes {
		t.Errorf("%d streams were opened for 10 cuts", n)
	}
}

// The codes of the two eras, as clients see them.
func TestResourceErrorCodes(t *testing.T) {
	b := newBridged(t, emulatortest.Options{}, "OPENCLAW_MCP_EXCLUDE_PATHS=/workspace/secret")
	in := "openclaw://instances/" + b.up.instance
	session := b.initialize()
	for _, tt := range []struct {
		uri, reason    string
		legacy, modern int
	}{
		{"openclaw://instances/nobody", "not_found", -32002, -32602},
		{"file:///etc/passwd", "not_found", -32002, -32602},
		{in + "/files/workspace/secret", "forbidden", -32002, -32602},
		{in + "/sessions/x/messages?limit=0", "invalid", -32602, -32602},
	} {
		for _, s := range []string{session, ""} {
			want := tt.legacy
			if s == "" {
				want = tt.modern
			}
			m := b.ask(s, "resources/read", params{"uri": tt.uri})
			if m.Error == nil || m.Error.Code != want || m.Error.Data.Reason != tt.reason || m.Error.Data.URI != tt.uri {
				t.Errorf("%s: got %+v", tt.uri, m.Error)
			}
		}
		if m := b.ask(session, "resources/subscribe", params{"uri": tt.uri}); m.Error == nil || m.Error.Code != tt.legacy {
			t.Errorf("subscribing to %s: got %+v", tt.uri, m.Error)
		}
		listen := params{"notifications": params{"resourceSubscriptions": []string{tt.uri}}}
		if m := b.ask("", "subscriptions/listen", listen); m.Error == nil || m.Error.Code != tt.modern {
			t.Errorf("listening to %s: got %+v", tt.uri, m.Error)
		}
	}
	for method, p := range map[string]params{
		"resources/list":      {"cursor": "bm90aGluZw=="},
		"prompts/get":         {"name": "delegate_task"},
		"completion/complete": {"ref": params{"type": "ref/prompt", "name": "none"}, "argument": params{"name": "x", "value": ""}},
	} {
		for _, s := range []string{session, ""} {
			if m := b.ask(s, method, p); m.Error == nil || m.Error.Code != -32602 {
				t.Errorf("%s: got %+v %s", method, m.Error, m.Result)
			}
		}
	}
	b.up.SetFaults(emulatortest.Fault{Status: 500})
	if m := b.ask("", "resources/list", nil); m.Error == nil || m.Error.Code != -32603 {
		t.Errorf("with the service down, the list is %s, %+v", m.Result, m.Error)
	}
}

// What is switched off for tools is switched off for resources and prompts.
func TestResourceRails(t *testing.T) {
	b := newBridged(t, emulatortest.Options{})
	count := func(method, key string, header ...string) int {
		t.Helper()
		m := b.ask("", method, nil, header...)
		var result map[string]json.RawMessage
		var list []json.RawMessage
		if err := json.Unmarshal(m.Result, &result); err != nil {
			t.Fatalf("%s: %v, %+v", method, err, m.Error)
		}
		if err := json.Unmarshal(result[key], &list); err != nil {
			t.Fatalf("%s: %v", method, err)
		}
		return len(list)
	}
	for _, tt := range []struct {
		header                        []string
		templates, resources, prompts int
	}{
		{nil, 5, 12, 4},
		{[]string{"X-MCP-Toolsets", "files"}, 1, 2, 0},
		{[]string{"X-MCP-Toolsets", "chat,runs"}, 2, 2, 2},
		{[]string{"X-MCP-Readonly", "1"}, 5, 12, 1},
		{[]string{"X-MCP-Exclude-Instances", "*"}, 5, 9, 4},
	} {
		got := []int{count("resources/templates/list", "resourceTemplates", tt.header...),
			count("resources/list", "resources", tt.header...), count("prompts/list", "prompts", tt.header...)}
		if want := []int{tt.templates, tt.resources, tt.prompts}; !slices.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", tt.header, got, want)
		}
	}
	m := b.ask("", "resources/read", params{"uri": "openclaw://instances/" + b.up.instance + "/files/workspace"}, "X-MCP-Toolsets", "chat")
	if m.Error == nil || m.Error.Data.Reason != "forbidden" {
		t.Errorf("got %+v", m)
	}
}

// Prompts name tools that exist, in a text that is complete.
func TestPromptsNameTools(t *testing.T) {
	var names []string
	for _, tool := range tools.All() {
		names = append(names, tool.Name)
	}
	for _, p := range prompts.All() {
		for _, tool := range p.Tools {
			if !slices.Contains(names, tool) {
				t.Errorf("prompt %s uses %s, which does not exist", p.Name, tool)
			}
		}
	}
}

// A tool's result links to a resource that can be read; clients of before
// 2025-06-18, which refuse such results, get none.
func TestResultsLinkToResources(t *testing.T) {
	b := newBridged(t, emulatortest.Options{})
	type content struct{ Type, URI, MimeType string }
	links := func(m updated) (uris []string) {
		var r struct{ Content []content }
		if err := json.Unmarshal(m.Result, &r); err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Content {
			if c.Type == "resource_link" {
				uris = append(uris, c.URI)
			}
		}
		return uris
	}
	for _, call := range []params{
		{"name": "create_chat_session", "arguments": params{"title": "t"}},
		{"name": "send_chat_message", "arguments": params{"message": "say hi"}},
	} {
		uris := links(b.ask("", "tools/call", call))
		if len(uris) != 1 {
			t.Fatalf("%v: %v", call, uris)
		}
		if m := b.ask("", "resources/read", params{"uri": uris[0]}); m.Error != nil {
			t.Errorf("%s: %+v", uris[0], m.Error)
		}
	}
	old := initializeParams()
	old["protocolVersion"] = "2025-03-26"
	res := b.request(t.Context(), "POST", "2025-03-26", encodeRequest(t, legacy, "1", "initialize", old))
	_ = res.Body.Close()
	session := res.Header.Get("Mcp-Session-Id")
	if uris := links(b.ask(session, "tools/call", params{"name": "create_chat_session", "arguments": params{}})); len(uris) > 0 {
		t.Errorf("an old client got %v", uris)
	}
}

// Closing the connection of the last subscriber ends the following upstream.
func TestDisconnectEndsFollowing(t *testing.T) {
	b := newBridged(t, emulatortest.Options{})
	c, err := client.New(nil, b.up.url, b.up.key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	session, err := c.Chat.CreateSession(t.Context(), b.up.instance, "")
	if err != nil {
		t.Fatal(err)
	}
	uri := "openclaw://instances/" + b.up.instance + "/sessions/" + session.ID + "/messages"
	body := encodeRequest(t, modern, "9", "subscriptions/listen", params{"notifications": params{"resourceSubscriptions": []string{uri}}})
	ctx, hangUp := context.WithTimeout(t.Context(), time.Hour)
	defer hangUp()
	res := b.request(ctx, "POST", modern, body, "Mcp-Method", "subscriptions/listen")
	eventually(t, "the session is followed", func() bool { return b.up.OpenStreams() == 1 })
	hangUp()
	_ = res.Body.Close()
	eventually(t, "nothing is followed", func() bool { return b.up.OpenStreams() == 0 })
}
