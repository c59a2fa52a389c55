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
