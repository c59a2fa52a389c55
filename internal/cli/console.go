package cli

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
	"unicode/utf8"

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
	lines   chan typedLine
	editor  *editor // reads the lines, where there is one
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
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
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

// wrapped breaks lines that are too long for the terminal between words. Where stream
// is no terminal, it leaves the text as it is.
func wrapped(stream any, text string) string {
	f, ok := stream.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return text
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		width = helpWidth
	}
	return wrapWords(text, width)
}

// wrapWords breaks lines of more than width characters between words, and indents what
// follows as the line was.
func wrapWords(text string, width int) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		for utf8.RuneCountInString(line) > width {
			head := string([]rune(line)[:width+1])
			at := strings.LastIndexByte(head, ' ')
			if at <= len(indent) {
				break // one word
			}
			out = append(out, strings.TrimRight(line[:at], " "))
			line = indent + strings.TrimLeft(line[at:], " ")
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
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
	c.mu.Lock()
	open := c.midLine
	c.mu.Unlock()
	if open {
		c.print("\n")
	}
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
// returns io.EOF. leave is what an editor says at Ctrl-C, see there.
func (c *console) readLine(ctx context.Context, prompt, leave string) (string, error) {
	if c.editor != nil {
		return c.editor.readLine(ctx, prompt, leave)
	}
	c.mu.Lock()
	fmt.Fprint(c.stderr, prompt)
	if c.lines == nil {
		c.lines = make(chan typedLine)
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

// readLines reads one line ahead, until the end of the input. A read from a
// terminal can't be cancelled, so it may outlive the command.
func (c *console) readLines(to chan<- typedLine) {
	defer close(to)
	r := bufio.NewReader(c.stdin)
	for {
		text, err := r.ReadString('\n')
		if err == nil || (errors.Is(err, io.EOF) && text != "") {
			to <- typedLine{text: strings.TrimRight(text, "\r\n")}
		} else if !errors.Is(err, io.EOF) {
			to <- typedLine{err: err}
		}
		if err != nil {
			return
		}
	}
}

// confirm asks a question. Only y or yes confirms.
func (c *console) confirm(ctx context.Context, question string) (bool, error) {
	c.say(bold, question)
	answer, err := c.readLine(ctx, "Continue? [y/N] ", "")
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
