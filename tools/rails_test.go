package tools

import (
	"regexp"
	"strings"
	"testing"
)

func TestRailsTools(t *testing.T) {
	byName := map[string]*Tool{}
	for _, tool := range All() {
		byName[tool.Name] = tool
	}
	tests := []struct {
		name  string
		rails *Rails
		yes   []string
		no    map[string]string // tool: what the refusal says
	}{
		{"none", &Rails{}, []string{"exec_command", "list_files"}, nil},
		{"read-only", &Rails{ReadOnly: true}, []string{"list_files", "wait_run", "read_chat_history"},
			map[string]string{"exec_command": "read-only", "write_file": "read-only", "create_chat_session": "read-only", "cancel_run": "read-only"}},
		{"toolsets", &Rails{Toolsets: []string{"files"}}, []string{"read_file"}, map[string]string{"exec_command": "enabled are: files"}},
		{"allow", &Rails{Tools: []string{"read_file"}}, []string{"read_file"}, map[string]string{"list_files": "allowed are: read_file"}},
		{"exclude", &Rails{ExcludeTools: []string{"exec_command"}}, []string{"read_file"}, map[string]string{"exec_command": "excluded"}},
		{"tightened", (&Rails{Toolsets: []string{"files", "chat"}}).Tighten(&Rails{Toolsets: []string{"chat", "terminal"}}),
			[]string{"send_chat_message"}, map[string]string{"read_file": "chat, terminal", "exec_command": "files, chat"}},
		{"a header can't loosen", (&Rails{ReadOnly: true}).Tighten(&Rails{}), nil, map[string]string{"write_file": "read-only"}},
		{"twice", (&Rails{}).Tighten(&Rails{ReadOnly: true}).Tighten(&Rails{ExcludeTools: []string{"read_file"}}),
			[]string{"list_files"}, map[string]string{"write_file": "read-only", "read_file": "excluded"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range tt.yes {
				if err := tt.rails.tool(byName[name]); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for name, want := range tt.no {
				if err := tt.rails.tool(byName[name]); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%s: got %v, want a refusal that says %q", name, err, want)
				}
			}
		})
	}
}

func TestRailsCheck(t *testing.T) {
	for _, r := range []*Rails{{Toolsets: []string{"fils"}}, {Tools: []string{"read"}}, {ExcludeTools: []string{"x"}}} {
		if err := r.Check(); err == nil || !strings.Contains(err.Error(), "s are: ") {
			t.Errorf("%+v: got %v", r, err)
		}
	}
	if err := (&Rails{Toolsets: Toolsets(), Tools: []string{"read_file"}}).Check(); err != nil {
		t.Error(err)
	}
}

func TestRailsInstances(t *testing.T) {
	r := &Rails{Instances: []string{"dev-*", "a1"}, ExcludeInstances: []string{"*-prod*"}}
	for id, want := range map[string]bool{"dev-1": true, "a1": true, "a11": false, "dev-prod-2": false, "xdev-1": false, "dev-": true} {
		if got := r.instance(id) == nil; got != want {
			t.Errorf("%s: allowed %v, want %v", id, got, want)
		}
	}
}

func TestRailsPaths(t *testing.T) {
	r := &Rails{Paths: []string{"/workspace/app", "docs", "/srv/**/public"}, ExcludePaths: []string{"/workspace/app/.env*", "/workspace/**/secret"}}
	for p, want := range map[string]bool{
		"/workspace/app":               true,
		"/workspace/app/a/b.txt":       true,
		"app/a":                        true,
		"/workspace/app/../app/x":      true,
		"/workspace/app/../other":      false,
		"/workspace/apple":             false,
		"/workspace/docs/x":            true,
		"/srv/a/b/public/x.html":       true,
		"/srv/public":                  true,
		"/srv/a/private":               false,
		"/workspace/app/.env":          false,
		"/workspace/app/.env.local":    false,
		"/workspace/app/x/secret/file": false,
		"/":                            false,
		"/etc/passwd":                  false,
	} {
		if got := r.path(p) == nil; got != want {
			t.Errorf("%s: allowed %v, want %v", p, got, want)
		}
	}
}

func TestRailsBelow(t *testing.T) {
	for _, tt := range []struct {
		pattern, folder string
		want            bool
	}{
		{"/workspace/a/b", "/workspace/a", true}, {"a/b/c", "/workspace/a", true}, {"/workspace/a/b", "/workspace/c", false}, {"/workspace/a/b", "/workspace/ab", false},
		{"/workspace/a/b/c", "/workspace/a/x", false}, {"/workspace/*/b", "/workspace/a", true}, {"/workspace/a*/b", "/workspace/c", false},
		{"**/.env", "/workspace/a/b", true}, {"/workspace/a/**/.env", "/workspace/a/b/c", true}, {"/workspace/a/**/.env", "/workspace/b", false},
		{"/workspace/a/b/**", "/workspace/a", true}, {"/workspace/[a]/b", "/workspace/a", false}, {"/workspace/[a]/b", "/workspace/[a]", true}, {"/srv/x", "/workspace/a", false},
	} {
		if got := (&Rails{ExcludePaths: []string{tt.pattern}}).below(tt.folder) != nil; got != tt.want {
			t.Errorf("%s below %s: got %v", tt.pattern, tt.folder, got)
		}
	}
}

// Characters other than * stand for themselves: names of folders have them.
func TestRailsPathsAreNotFullGlobs(t *testing.T) {
	for _, tt := range []struct {
		pattern, path string
		want          bool
	}{
		{"/app/[id]/*", "/app/[id]/page", true}, {"/app/[id]/*", "/app/i/page", false},
		{"/a?/*", "/a?/x", true}, {"/a?/*", "/ab/x", false},
		{"/{a,b}/*", "/{a,b}/x", true}, {"/{a,b}/*", "/a/x", false},
		{`/a\*`, `/a\b`, true}, {`/a\*`, "/a*", false},
		{"/.env*", "/.env", true}, {"/.env***", "/.env", true}, {"/a***b", "/a/b", false},
		{"/a*/**", "/a", true}, {"/a/**/**", "/a", true}, {"/**/**/b", "/b/c", true}, {"/**", "/", true}, {"/", "/x", true},
	} {
		if got := within(tt.pattern, tt.path); got != tt.want {
			t.Errorf("%s of %s: got %v", tt.pattern, tt.path, got)
		}
	}
}

// A pattern whose every ** may stand for many segments is matched in no time: a
// search through all of their combinations would never end.
func TestRailsPathsWithManyStars(t *testing.T) {
	pattern, p := strings.Repeat("/**/a*", 40)+"/b", strings.Repeat("/aaaa", 300)
	if within(pattern, p+"/c") || !within(pattern, p+"/b") {
		t.Error("the wrong paths match")
	}
}

func TestRailsCommands(t *testing.T) {
	r := &Rails{
		Commands:        []*regexp.Regexp{regexp.MustCompile(`^(git|npm) `)},
		ExcludeCommands: []*regexp.Regexp{regexp.MustCompile(`push`)},
	}
	for c, want := range map[string]bool{"git status": true, "npm test": true, "rm -rf /": false, "git push": false} {
		if got := r.command(c) == nil; got != want {
			t.Errorf("%s: allowed %v, want %v", c, got, want)
		}
	}
}

// Limits that a request's headers bring, as many as find room there, cost little: they are
// not copied for each of them.
func TestTightenIsCheap(t *testing.T) {
	more := make([]*Rails, 3000)
	for i := range more {
		more[i] = &Rails{OfRequest: true, Tools: []string{"read_file"}}
	}
	more[1500].ReadOnly = true
	var tight *Rails
	if n := testing.AllocsPerRun(10, func() { tight = (&Rails{}).Tighten(more...) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
	if !tight.ReadOnly || len(tight.tighter) != len(more) {
		t.Error("some of the limits are lost")
	}
}
