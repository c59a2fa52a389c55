package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/apps"
)

// frontPage is the page for people at /; info says how the server is reached.
func (b *Bridge) frontPage(info apps.Info) (http.Handler, error) {
	info.Version, info.Status, info.Log = b.cfg.Version, b.reachable, b.log
	return apps.Handler(info)
}

// reachable reports whether the service answers at all. It sends no key: what
// anybody may see costs nobody a request of theirs, and an answer that asks for
// a key is an answer.
func (b *Bridge) reachable(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(b.cfg.BaseURL, "/")+"/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "openclaw-mcp/"+b.cfg.Version)
	look := http.Client{CheckRedirect: client.CheckRedirect} // the service can't choose another host either
	if b.http != nil {
		look.Transport = b.http.Transport
	}
	resp, err := look.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode/100 == 3 {
		return fmt.Errorf("the service answers %s", resp.Status)
	}
	return nil
}
