package config

import (
	"reflect"
	"slices"
	"strings"
)

// checkLists refuses lists of which an item, or all of them, would limit nothing: a limit that
// was set is not to allow everything.
func (c Config) checkLists(set map[string]string, bad func(name, format string, a ...any)) {
	v := reflect.ValueOf(c)
	for f := range v.Type().Fields() {
		name := f.Tag.Get("env")
		list, ok := v.FieldByIndex(f.Index).Interface().([]string)
		if !ok || set[name] == "" {
			continue
		}
		words := Words(list)
		if len(words) == 0 {
			bad(name, "is set, and its list holds nothing; give it items, separated by commas, or leave it out")
		}
		wrong := map[string]func(string) string{
			"OPENCLAW_MCP_INSTANCES": noInstance, "OPENCLAW_MCP_EXCLUDE_INSTANCES": noInstance,
			"OPENCLAW_MCP_PATHS": noPath, "OPENCLAW_MCP_EXCLUDE_PATHS": noPath,
		}[name]
		if wrong == nil {
			continue
		}
		if i := slices.IndexFunc(words, func(word string) bool { return wrong(word) != "" }); i >= 0 {
			bad(name, "has an item (number %d) %s; items are separated by commas", i+1, wrong(words[i]))
		}
	}
}

// noInstance says why no instance has an id like this.
func noInstance(word string) string {
	if i := strings.IndexAny(word, " \t\n;|(){}[]<>/\\?#%"); i >= 0 {
		return "with a " + quoted(word[i]) + ", which no instance's ID has"
	}
	return ""
}

// noPath says why a path was not meant as it stands.
func noPath(word string) string {
	const quotes = "\"'`"
	switch i := strings.IndexAny(word, ":;\n"); {
	case strings.ContainsRune(quotes, rune(word[0])), strings.ContainsRune(quotes, rune(word[len(word)-1])):
		return "in quotes, which are not taken off"
	case word[0] == '~':
		return "that begins with ~, which is not replaced: write the whole path, such as /workspace/x"
	case i >= 0:
		return "with a " + quoted(word[i]) + ": where that belongs to a name, write * for it"
	}
	return ""
}

func quoted(c byte) string {
	if c <= ' ' {
		return "space or line end"
	}
	return string(rune(c))
}
