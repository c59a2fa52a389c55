package tools

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

func serviceTools() []*Tool {
	return []*Tool{
		define(Spec{
			Name: "check_service", Title: "Check the service", Family: "service", Effect: Reads,
			Description: "Checks that OpenClaw can be reached and the API key works, and shows how this server is set up. Call it first when something fails. With document, reads what the service publishes.",
			Props:       map[string]Prop{"document": {Enum: documentNames()}, "offset": atLeast(0)},
		}, checkService),
	}
}

func documentNames() (all []any) {
	for _, name := range client.DocumentNames() {
		all = append(all, name)
	}
	return all
}

type checkIn struct {
	Document string `json:"document,omitempty" jsonschema:"which to read"`
	Offset   int    `json:"offset,omitempty" jsonschema:"byte to begin at"`
}

type checkOut struct {
	OK        bool        `json:"ok"`
	Service   string      `json:"service"` // base URL
	Server    string      `json:"server"`  // version of this program
	Checks    []checkLine `json:"checks"`
	Instances []Instance  `json:"instances,omitempty"`
	Wait      string      `json:"longest_wait"`
	Budget    int         `json:"result_budget"`
	Document  *document   `json:"document,omitempty"`
	Next      string      `json:"next,omitempty"`
}

// document is a part of a document that the service publishes.
type document struct {
	Name      string `json:"name"`
	Path      string `json:"path"` // on the service's host
	MediaType string `json:"media_type"`
	Offset    int    `json:"offset"`
	Bytes     int    `json:"bytes"` // of the whole document
	Content   string `json:"content"`
}

type checkLine struct {
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
	Millis int64  `json:"ms"`
}

func checkService(ctx context.Context, r *request, in checkIn) (checkOut, error) {
	if in.Document == "" && in.Offset > 0 {
		return checkOut{}, badArgument("offset is for a document: give document, too")
	}
	out := checkOut{
		OK: true, Service: r.Client.BaseURL(), Server: "openclaw-mcp " + r.Version,
		Wait: r.SoftDeadline.String(), Budget: r.MaxResultChars,
	}
	if in.Document != "" {
		return readDocument(ctx, r, out, in)
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
		key.Detail = "the key works; it sees " + text.Count(len(page.Items), "instance", "instances")
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

// readDocument reads a document, or the part of it from an offset on.
func readDocument(ctx context.Context, r *request, out checkOut, in checkIn) (checkOut, error) {
	doc, err := r.Client.Documents.Get(ctx, in.Document)
	if err != nil {
		return checkOut{}, err
	}
	whole := text.Plain(doc.Text)
	if in.Offset > len(whole) {
		return checkOut{}, badArgument("offset is %d, but %s has %d bytes", in.Offset, doc.Name, len(whole))
	}
	part, from, end := text.Part(whole, in.Offset, r.contentLimit())
	out.Checks = []checkLine{}
	out.Document = &document{Name: doc.Name, Path: doc.Path, MediaType: doc.MediaType, Offset: from, Bytes: len(whole), Content: part}
	if end < len(whole) {
		out.Next = callArgs{{"document", doc.Name}}.call("check_service", arg{"offset", end}) + " reads on"
	}
	return out, nil
}

func asClientError(err error) *client.Error {
	e, ok := errors.AsType[*client.Error](asNotSent(err))
	if !ok {
		e = &client.Error{Err: err}
	}
	return e
}

func (o checkOut) text() string {
	var b strings.Builder
	if d := o.Document; d != nil {
		fmt.Fprintf(&b, "%s of %s (the service's own words), byte %d to %d of %d:\n\n%s", d.Path, o.Service, d.Offset, d.Offset+len(d.Content), d.Bytes, d.Content)
		return withNext(strings.TrimSuffix(b.String(), "\n")+"\n", o.Next)
	}
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
