package client

import (
	"slices"
	"strings"
)

// isMirror recognises what OpenClaw's gateway writes into a history for a text that it has
// delivered, mostly as a second copy of it.
func isMirror(o object) bool { return o.text("model") == "delivery-mirror" }

// markMirrors tells which of these are no part of a reply: those that repeat what the agent
// says in the same turn, and those before its last word, which it had sent elsewhere. Where it
// answers with its tool for messages, such a copy is all there is of the reply.
func markMirrors(list []Message) {
	for start := 0; start < len(list); {
		end := start + 1
		for end < len(list) && list[end].Role != RoleUser {
			end++
		}
		markMirrorsOf(list[start:end])
		start = end
	}
}

func markMirrorsOf(turn []Message) {
	if !slices.ContainsFunc(turn, func(m Message) bool { return m.Mirror }) {
		return
	}
	said, last := map[string]bool{}, -1
	var all strings.Builder
	for i, m := range turn {
		if m.Role == RoleAssistant && !m.Mirror && !m.Unasked && strings.TrimSpace(m.Text) != "" && !IsSilent(m.Text) {
			text := squash(m.Text)
			said[text], last = true, i
			all.WriteString(text)
		}
	}
	said[all.String()] = last >= 0
	for i := range turn {
		if m := &turn[i]; m.Mirror && (i < last || said[squash(m.Text)]) {
			m.Unasked = true
		}
	}
}
