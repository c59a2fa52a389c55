package emulator

import (
	"encoding/json"
	"slices"
)

// conversation is what a model is told: the prompt, earlier turns, and the one
// that is answered.
type conversation struct {
	prompt  string
	earlier [][]chatMessage // each begins with the user's message
	now     []chatMessage
}

const (
	oldResult = 1 << 10 // bytes that are kept of a tool's result once it is old
	newest    = 4       // messages that stay whole in any case
)

func newConversation(prompt string, history []Message, message string) *conversation {
	c := &conversation{prompt: prompt}
	for _, m := range history {
		var add []chatMessage
		switch m.Role {
		case roleUser:
			c.earlier = append(c.earlier, []chatMessage{{Role: "user", Content: m.Text}})
			continue
		case roleTool:
			id := m.ToolCallID
			if !fitID(id) {
				id = "c" + newID()[:8]
			}
			args := "{}"
			if m.ToolArgs != nil {
				args = shortArguments(string(encode(m.ToolArgs)))
			}
			add = []chatMessage{
				{Role: "assistant", ToolCalls: []chatCall{{ID: id, Type: "function", Function: chatFunction{Name: m.ToolName, Arguments: args}}}},
				{Role: "tool", ToolCallID: id, Content: bothEnds(m.Text, oldResult)},
			}
		case roleAssistant:
			text := m.Text
			if m.Error != "" {
				text += "\n(This reply failed: " + m.Error + ")"
			}
			if text != "" {
				add = []chatMessage{{Role: "assistant", Content: text}}
			}
		}
		if n := len(c.earlier); n > 0 {
			c.earlier[n-1] = append(c.earlier[n-1], add...)
		}
	}
	c.now = []chatMessage{{Role: "user", Content: message}}
	return c
}

// add adds to the turn that is answered.
func (c *conversation) add(m chatMessage) { c.now = append(c.now, m) }

// size estimates what messages take in a request.
func size(messages []chatMessage) (n int) {
	for _, m := range messages {
		n += len(m.Content) + 64
		for _, call := range m.ToolCalls {
			n += len(call.Function.Arguments) + 128
		}
	}
	return n
}

// shortArguments shortens the long values among the arguments of a tool, such as
// what was written to a file; the rest tells what was done.
func shortArguments(text string) string {
	if len(text) <= oldResult {
		return text
	}
	var args map[string]any
	if json.Unmarshal([]byte(text), &args) == nil {
		for name, v := range args {
			if long, ok := v.(string); ok {
				args[name] = bothEnds(long, oldResult/4)
			}
		}
		text = string(encode(args))
	}
	if len(text) > 2*oldResult {
		return `{"note":"left out to save room"}`
	}
	return text
}

// fit gives the messages of a request within a budget: earlier turns are left
// out, oldest first, and then old results of tools and what was written to
// files are shortened. What the user asks now stays, whatever its size.
func (c *conversation) fit(budget int) []chatMessage {
	now := slices.Clone(c.now)
	left := budget - len(c.prompt) - size(now)
	for i := 1; i < len(now)-newest && left < 0; i++ {
		m := &now[i]
		before := size(now[i : i+1])
		m.Content = bothEnds(m.Content, oldResult)
		m.ToolCalls = slices.Clone(m.ToolCalls)
		for j := range m.ToolCalls {
			f := &m.ToolCalls[j].Function
			f.Arguments = shortArguments(f.Arguments)
		}
		left += before - size(now[i:i+1])
	}
	from := len(c.earlier)
	for from > 0 && size(c.earlier[from-1]) <= left {
		from--
		left -= size(c.earlier[from])
	}
	prompt := c.prompt
	if from > 0 {
		prompt += " The beginning of this conversation is left out here, to save room."
	}
	out := []chatMessage{{Role: "system", Content: prompt}}
	for _, turn := range c.earlier[from:] {
		out = append(out, turn...)
	}
	return append(out, now...)
}
