//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/golden"
	"openclaw-mcp/tools"
)

const uiExtension = "io.modelcontextprotocol/ui"

// showing is what a client that shows pages declares.
var showing = params{"extensions": params{uiExtension: params{"mimeTypes": []string{"text/html;profile=mcp-app"}}}}

// connectShowing connects as a client that shows pages.
func (c combination) connectShowing(t testing.TB, env []string) wire {
	t.Helper()
	var w wire
	if c.http {
		_, url := launchHTTP(t, env)
		w = newHTTPWire(t, url, c.era, showing)
	} else {
		w = newStdioWire(t, launch(t, env), c.era, showing)
	}
	if c.era == modern {
		return declaring{w}
	}
	return w
}

// declaring says in each request what the client can do, as the newest era has it.
type declaring struct{ wire }

func (d declaring) start(t testing.TB, id, method string, p params) <-chan message {
	all := params{"_meta": params{"io.modelcontextprotocol/clientCapabilities": showing}}
	maps.Copy(all, p)
	return d.wire.start(t, id, method, all)
}

type listedApp struct {
	Name  string         `json:"name"`
	URI   string         `json:"uri,omitempty"`
	MIME  string         `json:"mimeType,omitempty"`
	Meta  map[string]any `json:"_meta,omitempty"`
	Title string         `json:"title,omitempty"`
}

// What clients that show pages are told, beside what all are.
func TestGoldenApps(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	shown := make([]string, len(combinations))
	t.Run("each", func(t *testing.T) {
		for i, c := range combinations {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				shown[i] = shownApps(t, c.connectShowing(t, up.env()))
			})
		}
	})
	for i, s := range shown {
		if s != shown[0] {
			t.Errorf("%s is shown something else than %s", combinations[i].name, combinations[0].name)
		}
	}
	golden.File(t, "../testdata/golden/apps.json", shown[0])
}

func shownApps(t *testing.T, w wire) string {
	t.Helper()
	var lists struct {
		Tools     []listedApp `json:"tools"`
		Resources []listedApp `json:"resources"`
	}
	ask := func(method string, p params, into any) {
		t.Helper()
		m := answer(t, w.start(t, fmt.Sprintf("%q", method), method, p))
		if m.Error != nil {
			t.Fatalf("%s: %+v", method, m.Error)
		}
		if err := json.Unmarshal(m.Result, into); err != nil {
			t.Fatal(err)
		}
	}
	ask("tools/list", nil, &lists)
	if want := len(tools.AppTools()); len(lists.Tools) < want+20 {
		t.Errorf("%d tools are listed", len(lists.Tools))
	}
	lists.Tools = slices.DeleteFunc(lists.Tools, func(l listedApp) bool { return l.Meta == nil })
	ask("resources/list", nil, &lists)
	lists.Resources = slices.DeleteFunc(lists.Resources, func(l listedApp) bool { return !strings.HasPrefix(l.URI, "ui://") })
	for _, l := range lists.Resources {
		var read struct {
			Contents []struct {
				URI, MIMEType, Text string
				Meta                map[string]any `json:"_meta"`
			}
		}
		ask("resources/read", params{"uri": l.URI}, &read)
		if len(read.Contents) != 1 || read.Contents[0].URI != l.URI || read.Contents[0].MIMEType != l.MIME || read.Contents[0].Meta["ui"] == nil ||
			!strings.HasPrefix(read.Contents[0].Text, "<!doctype html>") {
			t.Errorf("%s: %s", l.URI, shorten(fmt.Sprint(read), 300))
		}
	}
	b, err := json.MarshalIndent(lists, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + "\n"
}

// To a client that shows no pages there are none, and what they call neither.
func TestNoAppsUnasked(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	each(t, func(t *testing.T, c combination) {
		s := c.connect(t, up.env())
		for _, tool := range tools.AppTools() {
			if s.tools[tool.Name] != nil {
				t.Errorf("%s is listed", tool.Name)
			}
			m := s.request(t, "tools/call", params{"name": tool.Name, "arguments": params{}})
			if !strings.Contains(string(m.Result), uiExtension) || !strings.Contains(string(m.Result), `"isError":true`) {
				t.Errorf("%s answers %s", tool.Name, shorten(string(m.Result), 300))
			}
		}
		if list := s.request(t, "resources/list", nil); strings.Contains(string(list.Result), "ui://") || list.Error != nil {
			t.Errorf("pages are listed: %s", shorten(string(list.Result), 300))
		}
		for _, name := range []string{"terminal", "none"} {
			if m := s.request(t, "resources/read", params{"uri": tools.PageURI(name)}); m.Error == nil {
				t.Errorf("the page %s is read: %s", name, shorten(string(m.Result), 100))
			}
		}
	})
}

var askedIDs atomic.Int64

// asked calls a tool as a page or a model does, and gives what it says and its data.
func asked(t *testing.T, w wire, tool string, args params) (text string, isError bool, data params) {
	t.Helper()
	id := fmt.Sprintf(`"asked-%d"`, askedIDs.Add(1))
	m := answer(t, w.start(t, id, "tools/call", params{"name": tool, "arguments": args}))
	var r struct {
		Content           []struct{ Text string }
		IsError           bool
		StructuredContent params
		Meta              params `json:"_meta"`
	}
	if err := json.Unmarshal(m.Result, &r); err != nil {
		t.Fatalf("%s: %v, %+v", tool, err, m.Error)
	}
	for _, c := range r.Content {
		text += c.Text
	}
	if data = r.StructuredContent; data == nil {
		data, _ = r.Meta["openclaw-mcp/result"].(params)
	}
	return text, r.IsError, data
}

// A page follows and uses what the model has open, on every transport.
func TestAppTools(t *testing.T) {
	t.Parallel()
	for _, c := range combinations {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := c.connectShowing(t, newUpstream(t, emulatortest.Options{}).env())
			must := func(tool string, args params) params {
				t.Helper()
				text, isError, data := asked(t, w, tool, args)
				if isError {
					t.Fatalf("%s: %s", tool, text)
				}
				return data
			}
			terminal := must("open_terminal", params{"command": "PS1='$ '"})["terminal"]
			must("use_terminal", params{"terminal": terminal, "data": "printf '\\033[1mhand-%d' $((20+3))\r"})
			seen := params{"terminal": terminal, "cursor": -1, "wait_seconds": 20}
			var output string
			for !strings.Contains(output, "\x1b[1mhand-23") { // with its control sequences
				piece := must("follow_terminal", seen)
				part, _ := piece["data"].(string)
				output += part
				seen["cursor"], seen["seen"] = piece["cursor"], piece["seen"]
				if piece["person"] != true {
					t.Fatalf("whose turn it is: %v", piece)
				}
			}
			if text, isError, _ := asked(t, w, "write_terminal", params{"terminal": terminal, "text": "x"}); !isError || !strings.Contains(text, "a person is using this terminal") {
				t.Errorf("the model typed: %s", text)
			}
			if _, isError, _ := asked(t, w, "read_terminal", params{"terminal": terminal}); isError {
				t.Error("the model may not look")
			}
			if data := must("use_terminal", params{"terminal": terminal, "turn": "give"}); data["person"] != false {
				t.Errorf("after it was handed back: %v", data)
			}
			must("close_terminal", params{"terminal": terminal})

			must("exec_command", params{"command": "echo by-the-model", "wait_seconds": 20})
			run := must("exec_command", params{"command": "while :; do echo in-the-background; sleep 0.2; done", "background": true})["run"].(string)
			followed := must("follow_run", params{"runs": []string{run}, "wait_seconds": 20})
			for !strings.Contains(fmt.Sprint(followed), "in-the-background") {
				followed = must("follow_run", params{"runs": []string{run}, "wait_seconds": 20})
			}
			work := must("list_work", params{})
			if runs, _ := work["runs"].([]any); len(runs) == 0 || !strings.Contains(fmt.Sprint(runs), "id:") || !strings.Contains(fmt.Sprint(work["instances"]), "ready") {
				t.Errorf("%v", work)
			}
			must("cancel_run", params{"run": run})

			if fmt.Sprint(work["may"]) != "[reboot shutdown]" {
				t.Errorf("a person may %v", work["may"])
			}
			instances, _ := work["instances"].([]any)
			instance := instances[0].(params)["id"]
			question := must("shutdown_by_hand", params{"instance": instance})
			if asks, _ := question["asks"].(string); !strings.Contains(asks, "ends everything that runs on it") {
				t.Errorf("it asks %v", question)
			}
			if now := must("list_work", params{}); !strings.Contains(fmt.Sprint(now["instances"]), "ready") {
				t.Errorf("before a yes: %v", now["instances"])
			}
			yes := params{"instance": instance, "confirm": question["confirm"]}
			if done := must("shutdown_by_hand", yes); done["asks"] != nil || done["status"] == nil {
				t.Errorf("with a yes: %v", done)
			}
			if text, isError, _ := asked(t, w, "shutdown_by_hand", yes); !isError || !strings.Contains(text, "Press the button again") {
				t.Errorf("a yes is good twice: %s", text)
			}
			if now := must("list_work", params{}); strings.Contains(fmt.Sprint(now["instances"]), "ready") {
				t.Errorf("after a yes: %v", now["instances"])
			}
			if text, isError, _ := asked(t, w, "use_desktop", params{"instance": "x", "events": []string{"at 1 2", "over 3"}}); !isError || !strings.Contains(text, "at X Y BUTTONS") {
				t.Errorf("a wrong event: %s", text)
			}
		})
	}
}

// What the limits forbid to the model, no page does either.
func TestAppRails(t *testing.T) {
	t.Parallel()
	up := newUpstream(t, emulatortest.Options{})
	for _, tt := range []struct {
		env       string
		listed    string
		forbidden []string
	}{
		{"OPENCLAW_MCP_READ_ONLY=true", "follow_desktop", []string{"use_terminal", "use_desktop", "answer_run", "reboot_by_hand", "shutdown_by_hand"}},
		{"OPENCLAW_MCP_EXCLUDE_TOOLS=read_terminal,control_desktop", "use_terminal", []string{"follow_terminal", "use_desktop"}},
		{"OPENCLAW_MCP_EXCLUDE_TOOLS=send_chat_message", "follow_run", []string{"answer_run"}},
		{"OPENCLAW_MCP_EXCLUDE_TOOLS=shutdown_instance", "reboot_by_hand", []string{"shutdown_by_hand"}},
		{"OPENCLAW_MCP_TOOLSETS=runs", "list_work", []string{"use_terminal", "follow_terminal", "use_desktop", "follow_desktop"}},
		{"OPENCLAW_MCP_TOOLS=take_screenshot", "follow_desktop", []string{"use_desktop", "list_work", "follow_run"}},
	} {
		w := combinations[1].connectShowing(t, up.env(tt.env))
		list := string(answer(t, w.start(t, `"list"`, "tools/list", nil)).Result)
		if !strings.Contains(list, `"`+tt.listed+`"`) {
			t.Errorf("%s: %s is not listed", tt.env, tt.listed)
		}
		for _, name := range tt.forbidden {
			if strings.Contains(list, `"`+name+`"`) {
				t.Errorf("%s: %s is listed", tt.env, name)
			}
			if text, isError, _ := asked(t, w, name, params{}); !isError || !strings.Contains(text, "is not allowed") {
				t.Errorf("%s: %s answers %s", tt.env, name, text)
			}
		}
	}
	for env, want := range map[string]string{"OPENCLAW_MCP_CONFIRM=deny": "<nil>", "OPENCLAW_MCP_READ_ONLY=true": "<nil>", "OPENCLAW_MCP_TOOLS=list_runs,reboot_instance": "[reboot]"} {
		w := combinations[1].connectShowing(t, up.env(env))
		if _, _, work := asked(t, w, "list_work", params{}); fmt.Sprint(work["may"]) != want {
			t.Errorf("%s: a person may %v", env, work["may"])
		}
	}
	w := combinations[1].connectShowing(t, up.env("OPENCLAW_MCP_EXCLUDE_TOOLS=list_instances"))
	if _, _, work := asked(t, w, "list_work", params{}); fmt.Sprint(work["instances"]) != "[]" || !strings.Contains(fmt.Sprint(work["notes"]), "list_instances is not allowed") {
		t.Errorf("%v", work)
	}
}
