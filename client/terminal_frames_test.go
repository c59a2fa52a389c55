package client

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTerminalDecode(t *testing.T) {
	tests := []struct {
		family TerminalFamily
		text   string
		binary bool
		want   string // output
	}{
		{TerminalTyped, `{"type":"output","data":"a"}`, false, "a"},
		{TerminalTyped, `{"type":"stdout","output":"a"}`, false, "a"},
		{TerminalTyped, `{"type":"stderr","text":"a"}`, false, "a"},
		{TerminalTyped, `{"type":"data","content":"a"}`, true, "a"},
		{TerminalTyped, `{"type":"terminal_output","data":"YQ==","encoding":"base64"}`, false, "a"},
		{TerminalTyped, `{"type":"output","data":"YQ","encoding":"BASE64"}`, false, "a"},
		{TerminalTyped, `{"type":"output","data":""}`, false, ""},
		{TerminalTyped, `{"type":"ready"}`, false, ""},
		{TerminalTyped, `plain`, false, "plain"},
		{TerminalTyped, "\xe6\xbc", true, "\xe6\xbc"},
		{TerminalRaw, `{"type":"output","data":"a"}`, false, `{"type":"output","data":"a"}`},
		{TerminalMixed, "abc", true, "abc"},
		{TerminalMixed, `{"type":"output","data":"a"}`, false, "a"},
		{TerminalTtyd, "0abc", true, "abc"},
		{TerminalTtyd, "0abc", false, "abc"},
		{TerminalTtyd, "2{}", true, ""},
		{TerminalTtyd, "", true, ""},
		{TerminalLines, `{"type":"result","stdout":"a\nb\n","stderr":"e","exit_code":2}`, false, "a\r\nb\r\ne\r\n[exit code 2]\r\n"},
		{TerminalLines, `{"type":"result","output":"a","exitCode":0}`, false, "a\r\n"},
	}
	for _, tt := range tests {
		r := frameReader{family: tt.family}
		if got := string(r.decode(wsFrame{tt.binary, []byte(tt.text)}).output); got != tt.want {
			t.Errorf("%s %q: got %q, want %q", tt.family, tt.text, got, tt.want)
		}
	}
}

func TestTerminalDecodeEvents(t *testing.T) {
	r := frameReader{family: TerminalTyped}
	decode := func(s string) frameEvent { return r.decode(wsFrame{data: []byte(s)}) }
	for _, s := range []string{`{"type":"exit","code":3}`, `{"type":"exited","exitCode":3}`, `{"type":"closed","exit_code":3}`, `{"type":"close","code":3}`} {
		if ev := decode(s); !ev.exited || ev.code == nil || *ev.code != 3 {
			t.Errorf("%s: %+v", s, ev)
		}
	}
	if ev := decode(`{"type":"exit"}`); !ev.exited || ev.code != nil {
		t.Errorf("an exit without a code: %+v", ev)
	}
	if ev := decode(`{"type":"error","message":"m"}`); ev.problem == nil || ev.problem.Message != "m" {
		t.Errorf("%+v", ev)
	}
	if ev := decode(`{"type":"error","error":{"code":"c","message":"m"}}`); ev.problem == nil || ev.problem.Message != "m" || ev.problem.Code != "c" {
		t.Errorf("%+v", ev)
	}
	if ev := decode(`{"type":"ready","sessionId":"s","resumed":true}`); ev.session != "s" || !ev.resumed {
		t.Errorf("%+v", ev)
	}
	if r.decode(wsFrame{true, []byte("raw")}); r.family != TerminalMixed {
		t.Error("binary frames among JSON are T3")
	}
	raw := frameReader{family: TerminalRaw}
	raw.decode(wsFrame{true, []byte("$ ")})
	if ev := raw.decode(wsFrame{false, []byte(`{"type":"exit","code":0}`)}); !ev.exited || raw.family != TerminalMixed {
		t.Errorf("JSON among binary frames is T3: %+v", ev)
	}
}

func TestTerminalEncode(t *testing.T) {
	all := func(frames []wsFrame, err error) string {
		if err != nil {
			return "error: " + err.Error()
		}
		var b strings.Builder
		for _, f := range frames {
			b.Write(f.data)
		}
		return b.String()
	}
	for family, want := range map[TerminalFamily]string{
		TerminalTyped: `{"type":"input","data":"ls\r"}`,
		TerminalMixed: `{"type":"input","data":"ls\r"}`,
		TerminalRaw:   "ls\r",
		TerminalTtyd:  "0ls\r",
		TerminalLines: `{"type":"command","command":"ls"}`,
	} {
		w := frameWriter{family: family}
		if got := all(w.input("ls\r")); got != want {
			t.Errorf("%s: %q, want %q", family, got, want)
		}
	}
	w := frameWriter{family: TerminalLines}
	if got := all(w.input("ab\x7fc")); got != "" {
		t.Errorf("half a line: %q", got)
	}
	if got := all(w.input("d\rwrong\x15right\r\r")); got != `{"type":"command","command":"acd"}{"type":"command","command":"right"}` {
		t.Errorf("%q", got)
	}
	if got := string(ttydHello(80, 24).data); got != `{"AuthToken":"","columns":80,"rows":24}` {
		t.Errorf("%s", got)
	}
	if f, ok := (&frameWriter{family: TerminalTtyd}).resize(90, 20); !ok || string(f.data) != `1{"columns":90,"rows":20}` {
		t.Errorf("%s", f.data)
	}
}

func FuzzTerminalFrames(f *testing.F) {
	for _, s := range []string{`{"type":"output","data":"a"}`, "0abc", `{"type":"result","stdout":"x","exit_code":1}`, `{"type":"exit","code":1e400}`,
		`{"type":"error","error":{"message":7}}`, `{"type":"output","encoding":"base64","data":"="}`, "\xff"} {
		f.Add(s, true, "ls\r")
		f.Add(s, false, "x\x7f\x03")
	}
	f.Fuzz(func(t *testing.T, data string, binary bool, typed string) {
		for _, family := range TerminalFamilies() {
			r := frameReader{family: family}
			ev := r.decode(wsFrame{binary, []byte(data)})
			r.decode(wsFrame{!binary, []byte(data)})
			if !utf8.ValidString(ev.title) || ev.problem != nil && ev.problem.Error() == "" {
				t.Errorf("%s: %+v", family, ev)
			}
			w := frameWriter{family: family}
			if frames, err := w.input(typed); err == nil && family == TerminalRaw && string(frames[0].data) != typed {
				t.Errorf("raw input %q became %q", typed, frames[0].data)
			}
		}
		familyOf(wsFrame{binary, []byte(data)})
	})
}
