package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"
)

// What one message may hold. Only a tool's arguments are read as they are; all else
// becomes Go values, which take up to fifty times the room.
const (
	maxEnvelope = 64 << 10 // bytes of a message without its arguments
	maxValues   = 100_000  // JSON values in a message
)

// What all messages under way may take together, in bytes.
const (
	// copies is how often a message is in memory while it is served: as it came, as the
	// arguments that it has, and as the request that is made of them.
	copies    = 3
	valueCost = 128               // of a JSON value, once it is a Go value
	freeCost  = copies * 16 << 10 // of a message that always finds room
)

// valueCount is an upper bound for the number of JSON values in what was added, without
// reading it properly.
type valueCount struct {
	n        int
	inString bool
	escaped  bool
}

func (c *valueCount) add(raw []byte) {
	for i := 0; i < len(raw); i++ {
		switch {
		case c.escaped:
			c.escaped = false
		case c.inString:
			next := bytes.IndexAny(raw[i:], `"\`)
			if next < 0 {
				return
			}
			i += next
			c.escaped = raw[i] == '\\'
			c.inString = c.escaped
		default:
			switch raw[i] {
			case ',', '[', '{':
				c.n++
			case '"':
				c.inString = true
			}
		}
	}
}

// tooMany reports whether a message of these values is not read.
func (c *valueCount) tooMany() bool { return c.n >= maxValues }

func countValues(raw []byte) int {
	var c valueCount
	c.add(raw)
	return c.n + 1
}

var errTooManyValues = invalidRequest(fmt.Sprintf("the message has more than %d JSON values", maxValues))

// checkValues refuses a message of very many values before it is read.
func checkValues(raw []byte) *codedError {
	if countValues(raw) > maxValues {
		return errTooManyValues
	}
	return nil
}

// checkEnvelope bounds all but a tool's arguments.
func (m *message) checkEnvelope(size int) *codedError {
	arguments := find(m.params, "arguments")
	if size-len(arguments) <= maxEnvelope {
		return nil
	}
	text := fmt.Sprintf("the message has %d bytes besides the tool's arguments; at most %d are allowed", size-len(arguments), maxEnvelope)
	if meta := find(m.params, "_meta"); len(meta) > maxEnvelope/2 {
		text = fmt.Sprintf("params._meta has %d bytes; it and all else but the tool's arguments may have %d together", len(meta), maxEnvelope)
	}
	if m.Method == "" {
		return invalidRequest(text)
	}
	return &codedError{code: mcp.INVALID_PARAMS, text: text}
}

// room bounds what the messages under way take in this process: as they came in, as Go
// values, and as what is sent on of them. Small ones always find room.
type room struct {
	free   int // of each message
	limit  int // of all callers, beyond that
	mine   int // of one caller
	mu     sync.Mutex
	used   int
	byName map[string]int
}

// newRoom has room for the largest message of one caller beside a small part of others.
func newRoom(maxMessage int) *room {
	mine := copies*maxMessage + valueCost*maxValues
	return &room{free: freeCost, limit: mine + copies*maxMessage/4, mine: mine, byName: make(map[string]int)}
}

// What the headers of all requests under way may take together, in bytes: a stream has them while
// it lasts.
const (
	freeHeader = 4 << 10 // of each request
	allHeaders = 32 << 20
	lineCost   = 96 // of a line, beside its text
)

func newHeaderRoom() *room {
	return &room{free: freeHeader, limit: allHeaders, mine: allHeaders / 4 * 3, byName: make(map[string]int)}
}

// headerCost is what headers take.
func headerCost(h http.Header) (n int) {
	for name, lines := range h {
		for _, line := range lines {
			n += lineCost + len(name) + len(line)
		}
	}
	return n
}

// load is what one message takes.
type load struct {
	room   *room
	caller string
	cost   int
	taken  int // of room
}

// errBusy is for a message that finds no room now.
var errBusy = &codedError{code: codeTooMany, text: "this server has no memory left for more work: wait a moment, then send this again; nothing was done"}

func (r *room) of(caller string) *load { return &load{room: r, caller: caller} }

// addBytes is add for n bytes of the message as it came.
func (l *load) addBytes(n int) bool { return l.add(copies * n) }

// add notes that the message takes more, and reports whether there is room for that.
func (l *load) add(n int) bool {
	l.cost += n
	more := l.cost - l.room.free - l.taken
	if more <= 0 {
		return true
	}
	r := l.room
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used+more > r.limit || r.byName[l.caller]+more > r.mine {
		return false
	}
	l.taken += more
	r.used += more
	r.byName[l.caller] += more
	return true
}

// addValues is add for the values in a message. One with more than are allowed is
// refused before they become Go values.
func (l *load) addValues(raw []byte) bool {
	return l.add(valueCost * min(countValues(raw), maxValues))
}

// release gives the room back, when the message has been served.
func (l *load) release() {
	if l.taken == 0 {
		return
	}
	r := l.room
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used -= l.taken
	if r.byName[l.caller] -= l.taken; r.byName[l.caller] == 0 {
		delete(r.byName, l.caller)
	}
	l.taken = 0
}

// read reads a message of at most size bytes. There is room for all that is made for it:
// it grows with what came, and not by what was announced. Of a message with too many values,
// the rest is read and dropped.
func (l *load) read(from io.Reader, size int) ([]byte, error) {
	var raw []byte
	var values valueCount
	for {
		if len(raw) == cap(raw) {
			// Fourfold, since doubling would leave as much behind as there is in the end;
			// and one byte more than there may be, to find the end.
			more := min(max(4<<10, 3*len(raw)), size+1-len(raw))
			if !l.addBytes(more) {
				return nil, errBusy
			}
			raw = append(make([]byte, 0, len(raw)+more), raw...)
		}
		n, err := from.Read(raw[len(raw):cap(raw)])
		values.add(raw[len(raw) : len(raw)+n])
		raw = raw[:len(raw)+n]
		switch {
		case values.tooMany():
			raw = nil
			l.release()
			if _, err := io.Copy(io.Discard, from); err != nil {
				return nil, err
			}
			return nil, errTooManyValues
		case errors.Is(err, io.EOF):
			if !l.add(valueCost * values.n) {
				return nil, errBusy
			}
			return raw, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
