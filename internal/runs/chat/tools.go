package chat

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/text"
)

const (
	maxTools = 1000      // tool uses kept of one reply
	maxValue = 4096      // bytes kept of a tool's arguments and of its result
	maxUsed  = 256 << 10 // bytes kept of all of them
	oldArgs  = 150       // bytes that older ones keep of their arguments then
	oldText  = 20        // and of their result
)

// tool merges a tool event into the run's list and tells those who watch.
func (r *reply) tool(ev client.Event) {
	r.Change(func() {
		i := len(r.used) - 1
		for ; i >= 0; i-- {
			if t := r.used[i]; t.ID == ev.Tool.ID && (t.ID != "" ||
				ev.Kind != client.EventToolStart && t.Name == ev.Tool.Name && t.Result == "") {
				break
			}
		}
		isNew := i < 0
		if isNew {
			if len(r.used) == maxTools {
				r.used = append(r.used[:0], r.used[1:]...)
			}
			r.used = append(r.used, client.ToolCall{ID: ev.Tool.ID})
			i = len(r.used) - 1
		}
		t := &r.used[i]
		if t.Name == "" {
			t.Name = ev.Tool.Name
		}
		if isNew {
			r.AddLine(strings.TrimSpace("tool: " + t.Name + " " + summarise(ev.Tool.Arguments)))
		}
		if t.Arguments == nil && ev.Tool.Arguments != nil {
			t.Arguments = []byte(text.Head(string(ev.Tool.Arguments), maxValue))
		}
		if ev.Tool.Result != "" {
			t.Result = strings.Clone(text.Head(ev.Tool.Result, maxValue))
		}
		t.IsError = t.IsError || ev.Tool.IsError
		if ev.Kind == client.EventToolEnd && t.IsError {
			r.AddLine("tool: " + t.Name + " failed: " + runs.Clip(t.Result))
		}
		r.fitTools()
	})
}

// fitTools cuts what is kept of the tools to its bound: first the oldest arguments and results
// short, then the oldest tools off.
func (r *reply) fitTools() {
	n := 0
	for _, t := range r.used {
		n += sizeOf(t)
	}
	for i := 0; i < len(r.used) && n > maxUsed; i++ {
		t := &r.used[i]
		n -= sizeOf(*t)
		if len(t.Arguments) > oldArgs {
			t.Arguments = bytes.Clone(text.Head(t.Arguments, oldArgs))
		}
		if len(t.Result) > oldText {
			t.Result = strings.Clone(text.Head(t.Result, oldText))
		}
		n += sizeOf(*t)
	}
	gone := 0
	for ; n > maxUsed; gone++ {
		n -= sizeOf(r.used[gone])
	}
	r.used = slices.Delete(r.used, 0, gone)
}

func sizeOf(t client.ToolCall) int {
	return len(t.ID) + len(t.Name) + len(t.Arguments) + len(t.Result)
}

// summarise renders a tool's arguments for a person: the one that says what it
// does where there is such a one, else all of them.
func summarise(args []byte) string {
	var m map[string]any
	if json.Unmarshal(args, &m) == nil {
		for _, key := range []string{"command", "cmd", "path", "file_path", "file", "url", "query", "pattern"} {
			if s, ok := m[key].(string); ok {
				return runs.Clip(s)
			}
		}
		if len(m) == 0 {
			return ""
		}
	}
	return runs.Clip(string(args))
}
