package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/tools"
)

const (
	maxTools      = 28
	maxListBytes  = 24 * 1024
	goldenTools   = "testdata/golden/tools.json"
	longestOnName = `^[a-z0-9_]{1,40}$`
)

// fromTheEnd are numbers that count from the end where they are negative.
var fromTheEnd = map[string]bool{"line": true, "offset": true}

// What holds for every tool.
func TestToolInvariants(t *testing.T) {
	t.Parallel()
	all := tools.All()
	if len(all) > maxTools {
		t.Errorf("%d tools, at most %d are listed by default", len(all), maxTools)
	}
	names, titles := map[string]bool{}, map[string]bool{}
	for _, tool := range all {
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
		if warns := strings.Contains(tool.Description, "DESTROY"); tool.Effect == tools.Destroys && !warns {
			t.Errorf("%s destroys, but does not say so: %s", tool.Name, tool.Description)
		}
		for name, p := range tool.Input.Properties {
			if p.Type == "" && len(p.Enum) == 0 || p.Type == "integer" && p.Minimum == nil && p.Maximum == nil && !fromTheEnd[name] {
				t.Errorf("%s: argument %q has no type or no bounds", tool.Name, name)
			}
		}
		if tool.Output == nil || tool.Output.Type != "object" {
			t.Errorf("%s has no output schema of an object", tool.Name)
		}
	}
}

// The list as clients get it: its size, and that it is the same for all.
func TestGoldenTools(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulator.Options{})
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
	if *update {
		if err := os.MkdirAll(filepath.Dir(goldenTools), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(goldenTools, []byte(lists[0]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenTools)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != lists[0] {
		t.Errorf("what clients see of the tools has changed (%s). If that is meant, run: make golden\n%s",
			goldenTools, firstDifference(string(want), lists[0]))
	}
}

func firstDifference(want, got string) string {
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return "- " + a[i] + "\n+ " + strings.Join(b[min(i, len(b)):min(i+1, len(b))], "")
		}
	}
	return "+ " + b[len(a)]
}

// The way of a file and of an instance through the tools that have no test of
// their own here.
func TestToolsFilesAndLifecycle(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulator.Options{})
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

// What destroys is not done before somebody says yes.
func TestToolsConfirmation(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulator.Options{})
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
