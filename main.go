// Command openclaw-mcp lets MCP clients operate hosted OpenClaw instances.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// main is the only place that touches the process: its arguments, environment,
// standard streams, signals and exit code.
func main() {
	if os.Getenv("GOGC") == "" {
		// Most of what a server of many streams holds lives long: collecting the
		// rest sooner costs less than it saves.
		debug.SetGCPercent(50)
	}
	ctx, stop := untilSignalled(os.Interrupt, syscall.SIGTERM)
	// A client that is gone is an error to clean up after, not a signal to die of.
	signal.Ignore(syscall.SIGPIPE)
	stdout := os.Stdout
	os.Stdout = os.Stderr // on stdio, standard output carries JSON-RPC and nothing else
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// untilSignalled gives a context that ends at the first of the signals. The
// second one ends the program at once: it has its usual effect again before
// anybody learns of the first, which signal.NotifyContext does not promise.
func untilSignalled(signals ...os.Signal) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan os.Signal, 1)
	signal.Notify(first, signals...)
	go func() {
		select {
		case <-first:
			signal.Stop(first)
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() { signal.Stop(first); cancel() }
}
