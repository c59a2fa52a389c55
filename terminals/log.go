package terminals

import (
	"bytes"
	"unicode/utf8"
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
	over := len(l.buf) - maxLog
	if over < maxLog {
		return
	}
	// At a line end if there is one near, else between two characters.
	if i := bytes.IndexByte(l.buf[over:min(over+8<<10, len(l.buf))], '\n'); i >= 0 {
		over += i + 1
	}
	for over < len(l.buf) && !utf8.RuneStart(l.buf[over]) {
		over++
	}
	l.start += int64(over)
	l.buf = append(make([]byte, 0, 2*maxLog), l.buf[over:]...)
	l.whole = max(l.whole, l.start)
}

// since gives the output from an offset on, limit bytes of it at most (0: all),
// where to read on, and how much of it is no longer there.
func (l *outputLog) since(from int64, limit int) (text string, next, dropped int64) {
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
		cut := limit
		if i := bytes.LastIndexByte(p[:cut], '\n'); i >= 0 {
			cut = i + 1
		} else {
			for cut > 0 && !utf8.RuneStart(p[cut]) {
				cut--
			}
		}
		p = p[:cut]
	}
	return string(p), from + int64(len(p)), dropped
}

func (l *outputLog) end() int64 { return l.whole }
