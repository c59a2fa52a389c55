// Package transport is how MCP clients reach the server: over standard input
// and output, or over streamable HTTP at /mcp, in both protocol eras (legacy,
// 2024-11-05 to 2025-11-25, with its initialize handshake and sessions; modern,
// 2026-07-28, stateless).
//
// This package reads and writes everything on the wire, for one reason: what belongs
// to a request (its progress notifications, the questions it asks the client, its
// result) is written to that request's stream synchronously, in order, by whoever
// produced it. No channel between them can fill up, drop or misroute.
//
// It serves tools/call and subscriptions itself, and hands every other method to
// mcp-go ([server.MCPServer.HandleMessage]). Tools are registered with mcp-go, which
// lists them; their handlers get the arguments of a call in Params.RawArguments, as
// the client wrote them, and no decoded copy.
package transport
