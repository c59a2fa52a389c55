package client

import "strings"

// Some events are named like the agent's text, and are not: they bring the output of its tools,
// the words of its sub-agents, or a remark for the person who waits. Their data says so.

// withoutAside gives the kind of an event whose name stands for text and whose data says that
// it is about a tool, or a remark.
func withoutAside(kind string, o object) string {
	if classOf(kind) != classText || isChat(o) {
		return kind
	}
	what, sort := canonical(o.text("type")), canonical(o.text("kind"))
	switch {
	case what == "status", what == "log", what == "progress", classOf(what) == classTool:
		return what
	case classOf(sort) == classTool:
		return sort
	}
	return kind
}

// isToolText reports whether a text says that it is what a tool printed, or a helper said.
func isToolText(kind string, o object) bool {
	class := classOf(kind)
	if class != classText && class != classUnknown {
		return false
	}
	inner, _ := o.object("data")
	switch {
	case namesTool(o.text("source")), namesTool(inner.text("source")):
		return true
	case class != classText, isChat(o), isAgent(o):
		return false
	case o.id("parent_tool_use_id", "parentToolUseId") != "":
		return true
	case roleOf(o) != "": // it tells who speaks
		return false
	}
	d, _ := o.object("delta")
	return namesTool(d.text("type")) || namesTool(o.text("channel")) || namesTool(o.text("stream")) || canonical(o.text("stream")) == "stderr" ||
		o.id("tool_call_id", "toolCallId", "tool_use_id", "toolUseId") != "" || o.text("tool") != ""
}

func namesTool(source string) bool {
	switch canonical(source) {
	case "tool", "tools", "tool_output", "tool_result", "toolresult", "tool_call", "tool_stdout", "tool_stderr":
		return true
	}
	return false
}

// maxPrinted bounds what is remembered of a tool's result.
const maxPrinted = 64 << 10

// isPrinted reports whether the only text of an end is what the last tool printed.
func (n *normaliser) isPrinted(o object) bool {
	s := strings.TrimSpace(blocksText(o.first("result", "output")))
	return s != "" && s == n.tools.printed && o.first("message", "assistant_message", "assistantMessage", "text", "content", "reply", "response", "answer") == nil
}

// finishPrinted takes such an end. It tells nothing new where the agent spoke behind the tool;
// else the tool's words may be all of its answer, and the history tells.
func (n *normaliser) finishPrinted() {
	if n.text.current().start < len(n.text.buf) {
		n.finish("")
		return
	}
	n.flush()
	n.status("the stream ended with what the tool printed")
	n.stopped = true
}
