// Command openclaw-mcp lets MCP clients operate hosted OpenClaw instances.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"openclaw-mcp/internal/cli"
)

// version is set by the linker for releases.
var version = "dev"

// main is the only place that touches the process: its arguments, environment,
// standard streams, signals and exit code.
func main() {
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version // of a `go install` of a tagged module
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	// A client that is gone is an error to clean up after, not a signal to die of.
	signal.Ignore(syscall.SIGPIPE)
	stdout := os.Stdout
	os.Stdout = os.Stderr // on stdio, standard output carries JSON-RPC and nothing else
	code := cli.Run(ctx, version, os.Args[1:], os.Environ(), os.Stdin, stdout, os.Stderr)
	stop()
	os.Exit(code)
}
