// Package keys reads the names of keys, as people and programs write them: "ctrl-c",
// "Ctrl + c", "^c", "C-c" and "\x03" are the same, and so are "up", "ArrowUp" and "arrow-up".
package keys

import (
	"fmt"
	"maps"
	"regexp"
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

// Names says which keys there are everywhere, for messages.
const Names = "a character, enter, tab, escape, backspace, delete, insert, space, up, down, left, right, home, end, page_up, page_down, f1 to f20, " +
	"with ctrl-, shift- or alt- before it"

// rare are the keys that not every place has: nobody is sent to these.
var rare = []string{"print", "pause", "menu", "capslock", "numlock", AltGr, Super, Meta, "f21", "f22", "f23", "f24"}

// backTab is how programs know tab with shift.
const backTab = "backtab"

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
		"plus": "plus", "minus": "minus", "backtab": backTab, "btab": backTab,
		"control": Ctrl, "ctl": Ctrl, "option": Alt, "opt": Alt, "win": Super, "windows": Super, "cmd": Super, "command": Super,
	}
	for _, name := range []string{"enter", "tab", "escape", "backspace", "delete", "insert", "space", "home", "end", "print", "pause", "menu", Ctrl, Shift, Alt, AltGr, Super, Meta} {
		all[name] = name
	}
	for _, name := range []string{"up", "down", "left", "right"} {
		all[name], all["arrow"+name], all[name+"arrow"], all["cursor"+name] = name, name, name, name
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
const joints = "+-_ "

// spaced are joints that are set off.
var spaced = regexp.MustCompile(`\s*([-+])\s*`)

// Parse reads a key, or a combination in which each key is held until the last is pressed.
func Parse(s string) ([]Key, error) {
	if keys := control(s); keys != nil {
		return keys, nil
	}
	var keys []Key
	whole := s
	if s != " " {
		s = spaced.ReplaceAllString(strings.Join(strings.Fields(s), " "), "$1")
	}
	if n := len(s); n > 2 && (s[0] == '<' && s[n-1] == '>' || s[0] == '{' && s[n-1] == '}') {
		s = s[1 : n-1] // as in vim: <C-c>, <Esc>; or in scripts: {enter}
	}
	if s == "" {
		return nil, fmt.Errorf("no key is named; keys are: %s", Names)
	}
	tooMany := func() ([]Key, error) { return nil, fmt.Errorf("%q has more keys than anybody can hold", whole) }
	for s != "" {
		if len(keys) >= maxKeys {
			return tooMany()
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
		if err != nil && isSeveral(whole) {
			return nil, fmt.Errorf("%q is several keys; name each on its own", whole)
		}
		if err != nil {
			return nil, err
		}
		keys, s = append(keys, k...), rest
	}
	if len(keys) > maxKeys {
		return tooMany()
	}
	return keys, nil
}

// control reads a control character as the keys that send it, and what stands for a character
// in a program's text ("\x03", "\e"); nil where s is neither.
func control(s string) []Key {
	r, size := utf8.DecodeRuneInString(s)
	written := size < len(s)
	switch {
	case s == "\r\n":
		r = '\r'
	case s == `\e`:
		r = 0x1b
	case written:
		var rest string
		var err error
		if r, _, rest, err = strconv.UnquoteChar(s, 0); s[0] != '\\' || err != nil || rest != "" {
			return nil
		}
	}
	switch {
	case r == '\r' || r == '\n':
		return []Key{{Name: "enter"}}
	case r == '\t':
		return []Key{{Name: "tab"}}
	case r == 0x1b:
		return []Key{{Name: "escape"}}
	case r == 0x7f || r == '\b':
		return []Key{{Name: "backspace"}}
	case r == 0 && size > 0:
		return []Key{{Name: Ctrl}, {Rune: ' '}}
	case r >= 1 && r <= 26:
		return []Key{{Name: Ctrl}, {Rune: 'a' + r - 1}}
	case r > 26 && r < ' ':
		return []Key{{Name: Ctrl}, {Rune: '@' + r}}
	case written:
		return []Key{{Rune: r}}
	}
	return nil
}

// cutHeld takes a key that is held off the start of a combination.
func cutHeld(s string) (name, rest string) {
	i := strings.IndexAny(s, joints)
	if i < 1 || i+1 == len(s) {
		return "", s
	}
	word := strings.ToLower(strings.TrimSpace(s[:i]))
	switch {
	case len(word) == 1 && s[i] != '-':
		return "", s // "c+d" are two keys, "c-d" is ctrl and d
	case s[i] == ' ' && named[plain(s)] != "":
		return "", s // "alt gr" is one key
	}
	if name = held[word]; name == "" {
		return "", s
	}
	return name, s[i+1:]
}

// isSeveral reports whether a name that is not a combination lists keys to be pressed one after another,
// as editors write them: "ctrl-x ctrl-s".
func isSeveral(s string) bool {
	names := strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' })
	if len(names) < 2 {
		return false
	}
	for _, name := range names {
		if _, err := Parse(name); err != nil || held[strings.ToLower(name)] != "" {
			return false
		}
	}
	return true
}

// plain is a name without what joins its words.
func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
}

// one reads a single key, which may be two on a keyboard.
func one(name string) ([]Key, error) {
	if r, n := utf8.DecodeRuneInString(name); n == len(name) && r != utf8.RuneError {
		return []Key{{Rune: r}}, nil
	}
	switch known := named[plain(name)]; known {
	case "":
		return nil, unknown(name)
	case "plus":
		return []Key{{Rune: '+'}}, nil
	case "minus":
		return []Key{{Rune: '-'}}, nil
	case "space":
		return []Key{{Rune: ' '}}, nil
	case backTab:
		return []Key{{Name: Shift}, {Name: "tab"}}, nil
	default:
		return []Key{{Name: known}}, nil
	}
}

// unknown says which key may have been meant, and which there are.
func unknown(name string) error {
	near := ""
	common := slices.DeleteFunc(slices.Sorted(maps.Keys(named)), func(s string) bool { return slices.Contains(rare, named[s]) })
	word := plain(name)
	if word = nearest.Word(word, common, min(2, len(word)/3)); word != "" { // of three letters, two others make any key
		near = "the nearest is " + named[word] + "; "
	}
	return fmt.Errorf("there is no key %q; %skeys are: %s", name, near, Names)
}
