package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

// The names of the steps, which reports and time-outs go by.
const (
	stepService     = "service"
	stepDescription = "description"
	stepInstances   = "key and instances"
	stepInstance    = "instance"
	stepStatus      = "status"
	stepSessions    = "chat sessions"
	stepMessages    = "chat messages"
	stepFiles       = "files"
	stepExec        = "command"
	stepChat        = "chat stream"
	stepTerminal    = "terminal"
	stepDesktop     = "desktop"
)

// settle is how long a socket that works is looked at further: one that is
// refused late is closed by then.
const settle = 500 * time.Millisecond

// run is the safe first contact: it reads, runs `echo ok`, asks for "OK" and
// looks at the sockets. It creates, reboots and shuts down nothing.
func (e *examination) run(ctx context.Context) {
	reached := e.check(ctx, stepService, e.Patience, Warning, e.discover)
	if reached {
		e.described(ctx)
	}
	if e.Key == "" {
		e.report.Add(Check{Name: stepInstances, Level: Failed, Detail: "there is no API key",
			Advice: "run 'openclaw-mcp login', or set OPENCLAW_API_KEY, or OPENCLAW_API_KEY_FILE to a file that holds it; --local needs none"})
		return
	}
	var in client.Instance
	ok := e.check(ctx, stepInstances, e.Patience, Failed, func(ctx context.Context) (string, string, error) {
		page, err := e.client.Instances.List(ctx)
		if err != nil {
			return "", "", err
		}
		var n int
		if in, n = e.choose(page.Items); in.ID == "" {
			return "", "the key works; it sees " + text.Count(len(page.Items), "instance", "instances") + ", but not one to examine", nil
		}
		return "the key works; it sees " + text.Count(n, "instance", "instances"), "", nil
	})
	if !ok || in.ID == "" {
		why := "no instance is known"
		if !ok && !reached {
			why = "the service can't be used"
		}
		for _, name := range []string{stepInstance, stepStatus, stepSessions, stepMessages, stepFiles, stepExec, stepChat, stepTerminal, stepDesktop} {
			e.skip(name, why)
		}
		return
	}
	e.lists()
	e.instance = in.ID
	e.check(ctx, stepInstance, e.Patience, Warning, func(ctx context.Context) (string, string, error) {
		got, err := e.client.Instances.Get(ctx, e.instance)
		return state(got, err)
	})
	ready := e.check(ctx, stepStatus, e.Patience, Warning, func(ctx context.Context) (string, string, error) {
		got, err := e.client.Instances.Status(ctx, e.instance)
		in.State = got.State
		return state(got, err)
	}) && (in.State == client.StateReady || in.State == client.StateUnknown)
	e.check(ctx, stepSessions, e.Patience, Warning, func(ctx context.Context) (string, string, error) {
		page, err := e.client.Chat.Sessions(ctx, e.instance)
		return text.Count(len(page.Items), "session", "sessions"), "", err
	})
	e.check(ctx, stepMessages, e.Patience, Warning, func(ctx context.Context) (string, string, error) {
		page, err := e.client.Chat.Messages(ctx, e.instance, client.MessagesQuery{Tail: true, Limit: 5})
		return text.Count(len(page.Items), "message", "messages"), "", err
	})
	e.check(ctx, stepFiles, e.Patience, Warning, func(ctx context.Context) (string, string, error) {
		page, err := e.client.Files.List(ctx, e.instance, client.Workspace)
		return text.Count(len(page.Items), "entry", "entries") + " in /workspace", "", err
	})
	e.active(ctx, ready)
}

// active are the steps that need a ready instance and leave traces in it.
func (e *examination) active(ctx context.Context, ready bool) {
	for _, s := range []struct {
		name     string
		skip     bool
		patience time.Duration
		do       func(context.Context) (string, string, error)
	}{
		{stepExec, e.SkipExec || e.ReadOnly, 2 * e.Patience, e.exec},
		{stepChat, e.SkipChat || e.ReadOnly, 8 * e.Patience, e.chat},
		{stepTerminal, e.SkipSockets || e.ReadOnly, e.Patience + e.Watch, e.terminal},
		{stepDesktop, e.SkipSockets, e.Patience + e.Watch, e.desktop},
	} {
		switch {
		case s.skip && e.ReadOnly:
			e.skip(s.name, "only reading is allowed")
		case s.skip:
			e.skip(s.name, "not asked for")
		case !ready:
			e.skip(s.name, "the instance is not ready")
		default:
			e.check(ctx, s.name, s.patience, Warning, s.do)
		}
	}
}

func (e *examination) discover(ctx context.Context) (string, string, error) {
	d, err := e.client.Discover(ctx)
	if err != nil {
		return "", "", err
	}
	return "reachable; it advertises " + text.Count(len(d.Resources), "resource", "resources"), "", nil
}

// choose picks the instance to look at, and counts those that may be used.
func (e *examination) choose(all []client.Instance) (chosen client.Instance, n int) {
	for _, in := range all {
		if e.AllowInstance != nil && e.AllowInstance(in.ID) != nil {
			continue
		}
		n++
		switch {
		case e.Instance != "":
			if in.ID == e.Instance {
				chosen = in
			}
		case chosen.ID == "", in.State == client.StateReady && chosen.State != client.StateReady:
			chosen = in
		}
	}
	return chosen, n
}

// lists tells the dialect from the listing of the instances.
func (e *examination) lists() {
	last := e.report.Checks[len(e.report.Checks)-1].Requests
	if len(last) == 0 {
		return
	}
	e.report.Dialect.Lists, e.report.Dialect.Names = dialectOf(last[len(last)-1].Keys)
}

func state(in client.Instance, err error) (detail, complaint string, _ error) {
	switch {
	case err != nil:
		return "", "", err
	case in.State == client.StateReady:
		return "ready", "", nil
	case in.State == client.StateUnknown:
		return "", "this program does not know its status word", nil
	}
	return "", "the instance is not ready: " + string(in.State), nil
}

func (e *examination) exec(ctx context.Context) (string, string, error) {
	r, err := e.client.Terminal.Exec(ctx, e.instance, client.ExecRequest{Command: "echo ok", Timeout: e.Patience})
	switch {
	case err != nil:
		return "", "", err
	case r.NotReady:
		return "", "the sandbox says that it is not ready", nil
	case strings.TrimSpace(r.Stdout.Head) != "ok":
		return "", "`echo ok` printed something else, or its output was not found in the answer", nil
	case r.ExitCode == nil:
		return "", "the answer has no exit code, so it is unknown whether commands succeed", nil
	case *r.ExitCode != 0:
		return "", fmt.Sprintf("`echo ok` ended with code %d", *r.ExitCode), nil
	}
	return "`echo ok` printed ok, code 0", "", nil
}

func (e *examination) chat(ctx context.Context) (string, string, error) {
	var reply client.Accumulator
	var first time.Duration
	start, unknown := time.Now(), 0
	for ev, err := range e.client.Chat.Stream(ctx, e.instance, client.SendRequest{Message: "Reply with OK"}) {
		if err != nil {
			return "", "", err
		}
		if first == 0 {
			first = time.Since(start)
		}
		if ev.Kind == client.EventUnknown {
			unknown++
		}
		reply.Add(ev)
	}
	requests := e.recorder.peek()
	if len(requests) > 0 {
		e.report.Dialect.Stream = requests[len(requests)-1].Stream
	}
	detail := fmt.Sprintf("first event after %d ms, end after %d ms", first.Milliseconds(), time.Since(start).Milliseconds())
	switch {
	case reply.Err() != nil:
		return "", "", reply.Err()
	case reply.Text() == "":
		return "", "the stream ended without any text from the agent; " + detail, nil
	case !reply.Done():
		return "", "the stream ended without an end marker; " + detail, nil
	case unknown > 0:
		return "", text.Count(unknown, "event is", "events are") + " of an unknown kind; " + detail, nil
	}
	return detail, "", nil
}

// terminal opens a terminal and listens. It types nothing.
func (e *examination) terminal(ctx context.Context) (string, string, error) {
	conn, err := e.client.Terminal.Open(ctx, e.instance, client.TerminalOptions{Family: e.TerminalFamily})
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	watch, cancel := context.WithTimeout(ctx, e.Watch)
	defer cancel()
	bytes, problem := 0, error(nil)
	for {
		ev, err := conn.Next(watch)
		if err != nil {
			if watch.Err() == nil && !errors.Is(err, io.EOF) {
				return "", "", err
			}
			if errors.Is(err, io.EOF) {
				problem = errors.New("the shell ended by itself")
			}
			break
		}
		if bytes == 0 && ev.Output != "" {
			time.AfterFunc(settle, cancel) // the rest of its greeting comes at once
		}
		bytes += len(ev.Output)
		if ev.Problem != nil {
			return "", "", ev.Problem
		}
	}
	family := string(conn.Family())
	e.report.Dialect.Terminal = family
	if problem != nil {
		return "", fmt.Sprintf("frames of family %s; %v", family, problem), nil
	}
	if bytes == 0 {
		return "", fmt.Sprintf("frames of family %s; the shell printed nothing in %s", family, e.Watch), nil
	}
	return fmt.Sprintf("frames of family %s; the shell printed %d bytes", family, bytes), "", nil
}

// desktop connects and looks. It sends neither keys nor the pointer.
func (e *examination) desktop(ctx context.Context) (string, string, error) {
	conn, err := e.client.Desktop.Connect(ctx, e.instance, client.DesktopOptions{Password: e.DesktopPassword, Patience: e.Patience})
	if known, ok := errors.AsType[*client.Error](err); ok && known.Code == "no_desktop" {
		return "the instance has none", "", nil
	}
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	watch, cancel := context.WithTimeout(ctx, min(e.Watch, settle))
	defer cancel()
	select {
	case <-watch.Done():
	case <-conn.Done():
		if err := conn.Err(); err != nil {
			return "", "", err
		}
	}
	size := conn.Size()
	e.report.Dialect.Desktop = fmt.Sprintf("RFB, %dx%d", size.X, size.Y)
	return fmt.Sprintf("a desktop of %dx%d pixels", size.X, size.Y), "", nil
}
