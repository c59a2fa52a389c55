package emulator

import (
	"io"
	"strings"
	"sync"
)

// capture keeps the first bytes of an output, up to a limit. It grows by
// chunks: an output of hundreds of megabytes is never copied as a whole.
type capture struct {
	mu        sync.Mutex
	chunks    [][]byte
	size      int64
	limit     int64
	truncated bool
	frozen    bool
}

const captureChunk = 64 << 10

// Write never fails and never blocks: what is beyond the limit is dropped, so
// that the command can go on.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	if c.frozen {
		return n, nil
	}
	if room := c.limit - c.size; int64(len(p)) > room {
		p, c.truncated = p[:room], true
	}
	for len(p) > 0 {
		last := len(c.chunks) - 1
		if last < 0 || len(c.chunks[last]) == cap(c.chunks[last]) {
			size := captureChunk
			if last < 0 {
				size = 4 << 10 // most commands print little
			}
			c.chunks = append(c.chunks, make([]byte, 0, size))
			last++
		}
		k := min(len(p), cap(c.chunks[last])-len(c.chunks[last]))
		c.chunks[last] = append(c.chunks[last], p[:k]...)
		c.size += int64(k)
		p = p[k:]
	}
	return n, nil
}

// freeze ends the keeping; the chunks may be read from then on.
func (c *capture) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

// WriteTo writes what was kept, after freeze.
func (c *capture) WriteTo(w io.Writer) (n int64, err error) {
	for _, chunk := range c.chunks {
		k, err := w.Write(chunk)
		n += int64(k)
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// String gives what was kept, after freeze.
func (c *capture) String() string {
	var b strings.Builder
	b.Grow(int(c.size))
	c.WriteTo(&b)
	return b.String()
}
