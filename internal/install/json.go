package install

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/tailscale/hujson"
)

// format is a kind of configuration file. Its texts have no byte order mark.
// Edits change bytes where they must and nowhere else, and are checked: what
// they give must decode to the same configuration but for the entry.
type format interface {
	// decode gives the configuration as maps, slices and strings.
	decode(text []byte) (map[string]any, error)
	// put adds the entry, which must not be there yet.
	put(text []byte, container, name string, entry rendering) ([]byte, error)
	// replace puts another entry in the place of one.
	replace(text []byte, container, name string, entry rendering) ([]byte, error)
	// drop removes the entry.
	drop(text []byte, container, name string) ([]byte, error)
	// raw is the entry as it is written, to be put elsewhere.
	raw(text []byte, container, name string) (rendering, error)
}

// rendering is an entry: its members, or the very text it has elsewhere.
type rendering struct {
	members object
	text    string
}

// jsonFormat is JSON, with comments and trailing commas where the file has them.
type jsonFormat struct{}

func (jsonFormat) decode(text []byte) (map[string]any, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return map[string]any{}, nil
	}
	plain, err := hujson.Standardize(bytes.Clone(text))
	if err != nil {
		return nil, fmt.Errorf("it is not valid JSON, even with comments and trailing commas allowed (%s)", strings.TrimPrefix(err.Error(), "hujson: "))
	}
	dec := json.NewDecoder(bytes.NewReader(plain))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("it is not valid JSON (%w)", err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it must hold a JSON object, in braces")
	}
	return m, nil
}

// tree is a parsed text with the places of an entry in it.
type tree struct {
	text      []byte
	root      *place
	container *place // nil: there is none
	index     int    // of the entry in the container, -1: none
}

// place is an object in a text.
type place struct {
	*hujson.Object
	start, end int // of its braces and all between
}

func parseJSON(text []byte, container, name string) (*tree, error) {
	v, err := hujson.Parse(bytes.Clone(text))
	if err != nil {
		return nil, err
	}
	root, ok := v.Value.(*hujson.Object)
	if !ok {
		return nil, fmt.Errorf("it must hold a JSON object, in braces")
	}
	t := &tree{text: text, root: &place{root, v.StartOffset, v.EndOffset}, index: -1}
	at, err := only(root, container)
	if err != nil || at < 0 {
		return t, err
	}
	v = root.Members[at].Value
	inner, ok := v.Value.(*hujson.Object)
	if !ok {
		return nil, fmt.Errorf("its %q is not an object, in braces", container)
	}
	t.container = &place{inner, v.StartOffset, v.EndOffset}
	t.index, err = only(inner, name)
	return t, err
}

// only finds a name that an object may have once.
func only(o *hujson.Object, name string) (int, error) {
	at := -1
	for i, m := range o.Members {
		if m.Name.Value.(hujson.Literal).String() != name {
			continue
		}
		if at >= 0 {
			return -1, fmt.Errorf("it has %q twice in one object; remove one of them", name)
		}
		at = i
	}
	return at, nil
}

func (f jsonFormat) put(text []byte, container, name string, entry rendering) ([]byte, error) {
	nl := newline(text)
	if len(bytes.TrimSpace(text)) == 0 {
		fresh := "{" + nl + "  " + quote(container) + ": {" + nl + "    " + quote(name) + ": " + entry.json("    ", "  ", nl) + nl + "  }" + nl + "}" + nl
		return f.checked(text, []byte(fresh), container, name, entry)
	}
	t, err := parseJSON(text, container, name)
	if err != nil {
		return nil, err
	}
	if t.index >= 0 {
		return nil, fmt.Errorf("it already has %q", name)
	}
	unit := t.unit()
	var after []byte
	if t.container != nil {
		after = t.insert(t.container, func(indent, nl string) string {
			return quote(name) + ": " + entry.json(indent, unit, nl)
		})
	} else {
		after = t.insert(t.root, func(indent, nl string) string {
			if nl == "" {
				return quote(container) + ": {" + quote(name) + ": " + entry.json("", "", "") + "}"
			}
			return quote(container) + ": {" + nl + indent + unit + quote(name) + ": " + entry.json(indent+unit, unit, nl) + nl + indent + "}"
		})
	}
	return f.checked(text, after, container, name, entry)
}

// insert adds a member at the end of an object, in the object's own style.
func (t *tree) insert(o *place, member func(indent, nl string) string) []byte {
	inside := t.text[o.start+1 : o.end-1]
	nl := newline(t.text)
	if len(o.Members) == 0 {
		body, space := trimRight(inside)
		closing := t.indentAt(o.start)
		out := append(bytes.Clone(t.text[:o.start+1]), body...)
		out = append(out, nl+closing+t.unit()+member(closing+t.unit(), nl)...)
		out = append(out, space...)
		if !bytes.Contains(space, []byte("\n")) {
			out = append(out, nl+closing...)
		}
		return append(out, t.text[o.end-1:]...)
	}
	first, last := o.Members[0], o.Members[len(o.Members)-1]
	indent, before := "", " "
	if bytes.Contains(inside, []byte("\n")) {
		indent = t.indentAt(first.Name.StartOffset)
		before = nl + indent
	} else {
		nl = ""
	}
	end := last.Value.EndOffset
	trailing := last.Value.AfterExtra != nil // a comma is there already
	tail, comma := t.text[end:o.end-1], ","
	if trailing {
		comma = ""
	}
	body, space := trimRight(tail)
	out := append(bytes.Clone(t.text[:end]), comma...)
	out = append(out, body...)
	out = append(out, before+member(indent, nl)...)
	if trailing {
		out = append(out, ',')
	}
	out = append(out, space...)
	return append(out, t.text[o.end-1:]...)
}

func (f jsonFormat) replace(text []byte, container, name string, entry rendering) ([]byte, error) {
	t, err := parseJSON(text, container, name)
	if err != nil {
		return nil, err
	}
	if t.index < 0 {
		return nil, fmt.Errorf("it has no %q", name)
	}
	m := t.container.Members[t.index]
	nl, indent := newline(text), t.indentAt(m.Name.StartOffset)
	if !bytes.Contains(text[t.container.start:t.container.end], []byte("\n")) {
		nl = ""
	}
	after := append(bytes.Clone(text[:m.Value.StartOffset]), entry.json(indent, t.unit(), nl)...)
	after = append(after, text[m.Value.EndOffset:]...)
	return f.checked(text, after, container, name, entry)
}

func (f jsonFormat) raw(text []byte, container, name string) (rendering, error) {
	t, err := parseJSON(text, container, name)
	if err != nil {
		return rendering{}, err
	}
	if t.index < 0 {
		return rendering{}, fmt.Errorf("it has no %q", name)
	}
	v := t.container.Members[t.index].Value
	return rendering{text: string(text[v.StartOffset:v.EndOffset])}, nil
}

func (f jsonFormat) drop(text []byte, container, name string) ([]byte, error) {
	t, err := parseJSON(text, container, name)
	if err != nil {
		return nil, err
	}
	if t.index < 0 {
		return nil, fmt.Errorf("it has no %q", name)
	}
	members := t.container.Members
	m := members[t.index]
	start, end := m.Name.StartOffset, m.Value.EndOffset
	// A comment that ends with its line needs the line's end.
	if !bytes.Contains(m.Name.BeforeExtra, []byte("//")) || endsLine(text[end:]) {
		_, space := trimRight(text[:start])
		start -= len(space)
	}
	head := bytes.Clone(text[:start])
	rest := text[end:]
	switch afterComma := t.index < len(members)-1 || m.Value.AfterExtra != nil; {
	case afterComma: // its own comma goes, and what stands between stays
		gap := len(m.Value.AfterExtra)
		rest = append(bytes.Clone(rest[:gap]), rest[gap+1:]...)
	case t.index > 0: // the comma before it goes
		prev := members[t.index-1].Value
		at := prev.EndOffset + len(prev.AfterExtra)
		head = append(bytes.Clone(head[:at]), head[at+1:]...)
	}
	after := append(head, rest...)
	// What is empty now is written so, unless comments are in it.
	if open := t.container.start + 1; len(members) == 1 {
		shut := t.container.end - 1 - (len(text) - len(after)) // where its brace is now
		if len(bytes.TrimSpace(after[open:shut])) == 0 {
			after = append(bytes.Clone(after[:open]), after[shut:]...)
		}
	}
	want, err := f.decode(text)
	if err != nil {
		return nil, err
	}
	delete(want[container].(map[string]any), name)
	return f.same(after, want)
}

// endsLine tells whether nothing but a comma stands before the line's end.
func endsLine(rest []byte) bool {
	line, _, found := bytes.Cut(rest, []byte("\n"))
	return found && len(bytes.Trim(line, ", \t\r")) == 0
}

// checked refuses a result that changes anything but the entry.
func (f jsonFormat) checked(before, after []byte, container, name string, entry rendering) ([]byte, error) {
	want, err := f.decode(before)
	if err != nil {
		return nil, err
	}
	value := entry.members.value()
	if entry.text != "" {
		if value, err = f.decode([]byte(entry.text)); err != nil {
			return nil, err
		}
	}
	return f.same(after, with(want, container, name, value))
}

func (f jsonFormat) same(after []byte, want map[string]any) ([]byte, error) {
	got, err := f.decode(after)
	if err != nil || !reflect.DeepEqual(got, want) {
		return nil, fmt.Errorf("it is written in a way that this program can't edit safely; edit it by hand")
	}
	return after, nil
}

// with sets an entry in a decoded configuration.
func with(config map[string]any, container, name string, value any) map[string]any {
	servers, ok := config[container].(map[string]any)
	if !ok {
		servers = map[string]any{}
		config[container] = servers
	}
	servers[name] = value
	return config
}

// unit is one step of the file's indentation.
func (t *tree) unit() string {
	if members := t.root.Members; len(members) > 0 {
		at := members[0].Name.StartOffset
		if line := t.indentAt(at); line != "" && bytes.HasSuffix(t.text[:at], []byte("\n"+line)) {
			return line
		}
	}
	return "  "
}

// indentAt is the white space that begins the line of an offset.
func (t *tree) indentAt(at int) string {
	line := t.text[bytes.LastIndexByte(t.text[:at], '\n')+1:]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

func trimRight(b []byte) (body, space []byte) {
	body = bytes.TrimRight(b, " \t\r\n")
	return body, b[len(body):]
}

// newline is how the text ends its lines.
func newline(text []byte) string {
	if bytes.Contains(text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// quote writes a JSON string, which is a TOML one too.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	// TOML forbids the one control character that JSON leaves alone.
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// json writes an entry; nl is empty for one that stays on its line.
func (r rendering) json(indent, unit, nl string) string {
	if r.text != "" {
		return r.text
	}
	return r.members.json(indent, unit, nl)
}

func (o object) json(indent, unit, nl string) string {
	var parts []string
	for _, m := range o {
		var value string
		switch v := m.value.(type) {
		case string:
			value = quote(v)
		case []string:
			value = list(v)
		case object:
			value = v.json(indent+unit, unit, nl)
		}
		parts = append(parts, quote(m.key)+": "+value)
	}
	if nl == "" {
		return "{" + strings.Join(parts, ", ") + "}"
	}
	between := nl + indent + unit
	return "{" + between + strings.Join(parts, ","+between) + nl + indent + "}"
}

func list(items []string) string {
	var quoted []string
	for _, s := range items {
		quoted = append(quoted, quote(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// value is the object as a decoder gives it.
func (o object) value() map[string]any {
	out := map[string]any{}
	for _, m := range o {
		switch v := m.value.(type) {
		case string:
			out[m.key] = v
		case []string:
			items := []any{}
			for _, s := range v {
				items = append(items, s)
			}
			out[m.key] = items
		case object:
			out[m.key] = v.value()
		}
	}
	return out
}
