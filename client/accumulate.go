package client

import (
	"slices"
	"strings"
)

// Accumulator turns the events of one chat stream into the reply that they
// make up. The zero value is ready; it is not safe for concurrent use.
type Accumulator struct {
	text  strings.Builder
	reply Reply // without its text
	open  []bool
	byID  map[string]int
	final bool
	err   *Error
}

// Add takes the next event.
func (a *Accumulator) Add(ev Event) {
	// Later ids win: the last message of a reply is the one that names it.
	for _, id := range []struct {
		found string
		dst   *string
	}{
		{ev.SessionID, &a.reply.SessionID},
		{ev.MessageID, &a.reply.MessageID},
		{ev.RunID, &a.reply.RunID},
	} {
		if id.found != "" {
			*id.dst = id.found
		}
	}
	switch ev.Kind {
	case EventText:
		if ev.Replace {
			a.text.Reset()
		}
		a.text.WriteString(ev.Text)
	case EventFinal:
		a.final = true
		a.reply.Silent = ev.Silent
		if ev.Note != "" {
			a.reply.Notes = append(a.reply.Notes, ev.Note)
		}
		if ev.Text != "" && ev.Text != a.text.String() {
			a.text.Reset()
			a.text.WriteString(ev.Text)
		}
	case EventError:
		a.err = ev.Err
		if a.err == nil {
			a.err = &Error{Outcome: OutcomeUnknown}
		}
	case EventGoesOn:
		a.err, a.final = nil, false
	case EventToolStart, EventToolUpdate, EventToolEnd:
		a.tool(ev)
	}
}

// tool merges an event into the call that it is about: the one with its id,
// else the oldest open one that fits.
func (a *Accumulator) tool(ev Event) {
	c := ev.Tool
	i := -1
	if at, ok := a.byID[c.ID]; ok && c.ID != "" {
		i = at
	} else if ev.Kind != EventToolStart {
		for j, have := range a.reply.ToolCalls {
			sameID := have.ID == "" || c.ID == ""
			sameName := have.Name == c.Name || have.Name == "" || c.Name == ""
			if a.open[j] && sameID && sameName {
				i = j
				break
			}
		}
	}
	if i < 0 {
		i = len(a.reply.ToolCalls)
		a.reply.ToolCalls = append(a.reply.ToolCalls, ToolCall{})
		a.open = append(a.open, true)
	}
	t := &a.reply.ToolCalls[i]
	if t.ID == "" && c.ID != "" {
		t.ID = c.ID
		if a.byID == nil {
			a.byID = map[string]int{}
		}
		a.byID[c.ID] = i
	}
	setIfEmpty(&t.Name, c.Name)
	if c.Arguments != nil {
		t.Arguments = c.Arguments
	}
	if ev.Kind == EventToolEnd {
		t.Result, t.IsError, a.open[i] = c.Result, c.IsError, false
	}
}

// Text gives the reply's text so far.
func (a *Accumulator) Text() string { return a.text.String() }

// Reply gives what is known of the reply so far.
func (a *Accumulator) Reply() Reply {
	r := a.reply
	r.Text = a.text.String()
	r.ToolCalls = slices.Clone(r.ToolCalls)
	r.Notes = slices.Clone(r.Notes)
	return r
}

// Done reports whether the stream came to its end: the reply is complete, or
// the agent failed (see Err). A stream that stops before may lack its tail.
func (a *Accumulator) Done() bool { return a.final || a.err != nil }

// Err gives the agent's failure, or nil.
func (a *Accumulator) Err() *Error { return a.err }
