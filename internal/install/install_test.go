package install

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

const testKey = "sk_of_a_test"

// user is somebody with a home folder and variables.
type user struct {
	t    testing.TB
	home string
	goos string
	env  map[string]string
	now  time.Time
	in   *os.File
}

func newUser(t testing.TB) *user {
	return &user{t: t, home: t.TempDir(), goos: "linux", env: map[string]string{}, now: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)}
}

// try runs `install` with these arguments.
func (u *user) try(args ...string) (stdout, stderr string, err error) {
	u.t.Helper()
	var o Options
	flags := pflag.NewFlagSet("install", pflag.ContinueOnError)
	o.AddFlags(flags)
	flags.BoolVar(&o.Local, "local", false, "a flag of the whole program")
	if err := flags.Parse(args); err != nil {
		u.t.Fatal(err)
	}
	o.Clients = flags.Args()
	var out, errs bytes.Buffer
	s := Setup{
		Env: func(name string) string { return u.env[name] }, GOOS: u.goos, Home: u.home,
		Exe: "/opt/open claw/openclaw-mcp", Stdout: &out, Stderr: &errs, Stdin: strings.NewReader(""),
		Now: func() time.Time {
			u.now = u.now.Add(time.Second)
			return u.now
		},
	}
	if u.in != nil {
		s.Stdin = u.in
	}
	err = Run(s, o)
	if all := out.String() + errs.String(); strings.Contains(all, testKey) && (len(args) == 0 || args[0] != "json") {
		u.t.Errorf("install %q shows the key:\n%s", args, all)
	}
	return out.String(), errs.String(), err
}

// ok is try for what must go well.
func (u *user) ok(args ...string) string {
	u.t.Helper()
	stdout, _, err := u.try(args...)
	if err != nil {
		u.t.Fatalf("install %q: %v\n%s", args, err, stdout)
	}
	return stdout
}

// refused is try for what must fail, with these words in the error.
func (u *user) refused(words []string, args ...string) {
	u.t.Helper()
	_, _, err := u.try(args...)
	if err == nil {
		u.t.Fatalf("install %q went well; it must fail with %q", args, words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			u.t.Errorf("install %q: the error %q does not have %q", args, err, w)
		}
	}
	if strings.Contains(err.Error(), testKey) {
		u.t.Errorf("the error %q has the key", err)
	}
}

func (u *user) path(elem ...string) string {
	return filepath.Join(append([]string{u.home}, elem...)...)
}

func (u *user) write(path string, content []byte) {
	u.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644)); err != nil {
		u.t.Fatal(err)
	}
}

func (u *user) read(path string) string {
	u.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		u.t.Fatal(err)
	}
	return string(b)
}

// files are the names in a folder.
func (u *user) files(dir string) (names []string) {
	u.t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		u.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Each client's file is found on each system, and its variables are honoured.
func TestPaths(t *testing.T) {
	t.Parallel()
	home := filepath.Join(string(filepath.Separator), "home", "ada")
	elsewhere, err := filepath.Abs("elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		client, goos, variable string
		want                   []string // below home, or the variable's folder
	}{
		{"claude-desktop", "linux", "", []string{".config", "Claude", "claude_desktop_config.json"}},
		{"claude-desktop", "linux", "XDG_CONFIG_HOME", []string{"Claude", "claude_desktop_config.json"}},
		{"claude-desktop", "darwin", "", []string{"Library", "Application Support", "Claude", "claude_desktop_config.json"}},
		{"claude-desktop", "windows", "", []string{"AppData", "Roaming", "Claude", "claude_desktop_config.json"}},
		{"claude-desktop", "windows", "APPDATA", []string{"Claude", "claude_desktop_config.json"}},
		{"claude-code", "linux", "", []string{".claude.json"}},
		{"claude-code", "darwin", "CLAUDE_CONFIG_DIR", []string{".claude.json"}},
		{"cursor", "windows", "", []string{".cursor", "mcp.json"}},
		{"vscode", "linux", "", []string{".config", "Code", "User", "mcp.json"}},
		{"vscode", "darwin", "", []string{"Library", "Application Support", "Code", "User", "mcp.json"}},
		{"vscode", "windows", "APPDATA", []string{"Code", "User", "mcp.json"}},
		{"windsurf", "darwin", "", []string{".codeium", "windsurf", "mcp_config.json"}},
		{"zed", "linux", "XDG_CONFIG_HOME", []string{"zed", "settings.json"}},
		{"zed", "darwin", "", []string{".config", "zed", "settings.json"}},
		{"zed", "windows", "APPDATA", []string{"Zed", "settings.json"}},
		{"codex", "linux", "", []string{".codex", "config.toml"}},
		{"codex", "windows", "CODEX_HOME", []string{"config.toml"}},
		{"gemini", "linux", "", []string{".gemini", "settings.json"}},
		{"gemini", "linux", "GEMINI_CLI_HOME", []string{".gemini", "settings.json"}},
	} {
		p := places{goos: tt.goos, home: home, env: func(name string) string {
			if name == tt.variable {
				return elsewhere
			}
			return ""
		}}
		base := home
		if tt.variable != "" {
			base = elsewhere
		}
		want := filepath.Join(append([]string{base}, tt.want...)...)
		for _, c := range clients() {
			if got := c.path(p); c.name == tt.client && got != want {
				t.Errorf("%s on %s with %q: %s, want %s", tt.client, tt.goos, tt.variable, got, want)
			}
		}
	}
	p := places{goos: "linux", home: home, env: func(string) string { return "relative" }}
	if got, want := p.config(), filepath.Join(home, ".config"); got != want {
		t.Errorf("a relative XDG_CONFIG_HOME gives %s, want %s", got, want)
	}
}

// On Windows, the packaged Claude Desktop reads a file of its own.
func TestPackagedClaudeDesktop(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.goos = "windows"
	u.env["LOCALAPPDATA"] = u.path("Local")
	inside := func(name string) string {
		return u.path("Local", "Packages", name, "LocalCache", "Roaming", "Claude", "claude_desktop_config.json")
	}
	u.write(u.path("Local", "Packages", "Another_1", "x"), nil)
	if out := u.ok("--list"); !strings.Contains(out, u.path("AppData", "Roaming", "Claude", "claude_desktop_config.json")) {
		t.Errorf("not packaged: --list says\n%s", out)
	}
	u.write(u.path("Local", "Packages", "Claude_b", "x"), nil)
	u.ok("claude-desktop", "--local", "--dry-run")
	if out := u.ok("--list"); !strings.Contains(out, inside("Claude_b")) {
		t.Errorf("packaged: --list says\n%s", out)
	}
	u.write(inside("Claude_a"), []byte("{}")) // the one that has been used
	u.ok("claude-desktop", "--local")
	if got := u.read(inside("Claude_a")); !strings.Contains(got, "--local") {
		t.Errorf("the configuration in use is %s", got)
	}
}

// What each client gets in a file that wasn't there, of each kind of entry.
func TestEntries(t *testing.T) {
	t.Parallel()
	const url = "https://claw.example/mcp"
	for _, tt := range []struct{ client, local, url, key string }{
		{"claude-desktop", `"args": ["--local"]`, `"args": ["-y", "mcp-remote", "` + url + `"]`, `"--header", "Authorization:${AUTH_HEADER}"`},
		{"claude-code", `"type": "stdio",`, `"type": "http",`, `"Authorization": "Bearer ` + testKey},
		{"cursor", `"args": ["--local"]`, `"url": "` + url, `"Authorization": "Bearer ` + testKey},
		{"vscode", `"servers": {`, `"type": "http",`, `"Authorization": "Bearer ` + testKey},
		{"windsurf", `"args": ["--local"]`, `"serverUrl": "` + url, `"Authorization": "Bearer ` + testKey},
		{"zed", `"context_servers": {`, `"url": "` + url, `"Authorization": "Bearer ` + testKey},
		{"codex", `args = ["--local"]`, `url = "` + url, `http_headers = { Authorization = "Bearer ` + testKey},
		{"gemini", `"args": ["--local"]`, `"httpUrl": "` + url, `"Authorization": "Bearer ` + testKey},
		{"json", `"mcpServers": {`, `"url": "` + url, `"Authorization": "Bearer ` + testKey},
	} {
		u := newUser(t)
		u.env["OPENCLAW_API_KEY"] = testKey
		config := u.path("deep", "er", "config")
		put := func(name string, args ...string) string {
			u.ok(append([]string{tt.client, "--config", config, "--name", name}, args...)...)
			return u.read(config)
		}
		for _, one := range []struct {
			text string
			want []string
		}{
			{put("a", "--local"), []string{tt.local, `/opt/open claw/openclaw-mcp`}},
			{put("b", "--http", url), []string{tt.url}},
			{put("c", "--http", url, "--key-in-config"), []string{tt.url, tt.key, testKey}},
			{put("d", "--key-in-config", "--env", "OPENCLAW_INSTANCE_ID=i 1"), []string{"OPENCLAW_API_KEY", testKey, "OPENCLAW_INSTANCE_ID", `"i 1"`}},
			{put("e"), []string{"OPENCLAW_API_KEY_FILE", u.path(".config", "openclaw-mcp", "api-key-e")}},
		} {
			for _, want := range one.want {
				if !strings.Contains(one.text, want) {
					t.Errorf("%s: %s is not in\n%s", tt.client, want, one.text)
				}
			}
		}
		for _, name := range []string{"e", "c", "a", "d", "b"} {
			u.ok("--uninstall", tt.client, "--config", config, "--name", name)
		}
		if got := u.files(filepath.Dir(config)); strings.Contains(strings.Join(got, "\n")+"\n", "config\n") {
			// The file was created by the installation of "a", which wasn't the last to go.
			if text := u.read(config); strings.Contains(text, "claw") {
				t.Errorf("%s: after all were taken out there is\n%s", tt.client, text)
			}
		}
	}
}

// mcp-remote wants to be told that a URL without encryption is meant.
func TestBridge(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.ok("claude-desktop", "--http", "http://127.0.0.1:8080/mcp")
	const want = `"args": ["-y", "mcp-remote", "http://127.0.0.1:8080/mcp", "--allow-http"]`
	if got := u.read(u.path(".config", "Claude", "claude_desktop_config.json")); !strings.Contains(got, want) {
		t.Errorf("there is no %s in\n%s", want, got)
	}
}

// Where there was no file, there is none after the entry is taken out, but a backup.
func TestCreatedFileGoes(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"claude-desktop", "codex"} {
		u := newUser(t)
		u.ok(client, "--local")
		if out := u.ok("--list"); !strings.Contains(out, client) || strings.Count(out, " installed ") != 1 {
			t.Errorf("--list says\n%s", out)
		}
		u.ok(client, "--uninstall")
		if out := u.ok("--list"); strings.Contains(out, " installed ") || strings.Count(out, "no file yet") != 8 {
			t.Errorf("after --uninstall, --list says\n%s", out)
		}
		if out := u.ok(client, "--uninstall"); !strings.Contains(out, "Not installed") {
			t.Errorf("a second --uninstall says %q", out)
		}
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, name := range Clients() {
		if !strings.Contains(Help(), name) {
			t.Errorf("the help does not name %s", name)
		}
	}
}

func TestListUnreadable(t *testing.T) {
	t.Parallel()
	u := newUser(t)
	u.write(u.path(".cursor", "mcp.json"), []byte("{ nonsense"))
	u.write(u.path(".gemini", "settings.json"), []byte("{}"))
	out := u.ok("--list")
	for _, want := range []string{"can't be read  " + u.path(".cursor", "mcp.json") + ": it is not valid JSON", "not installed", "no file yet", "prints an entry"} {
		if !strings.Contains(out, want) {
			t.Errorf("--list does not say %q:\n%s", want, out)
		}
	}
}

func TestWrongCommandLine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{nil, "name one client; supported: claude-desktop, claude-code, cursor, vscode, windsurf, zed, codex, gemini, json"},
		{[]string{"cursor", "zed"}, "name one client"},
		{[]string{"emacs"}, `unknown client "emacs"; the clients are claude-desktop`},
		{[]string{"cursor", "--local", "--http", "http://127.0.0.1:1/mcp"}, "can't be used together"},
		{[]string{"cursor", "--local", "--key-in-config"}, "needs no key"},
		{[]string{"cursor", "--uninstall", "--local"}, "--uninstall can only be combined with"},
		{[]string{"json", "--uninstall"}, "needs --config"},
		{[]string{"cursor", "--http", "127.0.0.1:8080/mcp"}, "http or https URL"},
		{[]string{"cursor", "--http", "http://127.0.0.1:8080"}, "endpoint, such as http://127.0.0.1:8080/mcp"},
		{[]string{"cursor", "--http", "http://me@127.0.0.1/mcp"}, "http or https URL"},
		{[]string{"cursor", "--http", "http://claw.example/mcp", "--key-in-config"}, "unencrypted to claw.example"},
		{[]string{"cursor", "--http", "http://127.0.0.1:1/mcp", "--env", "OPENCLAW_X=1"}, "can't be combined with --http"},
		{[]string{"cursor", "--env", "PATH=/"}, "must begin with OPENCLAW_"},
		{[]string{"cursor", "--env", "OPENCLAW_API_KEY=x"}, "--key-in-config"},
		{[]string{"cursor", "--name", "a b"}, "letters, digits, - or _"},
		{[]string{"cursor"}, "OPENCLAW_API_KEY_FILE"},
	} {
		u := newUser(t)
		u.refused([]string{tt.want}, tt.args...)
		var usage UsageError
		if _, _, err := u.try(tt.args...); !errors.As(err, &usage) {
			t.Errorf("install %q: %v is not a UsageError", tt.args, err)
		}
		if left := u.files(u.home); len(left) > 0 {
			t.Errorf("install %q left %v", tt.args, left)
		}
	}
}

// A program that is about to be deleted, or whose path is not known, is not installed.
func TestNoProgram(t *testing.T) {
	t.Parallel()
	for exe, want := range map[string]string{
		"/tmp/go-build123/b001/exe/openclaw-mcp": "go build -o openclaw-mcp .",
		"openclaw-mcp":                           "is not known",
	} {
		err := Run(Setup{Env: func(string) string { return "" }, GOOS: "linux", Home: t.TempDir(), Exe: exe, Stdout: &bytes.Buffer{}}, Options{Clients: []string{"cursor"}, Local: true, Name: defaultName})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", exe, err, want)
		}
	}
	err := Run(Setup{Env: func(string) string { return "" }, GOOS: "windows"}, Options{List: true, Name: defaultName})
	if err == nil || !strings.Contains(err.Error(), "USERPROFILE") {
		t.Errorf("without a home folder: %v", err)
	}
}
