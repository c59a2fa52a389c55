// Package keys reads the names of keys, as people and programs write them: "ctrl-c",
// "Ctrl+C", "^C" and "C-c" are the same, and so are "up", "ArrowUp" and "arrow-up".
package keys

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"openclaw-mcp/internal/nearest"
)

// Key is a key by its name, or the character that it types.
type Key struct {
	Name string // "" for a character
	Rune rune
}

// The keys that are held down while another is pressed.
const (
	Ctrl  = "ctrl"
	Shift = "shift"
	Alt   = "alt"
	AltGr = "altgr"
	Super = "super" // with a logo: Windows, Command
	Meta  = "meta"
)

// Names says which keys there are, for messages.
const Names = "a character, enter, tab, escape, backspace, delete, insert, space, up, down, left, right, home, end, page_up, page_down, f1 to f24, " +
	"with ctrl-, shift- or alt- before it"

// maxKeys is more than anybody can hold.
const maxKeys = 8

// named are the names of keys, without what joins their words, and the name that each is
// known by here.
var named = func() map[string]string {
	all := map[string]string{
		"esc": "escape", "return": "enter", "ret": "enter", "cr": "enter", "kpenter": "enter", "del": "delete", "ins": "insert",
		"bs": "backspace", "back": "backspace", "spc": "space", "spacebar": "space",
		"pageup": "page_up", "pgup": "page_up", "prior": "page_up", "pagedown": "page_down", "pgdn": "page_down", "pgdown": "page_down", "next": "page_down",
		"printscreen": "print", "break": "pause", "capslock": "capslock", "numlock": "numlock",
		"plus": "plus", "minus": "minus",
		"control": Ctrl, "ctl": Ctrl, "option": Alt, "opt": Alt, "win": Super, "windows": Super, "cmd": Super, "command": Super,
	}
	for _, name := range []string{"enter", "tab", "escape", "backspace", "delete", "insert", "space", "home", "end", "print", "pause", "menu", Ctrl, Shift, Alt, AltGr, Super, Meta} {
		all[name] = name
	}
	for _, name := range []string{"up", "down", "left", "right"} {
		all[name], all["arrow"+name], all[name+"arrow"] = name, name, name
	}
	for n := 1; n <= 24; n++ {
		all["f"+strconv.Itoa(n)] = "f" + strconv.Itoa(n)
	}
	return all
}()

// held are those that other keys follow after a joint, also in the short forms of editors.
var held = map[string]string{
	"ctrl": Ctrl, "control": Ctrl, "ctl": Ctrl, "c": Ctrl, "shift": Shift, "s": Shift, "alt": Alt, "option": Alt, "opt": Alt, "m": Alt,
	"altgr": AltGr, "super": Super, "win": Super, "windows": Super, "cmd": Super, "command": Super, "meta": Meta,
}

// joints are what stands between keys of a combination.
const joints = "+-_"

// Parse reads a key, or a combination in which each key is held until the last is pressed.
func Parse(s string) ([]Key, error) {
	var keys []Key
	whole := s
	if s != " " {
		s = strings.TrimSpace(s)
	}
	if n := len(s); n > 2 && s[0] == '<' && s[n-1] == '>' {
		s = s[1 : n-1] // as in vim: <C-c>, <Esc>
	}
	if s == "" {
		return nil, fmt.Errorf("no key is named; keys are: %s", Names)
	}
	for s != "" {
		if len(keys) == maxKeys {
			return nil, fmt.Errorf("%q has more keys than anybody can hold", whole)
		}
		if k, rest := cutHeld(s); k != "" {
			keys, s = append(keys, Key{Name: k}), rest
			continue
		}
		if c, ok := strings.CutPrefix(s, "^"); ok && utf8.RuneCountInString(c) == 1 {
			keys, s = append(keys, Key{Name: Ctrl}), c
			continue
		}
		// A plus at the start is itself the key.
		name, rest := s, ""
		if i := strings.IndexByte(s[1:], '+'); i >= 0 {
			name, rest = s[:i+1], s[i+2:]
			if rest == "" {
				return nil, fmt.Errorf("%q ends with a +; the key + itself is named plus", whole)
			}
		}
		k, err := one(name)
		if err != nil {
			return nil, err
		}
		keys, s = append(keys, k), rest
	}
	return keys, nil
}

// cutHeld takes a key that is held off the start of a combination.
func cutHeld(s string) (name, rest string) {
	i := strings.IndexAny(s, joints)
	if i < 1 || i+1 == len(s) {
		return "", s
	}
	word := strings.ToLower(strings.TrimSpace(s[:i]))
	if len(word) == 1 && s[i] != '-' {
		return "", s // "c+d" are two keys, "c-d" is ctrl and d
	}
	if name = held[word]; name == "" {
		return "", s
	}
	return name, s[i+1:]
}

// one reads a single key.
func one(name string) (Key, error) {
	if r, n := utf8.DecodeRuneInString(name); n == len(name) && r != utf8.RuneError {
		return Key{Rune: r}, nil
	}
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	switch known := named[plain]; known {
	case "":
		if near := named[nearest.Word(plain, slices.Sorted(maps.Keys(named)), 2)]; near != "" {
			return Key{}, fmt.Errorf("there is no key %q; the nearest is %s; keys are: %s", name, near, Names)
		}
		return Key{}, fmt.Errorf("there is no key %q; keys are: %s", name, Names)
	case "plus":
		return Key{Rune: '+'}, nil
	case "minus":
		return Key{Rune: '-'}, nil
	case "space":
		return Key{Rune: ' '}, nil
	default:
		return Key{Name: known}, nil
	}
}
