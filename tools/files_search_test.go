package tools

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/sandbox"
)

// searchPatterns are patterns and lines, to compare what grep and rg find with what Go does.
var searchPatterns = []string{
	"a", "a.b", "^a", "b$", "^a.*b$", "^$", "[a-c]x", "[^a]", "^[^a]$", "x|yy", "(ab)+c", "a{2,3}", "a{2}", "(?i)straSSe", "(?i)k", `\d+`, `\w\s\w`, `\bfoo\b`,
	`a\.b`, `\\`, `\[x\]`, `[\[\]]`, `[]^-]`, `[\\&~-]`, "é", "^.$", "^..$", "[é-ü]", "^[^é]x", "(a|)b", "(?:a|b)*c", `\$`, "a*", "(^a|b$)", "(^)*x", ".*x.*", "a?b", `\{1\}`, "[[:alpha:]]1",
	`\Aa`, `b\z`, "a.{0,3}b", "(?i)É", `"[^"]*"`, `\t`, "x{0}y", "😀", "[😀-😎]", "^[^x]*$",
}

var searchLines = []string{
	"", "a", "b", "ab", "a b", "a.b", "axb", "aéb", "xx", "ax", "cx", "yy", "ababc", "aa", "aaa", "STRASSE", "straße", "K", "\u212a", "k1", "a1", "foo bar", "food", `a\b`, "[x]", "]", "^", "-", "&", "~",
	"é", "éx", "ü", "É", "😀", "c", "$", "{1}", "\"q\"", "\tx", "caf\xe9", "\xffx", "y", "aaaaaaaab", "a\u00a0b", "b\r", "a\r",
}

// TestSearchPattern has grep and rg find every line that the pattern fits.
func TestSearchPattern(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(file, []byte(strings.Join(searchLines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, program := range [][]string{{"grep", "-anE"}, {"busybox", "grep", "-anE"}, {"rg", "--no-config", "--no-unicode", "--encoding", "none", "-an"}} {
		if !thorough && program[0] != "grep" {
			continue
		}
		if _, err := exec.LookPath(program[0]); err != nil {
			t.Logf("%s is not installed", program[0])
			continue
		}
		for _, pattern := range searchPatterns {
			p, err := newLinePattern(pattern, true, false)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program[0], append(program[1:], "-e", p.grep, file)...)
			cmd.Env = append(os.Environ(), "LC_ALL=C")
			out, err := cmd.CombinedOutput()
			if err != nil && cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("%s of %q as %q: %v: %s", program[0], pattern, p.grep, err, out)
				continue
			}
			for i, line := range searchLines {
				there := strings.HasPrefix(string(out), fmt.Sprintf("%d:", i+1)) || strings.Contains(string(out), fmt.Sprintf("\n%d:", i+1))
				if p.find(line) != nil && !there {
					t.Errorf("%s of %q as %q misses %q", program[0], pattern, p.grep, line)
				}
			}
		}
	}
}

// searchers runs a test with the shells and programs that there are, and by reading the
// files. In the quick suite it is one shell at most.
func searchers(t *testing.T, quick string, test func(*bench)) {
	t.Parallel()
	for _, shell := range []string{"dash", "bash", "busybox"} {
		for _, rg := range []bool{false, true} {
			name := shell
			if rg {
				name += " with rg"
			}
			if !thorough && name != quick {
				continue
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				link := func(program, as string) bool {
					p, err := exec.LookPath(program)
					if err == nil {
						err = os.Symlink(p, filepath.Join(dir, as))
					}
					return err == nil
				}
				if !link(shell, "sh") || rg && !link("rg", "rg") {
					t.Skip("not installed")
				}
				for p := range strings.FieldsSeq("grep find head tail wc base64 cat stat readlink tr") {
					if shell == "busybox" {
						link("busybox", p)
					} else {
						link(p, p)
					}
				}
				b := newBench(t, emulatortest.Options{})
				b.rewriteExec(func(c string) string { return "PATH=" + dir + "\nexport PATH\nexec sh -c " + sandbox.Quote(c) })
				test(b)
			})
		}
	}
	t.Run("reading", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, emulatortest.Options{})
		b.noExec()
		test(b)
	})
}

func (b *bench) search(a args) string {
	b.Helper()
	r := b.try("search_files", a)
	if r.IsError {
		b.Errorf("%v: %s", a, r.Text)
	}
	lines, _, _ := strings.Cut(r.Text, "[")
	return lines
}

func TestSearchFiles(t *testing.T) {
	searchers(t, "dash", func(b *bench) {
		b.put("a.go", "package a\n\nfunc One() {}\nfunc two() {}\n")
		b.put("d/b.go", "func three() {}\r\n// One\r\n")
		b.put("d/e/c.txt", "one\n")
		b.put(".hidden", "One\n")
		b.put(".git/x", "One\n")
		b.put("bin", "One\x00\n")
		b.put("odd name:1-2'\"$x.txt", "One odd\n")
		b.put("long", strings.Repeat("x", 5000)+"NEEDLE"+strings.Repeat("y", 5000)+"\n")
		if err := os.Symlink("/etc", b.path("out")); err != nil {
			b.Fatal(err)
		}
		for _, tt := range []struct {
			name string
			args args
			want string
		}{
			{"text", args{"pattern": "func ", "glob": "a.*"}, "a.go:3:func One() {}\na.go:4:func two() {}\n"},
			{"text is no expression", args{"pattern": "e()"}, "a.go:3:func One() {}\nd/b.go:1:func three() {}\n"},
			{"hidden files, but not .git and not binary ones", args{"pattern": "One"}, ".hidden:1:One\na.go:3:func One() {}\nd/b.go:2:// One\nodd name:1-2'\"$x.txt:1:One odd\n"},
			{"expression", args{"pattern": `^func \w+e\(\) \{\}$`, "regex": true}, "a.go:3:func One() {}\nd/b.go:1:func three() {}\n"},
			{"case", args{"pattern": "ONE", "ignore_case": true, "glob": "**/*.{go,txt}", "exclude": "odd*"}, "a.go:3:func One() {}\nd/b.go:2:// One\nd/e/c.txt:1:one\n"},
			{"path", args{"pattern": "one", "path": "d"}, "d/e/c.txt:1:one\n"},
			{"glob for paths", args{"pattern": "func", "glob": "d/*.go"}, "d/b.go:1:func three() {}\n"},
			{"one file", args{"pattern": "func", "path": "a.go"}, "a.go:3:func One() {}\na.go:4:func two() {}\n"},
			{"context", args{"pattern": "One", "glob": "*.go", "context": 1}, "a.go-2-\na.go:3:func One() {}\na.go-4-func two() {}\n--\nd/b.go-1-func three() {}\nd/b.go:2:// One\n"},
			{"after", args{"pattern": "func", "after": "a.go:3"}, "a.go:4:func two() {}\nd/b.go:1:func three() {}\n"},
			{"nothing", args{"pattern": "nowhere"}, ""},
			{"an end", args{"pattern": "One$", "regex": true}, ".hidden:1:One\nd/b.go:2:// One\n"},
			{"long line", args{"pattern": "NEEDLE"}, "long:1:…" + strings.Repeat("x", 100) + "NEEDLE" + strings.Repeat("y", 194) + "…\n"},
		} {
			if got := b.search(tt.args); got != tt.want {
				b.Errorf("%s: got\n%swant\n%s", tt.name, got, tt.want)
			}
		}
		b.refuse("search_files", args{"pattern": "(", "regex": true}, "pattern", "regular expression")
		b.refuse("search_files", args{"pattern": "a\nb"}, "line break")
		b.refuse("search_files", args{"pattern": ""}, "pattern")
		b.refuse("search_files", args{"pattern": "a", "after": "a.go"}, "after")
		b.refuse("search_files", args{"pattern": "a", "path": "none"})
	})
}

// A name of two lines does not look like two lines of a result.
func TestSearchShowsNames(t *testing.T) {
	t.Parallel()
	out := searchFilesOut{Lines: []searchLine{{Path: "two\nlines", Line: 1, Text: "x", Match: true}}, Matches: 1, Files: 1}
	if got := out.text(); !strings.HasPrefix(got, "\"two\\nlines\":1:x\n[") {
		t.Errorf("got %q", got)
	}
}

// TestSearchPages goes through many matches, each once.
func TestSearchPages(t *testing.T) {
	searchers(t, "", func(b *bench) {
		var want []string
		for i := range 60 {
			name := fmt.Sprintf("d/f%02d", i)
			b.put(name, "needle\nx\nneedle\n")
			want = append(want, name+":1:needle", name+":3:needle")
		}
		b.put("big", strings.Repeat("needle "+strings.Repeat("z", 90)+"\n", 1500))
		for i := range 1500 {
			want = append(want, fmt.Sprintf("big:%d:", i+1))
		}
		var got []string
		after := ""
		for pages := 0; ; pages++ {
			a := args{"pattern": "needle", "limit": 1000}
			if after != "" {
				a["after"] = after
			}
			out := call[searchFilesOut](b, "search_files", a)
			for _, l := range out.Lines {
				text := l.Text
				if l.Path == "big" {
					text = ""
				}
				got = append(got, fmt.Sprintf("%s:%d:%s", l.Path, l.Line, text))
			}
			if out.Next == "" {
				break
			}
			_, rest, _ := strings.Cut(out.Next, `"after":"`)
			after, _, _ = strings.Cut(rest, `"`)
			if pages > 60 {
				b.Fatal("it does not end: ", out.Next)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			b.Errorf("got %d lines, want %d", len(got), len(want))
		}
	})
}

// Of a line that is too long to come as a whole, no beginning is shown as if the match were in it.
func TestSearchHugeLine(t *testing.T) {
	t.Parallel()
	b := newBench(t, emulatortest.Options{})
	b.put("huge", strings.Repeat("x", 400<<10)+"NEEDLE\n")
	if got := b.search(args{"pattern": "NEEDLE"}); !strings.Contains(got, "the match is beyond the first") || len(got) > 300 {
		t.Errorf("got %.400s", got)
	}
}
