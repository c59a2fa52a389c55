package client

import (
	"bytes"
	"hash/maphash"
	"slices"
)

// sentBefore recognises events that are sent a second time, as a service does that
// has lost its own connection behind the stream: by the number that they carry, or
// by their id as SSE has it. It looks back over the last maxBefore of them.
type sentBefore struct {
	seed   maphash.Seed
	events []uint64          // hashes of events that seem to be numbered, the oldest at next
	next   int               // where the next one goes
	ids    map[string]uint64 // hashes of the events by their ids
	vague  bool              // ids do not tell events apart
}

const maxBefore = 64

// again reports whether an event came before, and notes it.
func (s *sentBefore) again(f frame) bool {
	if f.cut || f.id == "" && !bytes.Contains(f.data, []byte(`"seq"`)) {
		return false
	}
	if s.ids == nil {
		s.seed, s.ids = maphash.MakeSeed(), map[string]uint64{}
	}
	hash := maphash.Bytes(s.seed, f.data)
	if f.id != "" && !s.vague {
		before, known := s.ids[f.id]
		switch {
		case known && before != hash:
			s.vague = true
		case known:
			return len(s.ids) > 1 // else all may have the one id
		}
		if len(s.ids) >= maxBefore {
			clear(s.ids)
		}
		s.ids[f.id] = hash
	}
	if slices.Contains(s.events, hash) {
		o, _ := asObject(f.data)
		return isNumbered(o)
	}
	if len(s.events) < maxBefore {
		s.events = append(s.events, hash)
		return false
	}
	s.events[s.next] = hash
	s.next = (s.next + 1) % maxBefore
	return false
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
