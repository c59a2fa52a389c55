package client

import "strings"

// numbering follows the numbers of a stream's events. What stands between two that follow each
// other was lost on the way, if they count one by one.
type numbering struct {
	run    string // whose events are counted
	last   float64
	counts bool // a number was one more than the one before
	gap    bool // a number was more than that
}

func (c *numbering) take(run string, seq float64) {
	if run != c.run {
		*c = numbering{run: run, counts: c.counts, gap: c.gap}
	}
	if c.last > 0 && seq > c.last {
		c.counts, c.gap = c.counts || seq == c.last+1, c.gap || seq > c.last+1
	}
	c.last = max(c.last, seq)
}

// count notes the number of an event: of the gateway's events each run has its own, by kind.
func (n *normaliser) count(o object, c *numbering) {
	if seq, ok := o.number("seq"); ok {
		c.take(nameOf(o).run, seq)
	}
}

// lost reports whether pieces of the text may be missing, as far as no text since has had all
// before it.
func (n *normaliser) lost(final string) bool {
	for _, c := range []numbering{n.chats, n.agents, n.others} {
		if c.counts && c.gap && strings.TrimSpace(final) == "" && len(n.text.buf) > 0 {
			return true
		}
	}
	return false
}

// isWhole notes that a text has all that was lost before it.
func (n *normaliser) isWhole() { n.chats.gap, n.agents.gap, n.others.gap = false, false, false }
