package client

import "strings"

// OpenClaw's gateway keeps its history short: of a long text it gives the beginning and a
// mark, and in place of a large message, or of all of them, a remark.
const (
	shortenedMark   = "\n...(truncated)..."
	omittedMark     = "[chat.history omitted: "
	unavailableMark = "[chat.history unavailable: "

	// leastShortened is how long a text is at least that it shortens: shorter ones may well
	// quote the mark. It is 8,000 characters by default.
	leastShortened = 4000
)

// Beginning gives what a history has of a text that the service shortened, "" where it left
// the text out. It is the text itself where it is whole.
func Beginning(text string) (beginning string, shortened bool) {
	if strings.HasPrefix(text, omittedMark) && strings.HasSuffix(text, "]") && !strings.Contains(text, "\n") {
		return "", true
	}
	if beginning, ok := strings.CutSuffix(text, shortenedMark); ok && len(beginning) >= leastShortened {
		return strings.TrimRight(beginning, "\uFFFD"), true // it may have cut a character
	}
	return text, false
}

// takeShortened notes what the service left out of a message's text.
func (m *Message) takeShortened(o object) {
	if m.Role == RoleAssistant && strings.HasPrefix(m.Text, unavailableMark) {
		m.Role = RoleSystem // the gateway's word on the history as a whole
		return
	}
	if _, m.Shortened = Beginning(m.Text); !m.Shortened {
		beside, _ := o.object("__openclaw")
		m.Shortened = beside.flag("truncated")
	}
}

// takeToolResults reads the form in which Claude's messages have what tools gave: as the
// user's, of blocks with results alone.
func (m *Message) takeToolResults(o object) {
	blocks, _ := asArray(o["content"])
	if m.Role != RoleUser || len(blocks) == 0 {
		return
	}
	var texts []string
	for _, raw := range blocks {
		block, _ := asObject(raw)
		if kind := canonical(block.text("type")); kind != "tool_result" && kind != "toolresult" {
			return
		}
		setIfEmpty(&m.ToolCallID, block.id("tool_use_id", "toolUseId", "tool_call_id", "toolCallId"))
		m.IsError = m.IsError || block.flag("is_error", "isError")
		if text := contentText(block["content"]); text != "" {
			texts = append(texts, text)
		}
	}
	m.Role, m.Text = RoleTool, strings.Join(texts, "\n")
}
