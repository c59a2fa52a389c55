package install

import (
	"bytes"
	"openclaw-mcp/internal/golden"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// sample is a configuration as users have it.
type sample struct {
	name    string
	client  client
	content []byte
}

func samples(t testing.TB) (all []sample) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		for _, c := range clients() {
			if base := filepath.Base(name); strings.HasPrefix(base, c.name+".") || strings.HasPrefix(base, c.name+"-") {
				content, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, sample{base, c, content})
			}
		}
	}
	if len(all) < 15 {
		t.Fatalf("only %d samples: these are not all", len(all))
	}
	return all
}

// onlyAdds tells whether after is before with at most two pieces put in, which
// is what putting in an entry and its comma takes.
func onlyAdds(before, after []byte) bool {
	rest, pieces := after, 0
	for len(before) > 0 {
		same := 0
		for same < len(before) && same < len(rest) && before[same] == rest[same] {
			same++
		}
		before, rest = before[same:], rest[same:]
		if len(before) == 0 {
			break
		}
		// The piece ends where all that is left comes, or at a comma put in.
		if pieces++; pieces > 2 || len(rest) == 0 {
			return false
		}
		if bytes.HasSuffix(rest, before) {
			return true
		}
		rest = rest[1:]
	}
	return true
}

// The whole way with each sample: what is put in is as the golden file has it,
// the rest is byte for byte the same, a second time changes nothing, and what
// is taken out leaves the very file that was there.
func TestGoldenSamples(t *testing.T) {
	t.Parallel()
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t)
			path := u.path("config", s.name)
			u.write(path, s.content)
			install := []string{s.client.name, "--config", path}

			if out := u.ok(append(install, "--local", "--dry-run")...); u.read(path) != string(s.content) || len(u.files(filepath.Dir(path))) != 1 {
				t.Fatalf("--dry-run wrote something; it said\n%s", out)
			}
			out := u.ok(append(install, "--local")...)
			if !strings.Contains(out, "--local") || !strings.Contains(out, backupEnd) {
				t.Errorf("the change or the backup is not shown:\n%s", out)
			}
			after := []byte(u.read(path))
			golden.File(t, filepath.Join("testdata", "golden", s.name), string(after))
			blank := len(bytes.TrimSpace(s.content)) == 0
			if !blank && !onlyAdds(s.content, after) {
				t.Errorf("more than an entry was put in:\n%s", after)
			}

			files := u.files(filepath.Dir(path))
			if len(files) != 2 {
				t.Errorf("there are %v, want the file and a backup", files)
			}
			for _, name := range files {
				if name != s.name && u.read(filepath.Join(filepath.Dir(path), name)) != string(s.content) {
					t.Errorf("%s is not the file as it was", name)
				}
			}
			if out := u.ok(append(install, "--local")...); !strings.Contains(out, "Already installed") {
				t.Errorf("the second time says %q", out)
			}
			if again := u.files(filepath.Dir(path)); u.read(path) != string(after) || !reflect.DeepEqual(again, files) {
				t.Errorf("the second time changed something: %v", again)
			}

			u.ok(append(install, "--uninstall")...)
			if got := u.read(path); got != string(s.content) {
				t.Errorf("after --uninstall there is\n%q\nwant\n%q", got, s.content)
			}
		})
	}
}

// Without a backup to go back to, taking the entry out leaves what the user
// wrote, but for an empty object where there was none.
func TestDropSamples(t *testing.T) {
	t.Parallel()
	emptied := map[string]bool{"claude-desktop-bare.json": true, "claude-code-none.json": true,
		"zed-none.json": true, "codex-windows.toml": true, "gemini-empty.json": true, "json-blank.json": true}
	for _, s := range samples(t) {
		c := s.client
		text := bytes.TrimPrefix(s.content, bom)
		entry := rendering{members: object{{"command", "x"}}}
		after, err := c.format.put(text, c.container, "mine", entry)
		if err != nil {
			t.Errorf("%s: put: %v", s.name, err)
			continue
		}
		if _, err := c.format.put(after, c.container, "mine", entry); err == nil {
			t.Errorf("%s: put twice", s.name)
		}
		other := rendering{members: object{{"command", "y"}, {"env", object{{"A", "1"}, {"B", "2"}}}}}
		replaced, err := c.format.replace(after, c.container, "mine", other)
		if err != nil {
			t.Errorf("%s: replace: %v", s.name, err)
			continue
		}
		for _, text := range [][]byte{after, replaced} {
			back, err := c.format.drop(text, c.container, "mine")
			if err != nil {
				t.Errorf("%s: drop: %v", s.name, err)
				continue
			}
			was, err1 := c.format.decode(bytes.TrimPrefix(s.content, bom))
			now, err2 := c.format.decode(back)
			if err1 != nil || err2 != nil {
				t.Fatal(s.name, err1, err2)
			}
			if servers, ok := now[c.container].(map[string]any); emptied[s.name] && ok && len(servers) == 0 && was[c.container] == nil {
				delete(now, c.container)
			}
			if !reflect.DeepEqual(was, now) {
				t.Errorf("%s: after drop, the configuration is\n%s", s.name, back)
			}
			if exact := bytes.Equal(back, bytes.TrimPrefix(s.content, bom)); !exact && !emptied[s.name] {
				t.Errorf("%s: after drop there is\n%q\nwant\n%q", s.name, back, s.content)
			}
		}
	}
}

// The entry is taken out wherever it stands, and comments stay.
func TestDropAnywhere(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format       format
		before, want string
	}{
		{jsonFormat{}, `{"s": {"mine": {}}}`, `{"s": {}}`},
		{jsonFormat{}, "{\"s\": {\n  \"mine\": {},\n}, \"t\": 1}", "{\"s\": {}, \"t\": 1}"},
		{jsonFormat{}, "{\"s\": {\n  // none\n  \"mine\": {}\n}}", "{\"s\": {\n  // none\n}}"},
		{jsonFormat{}, `{"s": {"mine": {}, "b": {}}}`, `{"s": { "b": {}}}`},
		{jsonFormat{}, `{"s": {"a": {}, "mine": {}, "b": {}}}`, `{"s": {"a": {}, "b": {}}}`},
		{jsonFormat{}, `{"s": {"a": {} /* a */ , /* m */ "mine": {} /* n */, "b": {}}}`, `{"s": {"a": {} /* a */ , /* m */ /* n */ "b": {}}}`},
		{jsonFormat{}, "{\"s\": {\n  \"a\": {}, // a\n  \"mine\": {}, // m\n  \"b\": {} // b\n}}", "{\"s\": {\n  \"a\": {}, // a\n   // m\n  \"b\": {} // b\n}}"},
		{jsonFormat{}, "{\"s\": {\n  \"a\": {}, // a\n  \"mine\": {}\n}}", "{\"s\": {\n  \"a\": {} // a\n}}"},
		{jsonFormat{}, "{\"s\": {\n  \"a\": {}, // a\n  \"mine\": {} }}", "{\"s\": {\n  \"a\": {} // a\n   }}"},
		{jsonFormat{}, "{\"s\": { // all\n  \"mine\": {} }}", "{\"s\": { // all\n   }}"},
		{tomlFormat{}, "[s.mine]\na = 1\n", ""},
		{tomlFormat{}, "[s.mine]\r\na = 1\r\n\r\n\r\n[s.a]\r\n", "\r\n[s.a]\r\n"},
		{tomlFormat{}, "[s.mine]\n\n[s.a]\n", "[s.a]\n"},
		{tomlFormat{}, "[s.a]\n\n[s.mine] # m\na = 1 # n\n\n# of b\n[s.b]\n", "[s.a]\n\n# of b\n[s.b]\n"},
		{tomlFormat{}, "x = 1\n[s.\"mine\"]\na = [\n'#', # x\n]\n# y\nb = '''\n[z]\n'''\n[s.mine.env]\nK = \"\"\n[[t]]\n[s.mine.more.and]\nk = {a = 1}\n[u]\n", "x = 1\n[[t]]\n[u]\n"},
		{tomlFormat{}, "[s]\nk = 1\n[ s . mine ]\na = \"\"\"x\\\"\"\"\"\"\n", "[s]\nk = 1\n"},
		{tomlFormat{}, "[s]\r\n\r\n[s.mine]\r\na = 1\r\n\r\n[b]", "[s]\r\n\r\n[b]"},
	} {
		got, err := tt.format.drop([]byte(tt.before), "s", "mine")
		if err != nil || string(got) != tt.want {
			t.Errorf("drop from\n%s\n%v\ngot\n%s\nwant\n%s", tt.before, err, got, tt.want)
		}
	}
}

// What can't be edited safely is refused, by every edit.
func TestEditsRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		format       format
		before, want string
	}{
		{jsonFormat{}, `{"s": []}`, `"s" is not an object`},
		{jsonFormat{}, `{"s": null}`, `"s" is not an object`},
		{jsonFormat{}, `[]`, "JSON object"},
		{jsonFormat{}, `{"s": {}, "s": {}}`, `"s" twice`},
		{jsonFormat{}, `{"s": {"mine": {}, "mine": {}}}`, `"mine" twice`},
		{tomlFormat{}, "s = 1\n", `"s" is not a table`},
		{tomlFormat{}, "s = { a = {} }\n", "by hand"},
		{tomlFormat{}, "[s]\nmine = { a = 1 }\n", "already has"},
	} {
		got, err := tt.format.put([]byte(tt.before), "s", "mine", rendering{members: object{{"command", "x"}}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("put into %s: %v, %q; want %q", tt.before, err, got, tt.want)
		}
	}
	for _, tt := range []struct {
		format       format
		before, want string
	}{
		{jsonFormat{}, `{"s": {}}`, `no "mine"`},
		{jsonFormat{}, `{}`, `no "mine"`},
		{jsonFormat{}, `{`, "unexpected EOF"},
		{tomlFormat{}, "[s.a]\n", `no "mine"`},
		{tomlFormat{}, "[s]\nmine = { a = 1 }\n", "no table header [s.mine]"},
		{tomlFormat{}, "[s]\nmine.a = 1\n[s.mine.b]\n", "by hand"},
		{tomlFormat{}, "[", "not valid TOML"},
	} {
		if _, err := tt.format.drop([]byte(tt.before), "s", "mine"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("drop from %s: %v; want %q", tt.before, err, tt.want)
		}
		if _, err := tt.format.raw([]byte(tt.before), "s", "mine"); err == nil && !strings.Contains(tt.before, "mine.b") {
			t.Errorf("raw of %s found something", tt.before)
		}
		if _, err := tt.format.replace([]byte(tt.before), "s", "mine", rendering{members: object{{"command", "x"}}}); err == nil {
			t.Errorf("replace in %s went well", tt.before)
		}
	}
}
