package chat

import (
	"encoding/binary"
	"hash/fnv"
	"html"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"openclaw-mcp/client"
)

// added tells which messages of a history are new: those from start on. The
// rows are the history's, turned round where the new ones came before the old.
func added(was before, now []client.Message) (rows []client.Message, start int, anchored bool) {
	if !was.seen {
		return now, 0, false
	}
	reversed := slices.Clone(now)
	slices.Reverse(reversed)
	known := [][]uint64{was.rows}
	if len(was.rows) > 2 { // perhaps nothing told then that the newest came first
		turned := slices.Clone(was.rows)
		slices.Reverse(turned)
		known = append(known, turned)
	}
	most := -1 // old rows that stand in one place together: the more, the surer is the place
	for i, old := range known {
		// The ids that told the rows apart when they were few may do so no more.
		for _, name := range []func([]client.Message) []uint64{identities, plainIdentities} {
			for k, list := range [][]client.Message{now, reversed} {
				place, n, ok := behind(old, was.part, name(list))
				asItCame := i == 0 && k == 0
				if ok && n > most && (asItCame || n >= min(len(old), 2)) { // one row alone has no order
					rows, start, most = list, place, n
				}
			}
		}
	}
	if most >= 0 {
		return rows, start, true
	}
	// Some of what was there has changed since. What has not tells the place.
	for _, name := range []func([]client.Message) []uint64{identities, plainIdentities} {
		ids := name(now)
		for _, id := range slices.Backward(was.rows) {
			if once(ids, id) {
				return now, slices.Index(ids, id) + 1, true
			}
		}
	}
	return now, 0, false
}

func once(ids []uint64, id uint64) bool {
	first := slices.Index(ids, id)
	return first >= 0 && !slices.Contains(ids[first+1:], id)
}

// behind finds the place behind the messages that were there before, n of which stand
// before it; part says that there may be older ones.
func behind(was []uint64, part bool, now []uint64) (start, n int, ok bool) {
	if !part && len(was) <= len(now) && slices.Equal(now[:len(was)], was) {
		return len(was), len(was), true
	}
	longest := len(now)
	if !part {
		longest = min(len(was), longest) // there is nothing older than what was there
	}
	for start := longest; start > 0; start-- {
		n := min(start, len(was))
		if n > 0 && slices.Equal(now[start-n:start], was[len(was)-n:]) && (n >= min(len(was), 3) || once(now, now[start-1])) {
			return start, n, true
		}
	}
	return 0, 0, len(was) == 0
}

// identities are what tells the messages of a list apart. Some services have one id
// for all.
func identities(rows []client.Message) []uint64 {
	ids := plainIdentities(rows)
	seen := make(map[uint64]bool, len(ids))
	for i, id := range ids {
		if seen[id] && rows[i].ID != "" {
			for i, row := range rows {
				row.ID = ""
				ids[i] = identity(row)
			}
			break
		}
		seen[id] = true
	}
	return ids
}

func plainIdentities(rows []client.Message) []uint64 {
	ids, places := make([]uint64, len(rows)), namesPlaces(rows)
	for i, row := range rows {
		if places {
			row.ID = ""
		}
		ids[i] = identity(row)
	}
	return ids
}

// namesPlaces reports whether the ids of a list are places in it, counted from the newest
// message: the next list has them for other messages.
func namesPlaces(rows []client.Message) bool {
	n := len(rows)
	if n < 2 {
		return false
	}
	last, err := strconv.Atoi(rows[n-1].ID)
	for i, row := range rows {
		if err != nil || last > 1 || row.ID != strconv.Itoa(last+n-1-i) {
			return false
		}
	}
	return true
}

// identity tells a message from the others of its session, as far as the service
// lets it, and never is 0.
func identity(m client.Message) uint64 {
	if m.ID != "" {
		return hashText("id\x00"+string(m.Role)+"\x00"+m.ID) | 1
	}
	var at [8]byte
	if !m.CreatedAt.IsZero() {
		binary.BigEndian.PutUint64(at[:], uint64(m.CreatedAt.UnixNano()))
	}
	return hashText(string(m.Role)+"\x00"+string(at[:])+m.Text) | 1
}

func hashText(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// hashMessage recognises a message again in the form that a service stores.
func hashMessage(s string) uint64 { return hashText(essence(s)) }

// essence is what stays of a message however it is escaped and laid out.
func essence(s string) string {
	s = unescape(s)
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

func unescape(s string) string {
	for range 2 { // some escape twice
		s = html.UnescapeString(s)
	}
	return s
}
