package client

import (
	"bytes"
	"iter"

	"github.com/go-json-experiment/json/jsontext"

	"openclaw-mcp/internal/text"
)

// plainEscapes writes the ASCII characters of JSON strings in the shortest way, so that a key that the service repeats is found, whichever of its characters are escaped.
func plainEscapes(raw []byte) []byte {
	if !bytes.Contains(raw, []byte(`\u00`)) && !bytes.Contains(raw, []byte(`\/`)) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' || i+1 == len(raw) {
			out = append(out, raw[i])
			continue
		}
		switch c := escapedByte(raw[i:]); {
		case raw[i+1] == '/':
			out = append(out, '/')
			i++
		case c == '"', c == '\\':
			out = append(out, '\\', c)
			i += len(`u0000`)
		case c >= ' ' && c < 0x7f:
			out = append(out, c)
			i += len(`u0000`)
		default: // both bytes, so that the second of them begins no escape
			out = append(out, raw[i], raw[i+1])
			i++
		}
	}
	return out
}

// escapedByte is the byte that b begins with as \u00XX; 0 for none.
func escapedByte(b []byte) byte {
	if len(b) < len(`\u0000`) || string(b[:4]) != `\u00` {
		return 0
	}
	n := byte(0)
	for _, c := range b[4:6] {
		switch {
		case c >= '0' && c <= '9':
			n = n<<4 | (c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			n = n<<4 | (c | 0x20 - 'a' + 10)
		default:
			return 0
		}
	}
	return n
}

// maskBroken masks the key where control sequences stand in it, as grep puts them around what it
// found: whoever makes the text plain would make the key whole. It takes JSON, or a text.
func (c *core) maskBroken(raw []byte) []byte {
	if len(c.masked()) == 0 || !mayBeBroken(raw) {
		return raw
	}
	if !isJSON(raw) {
		if s, found := c.maskPlain(string(raw)); found {
			return []byte(s)
		}
		return raw
	}
	var out []byte
	copied := 0
	for i := 0; i < len(raw); i++ {
		if raw[i] != '"' {
			continue
		}
		end := i + 1
		for ; end < len(raw) && raw[end] != '"'; end++ {
			if raw[end] == '\\' {
				end++
			}
		}
		end = min(end+1, len(raw))
		if literal := raw[i:end]; mayBeBroken(literal) {
			s, err := jsontext.AppendUnquote(nil, literal)
			if plain, found := c.maskPlain(string(s)); err == nil && found {
				out, _ = jsontext.AppendQuote(append(out, raw[copied:i]...), plain) // invalid UTF-8 was replaced
				copied = end
			}
		}
		i = end - 1
	}
	return append(out, raw[copied:]...)
}

// mayBeBroken reports whether there may be control characters in JSON, or in a text.
func mayBeBroken(b []byte) bool {
	for i, ch := range b {
		rest := b[i+1:]
		switch {
		case ch < ' ' && ch != '\n' && ch != '\t', ch == 0x7f:
			return true
		case ch == 0xc2 && len(rest) > 0 && rest[0] < 0xa0:
			return true
		case ch == '\\' && len(rest) > 0 && (bytes.IndexByte([]byte("bfr"), rest[0]) >= 0 || bytes.HasPrefix(rest, []byte("u00"))):
			return true
		}
	}
	return false
}

// maskPlain gives a text made plain and masked where it has the key then.
func (c *core) maskPlain(s string) (string, bool) {
	plain := text.Plain(s)
	return c.secret.Hide(plain), c.secret.In(plain)
}

// maskedEvents masks the key in a reply that comes in pieces: an agent that repeats it
// writes it over several events.
func (c *core) maskedEvents(events iter.Seq2[Event, error]) iter.Seq2[Event, error] {
	if len(c.masked()) == 0 {
		return events
	}
	return func(yield func(Event, error) bool) {
		m := text.Masked{Secret: c.secret}
		for ev, err := range events {
			switch {
			case err != nil, ev.Kind == EventFinal, ev.Kind == EventError, ev.Kind == EventToolStart, ev.Kind == EventAccepted:
				if rest := m.Rest(); rest != "" && !yield(Event{Kind: EventText, Text: rest}, nil) {
					return
				}
				ev.Text, ev.Unsure = m.Hide(ev.Text), m.Hide(ev.Unsure)
			case ev.Kind == EventText:
				if ev.Replace {
					m = text.Masked{Secret: m.Secret}
				}
				ev.Text = m.Next(ev.Text)
			}
			if !yield(ev, err) {
				return
			}
		}
		if rest := m.Rest(); rest != "" {
			yield(Event{Kind: EventText, Text: rest}, nil)
		}
	}
}
