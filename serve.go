package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/client"
	"openclaw-mcp/desktops"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/observe"
	"openclaw-mcp/prompts"
	"openclaw-mcp/resources"
	"openclaw-mcp/runs"
	"openclaw-mcp/terminals"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// instructions is what a client's model is told of the server as a whole.
const instructions = `openclaw-mcp operates hosted OpenClaw instances: their agent (send_chat_message), shell (exec_command), files under /workspace (read_file, write_file, …) and lifecycle.
Long work never times out: a call that would take too long returns status "running" and a "run" handle; go on with wait_run. Never send a message again because its reply takes long.
Every result that leaves something out says so and spells the call that reads it. "instance" may be left out where one is configured or only one is ready.`

// serve bridges until the client or ctx ends it.
func serve(ctx context.Context, cfg config, local bool, stdin io.Reader, stdout, stderr io.Writer) error {
	log := cfg.logger(stderr)
	if local {
		opts, err := localOptions(cfg, log)
		if err != nil {
			return err
		}
		l, err := startLocal(opts)
		if errors.Is(err, emulator.ErrInUse) {
			return fmt.Errorf("%w: another openclaw-mcp --local runs there; end it, or set OPENCLAW_LOCAL_DIR to another folder", err)
		}
		if err != nil {
			return err
		}
		defer l.close()
		cfg.BaseURL, cfg.APIKey = l.url, secret(l.key)
		log.Info("the embedded service is up", "url", l.url, "commands", l.service.SandboxInfo(), "workspace", l.service.Workspace(l.instance))
	}
	o, err := newObservation(ctx, cfg, stdout, log)
	if err != nil {
		return err
	}
	defer o.close()
	b, err := newBridge(cfg, log, o.Observer)
	if err != nil {
		return err
	}
	defer b.close()
	if err := o.serve(ctx, b); err != nil {
		return err
	}
	// What the start took, and nobody needs any more.
	defer time.AfterFunc(time.Second, debug.FreeOSMemory).Stop()
	if cfg.HTTP != "" {
		return serveHTTP(ctx, cfg, b, o, local, log)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	transport.WatchParent(ctx, func() {
		log.Info("the client's process is gone")
		stop()
	})
	log.Info("serving MCP on standard input and output", "service", cfg.BaseURL, "version", programVersion())
	return transport.NewStdio(b.mcp, transport.StdioOptions{Log: log, Subscriber: b.resources, Tools: b.tools}).Serve(ctx, stdin, stdout)
}

// bridge is the MCP server and all that it works with.
type bridge struct {
	mcp  *server.MCPServer
	obs  *observe.Observer
	cfg  config
	log  *slog.Logger
	http *http.Client

	resources *resources.Server
	tools     transport.Tools

	mu       sync.Mutex
	services map[transport.Principal]*principalServices
}

// principalServices is what one caller works with.
type principalServices struct {
	*tools.Services
	used time.Time
}

const (
	// maxPrincipals bounds how many callers are kept at once. Anybody may claim
	// to bring a key, so those who have not called for a while make room.
	maxPrincipals = 1000
	// restAfter is when a caller with nothing open may make room.
	restAfter = 10 * time.Minute
)

// newBridge wires everything up.
func newBridge(cfg config, log *slog.Logger, obs *observe.Observer) (*bridge, error) {
	b := &bridge{cfg: cfg, log: log, obs: obs, services: make(map[transport.Principal]*principalServices)}
	// A key or URL that can't work is to be known at start, not at the first call.
	if cfg.bringsKeys() {
		if _, err := b.newClient(""); err != nil {
			return nil, err
		}
	} else if _, err := b.servicesOf(b.local()); err != nil {
		return nil, err
	}
	deps := b.deps()
	all := tools.All()
	hooks := &server.Hooks{}
	tools.HideForbidden(hooks, deps, all)
	hooks.AddOnError(transport.OnError)
	hooks.AddOnError(obs.OnError)
	allowTool := tools.AllowTool(deps, all)
	b.resources = resources.New(b.resourceDeps(deps, allowTool))
	options := []server.ServerOption{
		server.WithToolCapabilities(false),
		server.WithHooks(hooks),
		server.WithToolHandlerMiddleware(obs.Middleware), server.WithResourceHandlerMiddleware(obs.ResourceMiddleware),
		server.WithInstructions(instructions),
	}
	options = append(options, b.resources.Options(hooks, transport.Fail)...)
	options = append(options, prompts.Options(prompts.Deps{Completer: b.resources, AllowTool: allowTool})...)
	b.mcp = server.NewMCPServer("openclaw-mcp", programVersion(), options...)
	tools.Register(b.mcp, deps, all...)
	b.tools = transport.Tools{
		Server: mcp.Implementation{Name: "openclaw-mcp", Version: programVersion()}, Handlers: tools.Plain(deps, all...),
	}
	for name, handler := range b.tools.Handlers {
		b.tools.Handlers[name] = obs.Middleware(handler)
	}
	b.resources.Register(b.mcp)
	prompts.Register(b.mcp)
	return b, nil
}

// resourceDeps is what the resources need of the rest: the callers and the
// limits are those of the tools.
func (b *bridge) resourceDeps(deps *tools.Deps, allowTool func(context.Context, string) error) resources.Deps {
	return resources.Deps{
		Client: func(ctx context.Context) (*client.Client, error) {
			s, err := deps.Services(ctx)
			if err != nil {
				return nil, err
			}
			return s.Client, nil
		},
		Principal:     deps.Principal,
		AllowTool:     allowTool,
		AllowInstance: func(ctx context.Context, id string) error { return deps.Rails(ctx).AllowInstance(id) },
		AllowPath:     func(ctx context.Context, p string) error { return deps.Rails(ctx).AllowPath(p) },
		Instance:      b.cfg.Instance, MaxChars: b.cfg.MaxResultChars, Log: b.log,
	}
}

// deps is what the tools need of the rest.
func (b *bridge) deps() *tools.Deps {
	rails := b.cfg.rails()
	return &tools.Deps{
		Services: func(ctx context.Context) (*tools.Services, error) {
			p, ok := transport.PrincipalFrom(ctx)
			if !ok {
				return nil, errors.New("the call has no caller")
			}
			return b.servicesOf(p)
		},
		Principal: func(ctx context.Context) string {
			p, _ := transport.PrincipalFrom(ctx)
			return p.Name
		},
		Rails: func(ctx context.Context) *tools.Rails {
			if h := transport.HeaderFrom(ctx); h != nil {
				return rails.Tighten(headerRails(h))
			}
			return rails
		},
		Progress: func(ctx context.Context) tools.Progress {
			return transport.NewReporter(transport.CallFrom(ctx))
		},
		OnCancel: func(ctx context.Context, f func(string)) {
			if c := transport.CallFrom(ctx); c != nil {
				c.OnCancel(f)
			}
		},
		Arguments: func(ctx context.Context) json.RawMessage { return transport.CallFrom(ctx).Arguments() },
		Transfers: func(ctx context.Context) bool {
			return transport.HeaderFrom(ctx) == nil && len(b.cfg.transferRoots()) > 0
		},
		Observe:  func(ctx context.Context) tools.Observer { return observe.CallFrom(ctx) },
		Confirm:  tools.NewConfirmer(tools.ConfirmPolicy(b.cfg.Confirm)),
		Instance: b.cfg.Instance, SoftDeadline: b.cfg.SoftDeadline, MaxResultChars: b.cfg.MaxResultChars,
		Version: programVersion(),
	}
}

// local is the one principal of a server that authenticates nobody.
func (b *bridge) local() transport.Principal {
	return transport.Principal{Name: transport.Local.Name, Key: transport.Secret(b.cfg.APIKey)}
}

// servicesOf gives a principal's services, made on first use. They are found by
// name and key: what was made with one key never serves another.
func (b *bridge) servicesOf(p transport.Principal) (*tools.Services, error) {
	if p.Key == "" {
		p.Key = transport.Secret(b.cfg.APIKey)
	}
	now := time.Now()
	b.mu.Lock()
	s, ok := b.services[p]
	if ok {
		s.used = now
		b.mu.Unlock()
		return s.Services, nil
	}
	resting := b.makeRoom(now)
	full := len(b.services) >= maxPrincipals
	var err error
	if !full {
		s = &principalServices{used: now}
		if s.Services, err = b.newServices(p); err == nil {
			b.services[p] = s
		}
	}
	b.mu.Unlock()
	for _, old := range resting {
		closeServices(old.Services)
	}
	switch {
	case full:
		return nil, errors.New("this server has as many callers as it can serve; try again in a few minutes")
	case err != nil:
		return nil, err
	}
	return s.Services, nil
}

// makeRoom takes out those who have rested longest, where there are too many;
// b.mu is held. Runs go on upstream, and their handles take them up again.
func (b *bridge) makeRoom(now time.Time) (out []*principalServices) {
	if len(b.services) < maxPrincipals {
		return nil
	}
	patience := restAfter + b.cfg.SoftDeadline
	for p, s := range b.services {
		if now.Sub(s.used) > patience && s.Terminals.Count() == 0 {
			out = append(out, s)
			delete(b.services, p)
		}
	}
	return out
}

func (b *bridge) newClient(key string) (*client.Client, error) {
	return client.New(b.http, b.cfg.BaseURL, key,
		client.WithUserAgent("openclaw-mcp/"+programVersion()), client.WithLogger(b.log),
		client.WithReadOnly(tools.IsReadOnly), client.WithMiddleware(b.obs.Transport))
}

func (b *bridge) newServices(p transport.Principal) (*tools.Services, error) {
	key := string(p.Key)
	c, err := b.newClient(key)
	if err != nil {
		return nil, err
	}
	r, err := runs.NewManager(runs.Config{
		Client: c, APIKey: key, Principal: p.Name, StallAfter: b.cfg.StallAfter, Log: b.log,
		TransferRoots: b.cfg.transferRoots(), AllowPath: b.cfg.rails().AllowPath, Carry: observe.Carry,
	})
	if err != nil {
		return nil, err
	}
	s := tools.NewServices(c, r)
	s.Desktops = desktops.NewLocal(desktops.Config{Client: c, Password: string(b.cfg.VNCPassword), Log: b.log})
	s.Terminals, err = terminals.NewManager(terminals.Config{
		Client: c, APIKey: key, Principal: p.Name, Family: terminalFamily(b.cfg.TerminalFamily),
		Limit: b.cfg.Terminals, Idle: b.cfg.TerminalIdle, Log: b.log,
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
	s.Client.CloseIdleConnections()
}

func (b *bridge) close() {
	b.resources.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.services {
		closeServices(s.Services)
	}
}

// localService is the embedded service on a port of its own.
type localService struct {
	service  *emulator.Server
	http     *http.Server
	url      string
	key      string
	instance string
}

// startLocal starts the embedded service on loopback, with the instances that
// its folder keeps, or a new one. Its key is its own, so that nobody else on the
// machine can run commands through it.
func startLocal(opts emulator.Options) (*localService, error) {
	opts.OwnKey = true
	service, err := emulator.New(opts)
	if err != nil {
		return nil, err
	}
	l := &localService{service: service, key: service.Key()}
	if kept := service.Instances(l.key); len(kept) > 0 {
		l.instance = kept[0]
	} else if l.instance, err = service.AddInstance(l.key); err != nil {
		return nil, errors.Join(err, l.service.Close())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, l.service.Close())
	}
	l.url = fmt.Sprintf("http://%s/api", ln.Addr())
	l.http = &http.Server{Handler: l.service, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = l.http.Serve(ln) }()
	return l, nil
}

func (l *localService) close() {
	_ = l.http.Close()
	_ = l.service.Close()
}
