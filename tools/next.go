package tools

import "encoding/json"

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
		v, err := json.Marshal(x.value)
		if err != nil {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, x.name...)
		b = append(b, `":`...)
		b = append(b, v...)
	}
	return string(append(b, '}'))
}
