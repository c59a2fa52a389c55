package server

import (
	"context"
	"log/slog"

	"openclaw-mcp/internal/auth"
	"openclaw-mcp/internal/config"
)

// oauth takes tokens of the configured authorization server.
func oauth(ctx context.Context, c config.Config, log *slog.Logger) (auth.Authenticator, error) {
	cfg := auth.OAuthConfig{
		Issuer: c.OAuthIssuer, Audience: c.OAuthAudience, Scopes: c.OAuthScopes, Resource: c.PublicURL, Log: log,
	}
	if c.OAuthKeysFile != "" {
		keys, err := auth.NewSubjectKeys(c.OAuthKeysFile, log)
		if err != nil {
			return nil, wrongSetting("OPENCLAW_MCP_OAUTH_KEYS_FILE: %w", err)
		}
		cfg.Keys = keys
	}
	a, err := auth.NewOAuth(ctx, cfg)
	if err != nil {
		return nil, wrongSetting("OPENCLAW_MCP_OAUTH_ISSUER, _SCOPES or OPENCLAW_MCP_PUBLIC_URL: %w", err)
	}
	return a, nil
}
