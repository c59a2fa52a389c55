package transfers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ignoreTable is checked against this package and, where there is a git, against
// that.
var ignoreTable = []struct {
	rules string // of the .gitignore at the top
	name  string // a file; a folder with a slash at its end
	want  bool
}{
	{"*.log", "a.log", true},
	{"*.log", "sub/a.log", true},
	{"*.log", "a.logs", false},
	{"# a.log", "a.log", false},
	{`\#a`, "#a", true},
	{"*.log\n!keep.log", "keep.log", false},
	{"!keep.log\n*.log", "keep.log", true},
	{`\!a`, "!a", true},
	{"/a", "a", true},
	{"/a", "sub/a", false},
	{"a/b", "a/b", true},
	{"a/b", "sub/a/b", false},
	{"build/", "build/", true},
	{"build/", "build", false},
	{"build/", "sub/build/", true},
	{"sub/build/", "x/sub/build/", false},
	{"**/a", "x/y/a", true},
	{"**/a", "a", true},
	{"a/**", "a/x/y", true},
	{"a/**", "a/", false},
	{"a/**/b", "a/b", true},
	{"a/**/b", "a/x/y/b", true},
	{"a/**/b", "a/x/y/c", false},
	{"**/a/**/b", "q/a/z/b", true},
	{"a**b", "axyb", true},
	{"foo/*", "foo/x", true},
	{"foo/*.c", "foo/x/y.c", false},
	{"a?c", "abc", true},
	{"a?c", "ac", false},
	{"?", "ab", false},
	{"[ab].c", "b.c", true},
	{"[!ab].c", "b.c", false},
	{"[^ab].c", "c.c", true},
	{"[a-c]x", "bx", true},
	{"[a-c]x", "dx", false},
	{"[]]x", "]x", true},
	{"[a-]x", "-x", true},
	{"[[:digit:]]x", "7x", true},
	{"[[:digit:][:upper:]]x", "Qx", true},
	{"[[:digit:]]x", "ax", false},
	{"[a", "a", false},
	{`a\*b`, "a*b", true},
	{`a\*b`, "axb", false},
	{"a   ", "a", true},
	{`a\ `, "a ", true},
	{"a.txt\r", "a.txt", true},
	{"\xef\xbb\xbfa", "a", true},
	{"", "a", false},
	{"/", "a", false},
	{"!", "a", false},
	{`a\`, "a", false},
	{"*", "a", true},
	{"*\n!*.go", "x.go", false},
	{"*/b", "a/b", true},
	{"*/b", "b", false},
	{"é*", "été", true},
	{"*é", "été", true},
	{"a*b*c*d", "a1b2c3d", true},
	{"a*b*c*d", "a1b2c3", false},
	{"[!/]", "a", true},
	{"[!/]", "ab", false},
	{"a[!/]b", "axb", true},
	{"a[!/]b", "a/b", false},
	{"a[!/]b", "s/axb", false},
	{"a[/]b", "a/b", false},
	{"[!/]*", "abc", true},
	{"**/[!/]x", "s/ax", true},
	{"[!/]/x", "a/x", true},
	{"s/[a-c/]", "s/b", true},
	{"[[:alpha:]/]x", "ax", true},
	{`a\/b`, "a/b", true},
	{"a[!/b", "a[!/b", false},
	{"a[/b", "a[/b", false},
}

func TestIgnoreTable(t *testing.T) {
	for _, c := range ignoreTable {
		name, dir := strings.CutSuffix(c.name, "/")
		if got := ignored([]ignoreRules{parseIgnore("", []byte(c.rules))}, name, dir); got != c.want {
			t.Errorf("%q leaves out %q: %v, want %v", c.rules, c.name, got, c.want)
		}
	}
}

// TestIgnoreLikeGit holds the table to the real thing, since memory of it may
// fail. A machine without git has the table alone.
func TestIgnoreLikeGit(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Log("there is no git to compare with")
		return
	}
	for i, c := range ignoreTable {
		if i%10 != 0 && !thorough {
			continue
		}
		dir := t.TempDir()
		run := func(args ...string) error {
			cmd := exec.Command(git, args...)
			cmd.Dir = dir
			cmd.Env = []string{"HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1", "PATH=" + os.Getenv("PATH")}
			return cmd.Run()
		}
		if err := os.Mkdir(filepath.Join(dir, ".git"), 0o755); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{
			".git/HEAD": "ref: refs/heads/x\n", ".git/objects/x": "", ".git/refs/x": "", ".gitignore": c.rules, c.name: "",
		} {
			path := filepath.Join(dir, filepath.FromSlash(name))
			folder := filepath.Dir(path)
			if strings.HasSuffix(name, "/") {
				folder = path
			}
			err := os.MkdirAll(folder, 0o755)
			if err == nil && folder != path {
				err = os.WriteFile(path, []byte(content), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		err := run("check-ignore", "-q", "--", strings.TrimSuffix(c.name, "/"))
		if got := err == nil; got != c.want {
			t.Errorf("git with %q leaves out %q: %v (%v), the table has %v", c.rules, c.name, got, err, c.want)
		}
	}
}

func TestIgnoreNested(t *testing.T) {
	files := []ignoreRules{
		parseIgnore("", []byte("*.log\n/only\nsub/deep.txt")),
		parseIgnore("sub/", []byte("!keep.log\n/top\nlocal")),
		parseIgnore("sub/x/", []byte("*\n!.gitkeep")),
	}
	for name, want := range map[string]bool{
		"a.log": true, "sub/a.log": true, "sub/keep.log": false, "keep.log": true,
		"only": true, "sub/only": false, "sub/top": true, "sub/y/top": false, "sub/y/local": true, "local": false,
		"sub/deep.txt": true, "sub/x/any": true, "sub/x/.gitkeep": false, "subway": false,
	} {
		if got := ignored(files, name, false); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// A pattern must not take exponential time.
func TestIgnoreIsLinear(t *testing.T) {
	rules := []ignoreRules{parseIgnore("", []byte(strings.Repeat("a*", 60)+"b\n"+strings.Repeat("**/a/", 30)+"b"))}
	if ignored(rules, strings.Repeat("a", 200), false) || ignored(rules, strings.Repeat("a/", 60)+"c", false) {
		t.Error("it matches")
	}
}
