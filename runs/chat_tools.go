package runs

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"openclaw-mcp/client"
)

// tool merges a tool event into the run's list and tells those who watch.
func (l *live) tool(ev client.Event) {
	l.change(func() {
		l.lastActivity = time.Now()
		i := len(l.tools) - 1
		for ; i >= 0; i-- {
			if t := l.tools[i]; t.ID == ev.Tool.ID && (t.ID != "" ||
				ev.Kind != client.EventToolStart && t.Name == ev.Tool.Name && t.Result == "") {
				break
			}
		}
		isNew := i < 0
		if isNew {
			if len(l.tools) == maxTools {
				l.tools = append(l.tools[:0], l.tools[1:]...)
			}
			l.tools = append(l.tools, client.ToolCall{ID: ev.Tool.ID})
			i = len(l.tools) - 1
		}
		t := &l.tools[i]
		if t.Name == "" {
			t.Name = ev.Tool.Name
		}
		if isNew {
			l.addLine(strings.TrimSpace("tool: " + t.Name + " " + summarise(ev.Tool.Arguments)))
		}
		if t.Arguments == nil && ev.Tool.Arguments != nil {
			t.Arguments = []byte(cutText(string(ev.Tool.Arguments), maxValue))
		}
		if ev.Tool.Result != "" {
			t.Result = cutText(ev.Tool.Result, maxValue)
		}
		t.IsError = t.IsError || ev.Tool.IsError
		if ev.Kind == client.EventToolEnd && t.IsError {
			l.addLine("tool: " + t.Name + " failed: " + clip(t.Result))
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
				return clip(s)
			}
		}
		if len(m) == 0 {
			return ""
		}
	}
	return clip(string(args))
}

// clip makes a text fit on a line.
func clip(s string) string {
	const limit = 160
	s = strings.Join(strings.Fields(cutText(s, 64*limit)), " ")
	if len(s) <= limit {
		return s
	}
	return cutText(s, limit) + "…"
}

// cutText gives a copy of at most n bytes that splits no character.
func cutText(s string, n int) string {
	b := []byte(s[:min(len(s), n+utf8.UTFMax)])
	return string(b[:runeCut(b, n)])
}
