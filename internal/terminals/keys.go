package terminals

import (
	"fmt"
	"strings"
	"unicode"

	"openclaw-mcp/internal/keys"
)

// Keys send what they do in xterm. One is a letter behind "ESC [" or a number before "~",
// both of which take a parameter that says what is held meanwhile.
var (
	letterKeys = map[string]byte{
		"up": 'A', "down": 'B', "right": 'C', "left": 'D', "home": 'H', "end": 'F', "f1": 'P', "f2": 'Q', "f3": 'R', "f4": 'S',
	}
	numberKeys = map[string]int{
		"insert": 2, "delete": 3, "page_up": 5, "page_down": 6, "menu": 29,
		"f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20, "f10": 21, "f11": 23, "f12": 24, "f13": 25, "f14": 26, "f15": 28, "f16": 29,
		"f17": 31, "f18": 32, "f19": 33, "f20": 34,
	}
	plainKeys = map[string]string{"enter": "\r", "tab": "\t", "escape": "\x1b", "backspace": "\x7f"}
)

// What is held, as the parameter counts it.
const (
	heldShift = 1 << iota
	heldAlt
	heldCtrl
)

// sequence gives what a key sends. Cursor keys have a second form, which programs can ask
// for (application).
func sequence(key string, application bool) (string, error) {
	combination, err := keys.Parse(key)
	if err != nil {
		return "", err
	}
	mods, last := 0, combination[len(combination)-1]
	for _, k := range combination[:len(combination)-1] {
		switch k.Name {
		case keys.Shift:
			mods |= heldShift
		case keys.Alt, keys.Meta:
			mods |= heldAlt
		case keys.Ctrl:
			mods |= heldCtrl
		case "":
			return "", fmt.Errorf("%q is several keys; name each on its own", key)
		default:
			return "", noKey(k.Name)
		}
	}
	switch {
	case last.Name == "":
		return character(key, last.Rune, mods)
	case letterKeys[last.Name] != 0:
		letter := string(letterKeys[last.Name])
		switch {
		case mods > 0:
			return fmt.Sprintf("\x1b[1;%d%s", mods+1, letter), nil
		case letter >= "P" || application:
			return "\x1bO" + letter, nil
		}
		return "\x1b[" + letter, nil
	case numberKeys[last.Name] != 0:
		if mods > 0 {
			return fmt.Sprintf("\x1b[%d;%d~", numberKeys[last.Name], mods+1), nil
		}
		return fmt.Sprintf("\x1b[%d~", numberKeys[last.Name]), nil
	}
	plain, ok := plainKeys[last.Name]
	switch {
	case !ok:
		return "", noKey(last.Name)
	case last.Name == "tab" && mods&heldShift > 0:
		plain = "\x1b[Z"
	case last.Name == "backspace" && mods&heldCtrl > 0:
		plain = "\b"
	}
	return withAlt(plain, mods), nil
}

func noKey(name string) error {
	return fmt.Errorf("a terminal has no key %q; keys are: %s", name, keys.Names)
}

func withAlt(s string, mods int) string {
	if mods&heldAlt > 0 {
		return "\x1b" + s
	}
	return s
}

// character gives what a character sends.
func character(key string, r rune, mods int) (string, error) {
	if mods&heldShift > 0 && mods&heldCtrl == 0 && r != ' ' {
		upper := unicode.ToUpper(r)
		if upper == r && !unicode.IsUpper(r) {
			return "", fmt.Errorf("%q depends on the keyboard: name the character that shift turns it into", key)
		}
		r = upper
	}
	if mods&heldCtrl == 0 {
		return withAlt(string(r), mods), nil
	}
	if r >= 'a' && r <= 'z' {
		r += 'A' - 'a'
	}
	switch {
	case r >= '@' && r <= '_':
		r -= '@'
	case r == ' ', r == '2':
		r = 0
	case r >= '3' && r <= '7':
		r += 0x1b - '3'
	case r == '/', r == '-':
		r = 0x1f
	case r == '?', r == '8':
		r = 0x7f
	default:
		return "", fmt.Errorf("%q sends nothing in a terminal: ctrl goes with a to z, space and [ \\ ] ^ _ / ?", key)
	}
	return withAlt(string(r), mods), nil
}

// The marks around what is pasted, for programs that ask for them.
const (
	pasteBegins = "\x1b[200~"
	pasteEnds   = "\x1b[201~"
)

// typed gives what text and keys send, where the program has set these modes. Line ends are
// the enter key. Several lines are pasted, as a person would, who types the last line end.
func (in Input) typed(application, paste bool) (string, error) {
	var b strings.Builder
	text := strings.ReplaceAll(strings.ReplaceAll(in.Text, "\r\n", "\r"), "\n", "\r")
	if body := strings.TrimRight(text, "\r"); paste && strings.Contains(body, "\r") {
		pasted := body
		for strings.Contains(pasted, pasteEnds) { // what is around one may make another
			pasted = strings.ReplaceAll(pasted, pasteEnds, "")
		}
		b.WriteString(pasteBegins + pasted + pasteEnds)
		text = text[len(body):]
	}
	b.WriteString(text)
	for _, key := range in.Keys {
		seq, err := sequence(key, application)
		if err != nil {
			return "", err
		}
		b.WriteString(seq)
	}
	return b.String(), nil
}
