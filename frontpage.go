package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"openclaw-mcp/front"
)

// frontPage is the page for people at /; info says how the server is reached.
func (b *bridge) frontPage(info front.Info) (http.Handler, error) {
	info.Version, info.Status, info.Log = programVersion(), b.reachable, b.log
	return front.Handler(info)
}

// reachable reports whether the service answers at all. It sends no key: what
// anybody may see costs nobody a request of theirs, and an answer that asks for
// a key is an answer.
func (b *bridge) reachable(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(b.cfg.BaseURL, "/")+"/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "openclaw-mcp/"+programVersion())
	resp, err := cmp.Or(b.http, http.DefaultClient).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("the service answers %s", resp.Status)
	}
	return nil
}
