package tools

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/jsonschema-go/jsonschema"

	"openclaw-mcp/internal/text"
)

// argumentError is a bad argument; its text names the argument and says what is
// allowed. next is the call to make where correcting it takes one.
type argumentError struct{ text, next string }

func (e *argumentError) Error() string { return e.text }

func badArgument(format string, a ...any) error {
	return &argumentError{text: fmt.Sprintf(format, a...)}
}

// geminiOrder is an argument that Gemini CLI (0.61) adds to every tool's schema, to
// order its calls, and then sends along to the server. A tool that does not have it
// ignores it.
const geminiOrder = "wait_for_previous"

// argumentChecker checks arguments against a schema, one by one, so that every
// mistake is named at once.
type argumentChecker struct {
	schema *jsonschema.Schema
	names  []string
	fields []argumentField // of the tool's In
	props  map[string]Prop
}

// maxShort is how many bytes a text may have that is not what is sent, written or run, but
// says where or how: it goes into scripts, patterns and errors.
const maxShort = 64 << 10

// What an error says of a call's arguments at most.
const (
	maxNamed = 80 // bytes of a name
	maxWrong = 20 // arguments
)

// argumentField is where in its In a tool has an argument.
type argumentField struct {
	name  string
	index []int
}

// newArgumentChecker makes the checker of the schema that was derived from in.
func newArgumentChecker(s *jsonschema.Schema, props map[string]Prop, in reflect.Type) *argumentChecker {
	c := &argumentChecker{schema: s, props: props, names: slices.Sorted(maps.Keys(s.Properties))}
	for _, f := range reflect.VisibleFields(in) {
		if !f.Anonymous {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			c.fields = append(c.fields, argumentField{name, f.Index})
		}
	}
	return c
}

// fits reports whether a decoded value is one that a schema allows. It knows what
// describeSchema says in words, which is what an argument's type and its Prop can
// bring about: a library for all of JSON Schema took longer than the rest of a
// small call, and a third of the program's start.
func fits(s *jsonschema.Schema, value any) bool {
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, value) {
		return false
	}
	switch v := value.(type) {
	case bool:
		return s.Type == "boolean"
	case string:
		return s.Type == "string" && (s.MinLength == nil || utf8.RuneCountInString(v) >= *s.MinLength) &&
			(s.MaxLength == nil || utf8.RuneCountInString(v) <= *s.MaxLength)
	case float64:
		return (s.Type == "number" || s.Type == "integer" && v == math.Trunc(v)) &&
			(s.Minimum == nil || v >= *s.Minimum) && (s.Maximum == nil || v <= *s.Maximum)
	case []any:
		return s.Type == "array" && (s.MinItems == nil || len(v) >= *s.MinItems) && (s.MaxItems == nil || len(v) <= *s.MaxItems) &&
			!slices.ContainsFunc(v, func(item any) bool { return !fits(s.Items, item) })
	}
	return false
}

// argument is an argument as the caller wrote it, and decoded.
type argument struct {
	raw   json.RawMessage
	value any
}

// split reads the arguments of a call. Contents of files are among them, so each
// is decoded just once.
func split(raw json.RawMessage) (map[string]argument, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" || string(raw) == "{}" {
		return nil, nil
	}
	args := make(map[string]argument)
	// Half of an emoji that somebody cut, in an escape, reads as U+FFFD.
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowInvalidUTF8(true))
	if d.PeekKind() != '{' {
		return nil, badArgument("the arguments must be a JSON object")
	}
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() != '}' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err != nil {
			break
		}
		key := name.String()
		var value jsontext.Value
		if value, err = d.ReadValue(); err != nil {
			break
		}
		end := d.InputOffset() // value itself lasts only until the next read
		a := argument{raw: raw[end-int64(len(value)) : end]}
		if a.raw[0] == '"' {
			text, _ := jsontext.AppendUnquote(nil, a.raw) // an error is such an emoji
			a.value = string(text)
		} else if json.Unmarshal(a.raw, &a.value) != nil {
			return nil, tooLarge(key, a)
		}
		args[key] = a
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	if err == nil {
		if _, more := d.ReadToken(); !errors.Is(more, io.EOF) {
			return nil, badArgument("the arguments must be a JSON object, and nothing after it")
		}
	}
	if syntax := (*jsontext.SyntacticError)(nil); errors.As(err, &syntax) && errors.Is(err, jsontext.ErrDuplicateName) {
		return nil, badArgument("argument %q is given twice", text.Clip(strings.TrimPrefix(string(syntax.JSONPointer), "/"), maxNamed))
	}
	if err != nil {
		return nil, badArgument("the arguments must be a JSON object: %v", err)
	}
	return args, nil
}

// decode checks raw, and stores the arguments and the defaults of those that are
// not given in in, a pointer to the tool's In.
func (c *argumentChecker) decode(raw json.RawMessage, in any) error {
	args, err := split(raw)
	if err != nil {
		return err
	}
	var wrong, names []string
	if len(args) > 0 {
		names = slices.Sorted(maps.Keys(args))
	}
	for _, name := range names {
		if len(wrong) == maxWrong {
			wrong = append(wrong, "and there may be more")
			break
		}
		s, ok := c.schema.Properties[name]
		if !ok && name == geminiOrder {
			delete(args, name)
			continue
		}
		if !ok {
			wrong = append(wrong, fmt.Sprintf("unknown argument %q; %s", text.Clip(name, maxNamed), c.allowedNames()))
			continue
		}
		if args[name].value == nil && !slices.Contains(c.schema.Required, name) {
			delete(args, name) // clients send null for what is not given
			continue
		}
		if n := len(args[name].raw); n > maxShort && !c.props[name].Long {
			wrong = append(wrong, fmt.Sprintf("argument %q has %d bytes; it may have %d", name, n, maxShort))
			continue
		}
		args[name] = lenient(s, args[name])
		if !fits(s, args[name].value) {
			wrong = append(wrong, fmt.Sprintf("argument %q must be %s; got %s", name, describeSchema(s), text.Line(string(args[name].raw[:min(len(args[name].raw), 400)]), 80)))
		}
	}
	for _, name := range c.schema.Required {
		if _, ok := args[name]; !ok {
			wrong = append(wrong, fmt.Sprintf("argument %q is missing; it must be %s", name, describeSchema(c.schema.Properties[name])))
		}
	}
	if len(wrong) > 0 {
		return badArgument("%s", strings.Join(wrong, "\n"))
	}
	for _, f := range c.fields {
		field := reflect.ValueOf(in).Elem().FieldByIndex(f.index)
		a, given := args[f.name]
		if !given {
			a.raw = c.schema.Properties[f.name].Default
		}
		if text, ok := a.value.(string); ok && field.Kind() == reflect.String {
			field.SetString(text)
		} else if a.raw != nil {
			if json.Unmarshal(a.raw, field.Addr().Interface()) != nil {
				return tooLarge(f.name, a)
			}
		}
	}
	return nil
}

// tooLarge is about an argument that fits its schema and can't be stored: only numbers have
// bounds that no schema says.
func tooLarge(name string, a argument) error {
	return badArgument("argument %q has a number that is too large: %s", name, text.Line(string(a.raw), 80))
}

// maxWritten is how much text is read as the number, boolean or list that it may be. A
// list of empty lists takes twenty times its length as Go values.
const maxWritten = 64 << 10

// lenient gives an argument in the form that its schema wants, where there is no doubt
// what was meant: 5.0 for an integer, and a number, a boolean or a list as JSON text.
// Models and clients send these.
func lenient(s *jsonschema.Schema, a argument) argument {
	if written, ok := a.value.(string); ok && s.Type != "string" && len(s.Enum) == 0 && len(written) <= maxWritten {
		meant := argument{raw: json.RawMessage(strings.TrimSpace(written))}
		if json.Unmarshal(meant.raw, &meant.value) != nil {
			return a
		}
		if _, again := meant.value.(string); again || !fits(s, meant.value) {
			return a
		}
		a = meant
	}
	whole := func(s *jsonschema.Schema, value any) bool {
		f, ok := value.(float64)
		return ok && s.Type == "integer" && f == math.Trunc(f) && math.Abs(f) < 1<<53
	}
	list, isList := a.value.([]any)
	switch {
	case whole(s, a.value):
		a.raw = strconv.AppendInt(nil, int64(a.value.(float64)), 10)
	case isList && s.Type == "array" && s.Items != nil && s.Items.Type == "integer":
		raw := []byte{'['}
		for i, item := range list {
			if !whole(s.Items, item) {
				return a
			}
			if i > 0 {
				raw = append(raw, ',')
			}
			raw = strconv.AppendInt(raw, int64(item.(float64)), 10)
		}
		a.raw = append(raw, ']')
	}
	return a
}

func (c *argumentChecker) allowedNames() string {
	if len(c.names) == 0 {
		return "this tool takes no arguments"
	}
	return "allowed are: " + strings.Join(c.names, ", ")
}
