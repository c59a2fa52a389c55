package cli

import (
	"bytes"
	"testing"

	"github.com/mark3labs/mcp-go/mcp"
)

func TestLiveOutput(t *testing.T) {
	for name, tt := range map[string]struct {
		shown, result string
		facts         map[string]any
		want          string
	}{
		"all was shown":          {"one\ntwo\n", "one\ntwo\n[status: completed]", nil, "[status: completed]"},
		"redrawn lines":          {"10 %\r20 %\r100 %\n", "100 %\n[status: completed]", nil, "[status: completed]"},
		"the end was left out":   {"one\n", "one\n… two\n[status: completed]", map[string]any{"omitted_stdout_bytes": 5.0}, "… two\n[status: completed]"},
		"the middle was not":     {"one\nmore\n", "one\n…\nthree\n[status: completed]", map[string]any{"omitted_stdout_bytes": 5.0}, "one\n…\nthree\n[status: completed]"},
		"a long output":          {"one\ntwo\nthree\nfour\n", "one\n…\nfour\n[status: completed]", map[string]any{"omitted_stdout_bytes": 10.0}, "[status: completed]"},
		"a reply written anew":   {"On it", "All is done.\n[status: completed]", map[string]any{"kind": "chat"}, "All is done.\n[status: completed]"},
		"a reply, cut":           {"all of a long reply", "all of …\n[status: completed]", map[string]any{"kind": "chat"}, "[status: completed]"},
		"a reply that says so":   {"[status: x]", "[status: x]\n[status: completed]", map[string]any{"kind": "chat"}, "\n[status: completed]"},
		"nothing but the status": {"", "[status: running]", map[string]any{"kind": "chat"}, "[status: running]"},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			l := &liveOutput{console: &console{stdout: &out, stderr: &out}}
			l.show(tt.shown, "")
			res := mcp.NewToolResultText(tt.result)
			res.StructuredContent = tt.facts
			if got := l.rest(res); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
