//go:build e2e

package hostile

import (
	"fmt"
	"os"
	"path/filepath"
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

		"OPENCLAW_API_KEY=OPENCLAW_API_KEY=sk_live_x":         "OPENCLAW_API_KEY is of the form NAME=value",
		"OPENCLAW_INSTANCE_ID=${INSTANCE}":                    "OPENCLAW_INSTANCE_ID holds a variable",
		"OPENCLAW_INSTANCE_ID=OPENCLAW_INSTANCE_ID=i1":        "OPENCLAW_INSTANCE_ID is of the form NAME=value",
		"OPENCLAW_INSTANCE_ID='i1'":                           "OPENCLAW_INSTANCE_ID begins or ends with a quotation mark",
		"OPENCLAW_MCP_EXCLUDE_INSTANCES=i1,${input:instance}": "OPENCLAW_MCP_EXCLUDE_INSTANCES holds a variable",
		`OPENCLAW_MCP_TOKENS=alice:"sk_live_0123456789"`:      "OPENCLAW_MCP_TOKENS",
		"OPENCLAW_MCP_TOKENS=alice:${TOKEN_OF_ALICE_01234}":   "OPENCLAW_MCP_TOKENS",
	} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			env := []string{set}
			if !strings.HasPrefix(set, "OPENCLAW_API_KEY") {
				env = append(env, "OPENCLAW_API_KEY="+serverKey)
			}
			if strings.HasPrefix(set, "OPENCLAW_MCP_TOKENS") {
				env = append(env, "OPENCLAW_MCP_AUTH=token")
			}
			p := start(t, env, "--http", "127.0.0.1:0")
			if code := p.exit(t); code != 2 || !strings.Contains(p.log.String(), want) || strings.Contains(p.log.String(), "sk_live") {
				t.Errorf("exit code %d, %s", code, p.log)
			}
		})
	}
}

// What stands in files is held to the same: a key, a token or a subject's key that somebody
// meant to be replaced, or that others could have put there, is refused. So is what others
// could put there later: the file is read again when it changes.
func TestFilesThatGuardNothing(t *testing.T) {
	t.Parallel()
	const key, token = "sk_live_0123456789abcdef", "token-0123456789abcdef"
	kinds := map[string]struct {
		file   string
		format string // of the file, with the word in it
		word   string // that it may hold
		env    []string
	}{
		"key":        {"OPENCLAW_API_KEY_FILE", "%s\n", key, nil},
		"token":      {"OPENCLAW_MCP_TOKENS_FILE", "alice:%s\n", token, []string{"OPENCLAW_MCP_AUTH=token", "OPENCLAW_API_KEY=" + serverKey}},
		"of a token": {"OPENCLAW_MCP_TOKENS_FILE", "alice:" + token + ":%s\n", key, []string{"OPENCLAW_MCP_AUTH=token", "OPENCLAW_API_KEY=" + serverKey}},
		"subject": {"OPENCLAW_MCP_OAUTH_KEYS_FILE", "{\"alice\":%q}", key, []string{"OPENCLAW_MCP_AUTH=oauth", "OPENCLAW_API_KEY=" + serverKey,
			"OPENCLAW_MCP_OAUTH_ISSUER=http://127.0.0.1:1", "OPENCLAW_MCP_PUBLIC_URL=https://claw.example/mcp"}},
	}
	for name, kind := range kinds {
		starts := func(mode os.FileMode, text string) *process {
			file := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, mode); err != nil {
				t.Fatal(err)
			}
			return start(t, append([]string{kind.file + "=" + file}, kind.env...), "--http", "127.0.0.1:0")
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			good := "\ufeff" + fmt.Sprintf(kind.format, kind.word)
			starts(0o600, good).find(t, `streamable HTTP".*?(http://[^\s"]+/mcp)`)
			for _, word := range []string{"${OPENCLAW_WORD_0123456789}", "${input:key-0123456789}", "'" + kind.word + "'", "OPENCLAW_KEY=" + kind.word} {
				p := starts(0o600, fmt.Sprintf(kind.format, word))
				if code := p.exit(t); code != 2 || !strings.Contains(p.log.String(), strings.TrimSuffix(kind.file, "_FILE")) || strings.Contains(p.log.String(), kind.word) {
					t.Errorf("%s: exit code %d, %s", word, code, p.log)
				}
			}
			for _, mode := range []os.FileMode{0o620, 0o602} {
				p := starts(mode, good)
				if code := p.exit(t); code != 2 || !strings.Contains(p.log.String(), "can be written by others") {
					t.Errorf("mode %#o: exit code %d, %s", mode, code, p.log)
				}
			}
		})
	}
}

// What install puts into a client's configuration is checked as the server will check it,
// and a configuration with a key in it is closed to others, backup included.
func TestInstallGuards(t *testing.T) {
	t.Parallel()
	url := service(t, instances(anyKey))
	config := filepath.Join(t.TempDir(), "mcp.json")
	install := func(args ...string) (int, string) {
		if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(config, 0o664); err != nil {
			t.Fatal(err)
		}
		p := start(t, []string{"OPENCLAW_API_KEY=" + serverKey, "OPENCLAW_API_BASE_URL=" + url}, append([]string{"install", "cursor", "--yes", "--config", config}, args...)...)
		code := p.exit(t)
		return code, p.log.String()
	}
	for set, want := range map[string]string{
		"OPENCLAW_MCP_READONLY=true":         "did you mean OPENCLAW_MCP_READ_ONLY?",
		"OPENCLAW_MCP_EXCLUDED_TOOLS=x":      "did you mean OPENCLAW_MCP_EXCLUDE_TOOLS?",
		"OPENCLAW_INSTANCE=i1":               "did you mean OPENCLAW_INSTANCE_ID?",
		"OPENCLAW_INSTANCE_ID=${INSTANCE}":   "OPENCLAW_INSTANCE_ID holds a variable",
		"OPENCLAW_MCP_TOOLS=read_fiel":       "read_fiel",
		"OPENCLAW_MCP_INSTANCES=\"i1\"":      "OPENCLAW_MCP_INSTANCES begins or ends with a quotation mark",
		"OPENCLAW_MCP_SOMETHING_ELSE=foobar": "is not a setting of openclaw-mcp",
	} {
		code, said := install("--env", set)
		if text, err := os.ReadFile(config); code == 0 || !strings.Contains(said, want) || err != nil || string(text) != "{}\n" {
			t.Errorf("%s: exit code %d, %s\nthe configuration is %s (%v)", set, code, said, text, err)
		}
	}
	if code, said := install("--key-in-config"); code != 0 {
		t.Fatalf("exit code %d, %s", code, said)
	}
	list, err := filepath.Glob(config + "*")
	if err != nil || len(list) != 2 {
		t.Errorf("there are %q, %v", list, err)
	}
	for _, file := range list {
		if st, err := os.Stat(file); err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", file, st.Mode(), err)
		}
	}
}
