package tools

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
)

func serviceTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "check_service", Title: "Check the service", Family: "service", Effect: Reads,
			Description: "Checks that the OpenClaw service can be reached and that the API key works, and shows how this server is set up. Call it first when something fails.",
		}, checkService),
	}
}

type checkOut struct {
	OK        bool        `json:"ok"`
	Service   string      `json:"service"` // base URL
	Server    string      `json:"server"`  // version of this program
	Checks    []checkLine `json:"checks"`
	Instances []Instance  `json:"instances,omitempty"`
	Wait      string      `json:"longest_wait"`
	Budget    int         `json:"result_budget"`
	Next      string      `json:"next,omitempty"`
}

type checkLine struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Millis int64  `json:"ms"`
}

func checkService(ctx context.Context, r *request, _ noInput) (checkOut, error) {
	out := checkOut{
		OK: true, Service: r.Client.BaseURL(), Server: "openclaw-mcp " + r.Version,
		Wait: r.SoftDeadline.String(), Budget: r.MaxResultChars,
	}
	var (
		wg        sync.WaitGroup
		found     client.Discovery
		page      client.Page[client.Instance]
		reachErr  error
		keyErr    error
		reachTime time.Duration
		keyTime   time.Duration
	)
	wg.Go(func() {
		start := time.Now()
		found, reachErr = r.Client.Discover(ctx)
		reachTime = time.Since(start)
	})
	wg.Go(func() {
		start := time.Now()
		page, keyErr = r.Client.Instances.List(ctx)
		keyTime = time.Since(start)
	})
	wg.Wait()
	page.Items = r.allowedInstances(page.Items)

	reach := checkLine{What: "GET /", OK: reachErr == nil, Millis: reachTime.Milliseconds()}
	reach.Detail = strings.TrimSpace(cmp.Or(found.Name, "the service answers") + " " + found.Version)
	if reachErr != nil {
		reach.Detail = reachErr.Error()
	} else if len(found.Resources) > 0 {
		reach.Detail += fmt.Sprintf(", advertises %d resources", len(found.Resources))
	}
	key := checkLine{What: "GET /instances with the API key", OK: keyErr == nil, Millis: keyTime.Milliseconds()}
	if keyErr != nil {
		key.Detail = keyErr.Error()
		out.Next = next(Reads, asClientError(keyErr))
		out.OK = false
	} else {
		key.Detail = fmt.Sprintf("the key works; it sees %d instance(s)", len(page.Items))
		for i, in := range page.Items {
			if i == 20 {
				key.Detail += ", 20 of which are shown; list_instances has all"
				break
			}
			out.Instances = append(out.Instances, instanceOut(in))
		}
	}
	out.Checks = []checkLine{reach, key}
	return out, nil
}

func asClientError(err error) *client.Error {
	e, _ := asNotSent(err).(*client.Error)
	if e == nil {
		e = &client.Error{Err: err}
	}
	return e
}

func (o checkOut) text() string {
	var b strings.Builder
	word := map[bool]string{true: "ok", false: "FAILED"}
	fmt.Fprintf(&b, "service %s: %s\nserver %s, longest wait %s, result budget %d characters\n", o.Service, word[o.OK], o.Server, o.Wait, o.Budget)
	for _, c := range o.Checks {
		fmt.Fprintf(&b, "%s: %s (%d ms): %s\n", word[c.OK], c.What, c.Millis, c.Detail)
	}
	for _, in := range o.Instances {
		b.WriteString("instance " + in.line() + "\n")
	}
	return withNext(b.String(), o.Next)
}
