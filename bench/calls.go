package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"time"

	"openclaw-mcp/client"
)

// times are durations of one thing done again and again.
type times []time.Duration

// at gives the quantile q of the times.
func (t times) at(q float64) time.Duration {
	if len(t) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// ms is a duration as the page shows it.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond)) }

// verdict says whether a target is met.
func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**not met**"
}

// table is a Markdown table.
type table struct{ strings.Builder }

func newTable(columns ...string) *table {
	t := &table{}
	t.row(columns...)
	t.row(slices.Repeat([]string{"---"}, len(columns))...)
	return t
}

func (t *table) row(cells ...string) { t.WriteString("| " + strings.Join(cells, " | ") + " |\n") }

// replayer makes, with the client alone, the requests that a call of the bridge
// made.
type replayer func(context.Context) error

func newReplayer(c *client.Client, instance string, log []request) (replayer, error) {
	var steps []replayer
	for _, r := range log {
		u, err := url.ParseRequestURI(r.uri)
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(u.Path, "/instances/"+instance)
		switch r.method + " " + rest {
		case "GET ":
			steps = append(steps, func(ctx context.Context) error {
				_, err := c.Instances.Get(ctx, instance)
				return err
			})
		case "GET /status":
			steps = append(steps, func(ctx context.Context) error {
				_, err := c.Instances.Status(ctx, instance)
				return err
			})
		case "GET /files":
			steps = append(steps, func(ctx context.Context) error {
				_, err := c.Files.List(ctx, instance, u.Query().Get("path"))
				return err
			})
		case "GET /files/read":
			steps = append(steps, func(ctx context.Context) error {
				b, err := c.Files.Open(ctx, instance, u.Query().Get("path"))
				if err != nil {
					return err
				}
				defer func() { _ = b.Close() }()
				_, err = io.Copy(io.Discard, b)
				return err
			})
		case "POST /terminal/exec":
			var in struct {
				Command string `json:"command"`
				Timeout int64  `json:"timeout_ms"`
			}
			if err := json.Unmarshal(r.body, &in); err != nil {
				return nil, err
			}
			steps = append(steps, func(ctx context.Context) error {
				_, err := c.Terminal.Exec(ctx, instance, client.ExecRequest{Command: in.Command, Timeout: time.Duration(in.Timeout) * time.Millisecond})
				return err
			})
		default:
			return nil, fmt.Errorf("the bridge made a request that the bench can't repeat: %s %s", r.method, r.uri)
		}
	}
	if len(steps) == 0 {
		return nil, fmt.Errorf("the bridge made no request")
	}
	return func(ctx context.Context) error {
		for _, step := range steps {
			if err := step(ctx); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// ways are the transports and eras.
var ways = []struct {
	name string
	http bool
	era  string
}{{"stdio, legacy", false, legacy}, {"stdio, modern", false, modern}, {"HTTP, legacy", true, legacy}, {"HTTP, modern", true, modern}}

// connect starts a bridge and connects to it.
func (l *lab) connect(ctx context.Context, overHTTP bool, era string, env ...string) (*bridge, wire, error) {
	b, err := l.start(ctx, overHTTP, env...)
	if err != nil {
		return nil, nil, err
	}
	var w wire
	if overHTTP {
		w, err = newHTTPWire(ctx, newHTTPClient(), b.url, era)
	} else {
		w, err = newStdioWire(ctx, b, era)
	}
	if err != nil {
		b.stop()
		return nil, nil, err
	}
	return b, w, nil
}

const callRounds = 1000

// measureCalls compares calls of tools with the same requests made by the
// client, one of each in turn.
func measureCalls(ctx context.Context, l *lab) (string, error) {
	s, stop, err := startApart(ctx)
	if err != nil {
		return "", err
	}
	defer stop()
	l = &lab{dir: l.dir, binary: l.binary, service: s, log: l.log}
	c, err := client.New(nil, s.url, serviceKey)
	if err != nil {
		return "", err
	}
	defer c.CloseIdleConnections()
	t := newTable("tool", "requests", "way", "direct p50", "bridge p50", "ratio", "added", "empty call", "direct p99", "bridge p99", "target")
	for _, tool := range []struct {
		name string
		args params
	}{
		{"get_instance", params{}},
		{"list_files", params{"path": "/workspace/src"}},
		{"read_file", params{"path": "/workspace/src/f07.txt"}},
		{"exec_command", params{"command": "echo hello", "timeout_seconds": 5}},
	} {
		for _, way := range ways {
			r, err := l.compareCall(ctx, c, way.http, way.era, tool.name, tool.args)
			if err != nil {
				return "", err
			}
			d, b := r.direct.at(0.5), r.through.at(0.5)
			empty := ms(r.empty.at(0.5))
			if tool.name == "exec_command" {
				empty = ""
			}
			t.row(tool.name, fmt.Sprint(r.requests), way.name, ms(d), ms(b), fmt.Sprintf("%.2f", float64(b)/float64(d)), ms(b-d), empty,
				ms(r.direct.at(0.99)), ms(r.through.at(0.99)), verdict(b <= max(d*3/2, d+200*time.Microsecond)))
		}
	}
	echo, err := throughCat(ctx)
	if err != nil {
		return "", err
	}
	counts, err := allocations()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(`### Overhead of a call

A tool's call beside the same requests made by `+"`client/`"+` alone, %d of each in
turn, the service answering from memory on loopback, in a process of its own.
Times are milliseconds. The empty call is one that asks nothing of the service
(list_runs, where there are none), in turn with the others: what any call costs. A line through `+"`cat`"+`
and back, which no program could beat, took %s ms. Target: at the median, 1.5
times the direct time or 0.2 ms more, whichever is larger.

%s
%s`, callRounds, ms(echo.at(0.5)), t, counts), nil
}

// throughCat times a line to another process and back.
func throughCat(ctx context.Context) (t times, err error) {
	cmd := exec.CommandContext(ctx, "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() { _ = in.Close(); err = errors.Join(err, cmd.Wait()) }()
	r := bufio.NewReader(out)
	for range callRounds {
		started := time.Now()
		if _, err := io.WriteString(in, "a line\n"); err != nil {
			return nil, err
		}
		if _, err := r.ReadString('\n'); err != nil {
			return nil, err
		}
		t = append(t, time.Since(started))
	}
	return t, nil
}

// compared is one tool's calls, beside the requests they make and empty calls.
type compared struct {
	direct, through, empty times
	requests               int
}

func (l *lab) compareCall(ctx context.Context, c *client.Client, overHTTP bool, era, tool string, args params) (r compared, err error) {
	b, w, err := l.connect(ctx, overHTTP, era)
	if err != nil {
		return r, err
	}
	defer b.stop()
	call := func() error {
		_, err := callTool(ctx, w, tool, args, nil)
		return err
	}
	log, err := l.service.record(call)
	if err != nil {
		return r, err
	}
	replay, err := newReplayer(c, l.service.instance, log)
	if err != nil {
		return r, err
	}
	r.requests = len(log)
	for i := range callRounds + 100 {
		started := time.Now()
		if err := replay(ctx); err != nil {
			return r, err
		}
		between := time.Now()
		if err := call(); err != nil {
			return r, err
		}
		after := time.Now()
		if tool != "exec_command" { // whose runs would be listed
			if _, err := callTool(ctx, w, "list_runs", params{}, nil); err != nil {
				return r, err
			}
		}
		if i >= 100 { // the first are to warm up
			r.direct, r.through, r.empty = append(r.direct, between.Sub(started)), append(r.through, after.Sub(between)), append(r.empty, time.Since(after))
		}
	}
	return r, nil
}
