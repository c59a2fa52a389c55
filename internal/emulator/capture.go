package emulator

import (
	"bytes"
	"sync"
)

// capture keeps the first bytes of an output, up to a limit.
type capture struct {
	mu        sync.Mutex
	buf       bytes.Buffer
	limit     int64
	truncated bool
	frozen    bool
}

// Write never fails and never blocks: what is beyond the limit is dropped, so
// that the command can go on.
func (c *capture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(p)
	if c.frozen {
		return n, nil
	}
	if room := c.limit - int64(c.buf.Len()); int64(n) > room {
		p, c.truncated = p[:room], true
	}
	c.buf.Write(p)
	return n, nil
}

// size is how many bytes are kept so far.
func (c *capture) size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.buf.Len()
}

// freeze ends the keeping. What was kept may be read from then on.
func (c *capture) freeze() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.frozen = true
}

// String gives what was kept. It must come after freeze.
func (c *capture) String() string { return c.buf.String() }
