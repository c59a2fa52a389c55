// Command bench measures the built binary against a service on loopback, each
// figure beside what it is a ratio of, and writes docs/performance.md. It is run
// by `make bench`; `make bench-guard` runs its guard.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	page := flags.String("page", "docs/performance.md", "the page to write")
	only := flags.String("only", "", "measure just these parts, with commas, and print them: "+strings.Join(partNames(), ", "))
	guard := flags.String("guard", "", "compare the benchmarks' allocations with the figures of this file instead")
	update := flags.Bool("update", false, "with -guard: write the figures anew")
	serve := flags.Bool("serve", false, "be the service of a measurement, until standard input ends")
	_ = flags.Parse(os.Args[1:]) // ExitOnError
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unknown argument %q; there are only flags, see -help", flags.Arg(0))
	case *serve:
		err = serveApart(os.Stdin, os.Stdout)
	case *guard != "":
		err = runGuard(ctx, *guard, *update, os.Stdout)
	default:
		err = measure(ctx, *page, *only, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// lab is what all measurements share.
type lab struct {
	dir     string // for temporary files
	binary  string
	service *service
	log     io.Writer
}

// part is one section of the page.
type part struct {
	name    string
	measure func(context.Context, *lab) (string, error)
}

var parts = []part{
	{"start", measureStart},
	{"calls", measureCalls},
	{"streams", measureStreams},
	{"bulk", measureBulk},
	{"scale", measureScale},
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// measure runs the parts and writes the page, or prints them where only some
// were asked for.
func measure(ctx context.Context, page, only string, out, log io.Writer) (err error) {
	chosen := parts
	if only != "" {
		chosen = nil
		for name := range strings.SplitSeq(only, ",") {
			found := false
			for _, p := range parts {
				if p.name == name {
					chosen, found = append(chosen, p), true
				}
			}
			if !found {
				return fmt.Errorf("-only has %q; there is: %s", name, strings.Join(partNames(), ", "))
			}
		}
	}
	l := &lab{log: log}
	if l.dir, err = os.MkdirTemp("", "openclaw-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(l.dir)) }()
	if l.binary, err = build(ctx, l.dir); err != nil {
		return err
	}
	if l.service, err = newService(filepath.Join(l.dir, "service")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.service.close()) }()
	var text strings.Builder
	if err := describeMachine(&text, l.binary); err != nil {
		return err
	}
	for _, p := range chosen {
		started := time.Now()
		section, err := p.measure(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(log, "%s: measured in %s\n", p.name, time.Since(started).Round(time.Second))
		text.WriteString("\n" + section)
	}
	if only != "" {
		_, err = io.WriteString(out, text.String())
		return err
	}
	return writePage(page, text.String())
}
