package main

import (
	"context"
	"log/slog"

	"openclaw-mcp/auth"
)

func (c config) oauth(context.Context, *slog.Logger) (auth.Authenticator, error) {
	return nil, wrongSetting("OPENCLAW_MCP_AUTH=oauth is not built yet")
}
