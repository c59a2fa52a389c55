//go:build e2e

package hostile

import (
	"strings"
	"testing"
)

// A setting that would guard nothing ends the start, and the message names it. A
// misspelt rail once let every tool through.
func TestSettingsThatGuardNothing(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"OPENCLAW_MCP_READONLY=true":     "did you mean OPENCLAW_MCP_READ_ONLY?",
		"OPENCLAW_MCP_ALLOWED_ORIGINS=*": "OPENCLAW_MCP_ALLOWED_ORIGINS is *",
		"OPENCLAW_MCP_INSTANCES=${ID}":   "OPENCLAW_MCP_INSTANCES holds a variable",
		"OPENCLAW_API_KEY=${input:key}":  "OPENCLAW_API_KEY holds a variable",
		`OPENCLAW_API_KEY="sk_live_x"`:   "OPENCLAW_API_KEY begins or ends with a quotation mark",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			env := []string{set}
			if !strings.HasPrefix(set, "OPENCLAW_API_KEY") {
				env = append(env, "OPENCLAW_API_KEY="+serverKey)
			}
			p := start(t, env, "--http", "127.0.0.1:0")
			if code := p.exit(t); code != 2 || !strings.Contains(p.log.String(), want) || strings.Contains(p.log.String(), "sk_live") {
				t.Errorf("exit code %d, %s", code, p.log)
			}
		})
	}
}
