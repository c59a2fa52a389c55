// Package transport is how MCP clients reach the server: over standard input
// and output, or over streamable HTTP at /mcp, in both protocol eras (legacy,
// 2024-11-05 to 2025-11-25, with its initialize handshake and sessions; modern,
// 2026-07-28, stateless).
//
// mcp-go dispatches the messages ([server.MCPServer.HandleMessage]); everything
// on the wire is this package's own, for one reason: what belongs to a request
// (its progress notifications, the questions it asks the client, its result) is
// written to that request's stream synchronously, in order, by whoever produced
// it. No channel between them can fill up, drop or misroute.
//
// A tool finds its arguments in [Call.Arguments]; where it wants them in mcp-go's
// request, the server is made with [Arguments].
package transport
