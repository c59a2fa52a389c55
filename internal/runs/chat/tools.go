package chat

import (
	"encoding/json"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/text"
)

const (
	maxTools = 1000 // tool uses kept of one reply
	maxValue = 4096 // bytes kept of a tool's arguments and of its result
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
	})
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
