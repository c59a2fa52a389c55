package terminals

import (
	"fmt"
	"strings"
)

// keySequences are what keys send. Cursor keys have a second form, which
// programs can ask for.
var keySequences = map[string]string{
	"enter": "\r", "tab": "\t", "shift-tab": "\x1b[Z", "space": " ", "escape": "\x1b", "backspace": "\x7f",
	"insert": "\x1b[2~", "delete": "\x1b[3~", "page_up": "\x1b[5~", "page_down": "\x1b[6~",
	"up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F",
	"f1": "\x1bOP", "f2": "\x1bOQ", "f3": "\x1bOR", "f4": "\x1bOS", "f5": "\x1b[15~", "f6": "\x1b[17~",
	"f7": "\x1b[18~", "f8": "\x1b[19~", "f9": "\x1b[20~", "f10": "\x1b[21~", "f11": "\x1b[23~", "f12": "\x1b[24~",
}

// KeyNames says which keys there are.
const KeyNames = "enter, tab, shift-tab, space, escape, backspace, insert, delete, up, down, left, right, home, end, page_up, page_down, f1 to f12, ctrl-a to ctrl-z and ctrl-[ \\ ] ^ _ @, alt- and a character"

// sequence gives what a key sends.
func sequence(key string, application bool) (string, error) {
	name := strings.ReplaceAll(strings.ToLower(strings.TrimSpace(key)), "-", "_")
	for _, from := range []string{"ctrl_", "control_", "c_", "^"} {
		rest, ok := strings.CutPrefix(name, from)
		if !ok || len(rest) != 1 && rest != "space" {
			continue
		}
		switch c := rest[0]; {
		case rest == "space", c == '@':
			return "\x00", nil
		case c >= 'a' && c <= 'z':
			return string(rune(c - 'a' + 1)), nil
		case c >= '[' && c <= '_':
			return string(rune(c - '@')), nil
		}
	}
	if rest, ok := strings.CutPrefix(key, "alt-"); ok && len([]rune(rest)) == 1 {
		return "\x1b" + rest, nil
	}
	switch name {
	case "esc":
		name = "escape"
	case "return":
		name = "enter"
	case "pageup", "pagedown", "pgup", "pgdn":
		name = map[byte]string{'u': "page_up", 'd': "page_down"}[strings.TrimPrefix(strings.TrimPrefix(name, "page"), "pg")[0]]
	case "shift_tab":
		name = "shift-tab"
	case "del":
		name = "delete"
	}
	seq, ok := keySequences[name]
	if !ok {
		return "", fmt.Errorf("unknown key %q; there are: %s", key, KeyNames)
	}
	if application && strings.HasPrefix(seq, "\x1b[") && len(seq) == 3 && strings.Contains("ABCDHF", seq[2:]) {
		return "\x1bO" + seq[2:], nil
	}
	return seq, nil
}

// typed gives what text and keys send: line ends are the enter key.
func (in Input) typed(application bool) (string, error) {
	var b strings.Builder
	b.WriteString(strings.ReplaceAll(strings.ReplaceAll(in.Text, "\r\n", "\r"), "\n", "\r"))
	for _, key := range in.Keys {
		seq, err := sequence(key, application)
		if err != nil {
			return "", err
		}
		b.WriteString(seq)
	}
	return b.String(), nil
}
