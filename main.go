// Command openclaw-mcp lets MCP clients operate hosted OpenClaw instances.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
)

// main is the only place that touches the process: its arguments, environment,
// standard streams, signals and exit code.
func main() {
	paceCollector()
	ctx, stop := untilSignalled(os.Interrupt, syscall.SIGTERM)
	// A client that is gone is an error to clean up after, not a signal to die of.
	signal.Ignore(syscall.SIGPIPE)
	stdout := os.Stdout
	os.Stdout = os.Stderr // on stdio, standard output carries JSON-RPC and nothing else
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdin, stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// ballast is memory that nothing ever touches, so that it takes none.
var ballast atomic.Pointer[[8 << 20]byte]

// paceCollector has the garbage collector let the start alone, and from its first
// collection on run whenever the heap has grown by half. Most of what a server of
// many streams holds lives long: collecting the rest sooner costs less than it
// saves. A small heap would be collected every few calls, though, if the ballast did
// not make it seem larger. GOGC, where it is set, decides instead.
func paceCollector() {
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(200)
	first := new(struct{ self any }) // which the first collection finds unused
	runtime.AddCleanup(first, func(struct{}) {
		ballast.Store(new([8 << 20]byte))
		debug.SetGCPercent(50)
	}, struct{}{})
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
