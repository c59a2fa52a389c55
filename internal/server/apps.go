package server

import (
	"context"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/internal/apps"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// pageTitles are how clients name the pages.
var pageTitles = map[string]string{"terminal": "Terminal", "desktop": "Desktop", "work": "Instances, runs and chat"}

// listPages adds the pages to the first part of each list of resources, for clients
// that show them.
func listPages(h *server.Hooks) {
	h.AddAfterListResources(func(ctx context.Context, _ any, req *mcp.ListResourcesRequest, result *mcp.ListResourcesResult) {
		if req.Params.Cursor != "" || !tools.ShowsApps(ctx) {
			return
		}
		for _, name := range apps.Pages() {
			result.Resources = append(result.Resources, pageResource(name))
		}
	})
}

func pageResource(name string) mcp.Resource {
	return mcp.Resource{URI: tools.PageURI(name), Name: name + "-page", Title: pageTitles[name], MIMEType: apps.PageType}
}

// registerPages makes the pages readable for clients that show them. To others they do
// not exist.
func (b *Bridge) registerPages() {
	for _, name := range apps.Pages() {
		b.mcp.AddResource(pageResource(name), func(ctx context.Context, req mcp.ReadResourceRequest) ([]mcp.ResourceContents, error) {
			if !tools.ShowsApps(ctx) {
				return b.resources.Read(ctx, req.Params.URI)
			}
			page, err := apps.Page(name)
			if err != nil {
				return nil, err
			}
			transport.CallFrom(ctx).Verbatim() // it is our own
			return []mcp.ResourceContents{mcp.TextResourceContents{
				URI: req.Params.URI, MIMEType: apps.PageType, Text: page,
				// No origin of its own, and nothing from the network.
				Meta: map[string]any{"ui": map[string]any{"prefersBorder": false, "csp": map[string]any{
					"connectDomains": []string{}, "resourceDomains": []string{},
				}, "permissions": map[string]any{"clipboardWrite": map[string]any{}}}},
			}}, nil
		})
	}
}
