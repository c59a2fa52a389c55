package rfb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Keysym is a key as X names it: what it means, not where it is on a keyboard.
type Keysym uint32

// The keys without a character that callers need by name.
const (
	KeyReturn    Keysym = 0xff0d
	KeyTab       Keysym = 0xff09
	KeyBackSpace Keysym = 0xff08
	KeyEscape    Keysym = 0xff1b
)

// KeysymOf gives the key that types a character.
func KeysymOf(r rune) Keysym {
	switch {
	case r == '\n' || r == '\r':
		return KeyReturn
	case r == '\t':
		return KeyTab
	case r == '\b':
		return KeyBackSpace
	case r == 0x1b:
		return KeyEscape
	case r == 0x7f:
		return keyNames["delete"]
	case r >= 0x20 && r < 0x7f, r >= 0xa0 && r <= 0xff:
		return Keysym(r)
	}
	return 0x01000000 + Keysym(r)
}

var keyNames = map[string]Keysym{
	"enter": KeyReturn, "return": KeyReturn, "tab": KeyTab, "escape": KeyEscape, "esc": KeyEscape,
	"backspace": KeyBackSpace, "delete": 0xffff, "del": 0xffff, "insert": 0xff63, "ins": 0xff63, "space": 0x20,
	"home": 0xff50, "left": 0xff51, "up": 0xff52, "right": 0xff53, "down": 0xff54, "end": 0xff57,
	"pageup": 0xff55, "page_up": 0xff55, "pgup": 0xff55, "pagedown": 0xff56, "page_down": 0xff56, "pgdn": 0xff56,
	"print": 0xff61, "printscreen": 0xff61, "pause": 0xff13, "menu": 0xff67, "capslock": 0xffe5, "numlock": 0xff7f,
	"ctrl": 0xffe3, "control": 0xffe3, "shift": 0xffe1, "alt": 0xffe9, "option": 0xffe9, "altgr": 0xfe03,
	"meta": 0xffe7, "super": 0xffeb, "win": 0xffeb, "windows": 0xffeb, "cmd": 0xffeb, "command": 0xffeb,
	"plus": '+', "minus": '-', "kp_enter": 0xff8d,
}

// ParseKeys reads a combination such as "ctrl+shift+t", "alt+F4" or "a": names
// of keys in any case, and single characters, joined by +.
func ParseKeys(combination string) ([]Keysym, error) {
	s := strings.TrimSpace(combination)
	var keys []Keysym
	for s != "" {
		name, rest := s, ""
		// A plus at the start is itself the key.
		if i := strings.IndexByte(s[1:], '+'); i >= 0 {
			name, rest = s[:i+1], s[i+2:]
			if rest == "" {
				return nil, fmt.Errorf("%q ends with a +; the key + itself is named plus", combination)
			}
		}
		k, err := parseKey(name)
		if err != nil {
			return nil, err
		}
		if keys = append(keys, k); len(keys) > 8 {
			return nil, fmt.Errorf("%q has more keys than anybody can hold", combination)
		}
		s = rest
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no key is named")
	}
	if len(keys) > 1 {
		matchCase(keys)
	}
	return keys, nil
}

// The keys of an American keyboard that shift changes, and into what.
const (
	unshifted = "`1234567890-=[]\\;',./"
	shifted   = `~!@#$%^&*()_+{}|:"<>?`
)

// matchCase makes the characters of a combination those that a keyboard would
// send: with shift held that is "T", and without it "t", whatever was written.
// Servers would let go of shift for a "t".
func matchCase(keys []Keysym) {
	shift := slices.Contains(keys, keyNames["shift"])
	for i, k := range keys {
		switch {
		case k >= 'A' && k <= 'Z' && !shift:
			keys[i] = k - 'A' + 'a'
		case k >= 'a' && k <= 'z' && shift:
			keys[i] = k - 'a' + 'A'
		case k < 0x7f && shift:
			if at := strings.IndexByte(unshifted, byte(k)); at >= 0 {
				keys[i] = Keysym(shifted[at])
			}
		}
	}
}

func parseKey(name string) (Keysym, error) {
	if r, n := utf8.DecodeRuneInString(name); n == len(name) && r != utf8.RuneError {
		return KeysymOf(r), nil
	}
	low := strings.ToLower(strings.TrimSpace(name))
	if k, ok := keyNames[low]; ok {
		return k, nil
	}
	if digits, ok := strings.CutPrefix(low, "f"); ok {
		if n, err := strconv.Atoi(digits); err == nil && n >= 1 && n <= 24 {
			return 0xffbe + Keysym(n-1), nil
		}
	}
	return 0, fmt.Errorf("%q is no key: use a single character, or enter, tab, escape, backspace, delete, insert, space, home, end, "+
		"pageup, pagedown, up, down, left, right, f1 to f24, ctrl, shift, alt, altgr, super, meta, menu, print, pause, plus", name)
}
