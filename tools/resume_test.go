package tools

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/runs"
)

func TestStanding(t *testing.T) {
	m := &runs.Manager{}
	chat := runs.NewState(runs.KindChat, "i1")
	chat.Session, chat.Own, chat.Read, chat.Check = "s1", strings.Repeat("x", 16), 7, 99
	run := runs.NewState(runs.KindCommand, "i2")
	want := standing{raw: true, several: true, until: time.UnixMilli(1_800_000_000_123), runs: []followed{
		{from: chat, told: runs.State{Read: 1 << 40, Check: 5}},
		{from: run, told: runs.State{Read: 3, ReadErr: 4}},
	}}
	got, err := unmarshalStanding(m, want.marshal(m))
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if n := len(want.marshal(m)); n > 150 {
		t.Errorf("two runs take %d bytes of each event", n)
	}
}

func FuzzStanding(f *testing.F) {
	m := &runs.Manager{}
	f.Add(standing{until: time.UnixMilli(1), runs: []followed{{from: runs.NewState(runs.KindCommand, "i")}}}.marshal(m))
	f.Add([]byte{standingVersion, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := unmarshalStanding(m, b); err == nil && len(s.runs) == 0 {
			t.Errorf("%x stands for no run", b)
		}
	})
}

// Of a call that no run tells of, the answer says that nothing is known, as far as
// the tool could change anything.
func TestResumeWithoutPlace(t *testing.T) {
	resume := Resume(&Deps{Rails: func(context.Context) *Rails { return &Rails{} }})
	for tool, want := range map[string][]string{
		"write_file": {"write_file failed: ", "process that ran this call is gone", "What happened: unknown", "Repeat: not blindly", "Next: list_files or read_file shows"},
		"read_file":  {"What happened: nothing was changed.", "Repeat: safe"},
	} {
		var req mcp.CallToolRequest
		req.Params.Name = tool
		result, err := resume(t.Context(), req)
		if err != nil || !result.IsError {
			t.Fatalf("%s: %+v, %v", tool, result, err)
		}
		text := result.Content[0].(mcp.TextContent).Text
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q:\n%s", tool, w, text)
			}
		}
	}
}
