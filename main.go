// Command openclaw-mcp lets MCP clients operate hosted OpenClaw instances.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// main is the only place that touches the process: its arguments, environment,
// standard streams, signals and exit code.
func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	// A client that is gone is an error to clean up after, not a signal to die of.
	signal.Ignore(syscall.SIGPIPE)
	stdout := os.Stdout
	os.Stdout = os.Stderr // on stdio, standard output carries JSON-RPC and nothing else
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, stdout, os.Stderr)
	stop()
	os.Exit(code)
}
