package server

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"openclaw-mcp/tools"
)

// A client's own copy of a gateway's header loosens nothing, whatever it says and
// wherever it stands.
func TestHeaderLimitsOfTwo(t *testing.T) {
	all := tools.All()
	for _, tt := range []struct {
		name      string
		lines     []string // name: value
		yes, no   []string // tools
		instances string   // the one that may be used; "": any
	}{
		{"nothing", nil, []string{"write_file", "read_file"}, nil, ""},
		{"no, then yes", []string{"X-MCP-Readonly: false", "X-MCP-Readonly: true"}, []string{"read_file"}, []string{"write_file"}, ""},
		{"yes, then no", []string{"X-MCP-Readonly: true", "X-MCP-Readonly: false"}, []string{"read_file"}, []string{"write_file"}, ""},
		{"joined", []string{"X-MCP-Readonly: false, true"}, []string{"read_file"}, []string{"write_file"}, ""},
		{"empty", []string{"X-MCP-Readonly: "}, []string{"read_file"}, []string{"write_file"}, ""},
		{"off", []string{"X-MCP-Readonly: Off"}, []string{"write_file"}, nil, ""},
		{"nonsense", []string{"X-MCP-Readonly: perhaps"}, []string{"read_file"}, []string{"write_file"}, ""},
		{"no, twice", []string{"X-MCP-Readonly: 0", "X-MCP-Readonly: no"}, []string{"write_file"}, nil, ""},
		{"two lists", []string{"X-MCP-Tools: read_file, write_file", "X-MCP-Tools: read_file,exec_command"}, []string{"read_file"}, []string{"write_file", "exec_command"}, ""},
		{"an empty list", []string{"X-MCP-Tools: read_file", "X-MCP-Tools:"}, nil, []string{"read_file"}, ""},
		{"an empty list alone", []string{"X-MCP-Tools: ,"}, nil, []string{"read_file"}, ""},
		{"toolsets", []string{"X-MCP-Toolsets: files", "X-MCP-Toolsets: files,chat"}, []string{"read_file"}, []string{"send_chat_message"}, ""},
		{"no toolset", []string{"X-MCP-Toolsets:"}, nil, []string{"read_file", "send_chat_message"}, ""},
		{"exclusions add up", []string{"X-MCP-Exclude-Tools: read_file", "X-MCP-Exclude-Tools: write_file", "X-MCP-Exclude-Tools:"}, []string{"exec_command"}, []string{"read_file", "write_file"}, ""},
		{"instances", []string{"X-MCP-Instances: a,b", "X-MCP-Instances: b,c"}, nil, nil, "b"},
		{"no instance", []string{"X-MCP-Instances:", "X-MCP-Instances: b"}, nil, nil, "none"},
		{"instances left out", []string{"X-MCP-Exclude-Instances: a", "X-MCP-Exclude-Instances: c"}, nil, nil, "b"},
	} {
		h := http.Header{}
		for _, line := range tt.lines {
			name, value, _ := strings.Cut(line, ":")
			h.Add(name, strings.TrimSpace(value))
		}
		if err := checkHeader(h); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		rails := &tools.Rails{}
		for _, more := range headerLimits(h) {
			rails = rails.Tighten(more)
		}
		allow := tools.AllowTool(&tools.Deps{Rails: func(context.Context) *tools.Rails { return rails }}, all)
		for _, tool := range tt.yes {
			if err := allow(t.Context(), tool); err != nil {
				t.Errorf("%s: %s: %v", tt.name, tool, err)
			}
		}
		for _, tool := range tt.no {
			if allow(t.Context(), tool) == nil {
				t.Errorf("%s: %s is allowed", tt.name, tool)
			}
		}
		for _, instance := range []string{"a", "b", "c"} {
			if got, want := rails.AllowInstance(instance) == nil, tt.instances == "" || tt.instances == instance; got != want {
				t.Errorf("%s: instance %s: allowed %v, want %v", tt.name, instance, got, want)
			}
		}
	}
}

// A misspelt limit is refused, as in the settings: it would forbid nothing.
func TestMisspeltLimits(t *testing.T) {
	for _, line := range []string{"X-MCP-Exclude-Tools: read_file, exec_comand", "X-MCP-Tools: exec_comand", "X-MCP-Toolsets: exec_comand"} {
		name, value, _ := strings.Cut(line, ": ")
		err := checkHeader(http.Header{http.CanonicalHeaderKey(name): {value}})
		if err == nil || !strings.Contains(err.Error(), `"exec_comand"`) || !strings.Contains(err.Error(), "an X-MCP header names the unknown tool") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// So is a misspelt name of one. What others call X-MCP is theirs.
func TestMisspeltLimitNames(t *testing.T) {
	for name, refused := range map[string]bool{
		"X-MCP-Read-Only": true, "X_MCP_READONLY": true, "X-MCP-Tool": true, "X-MCP-Excluded-Tools": true, "X-MCP-Allowed-Instances": true, "XMCP-Tools": true,
		"X-MCP-Paths": true, "X-MCP-Exclude-Paths": true, "X-MCP-Commands": true, "X-MCP-Exclude-Commands": true, "X-MCP-Confirm": true, "X-MCP.Readonly": true,
		"X-MCP-Rate-Limit": true, "X-MCP-Transfer-Roots": true, "X-MCP-Max-Result-Chars": true,
		"X-OpenClaw-MCP-Readonly": true, "X-OpenClaw-Readonly": true, "OpenClaw-MCP-Tools": true, "OPENCLAW_MCP_READ_ONLY": true, "MCP-Readonly": true, "Mcp-Paths": true,
		"X-Acme-MCP-Read-Only": true, "X-Acme-MCP-Tool-Name": false, "Mcp-Param-Instance": false, "Mcp-Method": false, "Mcp-Session-Id": false, "MCP-Protocol-Version": false,
		"X-OpenClaw-Api-Key": false, "Origin": false, "X-Auth": false,
		"X-MCP-Readonly": false, "x-mcp-exclude-tools": false, "X-MCP-Structured": false, "X-MCP-Host": false, "X-MCP-Lockdown": false, "X-Tools": false, "X": false,
	} {
		if err := checkHeader(http.Header{http.CanonicalHeaderKey(name): {"true"}}); (err != nil && strings.Contains(err.Error(), "X-MCP-Exclude-Instances")) != refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who asks for results as data may say it as the settings do, and is told of a mistake.
func TestWantsStructured(t *testing.T) {
	for lines, want := range map[string]string{
		"": "no", "true": "yes", "1": "yes", "yes": "yes", "On": "yes", " y ": "yes", "false": "no", "0": "no", "no": "no", "off": "no",
		"false|true": "yes", "no, yes": "yes", "perhaps": "wrong", "2": "wrong", "true, perhaps": "wrong", "yes|maybe": "wrong",
	} {
		h := http.Header{}
		for line := range strings.SplitSeq(lines, "|") {
			h.Add("X-MCP-Structured", line)
		}
		yes, err := wantsStructured(h)
		if err != nil {
			for _, word := range []string{"X-MCP-Structured", "true or false", "yes/no, on/off, 1/0"} {
				if want != "wrong" || !strings.Contains(checkHeader(h).Error(), word) {
					t.Errorf("%q: %v", lines, err)
				}
			}
			continue
		}
		if want == "wrong" || yes != (want == "yes") {
			t.Errorf("%q: got %v, want %s", lines, yes, want)
		}
	}
}
