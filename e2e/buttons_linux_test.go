//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's install buttons lead to entries that start a server, read as the
// clients read them.
func TestInstallButtons(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for client, decode := range map[string]func(q url.Values) (string, error){
		"https://insiders.vscode.dev/redirect/mcp/install": func(q url.Values) (string, error) {
			return q.Get("config"), nil
		},
		"https://cursor.com/en/install-mcp": func(q url.Values) (string, error) {
			b, err := base64.StdEncoding.DecodeString(q.Get("config"))
			return string(b), err
		},
	} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			m := regexp.MustCompile(regexp.QuoteMeta(client) + `\?([^)]+)\)`).FindSubmatch(readme)
			if m == nil {
				t.Fatal("the README has no such button")
			}
			q, err := url.ParseQuery(string(m[1]))
			if err != nil {
				t.Fatal(err)
			}
			if got := q.Get("name"); got != "openclaw" {
				t.Errorf("the server's name is %q, want openclaw", got)
			}
			config, err := decode(q)
			if err != nil {
				t.Fatal(err)
			}
			var entry struct {
				Command string
				Args    []string
			}
			if err := json.Unmarshal([]byte(config), &entry); err != nil {
				t.Fatalf("%v in %s", err, config)
			}
			// The key is where `openclaw-mcp login` keeps it.
			kept := filepath.Join(t.TempDir(), "openclaw-mcp", "api-key")
			if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(kept, []byte("sk_live_button\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			// The shell looks the command up in the PATH that the test gives it.
			cmd := exec.Command("sh", append([]string{"-c", `exec "$@"`, "sh", entry.Command}, entry.Args...)...)
			cmd.Env = append(withBinary(t), "XDG_CONFIG_HOME="+filepath.Dir(filepath.Dir(kept)))
			cmd.Stdin = strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"button","version":"1"}}}` + "\n" +
				`{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n" +
				`{"jsonrpc":"2.0","id":2,"method":"tools/list"}` + "\n")
			out, err := cmd.Output()
			if err != nil || !strings.Contains(string(out), `"name":"send_chat_message"`) {
				t.Errorf("%v; the server lists no tools:\n%s", err, out)
			}
		})
	}
}
