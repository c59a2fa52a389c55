package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/files"
	"openclaw-mcp/internal/fleet/natsfleet"
	"openclaw-mcp/internal/text"
	"openclaw-mcp/transport"
)

// shared is a caller's part of the fleet.
func (b *Bridge) shared(p transport.Principal) (fleet.Fleet, error) {
	if p.Key == "" { // as its services have it
		p.Key = b.cfg.APIKey
	}
	engine := b.fleet
	if alone, ok := engine.(*fleet.Memory); ok {
		engine = alone.Of(p.Name)
	}
	f, err := fleet.Sealed(engine, string(p.Key), b.party(p.Name))
	if err != nil {
		return nil, err
	}
	return fleet.Metered(f, b.obs), nil
}

// party names a caller among processes that share work. Two services may know the same key, and
// have instances and sessions with the same ids: what is done at one says nothing of the other.
func (b *Bridge) party(caller string) string { return caller + "\x00" + b.service }

// serviceName is the same for all processes that use one service.
func serviceName(cfg config.Config) (string, error) {
	if cfg.ServiceName != "" {
		return cfg.ServiceName, nil
	}
	c, err := client.New(http.DefaultClient, cfg.BaseURL, "")
	if err != nil {
		return "", err
	}
	return c.BaseURL(), nil
}

// replicas gives a caller's part of what the replicas share; nil where this process is
// alone.
func (b *Bridge) replicas() func(transport.Principal) (fleet.Fleet, error) {
	if _, alone := b.fleet.(*fleet.Memory); alone {
		return nil
	}
	return b.shared
}

// openFleet joins this process with those that it shares work with: over stdio, the
// others of this user; over HTTP, the replicas that NATS joins. Where there are none,
// it works alone. Its errors are of the configuration.
func openFleet(cfg config.Config, log *slog.Logger) (fleet.Fleet, error) {
	switch {
	case cfg.HTTP != "" && cfg.NATSURL != "":
		secure, err := cfg.NATSTLS()
		if err != nil {
			return nil, config.Wrong(err)
		}
		f, err := natsfleet.Open(natsfleet.Config{
			URL: cfg.NATSURL, Creds: cfg.NATSCreds, TLS: secure, Prefix: cfg.NATSPrefix, Replicas: cfg.NATSReplicas, Log: log,
		})
		if err != nil {
			return nil, config.Wrong(fmt.Errorf("OPENCLAW_MCP_NATS_URL can't be used: %w", err))
		}
		return f, nil
	case cfg.HTTP != "":
		return fleet.Alone(), nil
	case cfg.NATSURL != "":
		log.Warn("OPENCLAW_MCP_NATS_URL is for OPENCLAW_MCP_HTTP: over stdio, processes share a folder")
	}
	if cfg.StateDir == "" {
		return fleet.Alone(), nil
	}
	f, err := files.Open(cfg.StateDir)
	if err != nil {
		log.Warn("the state folder can't be used, so this process knows nothing of your others: what is repeated in another one may be done twice",
			"setting", "OPENCLAW_MCP_STATE_DIR", "folder", cfg.StateDir, "error", err)
		return fleet.Alone(), nil
	}
	return f, nil
}

// TryFleet does with what processes share what they do with it: two of them make a fact
// and forget it, and one asks the other. detail says how that went; it is "" where there
// is nothing to share.
func TryFleet(ctx context.Context, cfg config.Config, log *slog.Logger) (detail string, err error) {
	var both [2]fleet.Fleet
	secret := rand.Text() // nobody's
	for i := range both {
		engine, err := openFleet(cfg, log)
		if err != nil {
			return "", err
		}
		defer func() { _ = engine.Close() }()
		switch engine.(type) {
		case *natsfleet.Fleet:
			detail = "NATS, " + text.Count(cfg.NATSReplicas, "copy", "copies") + " of each fact"
		case *files.Fleet:
			detail = "the folder " + cfg.StateDir
		default:
			if cfg.HTTP == "" && cfg.StateDir != "" {
				return "", fmt.Errorf("the folder %s can't be used", cfg.StateDir)
			}
			return "", nil
		}
		if both[i], err = fleet.Sealed(engine, secret, "doctor"); err != nil {
			return "", err
		}
		defer func() { _ = both[i].Close() }()
	}
	began := time.Now()
	fact, ours, err := both[0].Create(ctx, "doctor", []byte("1"))
	if err == nil && ours {
		if fact, err = both[1].Change(ctx, fact, []byte("2")); err == nil {
			err = both[0].Forget(ctx, fact)
		}
	}
	if err != nil {
		return "", fmt.Errorf("it could not be written to: %w", err)
	}
	facts := time.Since(began)
	stop, err := both[0].Serve("doctor", func(_ context.Context, body []byte, _ func([]byte) error) ([]byte, error) { return body, nil })
	if err != nil {
		return "", err
	}
	defer stop()
	began = time.Now()
	for _, err := range both[1].Ask(ctx, "doctor", []byte("are you there?")) {
		if err != nil {
			return "", fmt.Errorf("a question was not answered: %w", err)
		}
	}
	return fmt.Sprintf("%s: three writes took %s, a question and its answer %s", detail, facts.Round(10*time.Microsecond), time.Since(began).Round(10*time.Microsecond)), nil
}
