package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"openclaw-mcp/internal/nearest"
)

// chatCommands are what a person can type instead of a message.
var chatCommands = []struct{ name, help string }{
	{"/help", "show this list"},
	{"/sessions", "list the sessions; /sessions NUMBER switches to one of them"},
	{"/new", "start a new session"},
	{"/run", "/run COMMAND runs a command on the instance"},
	{"/resume", "show the last reply that you stopped waiting for"},
	{"/exit", "end the chat, as do exit, quit and Ctrl-D"},
}

// loop asks for messages until Ctrl-D. It handles signals itself: Ctrl-C stops
// waiting while a reply is arriving. At the prompt it is a key, see editor.
func (t *conversation) loop(ctx context.Context, resume bool) error {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	t.say(dim, "Type a message to the agent, or /help. Ctrl-C stops waiting for a reply, Ctrl-D ends the chat.")
	var names []string
	for _, c := range chatCommands {
		names = append(names, c.name)
	}
	history := ""
	if dir := t.dataDir(); dir != "" {
		history = filepath.Join(dir, "chat_history")
	}
	t.asking = true
	t.editor = t.newEditor(readHistory(history), names)
	line := ""
	if resume {
		line = "/resume"
	}
	for {
		if line == "" {
			typed, err := untilSignal(ctx, signals, nil, func(ctx context.Context) (string, error) {
				return t.readLine(ctx, t.paint(bold, "> "), t.paint(dim, "Ctrl-D or /exit ends the chat."))
			})
			if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
				fmt.Fprintln(t.stderr)
				return nil
			}
			if err != nil {
				return err
			}
			if line = typed; t.editor != nil {
				t.editor.history.add(typed)
			}
		}
		said := line
		line = ""
		if strings.TrimSpace(said) == "" {
			continue
		}
		first, _, more := strings.Cut(strings.TrimSpace(said), " ")
		if first == "/exit" || first == "/quit" || !more && (first == "exit" || first == "quit") {
			return nil
		}
		_, err := untilSignal(ctx, signals, cancel, func(ctx context.Context) (struct{}, error) { return struct{}{}, t.hear(ctx, said) })
		if ctx.Err() != nil {
			return errCancelled
		}
		if err != nil && err.Error() != "" {
			t.say(red, err.Error())
		}
	}
}

// hear does what the person typed: a command, or a message. A message that begins
// with a slash has a space before it.
func (t *conversation) hear(ctx context.Context, line string) error {
	if !strings.HasPrefix(line, "/") {
		return t.send(ctx, strings.TrimSpace(line))
	}
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	if rest != "" && slices.Contains([]string{"/help", "/new", "/resume"}, name) {
		return fmt.Errorf("%s takes nothing after it, but got %q", name, rest)
	}
	switch name {
	case "/help":
		for _, c := range chatCommands {
			t.say("", fmt.Sprintf("  %-10s %s", c.name, c.help))
		}
		t.say(dim, "A message that begins with / needs a space before it.")
		return nil
	case "/new":
		t.session = ""
		if err := t.startSession(ctx); err != nil {
			return err
		}
		t.say(dim, "Started a new session.")
		return nil
	case "/resume":
		return t.resume(ctx)
	case "/sessions":
		return t.showSessions(ctx, rest)
	case "/run":
		if rest == "" {
			return errors.New("write /run COMMAND, such as /run ls -la")
		}
		return t.run(ctx, rest)
	}
	names := make([]string, 0, len(chatCommands))
	for _, c := range chatCommands {
		names = append(names, c.name)
	}
	if near := nearest.Word(name, names, 2); near != "" {
		return fmt.Errorf("unknown command %s: did you mean %s?", name, near)
	}
	return fmt.Errorf("unknown command %s; /help lists them", name)
}

// onInstance are the arguments of a call on the conversation's instance.
func (t *conversation) onInstance(args map[string]any) map[string]any {
	if t.instance != "" {
		args["instance"] = t.instance
	}
	return args
}

// showSessions lists the sessions, or goes on in the one with the number.
func (t *conversation) showSessions(ctx context.Context, number string) error {
	if number != "" {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > len(t.sessions) {
			return fmt.Errorf("there is no session %s; /sessions lists them with their numbers", number)
		}
		t.session = t.sessions[n-1]
		t.say(dim, "Switched to session "+number+".")
		return nil
	}
	res, err := t.mcp.call(ctx, "list_chat_sessions", t.onInstance(map[string]any{}), nil)
	if err != nil {
		return err
	}
	if res.IsError {
		return errors.New(t.failure(res))
	}
	t.sessions = nil
	sessions := members(res, "sessions")
	begins := t.beginnings(ctx, sessions)
	for i, one := range sessions {
		t.sessions = append(t.sessions, text(one, "id"))
		mark := " "
		if text(one, "id") == t.session {
			mark = "*"
		}
		when := cmp.Or(text(one, "updated_at"), text(one, "created_at"))
		if at, err := time.Parse(time.RFC3339, when); err == nil {
			when = at.Local().Format(minute)
		}
		t.say("", fmt.Sprintf("%s %2d  %s  %s", mark, i+1, when, cmp.Or(titleOf(one), begins[i], text(one, "id"))))
	}
	if len(t.sessions) == 0 {
		t.say(dim, "There are no sessions yet.")
	}
	return nil
}

// titleOf is a session's title. The name of this program is none: a session that a
// message opened has it, so all of them would look alike.
func titleOf(session map[string]any) string {
	if title := text(session, "title"); title != "openclaw-mcp" {
		return title
	}
	return ""
}

// beginnings are the first words of the sessions that have no title, of the newest
// few: each takes a request.
func (t *conversation) beginnings(ctx context.Context, sessions []map[string]any) []string {
	begins := make([]string, len(sessions))
	var wg sync.WaitGroup
	for i, one := range sessions[:min(len(sessions), 20)] {
		if titleOf(one) != "" {
			continue
		}
		wg.Go(func() {
			res, err := t.mcp.connection.call(ctx, "read_chat_history", t.onInstance(map[string]any{"session": text(one, "id"), "limit": 500}))
			if err != nil || res.IsError {
				return // the id stands for it
			}
			for _, m := range members(res, "messages") {
				if text(m, "role") == "user" {
					begins[i] = firstLine(strings.TrimSpace(text(m, "text")), 60)
					return
				}
			}
		})
	}
	wg.Wait()
	return begins
}

// run runs a command on the instance, and prints what it prints.
func (t *conversation) run(ctx context.Context, command string) error {
	res, err := t.mcp.call(ctx, "exec_command", t.onInstance(map[string]any{"command": command}), nil)
	if err != nil {
		return err
	}
	if res.IsError {
		return errors.New(t.failure(res))
	}
	t.print(textOf(res))
	t.endLine()
	return nil
}

// untilSignal runs f with a context that Ctrl-C ends. With end, a second Ctrl-C,
// or any other signal, calls end and does not wait for f.
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
