package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

func chatCommand() commandSpec {
	return commandSpec{
		name: "chat", args: "[MESSAGE...]", maxArgs: -1, summary: "talk to an instance's agent",
		details: "With a MESSAGE, or input that is no terminal, it sends that and prints the reply as it comes. Without, it goes on asking for messages until Ctrl-D. " +
			"The reply goes to standard output; what the agent does meanwhile to standard error.\n\n" +
			"Ctrl-C stops waiting for the reply, and ends the program where there is none.",
		flags: []flagSpec{
			{"instance", "ID", "the instance; else the configured or only ready one"},
			{"session", "ID", "the chat session; else the newest, or a new one"},
			{"new", "", "begin a session"},
			localFlag,
		},
		run: runChat,
	}
}

// conversation is a person's talk with an agent.
type conversation struct {
	*console
	mcp               *mcpSession
	instance, session string
}

func runChat(ctx context.Context, c *console, in commandLine) error {
	if in.on("new") && in.flags["session"] != "" {
		return usageError{errors.New("openclaw-mcp: chat takes --new or --session, not both")}
	}
	message := strings.Join(in.args, " ")
	loop := message == "" && isTerminal(c.stdin)
	if message == "" && !loop {
		b, err := io.ReadAll(io.LimitReader(c.stdin, 8<<20))
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if message = strings.TrimSpace(string(b)); message == "" {
			return usageError{errors.New("openclaw-mcp: chat has no message: give it one, or standard input that holds one")}
		}
	}
	cfg, stop, err := c.settings(in.on("local"))
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	// People wait as long as they like, and see all of it.
	cfg.SoftDeadline, cfg.MaxResultChars = time.Hour, 1<<20
	s, err := c.connect(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	talk := &conversation{console: c, mcp: s, instance: in.flags["instance"], session: in.flags["session"]}
	if in.on("new") {
		if err := talk.begin(ctx); err != nil {
			return err
		}
	}
	if !loop {
		return talk.send(ctx, message)
	}
	return talk.loop(ctx)
}

// begin makes a session for what is to be said.
func (t *conversation) begin(ctx context.Context) error {
	args := map[string]any{}
	if t.instance != "" {
		args["instance"] = t.instance
	}
	res, err := t.mcp.call(ctx, "create_chat_session", args, nil)
	if err != nil {
		return err
	}
	if res.IsError {
		return exitWith(1, textOf(res))
	}
	t.session = field(res, "session")
	return nil
}

// send sends a message and prints the reply.
func (t *conversation) send(ctx context.Context, message string) error {
	args := map[string]any{"message": message}
	if t.instance != "" {
		args["instance"] = t.instance
	}
	if t.session != "" {
		args["session"] = t.session
	}
	var reply replyPrinter
	reply.console = t.console
	res, err := t.mcp.call(ctx, "send_chat_message", args, reply.progress)
	for err == nil && !res.IsError {
		t.session, t.instance = field(res, "session"), field(res, "instance")
		reply.part(field(res, "reply"))
		if run := field(res, "run"); run != "" && field(res, "status") == "running" {
			res, err = t.mcp.call(ctx, "wait_run", map[string]any{"runs": []string{run}}, reply.progress)
			if err == nil && !res.IsError {
				res = firstRun(res)
			}
			continue
		}
		break
	}
	t.endLine()
	switch {
	case err != nil:
		return err
	case res.IsError:
		return exitWith(1, t.paint(red, t.shown(textOf(res))))
	case field(res, "status") != "completed":
		return exitWith(1, t.paint(red, fmt.Sprintf("the reply is not complete: %s %s", field(res, "status"), field(res, "next"))))
	}
	return nil
}

// field is a text of a structured result.
func field(res *mcp.CallToolResult, name string) string {
	data, _ := res.StructuredContent.(map[string]any)
	text, _ := data[name].(string)
	return text
}

// firstRun takes the one run out of the result of waiting for it.
func firstRun(res *mcp.CallToolResult) *mcp.CallToolResult {
	data, _ := res.StructuredContent.(map[string]any)
	if list, _ := data["runs"].([]any); len(list) > 0 {
		first := *res
		first.StructuredContent = list[0]
		return &first
	}
	return res
}

// replyPrinter prints a reply as it comes, once.
type replyPrinter struct {
	*console
	streamed strings.Builder // of the part that is under way
	holding  bool            // what comes is left to part
}

// eventPrefixes mark the lines of a call's news that are no part of the reply.
var eventPrefixes = []string{"tool: ", "status: ", "still running after "}

// progress prints a piece of news: text of the reply, or lines about it. Where
// both came together, it takes a guess where they part; what goes to a program
// and not to a person is held back from there on, until the result tells.
func (p *replyPrinter) progress(text string) {
	lines := strings.Split(text, "\n")
	events := 0
	for _, line := range lines {
		if isEvent(line) {
			events++
		}
	}
	if events > 0 && events < len(lines) && !isTerminal(p.stdout) {
		p.holding = true
	}
	var words []string
	for _, line := range lines {
		if !isEvent(line) {
			words = append(words, line)
			continue
		}
		p.text(strings.Join(words, "\n"))
		words = nil
		p.say(dim, line)
	}
	p.text(strings.Join(words, "\n"))
}

func isEvent(line string) bool {
	return slices.ContainsFunc(eventPrefixes, func(prefix string) bool { return strings.HasPrefix(line, prefix) })
}

func (p *replyPrinter) text(s string) {
	if !p.holding {
		p.streamed.WriteString(s)
		p.print(s)
	}
}

// part completes what was streamed by the part of the reply that a result
// holds. Where the agent revised its words, or a line of the reply looked like
// one about it, the whole part is printed again.
func (p *replyPrinter) part(reply string) {
	rest, ok := strings.CutPrefix(reply, p.streamed.String())
	if !ok {
		p.say(dim, "(the reply as a whole:)")
		rest = reply
	}
	p.print(rest)
	p.streamed.Reset()
	p.holding = false
}

// loop asks for messages. It takes the signals itself: Ctrl-C means the reply
// while one is under way, and the program otherwise.
func (t *conversation) loop(ctx context.Context) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	t.say(dim, "Talk to the agent; an empty line does nothing, Ctrl-C stops a reply, Ctrl-D ends.")
	for {
		fmt.Fprint(t.stderr, t.paint(bold, "> "))
		line, err := untilSignal(ctx, signals, nil, func(ctx context.Context) (string, error) { return t.readLine(ctx) })
		if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
			fmt.Fprintln(t.stderr)
			return nil
		}
		if err != nil {
			return err
		}
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		_, err = untilSignal(ctx, signals, cancel, func(ctx context.Context) (struct{}, error) { return struct{}{}, t.send(ctx, line) })
		if ctx.Err() != nil {
			return errCancelled
		}
		if err != nil {
			t.say(red, err.Error())
		}
	}
}

// untilSignal runs f, with a context that ends at a signal. A signal that comes
// on top of that, or that is not Ctrl-C, is for end.
func untilSignal[T any](ctx context.Context, signals <-chan os.Signal, end func(), f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f(ctx)
		done <- result{v, err}
	}()
	for {
		select {
		case r := <-done:
			return r.v, r.err
		case s := <-signals:
			if end != nil && (ctx.Err() != nil || s != os.Interrupt) {
				end()
				var none T
				return none, errCancelled
			}
			cancel()
		}
	}
}
