//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"openclaw-mcp/internal/golden"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/tools"
)

const (
	maxTools      = 28
	maxListBytes  = 25 * 1024 // with output schemas
	maxListChars  = 22_000    // as models get it
	goldenTools   = "../testdata/golden/tools.json"
	longestOnName = `^[a-z0-9_]{1,40}$`
)

// fromTheEnd are numbers that count from the end where they are negative.
var fromTheEnd = map[string]bool{"line": true, "offset": true}

// warning is how a description says what a tool may take away.
var warning = regexp.MustCompile(`(?i)delet|overwrit|replace|interrupted|killed|\bends?\b|all that a person could`)

// What holds for every tool.
func TestToolInvariants(t *testing.T) {
	t.Parallel()
	all := tools.All()
	byDefault := 0
	for _, tool := range all {
		if !tool.LocalOnly {
			byDefault++
		}
	}
	if byDefault > maxTools {
		t.Errorf("%d tools are listed by default, at most %d may be", byDefault, maxTools)
	}
	names, titles := map[string]bool{}, map[string]bool{}
	chars := 0
	for _, tool := range all {
		d := tool.Definition()
		d.RawOutputSchema, d.Meta = nil, nil // for programs and for clients that show pages
		b, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		chars += utf8.RuneCount(b) + 1
		if names[tool.Name] || titles[tool.Title] {
			t.Errorf("%s (%q) is there twice", tool.Name, tool.Title)
		}
		names[tool.Name], titles[tool.Title] = true, true
		if !regexp.MustCompile(longestOnName).MatchString(tool.Name) || !strings.Contains(tool.Name, "_") {
			t.Errorf("%q is no verb_noun of at most 40 characters", tool.Name)
		}
		if tool.Family == "" || !strings.HasSuffix(tool.Description, ".") {
			t.Errorf("%s: family %q, description %q", tool.Name, tool.Family, tool.Description)
		}
		if !slices.Contains([]tools.Effect{tools.Reads, tools.Writes, tools.Destroys}, tool.Effect) {
			t.Errorf("%s has the effect %q", tool.Name, tool.Effect)
		}
		a := tool.Definition().Annotations
		if a.ReadOnlyHint == nil || *a.ReadOnlyHint != (tool.Effect == tools.Reads) ||
			a.DestructiveHint == nil || *a.DestructiveHint != (tool.Effect == tools.Destroys) ||
			a.IdempotentHint == nil || a.OpenWorldHint == nil {
			t.Errorf("%s %s, but has the annotations %+v", tool.Name, tool.Effect, a)
		}
		if tool.Effect == tools.Destroys && !warning.MatchString(tool.Description) {
			t.Errorf("%s may take something away, but does not say so: %s", tool.Name, tool.Description)
		}
		for name, p := range tool.Input.Properties {
			if p.Description == "" {
				t.Errorf("%s: argument %q is not described", tool.Name, name)
			}
			if p.Type == "" && len(p.Enum) == 0 || p.Type == "integer" && p.Minimum == nil && p.Maximum == nil && !fromTheEnd[name] {
				t.Errorf("%s: argument %q has no type or no bounds", tool.Name, name)
			}
		}
		if tool.Output == nil || tool.Output.Type != "object" {
			t.Errorf("%s has no output schema of an object", tool.Name)
		}
	}
	if t.Logf("the tools take %d characters", chars); chars > maxListChars {
		t.Errorf("the tools take %d characters of at most %d", chars, maxListChars)
	}
}

// The list as clients get it: its size, and that it is the same for all.
func TestGoldenTools(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	lists := make([]string, len(combinations))
	for i, c := range combinations {
		s := c.connect(t, up.env())
		m := s.request(t, "tools/list", nil)
		var list struct {
			Tools      []map[string]any
			NextCursor string
		}
		if err := json.Unmarshal(m.Result, &list); err != nil || list.NextCursor != "" {
			t.Fatalf("%v, next %q", err, list.NextCursor)
		}
		if i == 0 {
			t.Logf("tools/list: %d tools, %d bytes of at most %d", len(list.Tools), len(m.Result), maxListBytes)
		}
		if len(m.Result) > maxListBytes {
			t.Errorf("%s: tools/list has %d bytes, the limit is %d", c.name, len(m.Result), maxListBytes)
		}
		// Those that touch files of this machine are listed where that is configured.
		all := slices.DeleteFunc(tools.All(), func(t *tools.Tool) bool { return t.LocalOnly })
		if len(list.Tools) != len(all) {
			t.Errorf("%s: %d tools are listed of %d", c.name, len(list.Tools), len(all))
		}
		b, err := json.MarshalIndent(list.Tools, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		lists[i] = string(b) + "\n"
		if lists[i] != lists[0] {
			t.Errorf("%s lists other tools than %s", c.name, combinations[0].name)
		}
	}
	golden.File(t, goldenTools, lists[0])
}

// The way of a file and of an instance through the tools that have no test of
// their own here.
func TestToolsFilesAndLifecycle(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	each(t, func(t *testing.T, c combination) {
		s := c.connect(t, up.env("OPENCLAW_INSTANCE_ID="+up.instance))
		dir := "/workspace/" + c.name + "/a b"
		s.ok(t, "make_directory", params{"path": dir})
		s.ok(t, "make_directory", params{"path": dir}) // one that exists
		s.ok(t, "write_file", params{"path": dir + "/ü.txt", "content": "1\nzwei\n3\n"})
		if r := s.ok(t, "read_file", params{"path": dir + "/ü.txt", "line": 2, "count": 1}); r.str("content") != "zwei\n" || s.follow(t, r).str("content") != "3\n" {
			t.Errorf("read_file: %s", r.Text)
		}
		if s.tools["edit_file"] != nil {
			s.ok(t, "edit_file", params{"path": dir + "/ü.txt", "old_text": "zwei", "new_text": "two"})
			if r := s.ok(t, "read_file", params{"path": dir + "/ü.txt"}); r.str("content") != "1\ntwo\n3\n" {
				t.Errorf("edit_file: %s", r.Text)
			}
		}
		if s.tools["manage_files"] != nil {
			s.ok(t, "manage_files", params{"action": "copy", "path": dir + "/ü.txt", "destination": dir + "/copy.txt"})
			s.ok(t, "manage_files", params{"action": "delete", "path": dir + "/copy.txt"})
		}
		if r := s.ok(t, "list_files", params{"path": dir}); !strings.Contains(r.Text, "ü.txt") {
			t.Errorf("list_files: %s", r.Text)
		}
		if r := s.ok(t, "get_instance", nil); !strings.Contains(r.Text, up.instance+": ready") {
			t.Errorf("get_instance: %s", r.Text)
		}
		if r := s.ok(t, "check_service", nil); r.Data["ok"] != true || !strings.Contains(r.Text, "the key works") {
			t.Errorf("check_service: %s", r.Text)
		}
		if r := s.ok(t, "check_service", map[string]any{"document": "openapi.json"}); !strings.Contains(r.Text, `{"components":`) ||
			!strings.Contains(r.Text, `Next: check_service {"document":"openapi.json","offset":`) {
			t.Errorf("openapi.json: %.300s", r.Text)
		}
		if r := s.ok(t, "check_service", map[string]any{"document": "agent.md", "offset": 2}); !strings.Contains(r.Text, "byte 2 to") || !strings.Contains(r.Text, "/workspace") {
			t.Errorf("agent.md: %.300s", r.Text)
		}
		if r := s.ok(t, "list_chat_sessions", nil); r.Data["sessions"] == nil {
			t.Errorf("list_chat_sessions: %s", r.Text)
		}
		own, err := up.AddInstance(up.key)
		if err != nil {
			t.Fatal(err)
		}
		s.ok(t, "shutdown_instance", params{"instance": own})
		r := s.call(t, "exec_command", params{"command": "true", "instance": own})
		if !r.IsError || !strings.Contains(r.Text, "reboot_instance") && !strings.Contains(r.Text, "get_instance") {
			t.Errorf("a command on an instance that is off: %s", r.Text)
		}
		s.ok(t, "reboot_instance", params{"instance": own})
		eventually(t, "the instance is ready again", func() bool {
			return strings.Contains(s.ok(t, "get_instance", params{"instance": own}).Text, ": ready")
		})
	})
}

// A confirmation that one process of a user gave is good in another, and once in all.
func TestToolsConfirmationElsewhere(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	const endpoint = "POST /instances/{instance}/reboot"
	env := up.env("OPENCLAW_MCP_CONFIRM=ask", "OPENCLAW_MCP_STATE_DIR="+t.TempDir())
	one, two := connect(t, env), connect(t, env)
	r := one.call(t, "reboot_instance", nil)
	token := regexp.MustCompile(`confirm: "([^"]+)"`).FindStringSubmatch(r.Text)
	if token == nil || up.Calls(endpoint) != 0 {
		t.Fatalf("no token, or it was done: %s", r.Text)
	}
	two.ok(t, "reboot_instance", params{"confirm": token[1]})
	for _, s := range []*session{one, two, connect(t, env)} {
		if r := s.call(t, "reboot_instance", params{"confirm": token[1]}); !r.IsError || !strings.Contains(r.Text, "used before") {
			t.Errorf("a second time: %s", r.Text)
		}
	}
	if n := up.Calls(endpoint); n != 1 {
		t.Errorf("rebooted %d times", n)
	}
}

// What destroys is not done before somebody says yes.
func TestToolsConfirmation(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	const endpoint = "POST /instances/{instance}/reboot"
	s := connect(t, up.env("OPENCLAW_MCP_CONFIRM=ask"))
	r := s.call(t, "reboot_instance", nil)
	token := regexp.MustCompile(`confirm: "([^"]+)"`).FindStringSubmatch(r.Text)
	if !r.IsError || token == nil || up.Calls(endpoint) != 0 {
		t.Fatalf("a client that can't ask gets no token, or it was done: %s", r.Text)
	}
	if r := s.call(t, "reboot_instance", params{"confirm": token[1] + "x"}); !r.IsError || up.Calls(endpoint) != 0 {
		t.Errorf("a forged token: %s", r.Text)
	}
	s.ok(t, "reboot_instance", params{"confirm": token[1]})
	if n := up.Calls(endpoint); n != 1 {
		t.Errorf("rebooted %d times", n)
	}
	deny := connect(t, up.env("OPENCLAW_MCP_CONFIRM=deny"))
	if r := deny.call(t, "reboot_instance", nil); !r.IsError || up.Calls(endpoint) != 1 {
		t.Errorf("deny: %s", r.Text)
	}
}

func init() { atEnd = everyToolWasCalled }

// everyToolWasCalled holds after a whole run of the tests.
func everyToolWasCalled() error {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return nil
		}
	}
	var errs []error
	for _, tool := range tools.All() {
		if _, ok := called.Load(tool.Name); !ok {
			errs = append(errs, fmt.Errorf("no test calls %s", tool.Name))
		}
	}
	return errors.Join(errs...)
}
