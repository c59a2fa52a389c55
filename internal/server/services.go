package server

import (
	"context"
	"net/http"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/observe"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/terminals"
	"openclaw-mcp/internal/transfers"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// servicesOf gives a principal's services.
func (b *Bridge) servicesOf(ctx context.Context, p transport.Principal, share string, header http.Header) (*tools.Services, error) {
	if p.Key == "" {
		p.Key = b.cfg.APIKey
	}
	return b.callers.of(ctx, p, share, header)
}

func (b *Bridge) newClient(key string, heard func(took bool)) (*client.Client, error) {
	return client.New(b.http, b.cfg.BaseURL, key,
		client.WithUserAgent("openclaw-mcp/"+b.cfg.Version), client.WithLogger(b.log),
		client.WithReadOnly(tools.IsReadOnly), client.WithMiddleware(func(next http.RoundTripper) http.RoundTripper { return watchKey(b.obs.Transport(next), heard) }))
}

// allOfKey names no caller: all callers of a key share who uses its desktops by hand, and
// which questions of its agents were answered.
const allOfKey = "\x00all"

func (b *Bridge) newServices(p transport.Principal, heard func(took bool)) (*tools.Services, error) {
	key := string(p.Key)
	c, err := b.newClient(key, heard)
	if err != nil {
		return nil, err
	}
	shared, err := b.shared(p)
	if err != nil {
		return nil, err
	}
	ofKey, err := fleet.Sealed(b.fleet, key, b.party(allOfKey))
	if err != nil {
		return nil, err
	}
	ofKey = fleet.Metered(ofKey, b.obs)
	r, err := runs.NewManager(runs.Config{
		Client: c, APIKey: key, Principal: p.Name, Fleet: shared, OfKey: ofKey, StallAfter: b.cfg.StallAfter, SoftDeadline: b.cfg.SoftDeadline, Limit: b.cfg.Runs, Texts: b.texts, Log: b.log,
		Carry: observe.Carry, TookOver: func(kind runs.Kind) { b.obs.TookOver(string(kind)) },
	})
	if err != nil {
		return nil, err
	}
	s := tools.NewServices(c, r)
	s.Files = transfers.New(r, transfers.Config{Roots: b.cfg.TransferFolders(), AllowPath: b.cfg.Rails().AllowPath})
	s.Desktops = desktops.NewShared(desktops.NewLocal(desktops.Config{
		Client: c, Password: string(b.cfg.VNCPassword), Budget: b.desktops, Hands: ofKey, Log: b.log,
	}), shared)
	s.Terminals, err = terminals.NewManager(terminals.Config{
		Client: c, APIKey: key, Principal: p.Name, Fleet: shared, Family: b.cfg.TerminalFrames(),
		Limit: b.cfg.Terminals, Idle: b.cfg.TerminalIdle, Budget: b.terminals, Log: b.log,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func closeServices(s *tools.Services) {
	s.Desktops.Close()
	s.Terminals.Close()
	s.Runs.Close()
	_ = s.Fleet.Close()
	s.Client.CloseIdleConnections()
}
