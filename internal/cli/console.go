package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"

	"openclaw-mcp/internal/server"
)

// console is what a command has of the process: its environment, its streams,
// and the person at the terminal, if there is one.
type console struct {
	version        string // of this program
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer
	interactive    bool // standard input and error are a terminal, so a question can be answered
	colours        bool // on standard error, where progress goes

	local   bool          // --local
	service *server.Local // the embedded service, once it is started
	helpErr error         // why help could not be shown; cobra's help functions return no error

	mu      sync.Mutex
	midLine bool // the last text on standard output did not end its line
	typed   *bufio.Reader
	reading chan typedLine // of the read that is under way; nil for none
	editor  *editor        // reads the lines, where there is one
}

// typedLine is a line that was typed, or the error of reading it.
type typedLine struct {
	text string
	err  error
}

func newConsole(version string, environ []string, stdin io.Reader, stdout, stderr io.Writer) *console {
	c := &console{version: version, environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	c.interactive = isTerminal(stdin) && isTerminal(stderr)
	c.colours = isTerminal(stderr) && c.variable("NO_COLOR") == "" && c.variable("TERM") != "dumb" &&
		(runtime.GOOS != "windows" || c.variable("WT_SESSION") != "")
	return c
}

func isTerminal(stream any) bool {
	f := file(stream)
	return f != nil && term.IsTerminal(int(f.Fd()))
}

// variables is the environment.
func (c *console) variables() map[string]string {
	all := make(map[string]string)
	for _, v := range c.environ {
		name, value, _ := strings.Cut(v, "=")
		all[name] = value
	}
	return all
}

func (c *console) variable(name string) string {
	for _, v := range slices.Backward(c.environ) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// paint gives text a colour (an SGR parameter), where colours are shown.
func (c *console) paint(sgr, text string) string {
	if !c.colours {
		return text
	}
	return styled(sgr, text)
}

// Colours, as SGR parameters.
const (
	dim   = "2"
	red   = "31"
	bold  = "1"
	cyan  = "36"
	green = "32"
)

func styled(sgr, text string) string {
	if text == "" {
		return ""
	}
	return "\x1b[" + sgr + "m" + text + "\x1b[0m"
}

// say writes a line to standard error. If the result on the terminal is in the
// middle of a line, it ends that line first.
func (c *console) say(sgr, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.midLine && isTerminal(c.stdout) {
		fmt.Fprintln(c.stderr)
		c.midLine = false
	}
	fmt.Fprintln(c.stderr, c.paint(sgr, c.shown(strings.TrimRight(text, "\n"))))
}

// afterCtrlC begins a new line on the terminal, which shows the key.
func (c *console) afterCtrlC() {
	if !c.interactive {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(c.stderr)
	c.midLine = c.midLine && !isTerminal(c.stdout)
}

// print writes a part of the result to standard output. On a terminal it removes
// control characters: what comes from an instance must not control the terminal.
func (c *console) print(text string) {
	if isTerminal(c.stdout) {
		text = withoutControls(text)
	}
	c.printStyled(text)
}

// printStyled writes a part of the result that may have colours of ours.
func (c *console) printStyled(text string) {
	if text == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.stdout, text)
	c.midLine = !strings.HasSuffix(text, "\n")
}

// endLine ends the line that print left open, if any.
func (c *console) endLine() {
	if c.isMidLine() {
		c.print("\n")
	}
}

func (c *console) isMidLine() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.midLine
}

func (c *console) shown(text string) string {
	if isTerminal(c.stderr) {
		return wrapped(c.stderr, withoutControls(text))
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

// readLine waits for the person to type a line. At the end of the input it
// returns io.EOF. leave is what an editor says at Ctrl-C, see there. A read from a
// terminal can't be cancelled: one that is under way when ctx ends is for the next call.
func (c *console) readLine(ctx context.Context, prompt, leave string) (string, error) {
	if c.editor != nil {
		return c.editor.readLine(ctx, prompt, leave)
	}
	c.mu.Lock()
	fmt.Fprint(c.stderr, prompt)
	if c.typed == nil {
		c.typed = bufio.NewReader(c.stdin)
	}
	if c.reading == nil {
		c.reading = make(chan typedLine, 1)
		go func(to chan<- typedLine) {
			text, err := c.typed.ReadString('\n')
			if errors.Is(err, io.EOF) && text != "" {
				err = nil
			}
			to <- typedLine{strings.TrimRight(text, "\r\n"), err}
		}(c.reading)
	}
	reading := c.reading
	c.mu.Unlock()
	select {
	case l := <-reading:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reading = nil
		return l.text, l.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// confirm asks a question. Only y or yes confirms.
func (c *console) confirm(ctx context.Context, question string) (bool, error) {
	c.say(bold, question)
	answer, err := c.readLine(ctx, "[y/N] ", "")
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
