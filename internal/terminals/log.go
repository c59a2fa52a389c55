package terminals

import (
	"bytes"

	"openclaw-mcp/internal/text"
)

// maxLog is how much of the newest output is kept at least; twice as much at most.
const maxLog = 512 << 10

// outputLog is the newest output, by offsets that count from the terminal's
// first byte. Reading starts and ends between two control sequences, so that
// nobody gets half of one.
type outputLog struct {
	buf   []byte
	start int64 // offset of buf[0]
	whole int64 // offset up to which there is no half sequence
}

func (l *outputLog) add(p string, between bool) {
	l.buf = append(l.buf, p...)
	if between {
		l.whole = l.start + int64(len(l.buf))
	}
	if over := len(l.buf) - maxLog; over >= maxLog {
		l.cut(over)
	}
}

// cut forgets the first bytes.
func (l *outputLog) cut(over int) {
	if over <= 0 {
		return
	}
	// At a line end if there is one near, else between two characters.
	if i := bytes.IndexByte(l.buf[over:min(over+8<<10, len(l.buf))], '\n'); i >= 0 {
		over += i + 1
	}
	kept := text.Tail(l.buf, len(l.buf)-over)
	l.start += int64(len(l.buf) - len(kept))
	l.buf = append(make([]byte, 0, 2*len(kept)), kept...)
	l.whole = max(l.whole, l.start)
}

// since gives the output from an offset on, limit bytes of it at most (0: all),
// where to read on, and how much of it is no longer there.
func (l *outputLog) since(from int64, limit int) (out string, next, dropped int64) {
	from = max(from, 0)
	if from < l.start {
		dropped = l.start - from
		from = l.start
	}
	if from >= l.whole {
		return "", max(from, l.whole), dropped
	}
	p := l.buf[from-l.start : l.whole-l.start]
	if limit > 0 && len(p) > limit {
		if i := bytes.LastIndexByte(p[:limit], '\n'); i >= 0 {
			p = p[:i+1]
		} else {
			p = text.Head(p, limit)
		}
	}
	return string(p), from + int64(len(p)), dropped
}

// begin makes an empty log begin at an offset.
func (l *outputLog) begin(at int64) { l.start, l.whole = at, at }

func (l *outputLog) end() int64 { return l.whole }
