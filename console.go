package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
)

// console is where the person sits who runs a command.
type console struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	asks           bool // somebody is there to answer: input and errors are a terminal's
	colours        bool // on standard error, where progress goes

	mu      sync.Mutex
	midLine bool // standard output, where a terminal, is in the middle of a line
	lines   chan typed
}

// typed is a line that was typed, or the end of the input.
type typed struct {
	text string
	err  error
}

func newConsole(environ []string, stdin io.Reader, stdout, stderr io.Writer) *console {
	c := &console{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	c.asks = isTerminal(stdin) && isTerminal(stderr)
	c.colours = isTerminal(stderr) && c.variable("NO_COLOR") == "" && c.variable("TERM") != "dumb" &&
		(runtime.GOOS != "windows" || c.variable("WT_SESSION") != "")
	return c
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (c *console) variable(name string) string {
	for _, v := range slices.Backward(c.environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// paint gives text a colour of a terminal (an SGR parameter), where there are any.
func (c *console) paint(sgr, text string) string {
	if !c.colours || text == "" {
		return text
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// The colours of what is no result.
const (
	dim  = "2"
	red  = "31"
	bold = "1"
)

// say writes a line to standard error, on a line of its own where both streams
// share a screen.
func (c *console) say(sgr, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.midLine && isTerminal(c.stdout) {
		fmt.Fprintln(c.stderr)
		c.midLine = false
	}
	fmt.Fprintln(c.stderr, c.paint(sgr, c.shown(strings.TrimRight(text, "\n"))))
}

// print writes a part of the result. What comes from an instance has no say
// over a terminal: its control sequences are taken out there, and there alone.
func (c *console) print(text string) {
	if text == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if isTerminal(c.stdout) {
		text = withoutControls(text)
	}
	_, _ = io.WriteString(c.stdout, text)
	c.midLine = !strings.HasSuffix(text, "\n")
}

// endLine ends the line that print may have left open.
func (c *console) endLine() {
	c.mu.Lock()
	open := c.midLine
	c.mu.Unlock()
	if open {
		c.print("\n")
	}
}

func (c *console) shown(text string) string {
	if isTerminal(c.stderr) {
		return withoutControls(text)
	}
	return text
}

func withoutControls(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, text)
}

// readLine waits for a line of the person's. At the end of the input it gives
// io.EOF.
func (c *console) readLine(ctx context.Context) (string, error) {
	c.mu.Lock()
	if c.lines == nil {
		c.lines = make(chan typed)
		go c.readLines(c.lines)
	}
	c.mu.Unlock()
	select {
	case l, ok := <-c.lines:
		if !ok {
			return "", io.EOF
		}
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// readLines reads one line ahead. It ends with the input: a read of a terminal
// can't be called off, so it may outlive the command.
func (c *console) readLines(to chan<- typed) {
	defer close(to)
	r := bufio.NewReader(c.stdin)
	for {
		text, err := r.ReadString('\n')
		if err == nil || (errors.Is(err, io.EOF) && text != "") {
			to <- typed{text: strings.TrimRight(text, "\r\n")}
		} else if !errors.Is(err, io.EOF) {
			to <- typed{err: err}
		}
		if err != nil {
			return
		}
	}
}

// confirm puts a question that only a yes answers with yes.
func (c *console) confirm(ctx context.Context, question string) (bool, error) {
	c.say(bold, question)
	c.mu.Lock()
	fmt.Fprint(c.stderr, "Do it? [y/N] ")
	c.mu.Unlock()
	answer, err := c.readLine(ctx)
	if err != nil {
		fmt.Fprintln(c.stderr)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return false, err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes", nil
}
