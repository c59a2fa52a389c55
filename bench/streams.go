package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"openclaw-mcp/client"
)

// measureStreams measures how soon and how fast events of chats arrive as
// progress.
func measureStreams(ctx context.Context, l *lab) (string, error) {
	paced := newTable("streams", "way", "events/s", "direct p50", "bridge p50", "direct p99", "bridge p99", "CPU/event", "peak RSS", "RSS/stream", "delivered", "target")
	for _, load := range []struct{ streams, events, perSecond int }{{1, 50, 10}, {100, 50, 10}, {1000, 12, 2}} {
		s := script{Events: load.events, Every: time.Second / time.Duration(load.perSecond)}
		direct, err := l.streamDirectly(ctx, load.streams, s)
		if err != nil {
			return "", err
		}
		for _, way := range ways {
			if way.era == legacy {
				continue // the eras differ in how a call begins, not in its stream
			}
			r, err := l.streamThrough(ctx, way.http, load.streams, s)
			if err != nil {
				return "", err
			}
			target := ""
			switch load.streams {
			case 100:
				target = "p99 under 1 ms: " + verdict(r.latency.at(0.99) < time.Millisecond)
			case 1000:
				target = "all, under 150 MB: " + verdict(r.peak < 150 && r.delivered == load.streams*load.events)
			}
			paced.row(fmt.Sprint(load.streams), way.name, fmt.Sprint(load.streams*load.perSecond),
				ms(direct.latency.at(0.5)), ms(r.latency.at(0.5)), ms(direct.latency.at(0.99)), ms(r.latency.at(0.99)),
				fmt.Sprintf("%.0f µs", float64(r.cpu.Microseconds())/float64(load.streams*load.events)),
				fmt.Sprintf("%.0f MB", r.peak), fmt.Sprintf("%.0f KB", 1000*(r.peak-r.idle)/float64(load.streams)),
				fmt.Sprintf("%d of %d", r.delivered, load.streams*load.events), target)
		}
	}
	fast := newTable("streams", "way", "events", "direct events/s", "bridge events/s", "ratio", "CPU/event", "peak RSS", "delivered")
	for _, load := range []struct{ streams, events int }{{1, 100_000}, {100, 2000}, {1000, 200}} {
		s := script{Events: load.events}
		direct, err := l.streamDirectly(ctx, load.streams, s)
		if err != nil {
			return "", err
		}
		all := load.streams * load.events
		for _, way := range ways {
			if way.era == legacy {
				continue
			}
			r, err := l.streamThrough(ctx, way.http, load.streams, s)
			if err != nil {
				return "", err
			}
			rate := func(m streamed) float64 { return float64(all) / m.took.Seconds() }
			fast.row(fmt.Sprint(load.streams), way.name, fmt.Sprint(all), fmt.Sprintf("%.0f", rate(direct)), fmt.Sprintf("%.0f", rate(r)),
				fmt.Sprintf("%.2f", rate(r)/rate(direct)), fmt.Sprintf("%.1f µs", float64(r.cpu.Microseconds())/float64(all)),
				fmt.Sprintf("%.0f MB", r.peak), fmt.Sprintf("%d of %d", r.delivered, all))
		}
	}
	return fmt.Sprintf(`### Streams

From the moment that the service writes an event of a chat to the moment that
the client has read the progress notification with its text; direct is the same
chat read by `+"`client/`"+` alone, in this process. Events come evenly spaced and
the chats out of step. Times are milliseconds. The load and the service run in
the same process on the same cores.

%s
As fast as they are taken, where text is joined to about 20 notifications a
second for each chat:

%s`, paced, fast), nil
}

// streamed is what came of some chats.
type streamed struct {
	latency    times
	took, cpu  time.Duration
	idle, peak float64 // MB
	delivered  int
}

// receiver collects the stamps of one chat.
type receiver struct{ latency times }

var stamped = regexp.MustCompile(`T(\d+);`)

func (r *receiver) text(s string) {
	now := time.Since(epoch)
	for _, m := range stamped.FindAllStringSubmatch(s, -1) {
		sent, _ := strconv.ParseInt(m[1], 10, 64)
		r.latency = append(r.latency, now-time.Duration(sent))
	}
}

// atOnce runs n chats out of step and collects what they bring.
func atOnce(n int, s script, chat func(i int, s script, r *receiver) error) (out streamed, err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	started := time.Now()
	for i := range n {
		wg.Go(func() {
			r := &receiver{latency: make(times, 0, s.Events)}
			own := s
			if s.Every > 0 { // the first second is for all of them to begin
				own.After = time.Second + s.Every*time.Duration(i)/time.Duration(n)
			}
			failed := chat(i, own, r)
			mu.Lock()
			defer mu.Unlock()
			out.latency = append(out.latency, r.latency...)
			if failed != nil {
				err = failed
			}
		})
	}
	wg.Wait()
	out.took, out.delivered = time.Since(started), len(out.latency)
	return out, err
}

func (l *lab) streamDirectly(ctx context.Context, n int, s script) (streamed, error) {
	c, err := client.New(nil, l.service.url, serviceKey)
	if err != nil {
		return streamed{}, err
	}
	defer c.CloseIdleConnections()
	return atOnce(n, s, func(i int, s script, r *receiver) error {
		req := client.SendRequest{Message: s.message(), SessionID: fmt.Sprintf("s%d", i)}
		for ev, err := range c.Chat.Stream(ctx, l.service.instance, req) {
			if err != nil {
				return err
			}
			if ev.Kind == client.EventText {
				r.text(ev.Text)
			}
		}
		return nil
	})
}

func (l *lab) streamThrough(ctx context.Context, overHTTP bool, n int, s script) (out streamed, err error) {
	b, w, err := l.connect(ctx, overHTTP, modern)
	if err != nil {
		return streamed{}, err
	}
	defer b.stop()
	if _, err := callTool(ctx, w, "get_instance", nil, nil); err != nil {
		return streamed{}, err
	}
	idle, _, err := b.memory()
	if err != nil {
		return streamed{}, err
	}
	before, err := b.cpu()
	if err != nil {
		return streamed{}, err
	}
	out, err = atOnce(n, s, func(i int, s script, r *receiver) error {
		_, err := callTool(ctx, w, "send_chat_message", params{"message": s.message(), "session": fmt.Sprintf("s%d", i)}, r.text)
		return err
	})
	if err != nil {
		return out, err
	}
	after, err := b.cpu()
	if err != nil {
		return out, err
	}
	out.idle, out.cpu = idle, after-before
	_, out.peak, err = b.memory()
	return out, err
}
