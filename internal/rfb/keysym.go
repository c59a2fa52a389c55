package rfb

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"openclaw-mcp/internal/keys"
)

// Keysym is a key as X names it: what it means, not where it is on a keyboard.
type Keysym uint32

// The keys without a character that callers need by name.
const (
	KeyReturn    Keysym = 0xff0d
	KeyTab       Keysym = 0xff09
	KeyBackSpace Keysym = 0xff08
	KeyEscape    Keysym = 0xff1b

	keyDelete Keysym = 0xffff
	keyShift  Keysym = 0xffe1
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
		return keyDelete
	case r >= 0x20 && r < 0x7f, r >= 0xa0 && r <= 0xff:
		return Keysym(r)
	}
	return 0x01000000 + Keysym(r)
}

// keysyms are those of the keys that have names.
var keysyms = map[string]Keysym{
	"enter": KeyReturn, "tab": KeyTab, "escape": KeyEscape, "backspace": KeyBackSpace, "delete": keyDelete, "insert": 0xff63,
	"home": 0xff50, "left": 0xff51, "up": 0xff52, "right": 0xff53, "down": 0xff54, "end": 0xff57, "page_up": 0xff55, "page_down": 0xff56,
	"print": 0xff61, "pause": 0xff13, "menu": 0xff67, "capslock": 0xffe5, "numlock": 0xff7f,
	keys.Ctrl: 0xffe3, keys.Shift: keyShift, keys.Alt: 0xffe9, keys.AltGr: 0xfe03, keys.Meta: 0xffe7, keys.Super: 0xffeb,
}

// ParseKeys reads a combination such as "ctrl+shift+t", "alt-F4" or "a": see [keys.Parse].
func ParseKeys(combination string) ([]Keysym, error) {
	named, err := keys.Parse(combination)
	if err != nil {
		return nil, err
	}
	var all []Keysym
	for _, k := range named {
		sym, ok := keysyms[k.Name]
		if n, err := strconv.Atoi(strings.TrimPrefix(k.Name, "f")); err == nil {
			sym, ok = 0xffbe+Keysym(n-1), true
		}
		if k.Name == "" {
			sym, ok = KeysymOf(k.Rune), true
		}
		if !ok {
			return nil, fmt.Errorf("a desktop has no key %q", k.Name)
		}
		all = append(all, sym)
	}
	if len(all) > 1 {
		matchCase(all)
	}
	return all, nil
}

// The keys of an American keyboard that shift changes, and into what.
const (
	unshifted = "`1234567890-=[]\\;',./"
	shifted   = `~!@#$%^&*()_+{}|:"<>?`
)

// matchCase makes the characters of a combination those that a keyboard would
// send: with shift held that is "T", and without it "t", whatever was written.
// Servers would let go of shift for a "t".
func matchCase(all []Keysym) {
	shift := slices.Contains(all, keyShift)
	for i, k := range all {
		switch {
		case k >= 'A' && k <= 'Z' && !shift:
			all[i] = k - 'A' + 'a'
		case k >= 'a' && k <= 'z' && shift:
			all[i] = k - 'a' + 'A'
		case k < 0x7f && shift:
			if at := strings.IndexByte(unshifted, byte(k)); at >= 0 {
				all[i] = Keysym(shifted[at])
			}
		}
	}
}
