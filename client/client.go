package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"openclaw-mcp/internal/text"
)

// DefaultBaseURL is the public service.
const DefaultBaseURL = "https://openclaw-as-a-service.com/api"

// Client talks to the service on behalf of one API key. It is safe for
// concurrent use. Printing it, in whatever way, never shows the key.
type Client struct {
	Instances *InstancesService
	Chat      *ChatService
	Terminal  *TerminalService
	Files     *FilesService
	Desktop   *DesktopService
	Documents *DocumentsService

	core *core
}

// core is what the services share.
type core struct {
	http    *http.Client // retries and redirect rules inside
	base    string       // without a trailing slash
	key     secret
	hasKey  bool
	redact  func(string) string
	masked  func() []string // what is masked in answers, the key's spellings: inside a function, as the key is
	secret  text.Secret     // the key where it is masked in texts
	log     *slog.Logger
	options options

	small   *stock // of what small answers take, see need
	beliefs *beliefs
	openAPI func(context.Context) ([]Endpoint, error)
}

// New makes a client of the service at baseURL ("" is [DefaultBaseURL]).
//
// The base URL must be http or https and have neither credentials nor a query;
// slashes at its end are dropped, and /api is appended where it is not the end
// already. The key may be empty: then no Authorization header is sent, which is
// enough for [Client.Discover].
//
// Of hc, only the Transport is used (nil: [http.DefaultTransport]): its Timeout
// would cut streams, its CheckRedirect could hand on the key, and its cookies
// could mix callers. A nil hc gets a transport made for many calls at once,
// which [Client.CloseIdleConnections] frees.
func New(hc *http.Client, baseURL, key string, opts ...Option) (*Client, error) {
	base, err := normalizeBase(baseURL)
	if err != nil {
		return nil, err
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		// Said without the key: a pasted line break is the usual reason.
		return nil, errors.New("the API key contains a space, a line break or another character that no header can carry")
	}
	o := defaultOptions()
	for _, opt := range opts {
		opt(&o)
	}
	if strings.ContainsFunc(o.userAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errors.New("the user agent contains a character that no header can carry")
	}
	c := &core{
		base:    base,
		key:     newSecret(key),
		hasKey:  key != "",
		redact:  newRedactor(key),
		log:     o.logger,
		options: o,
		small:   newStock(smallShare),
		beliefs: newBeliefs(),
	}
	var masked []string
	if c.secret = text.NewSecret(key); c.secret != nil {
		masked = spellings(key)
	}
	c.masked = func() []string { return masked }
	c.http = newHTTPClient(hc, c)
	documents := &DocumentsService{core: c}
	c.openAPI = documents.OpenAPI
	return &Client{
		Instances: &InstancesService{c},
		Chat:      &ChatService{c},
		Terminal:  &TerminalService{core: c},
		Files:     &FilesService{c},
		Desktop:   &DesktopService{c},
		Documents: documents,
		core:      c,
	}, nil
}

// normalizeBase checks the base URL and brings it to the form that paths are
// appended to. Its errors do not repeat the URL, which may hold a secret.
func normalizeBase(s string) (string, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		s = DefaultBaseURL
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", errors.New("the base URL is not a valid URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", errors.New("the base URL must start with http:// or https://")
	case u.User != nil:
		return "", errors.New("the base URL must not contain a user name or password")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(s, "#"):
		return "", errors.New("the base URL must not contain a query or a fragment")
	case u.Hostname() == "":
		return "", errors.New("the base URL has no host")
	}
	u.Host = strings.ToLower(u.Host)
	u.Host = strings.TrimSuffix(u.Host, map[string]string{"http": ":80", "https": ":443"}[u.Scheme])
	base := strings.TrimRight(u.String(), "/")
	if !strings.HasSuffix(base, "/api") {
		base += "/api"
	}
	return base, nil
}

// Secret is the key, to be masked in texts that are decoded from what the service gives.
func (c *Client) Secret() text.Secret { return c.core.secret }

// BaseURL is the base URL in the one form that all its spellings have in common.
func (c *Client) BaseURL() string { return c.core.redact(c.core.base) }

// CloseIdleConnections closes the connections that nobody uses now.
func (c *Client) CloseIdleConnections() { c.core.http.CloseIdleConnections() }

// Format implements [fmt.Formatter]: all verbs print the base URL alone.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// String gives the client's base URL.
func (c Client) String() string {
	if c.core == nil {
		return "client(none)"
	}
	return "client(" + c.core.redact(c.core.base) + ")"
}

// LogValue implements [slog.LogValuer].
func (c Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// Discover asks the service what it offers (GET /, without the key). The
// answer is for display and to see that the service can be reached: this
// client knows its paths without it, and what the answer does not list may
// still exist.
func (c *Client) Discover(ctx context.Context) (Discovery, error) {
	req := call{op: "GET /", method: http.MethodGet, path: "/", anonymous: true}
	d, err := fetch(ctx, c.core, req, decodeDiscovery)
	if e, ok := errors.AsType[*Error](err); ok && e.Status == http.StatusNotFound {
		// Some routers know only the form without the slash.
		req.path = ""
		if d, second := fetch(ctx, c.core, req, decodeDiscovery); second == nil {
			return d, nil
		}
	}
	return d, err
}

// Option changes a default of [New].
type Option func(*options)

type options struct {
	userAgent    string
	logger       *slog.Logger
	attempts     int
	backoffBase  time.Duration
	backoffMax   time.Duration
	timeouts     Timeouts
	maxExec      int
	maxEvent     int
	maxJSON      int64
	historyQuiet time.Duration
	readOnly     func(context.Context) bool
	wrap         func(http.RoundTripper) http.RoundTripper
}

func defaultOptions() options {
	return options{
		userAgent:   "openclaw-mcp",
		logger:      slog.New(slog.DiscardHandler),
		attempts:    4,
		backoffBase: 300 * time.Millisecond,
		backoffMax:  8 * time.Second,
		timeouts: Timeouts{
			Read:   time.Minute,
			Write:  2 * time.Minute,
			Create: 4 * time.Minute,
			Chat:   time.Hour,
			Exec:   10 * time.Minute,
			Idle:   2 * time.Minute,
		},
		maxExec:      1 << 20,
		maxEvent:     16 << 20,
		maxJSON:      64 << 20,
		historyQuiet: 2 * time.Second,
		readOnly:     func(context.Context) bool { return false },
	}
}

// Timeouts bound the parts of this client's work that no context bounds
// already. Zero leaves the default; a negative value means no limit.
type Timeouts struct {
	Read   time.Duration // a GET with all its attempts, up to its last byte (1 min); of streams and files: up to the headers
	Write  time.Duration // a POST that changes a file, a session or an instance's state (2 min)
	Create time.Duration // the creation of an instance, which may block (4 min)
	Chat   time.Duration // POST …/chat, which blocks until the reply (1 h); streams have no limit
	Exec   time.Duration // a command that names no time-out of its own, before the 30 s of grace (10 min)
	Idle   time.Duration // the longest silence within the content of a file (2 min)
}

// WithUserAgent sets the User-Agent header.
func WithUserAgent(s string) Option { return func(o *options) { o.userAgent = s } }

// WithLogger has each attempt of a request logged at debug level: method, path
// template, status, duration. Bodies, query values and keys are never logged.
func WithLogger(l *slog.Logger) Option {
	return func(o *options) {
		if l != nil {
			o.logger = l
		}
	}
}

// WithRetry sets how GETs are repeated: attempts in total (1: never), and the
// base and the ceiling of the exponential back-off. POSTs are never repeated.
// Defaults: 4, 300 ms, 8 s.
func WithRetry(attempts int, base, ceiling time.Duration) Option {
	return func(o *options) {
		o.attempts = max(1, attempts)
		if base > 0 {
			o.backoffBase = base
		}
		o.backoffMax = max(ceiling, o.backoffBase)
	}
}

// WithTimeouts replaces the time-outs that are not zero.
func WithTimeouts(t Timeouts) Option {
	return func(o *options) {
		set := func(dst *time.Duration, d time.Duration) {
			if d != 0 {
				*dst = d
			}
		}
		set(&o.timeouts.Read, t.Read)
		set(&o.timeouts.Write, t.Write)
		set(&o.timeouts.Create, t.Create)
		set(&o.timeouts.Chat, t.Chat)
		set(&o.timeouts.Exec, t.Exec)
		set(&o.timeouts.Idle, t.Idle)
	}
}

// WithReadOnly has everything but GETs refused, as not sent, where readOnly says
// so of the call's context.
func WithReadOnly(readOnly func(context.Context) bool) Option {
	return func(o *options) { o.readOnly = readOnly }
}

// WithMiddleware has all requests, WebSocket upgrades included, go through wrap
// of the transport. It sees each attempt of a GET; [Operation] names what it is
// for. The answers' bodies must be passed on as they are.
func WithMiddleware(wrap func(http.RoundTripper) http.RoundTripper) Option {
	return func(o *options) { o.wrap = wrap }
}

// Operation gives the method and the path template of the request that ctx is
// the context of, such as "POST /instances/{id}/chat"; "" outside of one.
func Operation(ctx context.Context) string {
	op, _ := ctx.Value(opKey{}).(string)
	return op
}

// WithMaxExecOutput bounds how many bytes of each stream of a command's output
// are kept (1 MiB).
func WithMaxExecOutput(n int) Option {
	return func(o *options) {
		if n > 0 {
			o.maxExec = n
		}
	}
}

// WithMaxEventSize bounds one event of a stream in bytes (16 MiB).
func WithMaxEventSize(n int) Option {
	return func(o *options) {
		if n > 0 {
			o.maxEvent = n
		}
	}
}

// WithMaxAnswer bounds an answer that is read whole, in bytes (64 MiB): any JSON,
// that around a file's content or a command's output included.
func WithMaxAnswer(n int64) Option {
	return func(o *options) {
		if n > 0 {
			o.maxJSON = n
		}
	}
}
