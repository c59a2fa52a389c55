// Package server wires the program up, top to bottom: configuration, the
// services of each caller, the MCP server and the transports it is reached by.
package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/apps"
	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/desktops"
	"openclaw-mcp/internal/fleet"
	"openclaw-mcp/internal/fleet/natsfleet"
	"openclaw-mcp/internal/observe"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/terminals"
	"openclaw-mcp/prompts"
	"openclaw-mcp/resources"
	"openclaw-mcp/tools"
	"openclaw-mcp/transport"
)

// instructions is what a client's model is told of the server as a whole.
const instructions = `openclaw-mcp operates hosted OpenClaw instances: their agent (send_chat_message), shell (exec_command), files under /workspace (read_file, write_file, …) and lifecycle.
Long work never times out: a call that would take too long returns status "running" and a "run" handle; go on with wait_run. Never send a message again because its reply takes long.
Every result that leaves something out says so and spells the call that reads it. "instance" may be left out where one is configured or only one is ready.
The resource skill://openclaw/SKILL.md teaches all of this in a page.`

// title and website are how clients show the server to people.
const (
	title   = "OpenClaw"
	website = "https://openclaw-as-a-service.com"
)

// listTTL is how long a client may keep what it is offered: the lists, and the texts that are
// always the same.
const listTTL = 5 * time.Minute

// memoryLimit is how much memory, in bytes, the garbage collector is to keep the process
// within: large answers would leave twice their size behind. It is a soft limit, and
// GOMEMLIMIT sets another one.
const memoryLimit = 256 << 20

// Serve serves MCP until the client or ctx ends it: over HTTP where cfg has an
// address, else on stdin and stdout. With local it serves an embedded service.
// Its errors are a *config.Error where the configuration is wrong.
func Serve(ctx context.Context, cfg config.Config, local bool, stdin io.Reader, stdout, stderr io.Writer) error {
	log := cfg.Logger(stderr)
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(memoryLimit)
	}
	if local {
		var l *Local
		var err error
		if l, cfg, err = StartLocal(cfg, log); err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
	}
	o, err := newObservation(ctx, cfg, stdout, log)
	if err != nil {
		return err
	}
	defer o.close()
	b, err := New(cfg, log, o.Observer)
	if err != nil {
		return err
	}
	defer b.Close()
	var ln net.Listener
	if cfg.HTTP != "" {
		// Before the admin address is there, which says that the server is ready.
		if ln, err = listen(cmp.Or(cfg.HTTPFrom, "OPENCLAW_MCP_HTTP"), cfg.HTTP); err != nil {
			return err
		}
		defer func() { _ = ln.Close() }()
	}
	if nats, ok := b.fleet.(*natsfleet.Fleet); ok {
		o.Joins(nats.Connected)
	}
	if err := o.serve(ctx, b); err != nil {
		return err
	}
	if ln != nil {
		return serveHTTP(ctx, cfg, ln, b, o, local, log)
	}
	// One caller asks this process alone, until it ends. Of several replicas, another may
	// be asked next.
	b.toolDeps.Handles = tools.NewShortHandles()
	_, alone := b.fleet.(*fleet.Memory)
	b.toolDeps.Handles.Lasting = !alone
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	transport.WatchParent(ctx, func() {
		log.Info("the client's process is gone")
		stop()
	})
	log.Info("serving MCP on standard input and output", "service", cfg.BaseURL, "version", cfg.Version)
	return b.ServeStdio(ctx, stdin, stdout)
}

// Bridge is the MCP server and all that it works with.
type Bridge struct {
	mcp  *server.MCPServer
	obs  *observe.Observer
	cfg  config.Config
	log  *slog.Logger
	http *http.Client

	service string // names the service among processes that share work

	resources *resources.Server
	toolDeps  *tools.Deps
	desktops  *desktops.Budget
	texts     *runs.Budget
	terminals *terminals.Budget
	fleet     fleet.Fleet // of all callers: each has it sealed

	callers *callers
}

// New wires everything up.
func New(cfg config.Config, log *slog.Logger, obs *observe.Observer) (_ *Bridge, err error) {
	shared, err := openFleet(cfg, log)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = shared.Close()
		}
	}()
	service, err := serviceName(cfg)
	if err != nil {
		return nil, err
	}
	b := &Bridge{cfg: cfg, log: log, obs: obs, service: service, http: &http.Client{Transport: client.NewTransport()}, desktops: desktops.NewBudget(desktops.DefaultPixels), texts: runs.NewBudget(runs.DefaultTexts), terminals: terminals.NewBudget(terminals.DefaultBytes), fleet: shared}
	b.callers = &callers{
		open: b.newServices, newcomer: cfg.CallersBringKeys(), patience: restAfter + cfg.SoftDeadline,
		known: make(map[transport.Principal]*caller), newcomers: make(map[transport.Principal]*caller),
	}
	if alone, ok := shared.(*fleet.Memory); ok {
		b.callers.forget = func(p transport.Principal) { alone.ForgetAll(p.Name) }
	}
	// A key or URL that can't work is to be known at start, not at the first call.
	if cfg.CallersBringKeys() {
		if _, err := b.newClient("", func(bool) {}); err != nil {
			return nil, err
		}
	} else if _, err := b.servicesOf(context.Background(), b.local(), "", nil); err != nil {
		return nil, err
	}
	deps := b.deps()
	b.toolDeps = deps
	all := append(tools.All(), tools.AppTools()...)
	hooks := &server.Hooks{}
	tools.FitList(hooks, deps, all)
	hooks.AddOnSuccess(b.nameServer)
	hooks.AddOnError(transport.OnError)
	hooks.AddOnError(obs.OnError)
	hooks.AddBeforeAny(transport.RefuseCursor)
	hooks.AddAfterInitialize(withoutExtensions)
	hooks.AddAfterReadResource(keepFixed)
	allowTool := tools.AllowTool(deps, all)
	b.resources = resources.New(b.resourceDeps(deps, allowTool))
	options := []server.ServerOption{
		server.WithToolCapabilities(false),
		server.WithHooks(hooks),
		server.WithResourceHandlerMiddleware(obs.ResourceMiddleware),
		server.WithInstructions(instructions),
		server.WithTitle(title), server.WithWebsiteURL(website), server.WithIcons(mcp.Icon{Src: apps.IconURI(), MIMEType: "image/svg+xml", Sizes: []string{"any"}}),
		// What a client is offered changes with the server's settings alone.
		server.WithMethodCacheHints(mcp.MethodServerDiscover, listTTL.Milliseconds(), mcp.CacheScopePrivate),
		server.WithMethodCacheHints(mcp.MethodToolsList, listTTL.Milliseconds(), mcp.CacheScopePrivate),
		server.WithMethodCacheHints(mcp.MethodPromptsList, listTTL.Milliseconds(), mcp.CacheScopePrivate),
		server.WithMethodCacheHints(mcp.MethodResourcesTemplatesList, listTTL.Milliseconds(), mcp.CacheScopePrivate),
		server.WithExtensions(map[string]any{transport.TasksExtension: struct{}{}}),
	}
	options = append(options, b.resources.Options(hooks, transport.Fail)...)
	listPages(hooks)
	options = append(options, prompts.Options(prompts.Deps{Completer: b.resources, AllowTool: allowTool})...)
	b.mcp = server.NewMCPServer("openclaw-mcp", b.cfg.Version, options...)
	tools.Register(b.mcp, deps, obs.Middleware, all...)
	b.resources.Register(b.mcp)
	b.registerPages()
	prompts.Register(b.mcp)
	return b, nil
}

// ServeStdio serves MCP on two streams until one of them or ctx ends.
func (b *Bridge) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	return transport.NewStdio(b.mcp, transport.StdioOptions{Options: b.transportOptions()}).Serve(ctx, in, out)
}

// info is this server as each result since 2026-07-28 names it. The icon comes once, when
// a client asks what the server is.
func (b *Bridge) info() mcp.Implementation {
	return mcp.Implementation{Name: "openclaw-mcp", Title: title, WebsiteURL: website, Version: b.cfg.Version}
}

// nameServer is a hook that has a result name this server.
func (b *Bridge) nameServer(ctx context.Context, _ any, method mcp.MCPMethod, _, result any) {
	if r, ok := result.(mcp.ResultMetadata); ok && method != mcp.MethodServerDiscover && server.IsModernRequest(ctx) {
		if meta := r.EnsureResultMeta(); meta != nil {
			meta.SetServerInfo(b.info())
		}
	}
}

// transportOptions are those of both transports.
func (b *Bridge) transportOptions() transport.Options {
	return transport.Options{
		Log: b.log, Subscriber: b.resources, Tasks: tasks{b.toolDeps}, OnError: b.obs.OnError,
		Info: b.info(), Key: b.cfg.APIKey,
	}
}

// resourceDeps is what the resources need of the rest: the callers and the
// limits are those of the tools.
func (b *Bridge) resourceDeps(deps *tools.Deps, allowTool func(context.Context, string) error) resources.Deps {
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
		AllowNamed:    tools.NamedInstance(deps),
		AllowPath:     func(ctx context.Context, p string) error { return deps.Rails(ctx).AllowPath(p) },
		Instance:      b.cfg.Instance, MaxChars: b.cfg.MaxResultChars, Log: b.log,
	}
}

// deps is what the tools need of the rest.
func (b *Bridge) deps() *tools.Deps {
	rails := b.cfg.Rails()
	return &tools.Deps{
		Services: func(ctx context.Context) (*tools.Services, error) {
			p, ok := transport.PrincipalFrom(ctx)
			if !ok {
				return nil, errors.New("the call has no caller")
			}
			return b.servicesOf(ctx, p, transport.ShareFrom(ctx), transport.HeaderFrom(ctx))
		},
		Principal: func(ctx context.Context) string {
			p, _ := transport.PrincipalFrom(ctx)
			return p.Name
		},
		Rails: func(ctx context.Context) *tools.Rails {
			if more := headerLimits(transport.HeaderFrom(ctx)); len(more) > 0 {
				return rails.Tighten(more...)
			}
			return rails
		},
		Progress: func(ctx context.Context, waiting func(seconds int) string) tools.Progress {
			return transport.NewReporter(transport.CallFrom(ctx), waiting)
		},
		Watched:    func(ctx context.Context) bool { return transport.CallFrom(ctx).WantsProgress() },
		Resumable:  func(ctx context.Context, place func() []byte) { transport.CallFrom(ctx).Resumable(place) },
		Begins:     func(ctx context.Context, message, handle string) { transport.CallFrom(ctx).Begins(message, handle) },
		BecomeTask: func(ctx context.Context, t tools.Task) { transport.CallFrom(ctx).BecomeTask(taskOf(t)) },
		Structured: func(ctx context.Context) bool {
			asked, _ := wantsStructured(transport.HeaderFrom(ctx))
			return b.cfg.Structured || asked
		},
		OnCancel: func(ctx context.Context, f func(string)) {
			if c := transport.CallFrom(ctx); c != nil {
				c.OnCancel(f)
			}
		},
		Verbatim: func(ctx context.Context) { transport.CallFrom(ctx).Verbatim() },
		Transfers: func(ctx context.Context) bool {
			return transport.HeaderFrom(ctx) == nil && len(b.cfg.TransferFolders()) > 0
		},
		Observe:  func(ctx context.Context) tools.Observer { return observe.CallFrom(ctx) },
		Confirm:  tools.NewConfirmer(tools.ConfirmPolicy(b.cfg.Confirm)),
		Website:  websiteOf(b.cfg.BaseURL),
		Instance: b.cfg.Instance, SoftDeadline: b.cfg.SoftDeadline, TaskAfter: b.cfg.TaskAfter, MaxResultChars: b.cfg.MaxResultChars,
		Version: b.cfg.Version,
	}
}

// resume goes on with a call that another process began.
func (b *Bridge) resume(ctx context.Context, tool string, place []byte) (*mcp.CallToolResult, error) {
	var req mcp.CallToolRequest
	req.Params.Name, req.Params.RequestState = tool, string(place)
	b.obs.TookOver("call")
	return b.obs.Middleware(tools.Resume(b.toolDeps))(ctx, req)
}

// websiteOf is where people subscribe to the service at an address; "" for other services
// than the hosted one.
func websiteOf(base string) string {
	if strings.HasPrefix(base, website+"/") {
		return website
	}
	return ""
}

// local is the one principal of a server that authenticates nobody.
func (b *Bridge) local() transport.Principal {
	return transport.Principal{Name: transport.Local.Name, Key: b.cfg.APIKey}
}

// Working gives the handles of the runs that this process has under way for the person
// who started it, the newest first. The tool list_runs has those of other processes, too.
func (b *Bridge) Working(ctx context.Context) (handles []string, err error) {
	s, err := b.servicesOf(ctx, b.local(), "", nil)
	if err != nil {
		return nil, err
	}
	for _, u := range s.Runs.List() {
		if u.Status == runs.StatusRunning || u.Status == runs.StatusStalled {
			handles = append(handles, u.Handle)
		}
	}
	return handles, nil
}

// Close ends what the callers have open here. Their runs go on upstream.
func (b *Bridge) Close() {
	b.resources.Close()
	for _, s := range b.callers.list() {
		closeServices(s)
	}
	_ = b.fleet.Close()
	b.http.CloseIdleConnections()
}
