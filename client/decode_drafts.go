package client

import "strings"

// Some services store a reply while it is being written, in a row of its own each time, and
// leave the rows there.

// DraftMark is what a message says of being written still.
type DraftMark int

// What a message may say of that.
const (
	NotDraft   DraftMark = iota
	MaybeDraft           // it says so, but a service may forget to change that
	IsDraft              // it is a draft by name, or stands where a text is going to be
)

func draftOf(o object) DraftMark {
	beside, _ := o.object("metadata", "meta")
	mark := NotDraft
	for _, o := range []object{o, beside} {
		switch word := canonical(o.text("status", "state")); {
		case word == "draft", word == "partial", o.flag("draft", "isDraft", "is_draft", "partial", "isPartial", "is_partial"):
			return IsDraft
		case isUnfinished(o):
			mark = MaybeDraft
		}
	}
	return mark
}

// withoutDrafts drops what stands right before its later form, in a history from the oldest
// message on.
func withoutDrafts(list []Message) []Message {
	kept := list[:0] // in place: a list may have a hundred thousand messages
	for i, m := range list {
		if i+1 < len(list) && m.isDraftOf(list[i+1]) {
			continue
		}
		kept = append(kept, m)
	}
	clear(list[len(kept):])
	return kept
}

// isDraftOf reports whether the message behind this one is a later form of it. A tool that runs
// between parts them.
func (m Message) isDraftOf(next Message) bool {
	if m.Role != RoleAssistant || next.Role != RoleAssistant || len(m.ToolCalls) > 0 || m.Failure != "" || m.Unasked != next.Unasked {
		return false
	}
	if m.ID != "" && next.ReplyTo == m.ID || differ(m.Turn, next.Turn) || differ(m.ReplyTo, next.ReplyTo) {
		return false
	}
	begin, text := strings.TrimSpace(m.Text), strings.TrimSpace(next.Text)
	grows := len(text) > len(begin) && strings.HasPrefix(text, begin)
	same := m.ID != "" && m.ID == next.ID || m.ReplyTo != "" && m.ReplyTo == next.ReplyTo
	switch {
	case m.Draft == IsDraft && next.Draft != IsDraft:
		return text != ""
	case m.Draft != NotDraft && next.Draft == NotDraft && same && text != "":
		return true
	case m.Draft != NotDraft:
		return grows
	}
	return grows && !m.Ended && weight(begin) >= 10
}

func differ(a, b string) bool { return a != "" && b != "" && a != b }
