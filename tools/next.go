package tools

import (
	"bytes"
	"encoding/json"
)

// arg is an argument of a call that a result suggests.
type arg struct {
	name  string
	value any
}

// callArgs are the arguments that all calls suggested by one result have in common.
type callArgs []arg

// call writes a tool call that a model can make as it stands. Empty strings are
// left out.
func (a callArgs) call(tool string, more ...arg) string {
	b := []byte(tool + " {")
	first := true
	for _, x := range append(a[:len(a):len(a)], more...) {
		if s, ok := x.value.(string); ok && s == "" {
			continue
		}
		var v bytes.Buffer
		enc := json.NewEncoder(&v)
		enc.SetEscapeHTML(false) // a pattern such as "> $" is to be read, too
		if enc.Encode(x.value) != nil {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, x.name...)
		b = append(b, `":`...)
		b = append(b, bytes.TrimSpace(v.Bytes())...)
	}
	return string(append(b, '}'))
}
