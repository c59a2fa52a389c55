package install

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// tomlFormat is TOML. An entry is a table with a header of its own.
type tomlFormat struct{}

func (tomlFormat) decode(text []byte) (map[string]any, error) {
	m := map[string]any{}
	if _, err := toml.Decode(string(text), &m); err != nil {
		return nil, fmt.Errorf("it is not valid TOML (%s)", strings.TrimPrefix(err.Error(), "toml: "))
	}
	return m, nil
}

func (f tomlFormat) put(text []byte, container, name string, entry rendering) ([]byte, error) {
	want, err := f.decode(text)
	if err != nil {
		return nil, err
	}
	switch servers := want[container].(type) {
	case nil:
	case map[string]any:
		if servers[name] != nil {
			return nil, fmt.Errorf("it already has %q", name)
		}
		// A table in braces, or of dotted keys, takes no further table; not every
		// parser says so.
		if !slices.ContainsFunc(tomlLines(text), func(l span) bool { return heads(bytes.TrimSpace(text[l.start:l.end]), container, "") }) {
			return nil, fmt.Errorf("its %q has no table header of its own; edit it by hand", container)
		}
	default:
		return nil, fmt.Errorf("its %q is not a table", container)
	}
	nl := newline(text)
	block := entry.text
	if block == "" {
		block = entry.members.toml(container, name, nl)
	}
	after := bytes.Clone(text)
	if len(text) > 0 {
		if !bytes.HasSuffix(text, []byte("\n")) {
			after = append(after, nl...)
		}
		after = append(after, nl...)
	}
	added, err := f.decode([]byte(block))
	if err != nil {
		return nil, err
	}
	value := added[container].(map[string]any)[name]
	return f.same(append(after, block...), with(want, container, name, value))
}

func (f tomlFormat) replace(text []byte, container, name string, entry rendering) ([]byte, error) {
	without, err := f.drop(text, container, name)
	if err != nil {
		return nil, err
	}
	return f.put(without, container, name, entry)
}

func (f tomlFormat) raw(text []byte, container, name string) (rendering, error) {
	blocks, err := f.blocks(text, container, name)
	if err != nil {
		return rendering{}, err
	}
	if len(blocks) != 1 {
		return rendering{}, fmt.Errorf("its tables of %q are apart from each other", name)
	}
	return rendering{text: string(text[blocks[0].start:blocks[0].end])}, nil
}

func (f tomlFormat) drop(text []byte, container, name string) ([]byte, error) {
	blocks, err := f.blocks(text, container, name)
	if err != nil {
		return nil, err
	}
	want, err := f.decode(text)
	if err != nil {
		return nil, err
	}
	servers := want[container].(map[string]any)
	delete(servers, name)
	var after []byte
	at := 0
	for _, b := range blocks {
		// One of the blank lines around goes too, or the file would begin with it.
		after = append(after, text[at:b.start-b.blankBefore]...)
		at = b.end
		if line, _, found := bytes.Cut(text[at:], []byte("\n")); b.start == 0 && found && len(bytes.TrimSpace(line)) == 0 {
			at += len(line) + 1
		}
	}
	after = append(after, text[at:]...)
	// A container that no header of its own makes is gone with its last table.
	if got, err := f.decode(after); err == nil && got[container] == nil && len(servers) == 0 {
		delete(want, container)
	}
	return f.same(after, want)
}

func (f tomlFormat) same(after []byte, want map[string]any) ([]byte, error) {
	got, err := f.decode(after)
	if err != nil || !reflect.DeepEqual(got, want) {
		return nil, errors.New("it is written in a way that this program can't edit safely; edit it by hand")
	}
	return after, nil
}

// block is a run of lines of one entry.
type block struct {
	start, end  int
	blankBefore int // length of the blank line before it
}

// blocks finds the tables of an entry: its own and those below.
func (f tomlFormat) blocks(text []byte, container, name string) ([]block, error) {
	config, err := f.decode(text)
	if err != nil {
		return nil, err
	}
	if servers, ok := config[container].(map[string]any); !ok || servers[name] == nil {
		return nil, fmt.Errorf("it has no %q", name)
	}
	var blocks []block
	ours, blank := false, 0
	for _, l := range tomlLines(text) {
		line := bytes.TrimSpace(text[l.start:l.end])
		switch {
		case len(line) == 0:
			blank = l.end - l.start
			continue
		case line[0] == '#': // belongs to what follows, unless that is ours too
		case line[0] == '[':
			was := ours
			if ours = heads(line, container, name); ours && !was {
				blocks = append(blocks, block{l.start, l.end, blank})
			} else if ours {
				blocks[len(blocks)-1].end = l.end
			}
		case ours:
			blocks[len(blocks)-1].end = l.end
		}
		blank = 0
	}
	if len(blocks) == 0 {
		return nil, fmt.Errorf("its %q has no table header [%s.%s] of its own; edit it by hand", name, container, name)
	}
	return blocks, nil
}

// heads tells whether a line is the header of an entry's table or of one below;
// without a name, of the container or any below.
func heads(line []byte, container, name string) bool {
	var m map[string]any
	if !bytes.HasPrefix(line, []byte("[")) {
		return false
	}
	if _, err := toml.Decode(string(line), &m); err != nil {
		return false
	}
	servers, ok := m[container].(map[string]any)
	if name != "" {
		_, ok = servers[name]
	}
	return ok
}

// span is a line, with all that its value takes when that goes over several.
type span struct{ start, end int }

// tomlLines splits a valid text into its lines.
func tomlLines(text []byte) (lines []span) {
	start, depth := 0, 0
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
		case '"', '\'':
			i = afterString(text, i)
		case '\n':
			i++
			if depth == 0 {
				lines = append(lines, span{start, i})
				start = i
			}
		default:
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			i++
		}
	}
	if start < len(text) {
		lines = append(lines, span{start, len(text)})
	}
	return lines
}

// afterString is the offset behind the string that begins at i.
func afterString(text []byte, i int) int {
	quote := text[i]
	end := text[i : i+1]
	if triple := bytes.Repeat(end, 3); bytes.HasPrefix(text[i:], triple) {
		end = triple
	}
	for i += len(end); i < len(text); i++ {
		if text[i] == '\\' && quote == '"' {
			i++
			continue
		}
		if !bytes.HasPrefix(text[i:], end) {
			continue
		}
		i += len(end)
		// Up to two more quotes are the string's own.
		for len(end) == 3 && i < len(text) && text[i] == quote {
			i++
		}
		return i
	}
	return len(text)
}

// toml writes an entry as a table.
func (o object) toml(container, name, nl string) string {
	var b strings.Builder
	b.WriteString("[" + container + "." + name + "]" + nl)
	for _, m := range o {
		b.WriteString(m.key + " = " + tomlValue(m.value) + nl)
	}
	return b.String()
}

func tomlValue(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case []string:
		return list(v)
	case object:
		var parts []string
		for _, m := range v {
			parts = append(parts, m.key+" = "+tomlValue(m.value))
		}
		return "{ " + strings.Join(parts, ", ") + " }"
	}
	return ""
}
