package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"
)

// measureScale measures what sessions cost that do nothing, first without and
// then with a subscription each.
func measureScale(ctx context.Context, l *lab) (string, error) {
	t := newTable("sessions", "", "RSS", "KB each", "call p50", "call p99")
	for _, n := range []int{10, 100, 1000, 10_000} {
		if err := l.measureSessions(ctx, n, t); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf(`### Scale

Idle sessions over HTTP (legacy; the modern era has none), then with one
subscription each to the messages of a chat session, which is followed by one
connection for all. Latency, in milliseconds, is that of get_instance meanwhile.

%s`, t), nil
}

func (l *lab) measureSessions(ctx context.Context, n int, t *table) error {
	b, err := l.start(ctx, true)
	if err != nil {
		return err
	}
	defer b.stop()
	hc := newHTTPClient()
	defer hc.CloseIdleConnections()
	first, err := newHTTPWire(ctx, hc, b.url, legacy)
	if err != nil {
		return err
	}
	if _, err := callTool(ctx, first, "get_instance", nil, nil); err != nil {
		return err
	}
	before, _, err := b.memory()
	if err != nil {
		return err
	}
	report := func(what string) error {
		now, _, err := b.memory()
		if err != nil {
			return err
		}
		var calls times
		for range 300 {
			started := time.Now()
			if _, err := callTool(ctx, first, "get_instance", nil, nil); err != nil {
				return err
			}
			calls = append(calls, time.Since(started))
		}
		t.row(fmt.Sprint(n), what, fmt.Sprintf("%.1f MB", now), fmt.Sprintf("%.1f", 1000*(now-before)/float64(n)), ms(calls.at(0.5)), ms(calls.at(0.99)))
		return nil
	}
	all := make([]*httpWire, n)
	all[0] = first
	if err := eight(n-1, func(i int) (err error) {
		all[i+1], err = newHTTPWire(ctx, hc, b.url, legacy)
		return err
	}); err != nil {
		return err
	}
	if err := report("idle"); err != nil {
		return err
	}
	uri := "openclaw://instances/" + l.service.instance + "/sessions/s1/messages"
	if err := eight(n, func(i int) error { return subscribe(ctx, all[i], uri) }); err != nil {
		return err
	}
	return report("subscribed")
}

func subscribe(ctx context.Context, w *httpWire, uri string) error {
	raw, err := ask(ctx, w, "resources/subscribe", params{"uri": uri}, nil)
	if err == nil && !bytes.Contains(raw, []byte(`"result":`)) {
		err = fmt.Errorf("resources/subscribe fails: %.600s", raw)
	}
	return err
}

// eight does n things, eight at a time, and gives the last error.
func eight(n int, do func(i int) error) (err error) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan int)
	for range 8 {
		wg.Go(func() {
			for i := range next {
				if failed := do(i); failed != nil {
					mu.Lock()
					err = failed
					mu.Unlock()
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wg.Wait()
	return err
}
