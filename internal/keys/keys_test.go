package keys

import (
	"fmt"
	"strings"
	"testing"
)

func (k Key) String() string {
	if k.Name != "" {
		return k.Name
	}
	return fmt.Sprintf("%q", k.Rune)
}

func TestParse(t *testing.T) {
	t.Parallel()
	for want, spellings := range map[string][]string{
		"[ctrl 'c']":        {"ctrl-c", "ctrl+c", "Ctrl-c", "^c", "C-c", "c-c", "<C-c>", "control_c", " ctrl+c ", "Control-c", "CTRL+c", "Ctrl + c", "ctrl c", "ctrl - c", "{ctrl+c}", "\x03", `\x03`, `\u0003`, `\003`},
		"[ctrl 'C']":        {"Ctrl+C", "^C", "C-C", "ctrl-C"},
		"[up]":              {"cursor_up", "CursorUp", "{up}", "up", "Up", "UP", "ArrowUp", "arrow_up", "arrow-up", "up arrow", "<Up>"},
		"[shift up]":        {"shift-up", "Shift+ArrowUp", "S-Up", "shift_up", "shift up arrow", "Shift + Cursor_Up"},
		"[ctrl left]":       {"ctrl-left", "Ctrl+ArrowLeft", "C-Left"},
		"[ctrl shift 't']":  {"ctrl+shift+t", "Ctrl-Shift-t", "C-S-t"},
		"[page_down]":       {"page_down", "PageDown", "page-down", "pgdn", "PgDown"},
		"[enter]":           {"Enter", "return", "RETURN", "<CR>", "kp_enter", "{enter}", "\r", "\n", "\r\n", `\r`, `\n`},
		"[escape]":          {"Esc", "escape", "<Esc>", "\x1b", `\x1b`, `\e`, `\033`},
		"[f5]":              {"F5", "f5"},
		"[alt f4]":          {"alt+F4", "Alt-F4", "option-f4", "M-F4"},
		"[shift tab]":       {"shift-tab", "S-Tab", "Shift+Tab", "backtab", "BackTab", "BTab", "shift tab"},
		"[backspace]":       {"backspace", "\x7f", "\b", `\b`},
		"[tab]":             {"\t", `\t`},
		"[ctrl '\\\\']":     {"\x1c", `ctrl-\`},
		"['\\\\']":          {`\`, `\\`},
		"['{']":             {"{", "{{}"},
		"[altgr]":           {"AltGr", "alt gr"},
		"[ctrl alt delete]": {"ctrl alt delete", "Ctrl + Alt + Del"},
		"[' ']":             {" ", "space", "spacebar"},
		"[ctrl ' ']":        {"\x00", `\x00`, "ctrl space", "ctrl-space", "C-Space", "ctrl+space"},
		"['+']":             {"+", "plus"},
		"[ctrl '+']":        {"ctrl++", "ctrl-plus", "^+"},
		"[ctrl '-']":        {"ctrl--", "ctrl-minus"},
		"['-']":             {"-", "minus"},
		"['^']":             {"^"},
		"['<']":             {"<"},
		"[ctrl '[']":        {"^[", "ctrl-["},
		"['ö']":             {"ö"},
		"[ctrl shift]":      {"ctrl+shift"},
		"['a' 'b']":         {"a+b"},
		"['c' 'd']":         {"c+d"},
		"[super 'l']":       {"cmd-l", "win+l", "super+l"},
	} {
		for _, s := range spellings {
			if got, err := Parse(s); err != nil || fmt.Sprint(got) != want {
				t.Errorf("%q: got %v, %v; want %s", s, got, err, want)
			}
		}
	}
	for s, want := range map[string]string{
		"": "no key is named", "  ": "no key is named", "ctrl+": `"ctrl+" ends with a +`, "f25": `no key "f25"`, "a+b+c+d+e+f+g+h+i": "hold",
		"entr": "nearest is enter", "ArowUp": "nearest is up", "ctrl-pgupp": "nearest is page_up", "strg-c": `no key "strg-c"`, "hello": `no key "hello"`,
		"hom": "nearest is home", "foo": `no key "foo"; keys are`, "numloc": `no key "numloc"; keys are: a character, enter`, `\q`: `no key "\\q"`, "ctrl c d": `no key "c d"`,
		"ctrl-x ctrl-s": `"ctrl-x ctrl-s" is several keys`, "Up, Up,Enter": "is several keys", "ctrl-x nokey": `no key "x nokey"`,
	} {
		if got, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, %v; want %s", s, got, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("ctrl-c")
	f.Add("<S-Up>")
	f.Add("++")
	f.Fuzz(func(t *testing.T, s string) {
		keys, err := Parse(s)
		if (len(keys) > 0) == (err != nil) || len(keys) > maxKeys {
			t.Errorf("%q: got %v, %v", s, keys, err)
		}
	})
}
