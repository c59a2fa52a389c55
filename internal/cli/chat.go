package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
)

func chatCommand(c *console) *cobra.Command {
	var o chatOptions
	cmd := &cobra.Command{
		Use:   "chat [MESSAGE...]",
		Short: "Talk to an instance's agent",
		Long: `Talk to an instance's agent.

With a MESSAGE, or if standard input is not a terminal, it sends one message and
prints the reply as it arrives. Otherwise, it asks for messages until you press
Ctrl-D; /help lists what else you can type. The reply goes to standard output;
what the agent does meanwhile is shown on standard error.

Ctrl-C stops waiting for a reply, but the agent keeps working: --resume shows
the rest of the reply later. At the prompt, Ctrl-C clears the line.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runChat(cmd.Context(), c, o, strings.Join(args, " "))
		},
	}
	cmd.Flags().StringVar(&o.instance, "instance", "", "`ID` of the instance (default: the only one that is ready)")
	cmd.Flags().StringVar(&o.session, "session", "", "`ID` of the session (default: the newest, or a new one)")
	cmd.Flags().BoolVar(&o.newSession, "new", false, "start a new session")
	cmd.Flags().BoolVar(&o.resume, "resume", false, "show the last reply that you stopped waiting for")
	return cmd
}

type chatOptions struct {
	instance, session  string
	newSession, resume bool
}

// conversation is a person's talk with an agent.
type conversation struct {
	*console
	mcp               *mcpSession
	cfg               config.Config
	instance, session string
	sessions          []string // as /sessions listed them
	asking            bool     // messages are asked for, until the person ends the chat
}

func runChat(ctx context.Context, c *console, o chatOptions, message string) error {
	if o.newSession && o.session != "" {
		return usagef("chat takes --new or --session, not both")
	}
	if o.resume && (message != "" || o.newSession || o.session != "" || o.instance != "") {
		return usagef("chat --resume shows an earlier reply; it takes no message, --new, --session or --instance")
	}
	loop := message == "" && isTerminal(c.stdin)
	if message == "" && !loop && !o.resume {
		b, err := io.ReadAll(io.LimitReader(c.stdin, 8<<20))
		if err != nil {
			return fmt.Errorf("standard input: %w", err)
		}
		if message = strings.TrimSpace(string(b)); message == "" {
			return usagef("chat has no message: pass one, or write it to standard input")
		}
	}
	cfg, stop, err := c.settings()
	if err != nil {
		return err
	}
	defer func() { _ = stop() }()
	// A person may wait as long as they like, and sees the whole reply.
	cfg.SoftDeadline, cfg.MaxResultChars = time.Hour, 1<<20
	s, err := c.connect(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	talk := &conversation{console: c, mcp: s, cfg: cfg, instance: o.instance, session: o.session}
	if o.newSession {
		if err := talk.startSession(ctx); err != nil {
			return err
		}
	}
	if c.service != nil {
		c.say(dim, "The agent: "+c.service.Agent())
	}
	switch {
	case loop:
		return talk.loop(ctx, o.resume)
	case o.resume:
		return talk.resume(ctx)
	}
	return talk.send(ctx, message)
}

// startSession makes a new chat session for the conversation.
func (t *conversation) startSession(ctx context.Context) error {
	res, err := t.mcp.call(ctx, "create_chat_session", t.onInstance(map[string]any{}), nil)
	if err != nil {
		return err
	}
	if res.IsError {
		return exitWith(1, t.paint(red, t.shown(t.failure(res))))
	}
	data, _ := res.StructuredContent.(map[string]any)
	made, _ := data["session"].(map[string]any)
	t.session = text(made, "id")
	return nil
}

// send sends a message and prints the reply.
func (t *conversation) send(ctx context.Context, message string) error {
	args := t.onInstance(map[string]any{"message": message})
	if t.session != "" {
		args["session"] = t.session
	}
	return t.follow(ctx, message, "send_chat_message", args)
}

// resume goes on with the reply that was left last.
func (t *conversation) resume(ctx context.Context) error {
	for _, kept := range t.keptRuns(t.cfg) {
		if kept.Kind != "chat" {
			continue
		}
		t.instance, t.session = kept.Instance, kept.Session
		t.say(dim, "the reply to: "+kept.Title)
		return t.follow(ctx, kept.Title, "wait_run", map[string]any{"runs": []string{kept.Run}})
	}
	return errors.New("there is no reply that you stopped waiting for")
}

// follow prints what comes of a message's reply. If the person stops waiting, it
// notes where to go on.
func (t *conversation) follow(ctx context.Context, message, tool string, args map[string]any) error {
	reply := replyPrinter{console: t.console}
	if isTerminal(t.stdout) {
		reply.markdown = &markdown{plain: !t.colours}
	}
	for {
		res, left, err := t.mcp.follow(ctx, tool, args, reply.progress)
		reply.flush()
		if errors.Is(err, errLeft) {
			t.afterCtrlC()
			t.endLine()
			return t.leave(message, left)
		}
		if err == nil && !res.IsError && tool == "wait_run" {
			res = firstRun(res)
		}
		if err == nil && !res.IsError {
			t.session, t.instance = cmp.Or(field(res, "session"), t.session), cmp.Or(field(res, "instance"), t.instance)
			reply.complete(field(res, "reply"))
			if run := field(res, "run"); run != "" && field(res, "status") == "running" {
				tool, args = "wait_run", map[string]any{"runs": []string{run}}
				continue
			}
		}
		t.endLine()
		if err == nil && t.over(message) != nil {
			t.say(dim, "the list of unfinished runs could not be updated")
		}
		switch {
		case err != nil:
			return err
		case res.IsError:
			return exitWith(1, t.paint(red, t.shown(t.failure(res))))
		case field(res, "status") != "completed":
			return exitWith(1, t.paint(red, fmt.Sprintf("the reply is not complete: %s %s", field(res, "status"), field(res, "next"))))
		}
		return nil
	}
}

// leave notes that a reply goes on without the person.
func (t *conversation) leave(message, run string) error {
	if !t.asking && t.service != nil && t.service.Serves() {
		t.say(dim, "the reply ends here, because the local instance runs in this process")
		return errLeft
	}
	_, err := t.keep(t.cfg, keptRun{Run: run, Kind: "chat", Title: message, Instance: t.instance, Session: t.session, Since: time.Now()})
	switch {
	case err != nil:
		t.say(red, "still running, but --resume won't find it: "+err.Error())
	case t.asking:
		later := ""
		if t.service == nil || !t.service.Serves() { // else it ends with the chat
			later = "; after this chat, use openclaw-mcp chat --resume" + t.flagLocal()
		}
		t.say(bold, "still running: /resume shows the rest"+later)
	default:
		t.say(bold, "still running: openclaw-mcp chat --resume"+t.flagLocal())
	}
	return errLeft
}

// failure is a failed result in words about this conversation.
func (t *conversation) failure(res *mcp.CallToolResult) string {
	if said := t.instanceTrouble(t.cfg, res, t.instance, "--instance ID"); said != "" {
		return said
	}
	said := t.console.failure(t.cfg, res, true)
	if t.session != "" && strings.Contains(said, "ession not found") {
		list := "`openclaw-mcp call list_chat_sessions" + t.flagLocal() + "` lists them."
		if t.asking {
			list = "/sessions lists them."
		}
		return fmt.Sprintf("There is no session %s; %s", t.session, list)
	}
	return said
}

// flagLocal is what a command needs for the same service.
func (c *console) flagLocal() string {
	if c.local {
		return " --local"
	}
	return ""
}

// over drops a message's run from those that were left.
func (t *conversation) over(message string) error {
	for _, kept := range t.keptRuns(t.cfg) {
		if kept.Kind == "chat" && kept.Title == firstLine(message, 60) {
			return t.forget(kept.Run)
		}
	}
	return nil
}

// field is a string member of a structured result; empty if there is none.
func field(res *mcp.CallToolResult, name string) string {
	data, _ := res.StructuredContent.(map[string]any)
	text, _ := data[name].(string)
	return text
}

// firstRun makes the first run of wait_run's result the whole result.
func firstRun(res *mcp.CallToolResult) *mcp.CallToolResult {
	data, _ := res.StructuredContent.(map[string]any)
	if list, _ := data["runs"].([]any); len(list) > 0 {
		first := *res
		first.StructuredContent = list[0]
		return &first
	}
	return res
}

// replyPrinter prints a reply as it arrives, each word once. A long reply comes as
// several results; complete ends each of them.
type replyPrinter struct {
	*console
	streamed strings.Builder // what was printed since the last result
	markdown *markdown       // nil where the reply is printed as it comes, not for a terminal
}

// show shows the next words of the reply.
func (p *replyPrinter) show(text string) {
	if p.markdown == nil {
		p.print(text)
		return
	}
	p.markdown.wrap.width, p.markdown.wrap.eager = columns(p.stdout), true
	if !p.isMidLine() {
		p.markdown.wrap.column = 0
	}
	p.printStyled(p.markdown.write(withoutControls(text)))
}

// flush shows what was held back.
func (p *replyPrinter) flush() {
	if p.markdown != nil {
		p.printStyled(p.markdown.end())
	}
}

// progress prints what is new: what the agent did, then text of the reply, since an agent
// looks before it speaks. A person who waits sees for how long.
func (p *replyPrinter) progress(news progress) {
	if len(news.events) > 0 {
		p.flush()
	}
	for _, line := range news.events {
		p.say(dim, line)
	}
	if news.text != "" {
		p.streamed.WriteString(news.text)
		p.show(news.text)
	}
	if news.text == "" && len(news.events) == 0 && p.streamed.Len() == 0 && isTerminal(p.stderr) {
		p.say(dim, news.message)
	}
}

// complete prints what is missing of the text that a result holds. If the agent
// revised its words, it prints all of it again.
func (p *replyPrinter) complete(reply string) {
	rest, ok := strings.CutPrefix(reply, p.streamed.String())
	if !ok {
		p.flush()
		p.say(dim, "(the complete reply:)")
		rest = reply
	}
	p.show(rest)
	p.flush()
	p.streamed.Reset()
}
