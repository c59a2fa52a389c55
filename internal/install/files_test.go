package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What is not a configuration is refused and left as it is.
func TestUnusableFiles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		client, content string
		want            []string
	}{
		"cut off":          {"cursor", `{"mcpServers": {`, []string{"left as it is", "not valid JSON"}},
		"merged by hand":   {"cursor", "{\n<<<<<<< HEAD\n}", []string{"not valid JSON", "line 2"}},
		"single quotes":    {"cursor", `{'a': 1}`, []string{"not valid JSON"}},
		"UTF-16":           {"cursor", "\xff\xfe{\x00}\x00", []string{"not valid JSON"}},
		"comments only":    {"zed", "// nothing\n", []string{"not valid JSON"}},
		"two values":       {"cursor", `{} {}`, []string{"not valid JSON"}},
		"a list":           {"cursor", `[]`, []string{"JSON object"}},
		"a list inside":    {"cursor", `{"mcpServers": []}`, []string{"left as it is", `"mcpServers" is not an object`}},
		"servers twice":    {"cursor", `{"mcpServers": {}, "mcpServers": {}}`, []string{"twice"}},
		"TOML, cut off":    {"codex", "[a", []string{"left as it is", "not valid TOML"}},
		"TOML, key twice":  {"codex", "a = 1\na = 2\n", []string{"not valid TOML"}},
		"TOML, in braces":  {"codex", "mcp_servers = { a = { command = \"x\" } }\n", []string{"no table header", "by hand"}},
		"another openclaw": {"cursor", `{"mcpServers": {"openclaw": {"command": "x"}}}`, []string{"another \"openclaw\"", "--force", "--name"}},
		"another in TOML":  {"codex", "[mcp_servers.openclaw]\ncommand = \"x\"\n", []string{"another \"openclaw\"", "--force"}},
		"not an object":    {"cursor", `{"mcpServers": {"openclaw": 1}}`, []string{"another \"openclaw\""}},
	} {
		u := newUser(t)
		u.env["OPENCLAW_API_KEY"] = testKey
		config := u.path("config", "file")
		u.write(config, []byte(tt.content))
		u.refused(append(tt.want, config), tt.client, "--config", config)
		if got := u.read(config); got != tt.content {
			t.Errorf("%s: there is now %q", name, got)
		}
		if left := u.files(u.home); len(left) != 1 {
			t.Errorf("%s: there are now %v; nothing is written for what fails", name, left)
		}
		if left := u.files(filepath.Dir(config)); len(left) != 1 {
			t.Errorf("%s: there are now %v", name, left)
		}
	}
	u := newUser(t)
	u.refused([]string{"is not a file"}, "cursor", "--local", "--config", u.home)
	u.write(u.path("file"), nil)
	u.refused([]string{"file"}, "cursor", "--local", "--config", u.path("file", "below"))
	u.write(u.path("bad"), []byte(`{"mcpServers": {"openclaw": {}, "openclaw": {}}}`))
	u.refused([]string{"left as it is", "twice"}, "cursor", "--uninstall", "--config", u.path("bad"))
}

func TestForce(t *testing.T) {
	t.Parallel()
	for client, content := range map[string]string{
		"cursor": "{\n  \"mcpServers\": {\n    \"openclaw\": {\"url\": \"https://old.example/mcp\"}, // mine\n    \"b\": {}\n  }\n}\n",
		"codex":  "[mcp_servers.openclaw]\nurl = \"https://old.example/mcp\"\n\n[mcp_servers.b]\ncommand = \"b\"\n",
	} {
		u := newUser(t)
		config := u.path("config")
		u.write(config, []byte(content))
		out := u.ok(client, "--config", config, "--local", "--force")
		if text := u.read(config); strings.Contains(text, "old.example") || !strings.Contains(text, "--local") || strings.Contains(text, "mine") != strings.Contains(content, "mine") {
			t.Errorf("%s: --force makes\n%s", client, text)
		}
		if !strings.Contains(out, "- ") || !strings.Contains(out, "old.example") {
			t.Errorf("%s: the change does not show what goes:\n%s", client, out)
		}
		u.ok(client, "--config", config, "--uninstall")
		if text := u.read(config); strings.Contains(text, "openclaw") || !strings.Contains(text, "b") {
			t.Errorf("%s: --uninstall leaves\n%s", client, text)
		}
	}
}

// What a user added to an entry is no reason to touch it; what makes it another
// server is.
func TestInstalled(t *testing.T) {
	t.Parallel()
	want := object{{"command", "x"}, {"args", []string{"--local"}}, {"env", object{{"OPENCLAW_API_KEY_FILE", "f"}}}}
	for _, tt := range []struct {
		json string
		want bool
	}{
		{`{"command": "x", "args": ["--local"], "env": {"OPENCLAW_API_KEY_FILE": "f"}}`, true},
		{`{"disabled": true, "command": "x", "args": ["--local"], "env": {"OPENCLAW_API_KEY_FILE": "f", "OPENCLAW_INSTANCE_ID": "i"}}`, true},
		{`{"command": "y", "args": ["--local"], "env": {"OPENCLAW_API_KEY_FILE": "f"}}`, false},
		{`{"command": "x", "env": {"OPENCLAW_API_KEY_FILE": "f"}}`, false},
		{`{"command": "x", "args": ["--local", "-x"], "env": {"OPENCLAW_API_KEY_FILE": "f"}}`, false},
		{`{"command": "x", "args": ["--local"], "env": {"OPENCLAW_API_KEY_FILE": "f", "OPENCLAW_API_KEY": "k"}}`, false},
		{`{"command": "x", "args": ["--local"], "env": {"OPENCLAW_API_KEY_FILE": "f"}, "url": "u"}`, false},
		{`{"command": "x", "args": ["--local"], "env": []}`, false},
	} {
		have, err := jsonFormat{}.decode([]byte(tt.json))
		if err != nil {
			t.Fatal(err)
		}
		if got := installed(have, want.value()); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.json, got, tt.want)
		}
	}
	have, _ := jsonFormat{}.decode([]byte(`{"command": "x", "args": ["--local"]}`))
	if installed(have, object{{"command", "x"}}.value()) {
		t.Error("an entry with --local counts as one without")
	}
}

// A file that its owner protects is not replaced, though that could be done.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.env["OPENCLAW_API_KEY"] = testKey
	config := u.path("mcp.json")
	u.write(config, []byte(`{"mcpServers": {"mine": {}}}`))
	if err := os.Chmod(config, 0o444); err != nil {
		t.Fatal(err)
	}
	u.refused([]string{config, "read-only", "--config"}, "cursor", "--config", config)
	u.refused([]string{config, "read-only"}, "cursor", "--config", config, "--name", "mine", "--uninstall")
	if left := u.files(u.home); len(left) != 1 {
		t.Errorf("there are now %v", left)
	}
	f, err := read(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.write(nil, time.Now()); err == nil {
		t.Error("write replaced a read-only file")
	}
	if _, err := f.remove(time.Now()); err == nil {
		t.Error("remove deleted a read-only file")
	}
	if err := os.Chmod(config, 0o644); err != nil { // so that Windows can clean up
		t.Fatal(err)
	}
}

// A client that writes its file at the same time loses nothing.
func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	config, none := u.path("a", "config"), u.path("b", "none")
	u.write(config, []byte("{}"))
	f, err := read(config)
	if err != nil {
		t.Fatal(err)
	}
	missing, err := read(none)
	if err != nil {
		t.Fatal(err)
	}
	u.write(config, []byte(`{"new": 1}`))
	u.write(none, []byte(`{"new": 2}`))
	if _, err := f.write([]byte("x"), time.Now()); err == nil || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("write: %v", err)
	}
	if _, err := f.remove(time.Now()); err == nil || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("remove: %v", err)
	}
	if _, err := missing.write([]byte("x"), time.Now()); err == nil || !strings.Contains(err.Error(), "run the command again") {
		t.Errorf("write of a file that came: %v", err)
	}
	for path, want := range map[string]string{config: `{"new": 1}`, none: `{"new": 2}`} {
		if got, left := u.read(path), u.files(filepath.Dir(path)); got != want || len(left) != 1 {
			t.Errorf("%s: there is %q in %v", path, got, left)
		}
	}
}

// Backups of the same moment do not take each other's place.
func TestBackups(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	config := u.path("config")
	u.write(config, []byte("0"))
	for _, text := range []string{"1", "2", "3"} {
		f, err := read(config)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.write([]byte(text), u.now); err != nil {
			t.Fatal(err)
		}
	}
	f, err := read(config)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, b := range f.backups() {
		got[string(b)] = true
	}
	if len(got) != 3 || !got["0"] || !got["1"] || !got["2"] {
		t.Errorf("the backups hold %v", got)
	}
}

// When the file changed since, only the entry goes.
func TestUninstallLater(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	config := u.path("config")
	u.write(config, []byte("{\n  \"a\": 1,\n  \"mcpServers\": {\n    \"b\": {}\n  }\n}\n"))
	u.ok("cursor", "--config", config, "--local")
	u.write(config, []byte(strings.Replace(u.read(config), "1,", "2, // new\n", 1)))
	u.ok("cursor", "--config", config, "--uninstall")
	if got, want := u.read(config), "{\n  \"a\": 2, // new\n\n  \"mcpServers\": {\n    \"b\": {}\n  }\n}\n"; got != want {
		t.Errorf("there is\n%s\nwant\n%s", got, want)
	}
}

// A diff shows what changes, and no more of a long line than it must.
func TestDiff(t *testing.T) {
	t.Parallel()
	long := `{"secret": "` + strings.Repeat("s", 300) + `"`
	for _, tt := range []struct{ before, after, want string }{
		{"", "a\nb\n", "f, line 1:\n+ a\n+ b\n"},
		{"a\r\nb\r\n", "a\r\nc\r\nb\r\n", "f, line 2:\n+ c\n"},
		{"a\nb\nc", "a\nc", "f, line 2:\n- b\n"},
		{"\xef\xbb\xbfa", "\xef\xbb\xbfb\xff", "f, line 1:\n- a\n+ b?\n"},
		{long + "}", long + `, "m": {}}`, "f, line 1:\n- …" + strings.Repeat("s", 19) + "\"}\n+ …" + strings.Repeat("s", 19) + "\", \"m\": {}}\n"},
		{`"OPENCLAW_API_KEY": "k1",`, `OPENCLAW_API_KEY = "k2" "Authorization": "Bearer k3"`, "f, line 1:\n- \"OPENCLAW_API_KEY\": \"***\",\n+ OPENCLAW_API_KEY = \"***\" \"Authorization\": \"Bearer ***\"\n"},
		{"", long, "f, line 1:\n+ " + long[:widest] + "…\n"},
	} {
		var b strings.Builder
		diff(&b, "f", []byte(tt.before), []byte(tt.after))
		if b.String() != tt.want {
			t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
		}
	}
}
