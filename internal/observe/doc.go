// Package observe shows those who run the server what it does: metrics, health,
// traces, a log of slow calls and an audit log. It never sees what a call says:
// no argument, result or key reaches any of them.
//
// It knows calls through mcp-go's middleware and the service through an
// [http.RoundTripper], and imports nothing of ours: what it counts besides,
// the program gives it as functions.
package observe
