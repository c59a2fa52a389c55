package emulator_test

import (
	"strings"
	"testing"
	"time"

	"openclaw-mcp/internal/emulator/emulatortest"
)

func TestOfflineAgent(t *testing.T) {
	f := start(t, emulatortest.Options{})
	f.want(200, "POST", f.in("/files/write"), `{"path":"notes.txt","content":"remember\n"}`)
	tests := []struct {
		message string
		want    []string // in the reply
		tool    string
	}{
		{"What is the meaning of life?", []string{"no language model", "1 file and 0 directories", "notes.txt (9 bytes)", "run: COMMAND"}, "list_files"},
		{"run: echo hi; echo no >&2; exit 3", []string{"```\nhi\n```", "On stderr:\n```\nno\n```", "Exit code: 3"}, "exec"},
		{"Please run `echo a b`", []string{"```\na b\n```", "Exit code: 0"}, "exec"},
		{"$ cat notes.txt", []string{"remember"}, "exec"},
		{"execute true", []string{"It printed nothing", "Exit code: 0"}, "exec"},
		{"run: echo '```'", []string{"````\n```\n````"}, "exec"},
		{"read notes.txt", []string{"notes.txt holds:\n```\nremember\n```"}, "read_file"},
		{"show me the file /workspace/notes.txt", []string{"remember"}, "read_file"},
		{"read none.txt", []string{"I could not read", "/workspace/none.txt"}, "read_file"},
		{"read ../../etc/passwd", []string{"I could not read", "under /workspace"}, "read_file"},
		{"list", []string{"notes.txt"}, "list_files"},
		{"list the files", []string{"notes.txt"}, "list_files"},
		{"ls /workspace", []string{"notes.txt"}, "list_files"},
		{"count to 5", []string{"1 2 3 4 5"}, ""},
		{"wait 20ms", []string{"I wait for 20ms. Done waiting."}, ""},
		{"say  two  spaces\nand a line ", []string{"two  spaces\nand a line"}, ""},
		{"Reply with OK", []string{"OK"}, ""},
		{"run: printf x > one", []string{"Exit code: 0"}, "exec"},
		{"list", []string{"one (1 byte)"}, "list_files"},
	}
	for _, test := range tests {
		st := f.stream("POST", f.in("/chat/stream"), toJSON(map[string]any{"message": test.message}))
		var streamed, final strings.Builder
		tools := map[string]int{}
		for _, ev := range st.all() {
			data := decode(t, ev.data)
			switch ev.name {
			case "delta":
				streamed.WriteString(get(t, data, "delta").(string))
			case "tool", "tool_result":
				tools[ev.name+" "+get(t, data, "name").(string)]++
			case "done":
				final.WriteString(get(t, data, "message", "content").(string))
			}
		}
		if streamed.String() != final.String() {
			t.Errorf("%q: streamed %q, stored %q", test.message, streamed.String(), final.String())
		}
		for _, want := range test.want {
			if !strings.Contains(final.String(), want) {
				t.Errorf("%q: %q is not in %q", test.message, want, final.String())
			}
		}
		if test.tool != "" && (tools["tool "+test.tool] != 1 || tools["tool_result "+test.tool] != 1) {
			t.Errorf("%q: tools %v", test.message, tools)
		}
	}
}

func TestPaceAndAbortOfTheOfflineAgent(t *testing.T) {
	f := start(t, emulatortest.Options{Pace: 20 * time.Millisecond})
	begin := time.Now()
	f.want(200, "POST", f.in("/chat"), `{"message":"count to 5"}`)
	if d := time.Since(begin); d < 100*time.Millisecond {
		t.Error("five words took", d)
	}
	st := f.stream("POST", f.in("/chat/stream"), `{"message":"run: sleep 100"}`)
	for ev, ok := st.next(); ev.name != "tool"; ev, ok = st.next() {
		if !ok {
			t.Fatal("no tool")
		}
	}
	f.want(200, "POST", f.in("/shutdown"), "")
	if rest := st.all(); len(rest) != 1 || rest[0].name != "error" {
		t.Errorf("%+v", rest)
	}
}
