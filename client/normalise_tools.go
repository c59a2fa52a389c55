package client

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"openclaw-mcp/internal/text"

	"github.com/go-json-experiment/json/jsontext"
)

// toolTracker remembers the tool calls of a stream: they too come twice, or in
// pieces.
type toolTracker struct {
	calls   map[string]*trackedCall // by id, or by content where there is no id
	size    int                     // of the ids and names in calls and items, in bytes
	partial map[string]*partialArgs // by index: calls whose arguments come in pieces
	order   []string                // the keys of partial
	came    bool                    // there was one
	running int                     // calls without an end, as far as no text came since
	printed string                  // the last result, without the space around it; "" where that is long
	items   map[string]string       // call ids by the id of their output item
	held    eventHold               // for partial
	known   eventHold               // for calls and items
}

// release gives back the memory that is held, of which nothing is used any more.
func (t *toolTracker) release() {
	t.held.release()
	t.known.release()
}

// remember has room for so many bytes more of ids and names. Where there is none, or an agent
// goes on and on, all of them are forgotten: what comes twice is shown twice.
func (t *toolTracker) remember(n int) {
	if len(t.calls) >= maxCalls || len(t.items) >= maxCalls || t.size+n > maxTracked || t.known.hold(t.size+n) != nil {
		clear(t.calls)
		clear(t.items)
		t.size = 0
		t.known.release()
	}
	t.size += n
}

// What is remembered of the tool calls of one stream.
const (
	maxCalls   = 5000
	maxTracked = 512 << 10 // bytes of their ids and names
	maxPartial = 64        // calls whose arguments come in pieces
	maxArgs    = 4 << 20   // bytes of these together, if there is memory for them; arguments that are cut are not shown
)

type trackedCall struct {
	name  string
	args  bool // the arguments were shown
	ended bool
}

type partialArgs struct {
	id, name string
	args     []byte
	cut      bool // they were too long
}

func itoa(i int) string { return strconv.Itoa(i) }

// begin notes a call and tells whether it is new.
func (t *toolTracker) begin(c ToolCall) (*trackedCall, bool) {
	if t.calls == nil {
		t.calls = map[string]*trackedCall{}
	}
	k := t.calls[c.ID]
	if k != nil && c.ID != "" {
		setIfEmpty(&k.name, c.Name)
		return k, false
	}
	k = &trackedCall{name: strings.Clone(text.Clip(c.Name, maxName))}
	t.remember(len(c.ID) + len(k.name))
	t.calls[c.ID] = k
	return k, true
}

// startCall shows a call, or what is new of one that was shown.
func (n *normaliser) startCall(c ToolCall) {
	n.tools.came = true
	if emptyArgs(c.Arguments) && c.ID != "" {
		c.Arguments = nil // the arguments may be still to come
	}
	k, isNew := n.tools.begin(c)
	switch {
	case isNew:
		k.args = c.Arguments != nil
		n.tools.running++
		n.put(Event{Kind: EventToolStart, Tool: c})
	case c.Arguments != nil && !k.args && !k.ended:
		k.args = true
		setIfEmpty(&c.Name, k.name)
		n.put(Event{Kind: EventToolUpdate, Tool: c})
	default:
		n.put(Event{Kind: EventHeartbeat})
	}
}

// endCall shows a call's result.
func (n *normaliser) endCall(c ToolCall) {
	n.tools.came = true
	if c.ID != "" {
		k, _ := n.tools.begin(c)
		setIfEmpty(&c.Name, k.name)
		if k.ended {
			n.put(Event{Kind: EventHeartbeat})
			return
		}
		k.ended = true
	}
	n.tools.running = max(0, n.tools.running-1)
	if n.tools.printed = ""; len(c.Result) <= maxPrinted {
		n.tools.printed = strings.TrimSpace(c.Result)
	}
	n.text.boundary()
	n.put(Event{Kind: EventToolEnd, Tool: c})
}

func emptyArgs(raw []byte) bool {
	s := string(bytes.TrimSpace(raw))
	return s == "" || s == "{}" || s == `""` || s == "null"
}

// toolEvent takes an event about one tool call, as the generic families and
// the gateway's agent events send it.
func (n *normaliser) toolEvent(kind string, o object) {
	if inner, ok := o.object("data", "tool", "tool_call", "toolCall"); ok && o.text("name", "toolName", "tool_name") == "" {
		if inner.id("id") == "" {
			setRaw(inner, "id", o.first("toolCallId", "tool_call_id", "id"))
		}
		for _, k := range []string{"phase", "status", "state", "result", "output", "error"} {
			setRaw(inner, k, o[k])
		}
		o = inner
	}
	c := decodeToolCall(o)
	setIfEmpty(&c.ID, o.id("tool_use_id", "toolUseId", "callId"))
	setIfEmpty(&c.Name, o.text("tool", "function"))
	if c.Arguments == nil {
		c.Arguments = bytes.Clone(o.first("params", "parameters"))
	}
	phase := canonical(o.text("phase", "status", "state"))
	result := o.first("result", "output")
	isResult := strings.HasSuffix(kind, "result") || strings.HasSuffix(kind, "output") ||
		slices.ContainsFunc([]string{"_end", ".end", "_done", "_complete", "_completed", "_error"}, func(s string) bool { return strings.HasSuffix(kind, s) })
	if result == nil && isResult {
		result = o.first("content", "text", "message")
	}
	c.Result = resultText(result)
	c.IsError = c.IsError || hasError(o) || phase == "error" || phase == "failed" || strings.HasSuffix(kind, "_error")
	if c.Result == "" && c.IsError {
		c.Result = failure(o).Message
	}
	partial := o.first("partialResult", "partial_result", "partial")
	switch {
	case phase == "update" || phase == "progress" || strings.HasSuffix(kind, "update") || strings.HasSuffix(kind, "progress") || partial != nil && result == nil:
		if partial != nil {
			c.Result = resultText(partial)
		}
		n.startKnown(&c)
		n.put(Event{Kind: EventToolUpdate, Tool: c})
	case result != nil || isResult || c.IsError || slices.Contains([]string{"result", "end", "done", "completed", "complete", "success"}, phase):
		n.endCall(c)
	default:
		n.text.boundary()
		n.startCall(c)
	}
}

// startKnown fills in a call's name from its start.
func (n *normaliser) startKnown(c *ToolCall) {
	if k := n.tools.calls[c.ID]; k != nil && c.ID != "" {
		setIfEmpty(&c.Name, k.name)
	}
}

func setRaw(o object, key string, v jsontext.Value) {
	if v != nil && o[key] == nil {
		o[key] = v
	}
}

// resultText gives a tool's result as text: JSON that is no known form of one
// is shown as it is.
func resultText(raw jsontext.Value) string {
	if raw == nil {
		return ""
	}
	s := contentText(raw)
	if s != "" || kindOf(raw) == '"' {
		return s
	}
	if o, ok := asObject(raw); ok {
		if s = contentText(o.first("content", "text", "output", "stdout")); s != "" {
			return s
		}
	}
	compact, err := jsontext.AppendFormat(nil, raw, tolerant, jsontext.PreserveRawStrings(true))
	if err != nil {
		return ""
	}
	return string(compact)
}

// messageTools takes the calls that a whole message makes.
func (n *normaliser) messageTools(m object) {
	n.attach(m)
	for i, c := range decodeToolCalls(m) {
		if c.ID == "" {
			// The message may be repeated: its place and content stand for the
			// id, which stays empty for the caller.
			key := strings.Join([]string{"\x00", m.id("id"), itoa(i), c.Name, string(c.Arguments)}, "\x00")
			if _, isNew := n.tools.begin(ToolCall{ID: shortID(key), Name: c.Name}); !isNew {
				continue
			}
		}
		n.startCall(c)
	}
}

// toolResults takes the results that stand as blocks in a user's message, the
// form of Claude's stream.
func (n *normaliser) toolResults(m object) {
	blocks, _ := asArray(m["content"])
	found := false
	for _, raw := range blocks {
		b, ok := asObject(raw)
		if !ok || b.text("type") != "tool_result" {
			continue
		}
		found = true
		n.endCall(ToolCall{ID: b.id("tool_use_id"), Result: resultText(b["content"]), IsError: b.flag("is_error")})
	}
	if !found {
		n.put(Event{Kind: EventUnknown})
	}
}

// toolMessage takes a whole message of a tool's role.
func (n *normaliser) toolMessage(m object) {
	n.endCall(ToolCall{
		ID:      m.id("toolCallId", "tool_call_id", "tool_use_id"),
		Name:    m.text("toolName", "tool_name", "name"),
		Result:  messageText(m),
		IsError: m.flag("isError", "is_error"),
	})
}

// partialCall takes a piece of a call of OpenAI's chunks.
func (n *normaliser) partialCall(call object) {
	f, ok := call.object("function")
	if !ok {
		f = call
	}
	index := call.id("index")
	if name := f.text("name"); name != "" {
		n.text.boundary()
		n.startPartial(index, object{"id": call["id"], "name": f["name"]})
	}
	if args := f.text("arguments"); args != "" {
		n.addPartial(index, args)
	}
	n.put(Event{Kind: EventHeartbeat})
}

func (n *normaliser) startPartial(index string, b object) {
	t := &n.tools
	if t.partial == nil {
		t.partial = map[string]*partialArgs{}
	}
	if t.partial[index] != nil {
		n.stopPartial(index)
	}
	if len(t.order) >= maxPartial {
		n.stopPartial(t.order[0])
	}
	p := &partialArgs{id: b.id("id"), name: text.Clip(b.text("name"), maxName)}
	t.partial[index] = p
	t.order = append(t.order, index)
	c := ToolCall{ID: p.id, Name: p.name}
	if args := b["input"]; !emptyArgs(args) {
		c.Arguments = bytes.Clone(args)
	}
	n.startCall(c)
}

func (n *normaliser) addPartial(index, s string) {
	t := &n.tools
	p := t.partial[index]
	if p == nil {
		return
	}
	size := len(s)
	for _, p := range t.partial {
		size += len(p.args)
	}
	if p.cut = p.cut || size > maxArgs || t.held.hold(size) != nil; p.cut {
		p.args = nil
		return
	}
	p.args = append(p.args, s...)
}

// stopPartial shows the arguments of a call once all of them are there.
func (n *normaliser) stopPartial(index string) {
	t := &n.tools
	p := t.partial[index]
	delete(t.partial, index)
	t.order = slices.DeleteFunc(t.order, func(s string) bool { return s == index })
	if len(t.order) == 0 {
		t.held.release()
	}
	if p == nil || p.id == "" || !isJSON(p.args) {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	n.startCall(ToolCall{ID: p.id, Name: p.name, Arguments: p.args})
}

func (n *normaliser) flushPartial() {
	for len(n.tools.order) > 0 {
		n.stopPartial(n.tools.order[0])
	}
}

// itemCall takes a call as an output item of the Responses API, started or complete.
func (n *normaliser) itemCall(item object) {
	c := decodeToolCall(item)
	if id := item.id("id"); id != "" {
		if n.tools.items == nil {
			n.tools.items = map[string]string{}
		}
		n.tools.remember(len(id) + len(c.ID))
		n.tools.items[id] = c.ID
	}
	n.text.boundary()
	if c.Result != "" {
		n.endCall(c)
		return
	}
	n.startCall(c)
}

// itemArguments takes the arguments of a call that began as an output item.
func (n *normaliser) itemArguments(item string, raw jsontext.Value) {
	id := n.tools.items[item]
	args := []byte(asStringOr(raw))
	if id == "" || !isJSON(args) {
		n.put(Event{Kind: EventHeartbeat})
		return
	}
	n.startCall(ToolCall{ID: id, Arguments: args})
}
