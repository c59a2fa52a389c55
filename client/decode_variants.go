package client

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// stored is a message of a history with what tells its variants apart.
type stored struct {
	Message
	variant
}

// variant is what a message says of its own state, and of its other variants.
type variant struct {
	session string // as OpenClaw's gateway names it
	end     endMark
	version float64 // 0 when the service does not say
	instead string  // the id of the message whose place it takes
}

// endMark is what a message says of its end.
type endMark int

const (
	endUnsaid endMark = iota
	endOpen           // it has a place for it, which is empty
	endSet
)

// endKeys name when, or why, a message ended.
var endKeys = slices.Concat(stopKeys, []string{"completed_at", "completedAt", "finished_at", "finishedAt", "ended_at", "endedAt"})

func variantOf(raw jsontext.Value) (v variant) {
	o, _, _ := messageObjects(raw)
	for _, k := range endKeys {
		if value, ok := o[k]; ok && isNull(value) {
			v.end = max(v.end, endOpen)
		} else if ok {
			v.end = endSet
		}
	}
	v.session = o.id("sessionKey", "session_key")
	v.version, _ = o.number("version", "revision")
	v.instead = o.id("supersedes", "replaces", "supersedes_id", "supersedesId", "replaces_id", "replacesId", "edit_of", "editOf", "edited_from", "editedFrom")
	return v
}

// markOpen tells which messages are still being written where an empty place for the end says
// so. Some services never fill it.
func markOpen(list []stored) {
	ofAgent := func(m stored) bool { return m.Role == RoleAssistant }
	filled := slices.ContainsFunc(list, func(m stored) bool { return ofAgent(m) && m.end == endSet })
	for i := range list {
		switch m := &list[i]; {
		case !ofAgent(*m) || m.end != endOpen || m.Failure != "":
		case filled:
			m.Working, m.Ended = true, false
		default:
			m.Open = true
		}
	}
}

// withoutReplaced drops the messages in whose place others stand: those that others name, and
// the lower versions of one message.
func withoutReplaced(list []stored) []Message {
	type name struct {
		role Role
		id   string
	}
	replaced, newest := map[string]bool{}, map[name]float64{}
	for _, m := range list {
		if m.instead != "" && m.instead != m.ID {
			replaced[m.instead] = true
		}
		newest[name{m.Role, m.ID}] = max(newest[name{m.Role, m.ID}], m.version)
	}
	messages := make([]Message, 0, len(list))
	for _, m := range list {
		if m.ID == "" || !replaced[m.ID] && (m.version <= 0 || m.version == newest[name{m.Role, m.ID}]) {
			messages = append(messages, m.Message)
		}
	}
	return messages
}
