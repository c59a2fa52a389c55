package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Register adds tools to an MCP server.
func Register(s *server.MCPServer, d *Deps, tools ...*Tool) {
	for _, t := range tools {
		s.AddTool(t.Definition(), t.handler(d))
	}
}

// Plain gives the handlers of the tools that never ask the user, by name: their
// calls need nothing that an MCP server does beyond handing them on.
func Plain(d *Deps, tools ...*Tool) map[string]server.ToolHandlerFunc {
	handlers := make(map[string]server.ToolHandlerFunc, len(tools))
	for _, t := range tools {
		if _, asks := t.Input.Properties["confirm"]; !asks {
			handlers[t.Name] = t.handler(d)
		}
	}
	return handlers
}

func (t *Tool) handler(d *Deps) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		args := d.arguments(ctx)
		if args == nil {
			var err error
			if args, err = json.Marshal(req.GetRawArguments()); err != nil {
				return nil, err
			}
		}
		r := t.Call(ctx, d, args, exchangeOf(ctx, req))
		return withLinks(ctx, r.mcp(), r.Links), nil
	}
}

// HideForbidden takes the tools out of every tools/list that the rails of the
// request at hand do not allow. A call of one is refused by the tool itself,
// with the reason, which mcp-go's own filter would not give.
func HideForbidden(h *server.Hooks, d *Deps, all []*Tool) {
	byName := make(map[string]*Tool, len(all))
	for _, t := range all {
		byName[t.Name] = t
	}
	h.AddAfterListTools(func(ctx context.Context, _ any, _ *mcp.ListToolsRequest, result *mcp.ListToolsResult) {
		rails := d.Rails(ctx)
		result.Tools = slices.DeleteFunc(slices.Clone(result.Tools), func(m mcp.Tool) bool {
			t, ok := byName[m.Name]
			return ok && (rails.tool(t) != nil || d.localOnly(ctx, t) != nil)
		})
	})
}

// confirmID names the question in multi-round-trip requests.
const confirmID = "confirm"

// exchangeOf reads what a request says of its client's ability to ask the user,
// and the user's answer where it brings one.
func exchangeOf(ctx context.Context, req mcp.CallToolRequest) Exchange {
	var x Exchange
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern {
		x.CanAsk = info.ClientCapabilities != nil && info.ClientCapabilities.Elicitation != nil
	} else if s, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo); ok {
		x.CanAsk = s.GetClientCapabilities().Elicitation != nil
	}
	if _, ok := req.Params.InputResponses[confirmID]; ok {
		x.Answer = &Answer{State: req.Params.RequestState}
		if r := server.ElicitationResponse(req.Params.InputResponses, confirmID); r != nil && r.Action == mcp.ElicitationResponseActionAccept {
			content, _ := r.Content.(map[string]any)
			x.Answer.Yes, _ = content[confirmID].(bool)
		}
	}
	return x
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
	if q := r.Ask; q != nil {
		return server.NewInputRequestBuilder(q.State).Elicit(confirmID, mcp.ElicitationParams{
			Message: q.Text,
			RequestedSchema: map[string]any{
				"type": "object",
				"properties": map[string]any{
					confirmID: map[string]any{"type": "boolean", "title": "Do it", "description": "Nothing is done without your yes."},
				},
				"required": []string{confirmID},
			},
		}).ToolResult()
	}
	content := []mcp.Content{mcp.NewTextContent(r.Text)}
	for _, i := range r.Images {
		content = append(content, mcp.NewImageContent(i.Data, i.MIMEType))
	}
	return &mcp.CallToolResult{
		Content:           content,
		StructuredContent: r.Structured,
		IsError:           r.IsError,
	}
}
