package tools

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Register adds tools to an MCP server, which lists them. Their handlers take the
// arguments in Params.RawArguments; wrap sees each call.
func Register(s *server.MCPServer, d *Deps, wrap func(server.ToolHandlerFunc) server.ToolHandlerFunc, tools ...*Tool) {
	for _, t := range tools {
		s.AddTool(t.Definition(), wrap(t.handler(d)))
	}
}

func (t *Tool) handler(d *Deps) server.ToolHandlerFunc {
	return func(ctx context.Context, req mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		r := t.Call(ctx, d, req.Params.RawArguments, exchangeOf(ctx, req))
		if r.Task != nil {
			d.BecomeTask(ctx, *r.Task)
		}
		result := d.result(ctx, r)
		if t.AppOnly && !r.IsError {
			result.StructuredContent = r.Structured // a page is a program
		}
		return result, nil
	}
}

// result is a Result as ctx's client wants it.
func (d *Deps) result(ctx context.Context, r Result) *mcp.CallToolResult {
	result := r.mcp()
	switch {
	case d.wantsStructured(ctx):
		result.StructuredContent = r.Structured
		return withLinks(ctx, result, r.Links)
	case r.Facts != nil:
		result.Meta = &mcp.Meta{AdditionalFields: map[string]any{FactsKey: r.Facts}}
	}
	return result
}

// FitList makes each tools/list fit its request: without the tools that its limits
// do not allow, and without output schemas unless it wants structured results. A
// call of a forbidden tool is refused by the tool itself, with the reason, which
// mcp-go's own filter would not give.
func FitList(h *server.Hooks, d *Deps, all []*Tool) {
	byName := make(map[string]*Tool, len(all))
	for _, t := range all {
		byName[t.Name] = t
	}
	h.AddAfterListTools(func(ctx context.Context, _ any, _ *mcp.ListToolsRequest, result *mcp.ListToolsResult) {
		rails := d.Rails(ctx)
		result.Tools = slices.DeleteFunc(slices.Clone(result.Tools), func(m mcp.Tool) bool {
			t, ok := byName[m.Name]
			return ok && cmp.Or(rails.tool(t), d.localOnly(ctx, t), onlyForApps(ctx, t)) != nil
		})
		if ShowsApps(ctx) {
			for i := range result.Tools {
				if t, ok := byName[result.Tools[i].Name]; ok {
					result.Tools[i].Meta = t.appMeta()
				}
			}
		}
		if !d.wantsStructured(ctx) {
			for i := range result.Tools {
				result.Tools[i].RawOutputSchema = nil
			}
		}
	})
}

// The questions of multi-round-trip requests, by kind: a form, and a page.
const (
	confirmID = "confirm"
	pageID    = "page"
)

// exchangeOf reads what a request says of its client's ability to ask the user,
// and the user's answer where it brings one.
func exchangeOf(ctx context.Context, req mcp.CallToolRequest) Exchange {
	var x Exchange
	if info := server.RequestProtocolInfoFromContext(ctx); info != nil && info.Modern {
		if c := info.ClientCapabilities; c != nil {
			x.CanAsk, x.CanOpen = asksForms(*c), opensPages(*c)
		}
	} else if s, ok := server.ClientSessionFromContext(ctx).(server.SessionWithClientInfo); ok {
		c := s.GetClientCapabilities()
		x.CanAsk = asksForms(c)
		versioned, ok := s.(server.SessionWithProtocolVersion)
		x.CanOpen = opensPages(c) && ok && versioned.ProtocolVersion() >= mcp.ProtocolVersion20251125 // the first that has pages
	}
	for _, id := range []string{confirmID, pageID} {
		if _, ok := req.Params.InputResponses[id]; ok {
			x.Answer = answerOf(server.ElicitationResponse(req.Params.InputResponses, id), id)
			x.Answer.State = req.Params.RequestState
		}
	}
	return x
}

// answerOf reads the answer to a question; nil is none that can be read. A form that was
// sent with its box unticked is a no.
func answerOf(r *mcp.ElicitationResult, id string) *Answer {
	switch {
	case r == nil:
		return &Answer{}
	case r.Action != mcp.ElicitationResponseActionAccept || id == pageID:
		return &Answer{Yes: r.Action == mcp.ElicitationResponseActionAccept, Declined: r.Action == mcp.ElicitationResponseActionDecline}
	}
	content, _ := r.Content.(map[string]any)
	yes, said := content[confirmID].(bool)
	return &Answer{Yes: yes, Declined: said && !yes}
}

// asksForms reports whether a client can put a form to its user: one that names only
// URLs can't.
func asksForms(c mcp.ClientCapabilities) bool {
	return c.Elicitation != nil && (c.Elicitation.URL == nil || c.Elicitation.Form != nil)
}

// opensPages reports whether a client can send its user to a page.
func opensPages(c mcp.ClientCapabilities) bool {
	return c.Elicitation != nil && c.Elicitation.URL != nil
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

func schemaJSON(s *jsonschema.Schema) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil { // a schema that was resolved can be encoded
		panic(fmt.Sprintf("a tool's schema: %v", err))
	}
	if len(s.Properties) == 0 && s.Type == "object" {
		// OpenAI-style clients refuse the whole list for one tool without it.
		b = bytes.Replace(b, []byte(`"type":"object"`), []byte(`"type":"object","properties":{}`), 1)
	}
	return b
}

func (r Result) mcp() *mcp.CallToolResult {
	if q := r.Ask; q != nil && q.URL != "" {
		return server.NewInputRequestBuilder(q.State).Elicit(pageID, mcp.ElicitationParams{
			Mode: mcp.ElicitationModeURL, Message: q.Text, URL: q.URL,
		}).ToolResult()
	}
	if q := r.Ask; q != nil {
		return server.NewInputRequestBuilder(q.State).Elicit(confirmID, mcp.ElicitationParams{
			Message: q.Text,
			RequestedSchema: map[string]any{
				"type": "object",
				"properties": map[string]any{
					confirmID: map[string]any{"type": "boolean", "title": "Do it", "description": "Say yes here, then accept. Otherwise nothing is done."},
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
		Content: content,
		IsError: r.IsError,
	}
}
