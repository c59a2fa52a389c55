package terminals

import "strings"

const (
	maxHistoryLines = 2000
	maxHistoryBytes = 512 << 10
)

// history is what has left the top of the main screen: the newest lines of it.
type history struct {
	lines   []string // from start on
	start   int
	bytes   int
	dropped int64 // lines that are no longer there
}

func (h *history) add(text string) {
	if len(h.lines)-h.start >= maxHistoryLines {
		h.drop()
	}
	h.bytes += len(text)
	for h.bytes > maxHistoryBytes && h.start < len(h.lines) {
		h.drop()
	}
	if h.start > maxHistoryLines {
		h.compact()
	}
	h.lines = append(h.lines, text)
}

func (h *history) compact() {
	h.lines = append(h.lines[:0:0], h.lines[h.start:]...)
	h.start = 0
}

// cut forgets the first lines, so that those that stay have no more than so many bytes.
func (h *history) cut(most int) {
	for h.start < len(h.lines) && h.bytes+h.len()*stringBytes > most {
		h.drop()
	}
	h.compact()
}

func (h *history) drop() {
	h.bytes -= len(h.lines[h.start])
	h.lines[h.start] = ""
	h.start++
	h.dropped++
}

func (h *history) clear() {
	h.dropped += int64(len(h.lines) - h.start)
	h.lines, h.start, h.bytes = nil, 0, 0
}

func (h *history) len() int { return len(h.lines) - h.start }

// total is the number of the line that comes next.
func (h *history) total() int64 { return h.dropped + int64(h.len()) }

// read gives lines from a number on, limit bytes of them at most; of a number
// below zero, the newest that fit.
func (h *history) read(from int64, limit int) (text string, first, next, dropped int64) {
	kept := h.lines[h.start:]
	if limit <= 0 {
		limit = maxHistoryBytes * 2
	}
	begin := int64(len(kept))
	if from < 0 {
		for size := 0; begin > 0; begin-- {
			if size += len(kept[begin-1]) + 1; size > limit+1 {
				break
			}
		}
	} else {
		begin = min(max(from-h.dropped, 0), begin)
		dropped = max(h.dropped-from, 0)
	}
	end := begin
	for size := 0; end < int64(len(kept)); end++ {
		if size += len(kept[end]) + 1; size > limit+1 {
			break
		}
	}
	return strings.Join(kept[begin:end], "\n"), h.dropped + begin, h.dropped + end, dropped
}
