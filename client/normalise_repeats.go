package client

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// sentBefore recognises events that are sent a second time, as a service does that
// has lost its own connection behind the stream: by the number that they carry, or
// by their id as SSE has it, as long as these tell events apart. It looks back over the
// last maxBefore of them.
type sentBefore struct {
	seed     maphash.Seed
	events   []uint64          // hashes of events that seem to be numbered, the oldest at next
	next     int               // where the next one goes
	ids      map[string]uint64 // hashes of the events by their ids
	sharedID bool              // several events had one id
	last     uint64            // hash of the last event
	seq      string            // its number
	shared   bool              // several events had one number
}

const maxBefore = 64

// again reports whether an event came before, and notes it.
func (s *sentBefore) again(f frame) bool {
	seq := seqOf(f.data)
	if f.cut || f.id == "" && seq == "" {
		return false
	}
	if s.ids == nil {
		s.seed, s.ids = maphash.MakeSeed(), map[string]uint64{}
	}
	hash := maphash.Bytes(s.seed, f.data)
	s.shared = s.shared || seq != "" && seq == s.seq && hash != s.last
	s.seq, s.last = seq, hash
	if f.id != "" && !s.sharedID {
		before, known := s.ids[f.id]
		switch {
		case known && before != hash:
			s.sharedID = true
		case known:
			return len(s.ids) > 1 && !isMessageID(f) // else all may have the one id
		}
		if len(s.ids) >= maxBefore {
			clear(s.ids)
		}
		s.ids[f.id] = hash
	}
	if slices.Contains(s.events, hash) {
		o, _ := asObject(f.data)
		gateway := isChat(o) || isAgent(o) // each of its events has a number of its own
		return isNumbered(o) && !s.shared && (gateway || len(s.events) > 1)
	}
	if len(s.events) < maxBefore {
		s.events = append(s.events, hash)
		return false
	}
	s.events[s.next] = hash
	s.next = (s.next + 1) % maxBefore
	return false
}

// seqOf gives what seems to be the number of an event, without reading all of it.
func seqOf(data []byte) string {
	_, rest, ok := bytes.Cut(data, []byte(`"seq":`))
	if !ok {
		return ""
	}
	rest = bytes.TrimLeft(rest, " ")
	n := 0
	for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
		n++
	}
	return string(rest[:n])
}

// isMessageID reports whether an event's id is that of the message that it is about.
func isMessageID(f frame) bool {
	o, _ := asObject(f.data)
	m, _ := o.object("message")
	return f.id == o.id(messageKeys...) || f.id == m.id("id")
}

// isNumbered reports whether an event, or what it wraps, has its place in a sequence.
func isNumbered(o object) bool {
	if _, ok := o.number("seq"); ok {
		return true
	}
	payload, _ := o.object("payload")
	_, ok := payload.number("seq")
	return ok
}
