package install

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestKeyFile(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.env["OPENCLAW_API_KEY"] = " " + testKey + "\n"
	keyFile := u.path(".config", "openclaw-mcp", "api-key")
	if out := u.ok("cursor", "--dry-run"); !strings.Contains(out, keyFile) || len(u.files(u.home)) > 0 {
		t.Fatalf("--dry-run wrote %v and says\n%s", u.files(u.home), out)
	}
	u.ok("cursor")
	check := func(want string) {
		t.Helper()
		if got := u.read(keyFile); got != want+"\n" {
			t.Errorf("the key's file holds %q", got)
		}
		if st, err := os.Stat(keyFile); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
			t.Errorf("the key's file: %v, %v; want mode 0600", st.Mode(), err)
		}
		if left := u.files(filepath.Dir(keyFile)); len(left) != 1 {
			t.Errorf("beside the key's file there are %v", left)
		}
	}
	check(testKey)
	config := u.read(u.path(".cursor", "mcp.json"))
	if !strings.Contains(config, keyFile) || strings.Contains(config, testKey) {
		t.Errorf("the configuration is\n%s", config)
	}

	// Another client needs no key again, and another key replaces the old one.
	delete(u.env, "OPENCLAW_API_KEY")
	u.ok("codex")
	check(testKey)
	u.env["OPENCLAW_API_KEY"] = "another"
	_, stderr, err := u.try("cursor")
	if err != nil || !strings.Contains(stderr, "replaced in "+keyFile) {
		t.Errorf("a new key: %v, %q", err, stderr)
	}
	check("another")
	if out := u.ok("cursor", "--uninstall"); !strings.Contains(out, "The key stays in "+keyFile) {
		t.Errorf("--uninstall says\n%s", out)
	}
	check("another")
}

// A file that the user has named is used where it is.
func TestKeyFileOfUser(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	mine := u.path("mine")
	u.write(mine, []byte(testKey+"\n"))
	u.env["OPENCLAW_API_KEY_FILE"] = mine
	u.ok("zed")
	if config := u.read(u.path(".config", "zed", "settings.json")); !strings.Contains(config, `"OPENCLAW_API_KEY_FILE": `+quote(mine)) {
		t.Errorf("the configuration is\n%s", config)
	}
	if left := u.files(u.path(".config")); len(left) != 1 {
		t.Errorf("there are %v, want no second file for the key", left)
	}
	u.ok("gemini", "--key-in-config")
	if config := u.read(u.path(".gemini", "settings.json")); !strings.Contains(config, testKey) || strings.Contains(config, mine) {
		t.Errorf("with --key-in-config there is\n%s", config)
	}
	out, _, err := u.try("json", "--key-in-config")
	if err != nil || !strings.Contains(out, testKey) {
		t.Errorf("json --key-in-config: %v\n%s", err, out)
	}
}

func TestBadKeys(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.write(u.path("two"), []byte("two words"))
	for _, tt := range []struct{ key, file, want string }{
		{testKey, u.path("two"), "both set"},
		{"two words", "", "one word of ASCII"},
		{"schlüssel", "", "one word of ASCII"},
		{"", u.path("two"), "must hold one key"},
		{"", u.path("none"), "OPENCLAW_API_KEY_FILE can't be used"},
		{"", "", "there is no API key to install"},
	} {
		u.env = map[string]string{"OPENCLAW_API_KEY": tt.key, "OPENCLAW_API_KEY_FILE": tt.file}
		u.refused([]string{tt.want}, "cursor")
		u.refused([]string{tt.want}, "cursor", "--http", "https://claw.example/mcp", "--key-in-config")
	}
	u.env = map[string]string{}
	u.write(u.path(".config", "openclaw-mcp", "api-key"), []byte("\n"))
	u.refused([]string{"api-key must hold one key"}, "cursor")
	if left := u.files(u.home); len(left) != 2 {
		t.Errorf("there are %v now", left)
	}
}

// A key that can't be kept leaves the configuration alone.
func TestKeyFileFails(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.env["OPENCLAW_API_KEY"] = testKey
	u.env["XDG_CONFIG_HOME"] = u.path("blocked")
	u.write(u.path("blocked", "openclaw-mcp"), nil)
	u.refused([]string{"openclaw-mcp"}, "cursor")
	if left := u.files(u.home); len(left) != 1 {
		t.Errorf("there are %v now", left)
	}
}

// Without a terminal nothing is asked, and nobody waits for an answer.
func TestNoTerminal(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	u.in = r
	u.refused([]string{"no API key"}, "cursor")
}

func FuzzJSON(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.content, s.client.container)
	}
	fuzz(f, jsonFormat{})
}

func FuzzTOML(f *testing.F) {
	for _, s := range samples(f) {
		f.Add(s.content, s.client.container)
	}
	fuzz(f, tomlFormat{})
}

// fuzz: whatever is put in can be taken out, and all the rest stays.
func fuzz(f *testing.F, format format) {
	f.Fuzz(func(t *testing.T, text []byte, container string) {
		if !nameOfEntry().MatchString(container) {
			return
		}
		was := &file{path: "f", exists: true, whole: text}
		entry := rendering{members: object{{"command", "x"}, {"env", object{{"A", "b"}}}}}
		after, err := format.put(was.text(), container, "mine", entry)
		if err != nil {
			return
		}
		if len(bytes.TrimSpace(was.text())) > 0 && !onlyAdds(was.text(), after) {
			t.Errorf("put changed more than it must:\n%q\n%q", text, after)
		}
		raw, err := format.raw(after, container, "mine")
		if err != nil {
			t.Fatalf("raw: %v in %q", err, after)
		}
		if again, err := format.put(was.text(), container, "mine", raw); err != nil || !bytes.Equal(again, after) {
			t.Errorf("put of its own text: %v\n%q\n%q", err, after, again)
		}
		if replaced, err := format.replace(after, container, "mine", entry); err != nil {
			t.Errorf("replace in %q: %v", replaced, err)
		}
		if back, err := format.drop(after, container, "mine"); err != nil {
			t.Errorf("drop from %q: %v, %q", after, err, back)
		}
	})
}
