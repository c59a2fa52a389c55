package tools

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Register adds tools to an MCP server.
func Register(s *server.MCPServer, d *Deps, tools ...*Tool) {
	for _, t := range tools {
		s.AddTool(t.Definition(), func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			args, err := json.Marshal(req.GetRawArguments())
			if err != nil {
				return nil, err
			}
			return t.Call(ctx, d, args).mcp(), nil
		})
	}
}

// Definition is the tool as tools/list shows it.
func (t *Tool) Definition() mcp.Tool {
	reads, destroys := t.Effect == Reads, t.Effect == Destroys
	openWorld := true // all of them reach a service on the internet
	return mcp.Tool{
		Name: t.Name, Title: t.Title, Description: t.Description,
		RawInputSchema: schemaJSON(t.Input), RawOutputSchema: schemaJSON(t.Output),
		Annotations: mcp.ToolAnnotation{
			ReadOnlyHint: &reads, DestructiveHint: &destroys, IdempotentHint: &reads, OpenWorldHint: &openWorld,
		},
	}
}

func schemaJSON(s any) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil { // a schema that was resolved can be encoded
		panic(fmt.Sprintf("a tool's schema: %v", err))
	}
	return b
}

func (r Result) mcp() *mcp.CallToolResult {
	return &mcp.CallToolResult{
		Content:           []mcp.Content{mcp.NewTextContent(r.Text)},
		StructuredContent: r.Structured,
		IsError:           r.IsError,
	}
}
