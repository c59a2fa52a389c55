package transport

import (
	"bytes"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"openclaw-mcp/internal/text"
)

// Whatever goes out to a client passes here, so that no text of a hostile instance
// reaches a terminal or a reader as anything but plain text, whatever tool, resource
// or error it is in. Progress passes [Call.Progress].

// outgoing is what becomes of texts on their way to a client.
type outgoing struct {
	secret   text.Secret // the caller's key, which is masked
	verbatim bool        // nothing else changes
}

// text gives a text as it goes out.
func (o outgoing) text(s string) string {
	plain := text.Outgoing(s)
	if o.verbatim && !o.secret.In(plain) {
		return s
	}
	return o.secret.Hide(plain)
}

// json makes all strings of an encoded message plain, from byte from on: what is
// before it is the client's own. A message in which nothing changes is given as it is.
func (o outgoing) json(msg []byte, from int) []byte {
	key := o.quotedSecret()
	changes := func(b []byte) bool { return suspect(b) || key != nil && bytes.Contains(b, key) }
	if !changes(msg[from:]) {
		return msg
	}
	var out []byte // nil as long as nothing was changed
	copied := 0
	for i := from; i < len(msg); i++ {
		if msg[i] != '"' {
			continue
		}
		end := stringEnd(msg, i)
		if literal := msg[i:end]; changes(literal) {
			s, err := jsontext.AppendUnquote(nil, literal)
			if plain := o.text(string(s)); err == nil && plain != string(s) {
				out = append(out, msg[copied:i]...)
				out, _ = jsontext.AppendQuote(out, plain) // invalid UTF-8 was replaced
				copied = end
			}
		}
		i = end - 1
	}
	if out == nil {
		return msg
	}
	return append(out, msg[copied:]...)
}

// quotedSecret is the secret as it stands in JSON, nil for none.
func (o outgoing) quotedSecret() []byte {
	if o.secret == nil {
		return nil
	}
	quoted, _ := jsontext.AppendQuote(nil, o.secret())
	return quoted[1 : len(quoted)-1]
}

// stringEnd gives where the JSON string ends that begins at i.
func stringEnd(msg []byte, i int) int {
	for i++; i < len(msg) && msg[i] != '"'; i++ {
		if msg[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(msg))
}

// suspect reports whether JSON may hold a character that is not plain: nearly all
// that goes out is ASCII, without any escape but that of a line end or a quote.
func suspect(b []byte) bool {
	for i, c := range b {
		if c >= utf8.RuneSelf || c == 0x7f {
			return true
		}
		if c == '\\' && i+1 < len(b) {
			switch b[i+1] {
			case 'u', 'b', 'f', 'r':
				return true
			}
		}
	}
	return false
}

// Verbatim has the result of the call go out as it is, but for the caller's key. It is for callers who asked
// for just that, and who know what they get.
func (c *Call) Verbatim() {
	if c != nil {
		c.verbatim.Store(true)
	}
}
