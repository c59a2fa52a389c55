package tools

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// inputSchema derives a tool's input schema from its In type and the Spec's
// Props. Unknown keys are refused: a misspelt argument must not be ignored.
func inputSchema[In any](spec Spec) *jsonschema.Schema {
	s, err := jsonschema.For[In](nil)
	if err != nil {
		panic(fmt.Sprintf("tool %s: input schema: %v", spec.Name, err))
	}
	simplify(s)
	for name, p := range spec.Props {
		prop := s.Properties[name]
		if prop == nil {
			panic(fmt.Sprintf("tool %s: Props has %q, but there is no such argument", spec.Name, name))
		}
		prop.Minimum, prop.Maximum, prop.Enum = p.Min, p.Max, p.Enum
		if p.Default != nil {
			b, err := json.Marshal(p.Default)
			if err != nil {
				panic(err)
			}
			prop.Default = b
		}
		if p.MaxLength > 0 {
			prop.MaxLength = &p.MaxLength
		}
		if p.NotEmpty {
			one := 1
			prop.MinLength = &one
		}
		if p.MaxItems > 0 {
			one := 1
			prop.MinItems, prop.MaxItems = &one, &p.MaxItems
		}
	}
	return s
}

// outputSchema derives a tool's output schema, one level deep: it names what a
// result holds, and leaves what is inside of lists and objects to the result.
// Clients put every schema before their model, so each byte of it costs. It
// says nothing about keys that are not there yet, so that later versions can
// add some.
func outputSchema[Out any]() *jsonschema.Schema {
	s, err := jsonschema.For[Out](nil)
	if err != nil {
		panic(fmt.Sprintf("output schema of %T: %v", *new(Out), err))
	}
	simplify(s)
	s.AdditionalProperties = nil
	maps.DeleteFunc(s.Properties, func(name string, _ *jsonschema.Schema) bool {
		return !slices.Contains(s.Required, name) && !slices.Contains(reliedOn, name)
	})
	s.Required = nil
	for name, p := range s.Properties {
		short := &jsonschema.Schema{Type: p.Type}
		if p.Items != nil { // some clients refuse a list that does not say of what
			short.Items = &jsonschema.Schema{Type: p.Items.Type, Types: p.Items.Types}
		}
		s.Properties[name] = short
	}
	return s
}

// reliedOn are the optional keys of results that callers rely on. The others
// explain themselves where they appear.
var reliedOn = []string{
	"run", "status", "reply", "instance", "session", "cursor", "next",
	"more", "stdout", "stderr", "exit_code", "error", "sha256",
}

// simplify drops "or null" from lists, maps and pointers: this server takes and
// sends no null, and models copy what a schema offers.
func simplify(s *jsonschema.Schema) {
	if len(s.Types) == 2 {
		i := slices.IndexFunc(s.Types, func(t string) bool { return t != "null" })
		s.Type, s.Types = s.Types[i], nil
	}
	for _, p := range s.Properties {
		simplify(p)
	}
	if s.Items != nil {
		simplify(s.Items)
	}
}

// describeSchema says in words what an argument may be.
func describeSchema(s *jsonschema.Schema) string {
	if len(s.Enum) > 0 {
		words := make([]string, len(s.Enum))
		for i, e := range s.Enum {
			words[i] = fmt.Sprintf("%q", e)
		}
		return "one of " + strings.Join(words, ", ")
	}
	var b strings.Builder
	switch s.Type {
	case "array":
		b.WriteString("a list")
		if s.Items != nil {
			b.WriteString(" of " + s.Items.Type + "s")
		}
	case "integer":
		b.WriteString("an integer")
	case "string":
		b.WriteString("a ")
		if s.MinLength != nil && *s.MinLength > 0 {
			b.WriteString("non-empty ")
		}
		b.WriteString("string")
	case "boolean":
		b.WriteString("true or false")
	default:
		b.WriteString("a " + s.Type)
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		b.WriteString(" from " + number(*s.Minimum) + " to " + number(*s.Maximum))
	case s.Minimum != nil:
		b.WriteString(" of at least " + number(*s.Minimum))
	case s.Maximum != nil:
		b.WriteString(" of at most " + number(*s.Maximum))
	}
	if s.MaxLength != nil {
		fmt.Fprintf(&b, " of at most %d characters", *s.MaxLength)
	}
	if s.MaxItems != nil {
		fmt.Fprintf(&b, ", 1 to %d of them", *s.MaxItems)
	}
	return b.String()
}

// number renders a bound without an exponent: people read it.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func between(lo, hi float64) (p Prop) { return Prop{Min: &lo, Max: &hi} }

func atLeast(lo float64) Prop { return Prop{Min: &lo} }

func (p Prop) or(v any) Prop {
	p.Default = v
	return p
}

func oneOf(values ...any) Prop { return Prop{Enum: values} }

// notEmpty is for arguments where "" is surely a mistake.
func notEmpty() Prop { return Prop{NotEmpty: true} }
