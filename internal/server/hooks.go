package server

import (
	"context"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/resources"
	"openclaw-mcp/tools"
)

// withoutExtensions is a hook that leaves the extensions out of what an older client is told:
// they came with 2026-07-28, and so did the tasks that are one of them.
func withoutExtensions(_ context.Context, _ any, _ *mcp.InitializeRequest, result *mcp.InitializeResult) {
	result.Capabilities.Extensions = nil
}

// keepFixed is a hook that lets a client keep what it read, where that does not change. Older
// clients are told nothing of the kind.
func keepFixed(ctx context.Context, _ any, req *mcp.ReadResourceRequest, result *mcp.ReadResourceResult) {
	if uri := req.Params.URI; server.IsModernRequest(ctx) && (resources.IsFixed(uri) || strings.HasPrefix(uri, tools.PageURI(""))) {
		result.SetCacheHints(listTTL.Milliseconds(), mcp.CacheScopePrivate)
	}
}
