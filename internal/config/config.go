// Package config is the environment, read and checked: every setting, every rule
// about it and its documentation are here.
package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/keyfile"
	"openclaw-mcp/internal/loopback"
	"openclaw-mcp/internal/secret"
	"openclaw-mcp/tools"
)

// DefaultBaseURL is the hosted service.
const DefaultBaseURL = "https://openclaw-as-a-service.com/api"

// Config is the environment, which is the one source of configuration. The
// `doc` tags say what --help and the documentation say; --help itself shows
// those that are marked as main.
type Config struct {
	Version         string                       // of this program; the environment does not say it
	Listening       func(url string)             // is told where HTTP is served; nil: nobody is
	FindModel       bool                         // with --local and no model set: use one that runs on this machine
	HTTPFrom        string                       // what set HTTP: the variable's name, or a flag
	LocalDirDefault bool                         // LocalDir was not set
	ServiceName     string                       // of the service among processes that share work; "": its address
	Getenv          func(variable string) string // reads variables of standards that have no field here
	KeyFrom         string                       // where APIKey is from: a variable's name, or the file of `openclaw-mcp login`

	APIKey     secret.Text `env:"OPENCLAW_API_KEY" help:"main" doc:"your OpenClaw API key"`
	APIKeyFile string      `env:"OPENCLAW_API_KEY_FILE" help:"main" doc:"file that holds the API key"`
	BaseURL    string      `env:"OPENCLAW_API_BASE_URL" help:"main" envDefault:"https://openclaw-as-a-service.com/api" doc:"address of the OpenClaw API"`
	Instance   string      `env:"OPENCLAW_INSTANCE_ID" help:"main" doc:"instance to use when a call names none"`

	HTTP           string        `env:"OPENCLAW_MCP_HTTP" help:"main" doc:"address to serve streamable HTTP on, at /mcp; empty: stdio"`
	Auth           string        `env:"OPENCLAW_MCP_AUTH" envDefault:"none" help:"main" doc:"who may call over HTTP: none (this machine alone), token, key (each caller brings an OpenClaw key) or oauth"`
	Tokens         secret.Text   `env:"OPENCLAW_MCP_TOKENS" doc:"with auth token: named tokens, as name:token, separated by commas"`
	TokensFile     string        `env:"OPENCLAW_MCP_TOKENS_FILE" doc:"with auth token: file of name:token or name:token:OpenClaw-key lines, read again when it changes"`
	OAuthIssuer    string        `env:"OPENCLAW_MCP_OAUTH_ISSUER" doc:"with auth oauth: URL of the authorization server"`
	OAuthAudience  string        `env:"OPENCLAW_MCP_OAUTH_AUDIENCE" doc:"with auth oauth: audience that tokens must be for; empty: the public URL"`
	OAuthClient    string        `env:"OPENCLAW_MCP_OAUTH_CLIENT_ID" doc:"with auth oauth: client of the authorization server that the console at / signs in as; empty: it registers itself"`
	OAuthScopes    []string      `env:"OPENCLAW_MCP_OAUTH_SCOPES" doc:"with auth oauth: scopes that tokens must have"`
	OAuthKeysFile  string        `env:"OPENCLAW_MCP_OAUTH_KEYS_FILE" doc:"with auth oauth: file that gives subjects their OpenClaw keys, as subject:key lines or JSON; empty: all use this server's key"`
	PublicURL      string        `env:"OPENCLAW_MCP_PUBLIC_URL" doc:"URL of the MCP endpoint as clients see it, such as https://claw.example/mcp"`
	AllowedHosts   []string      `env:"OPENCLAW_MCP_ALLOWED_HOSTS" doc:"names in the Host header besides this machine's own; empty: on loopback none, else any"`
	AllowedOrigins []string      `env:"OPENCLAW_MCP_ALLOWED_ORIGINS" doc:"origins of web pages that may call, such as https://app.example; * for any"`
	TLSCert        string        `env:"OPENCLAW_MCP_TLS_CERT" doc:"file with the certificate chain (PEM), read again when it changes"`
	TLSKey         string        `env:"OPENCLAW_MCP_TLS_KEY" doc:"file with its private key (PEM)"`
	RateLimit      float64       `env:"OPENCLAW_MCP_RATE_LIMIT" doc:"requests per second from one caller, in bursts of two seconds' worth; 0: no limit (0)"`
	Concurrency    int           `env:"OPENCLAW_MCP_CONCURRENCY" envDefault:"4096" doc:"requests and streams that one caller may have at once; 0: no limit"`
	SessionIdle    time.Duration `env:"OPENCLAW_MCP_SESSION_IDLE" envDefault:"1h" doc:"how long a session may go without a request before it expires (protocol versions up to 2025-11-25)"`

	SoftDeadline     time.Duration `env:"OPENCLAW_MCP_SOFT_DEADLINE" help:"main" envDefault:"45s" doc:"longest time that one call waits"`
	StallAfter       time.Duration `env:"OPENCLAW_MCP_STALL_AFTER" envDefault:"3m" doc:"how long a run may be silent before it is reported as stalled"`
	Runs             int           `env:"OPENCLAW_MCP_RUNS" envDefault:"1024" doc:"replies and other runs that one caller may have under way in this process; 0: no limit"`
	TaskAfter        time.Duration `env:"OPENCLAW_MCP_TASK_AFTER" envDefault:"10s" doc:"how long a call waits before it goes on as a task, if the client supports tasks"`
	Structured       bool          `env:"OPENCLAW_MCP_STRUCTURED" doc:"give results as data, too, with output schemas and links to resources: for programs; models read the text"`
	MaxResultChars   int           `env:"OPENCLAW_MCP_MAX_RESULT_CHARS" help:"main" envDefault:"20000" doc:"most characters that one result may have, 1000 to 1048576"`
	ReadOnly         bool          `env:"OPENCLAW_MCP_READ_ONLY" help:"main" doc:"true: change nothing on the instances; offer only tools that read"`
	Toolsets         []string      `env:"OPENCLAW_MCP_TOOLSETS" help:"main" doc:"families of tools to offer, separated by commas; empty: all"`
	Tools            []string      `env:"OPENCLAW_MCP_TOOLS" doc:"tools to offer; empty: all"`
	ExcludeTools     []string      `env:"OPENCLAW_MCP_EXCLUDE_TOOLS" doc:"tools not to offer"`
	Instances        []string      `env:"OPENCLAW_MCP_INSTANCES" doc:"instances that may be used; * stands for any part of an ID; empty: all"`
	ExcludeInstances []string      `env:"OPENCLAW_MCP_EXCLUDE_INSTANCES" doc:"instances that may not be used"`
	Commands         Regexp        `env:"OPENCLAW_MCP_COMMANDS" doc:"regular expression that commands must match"`
	ExcludeCommands  Regexp        `env:"OPENCLAW_MCP_EXCLUDE_COMMANDS" doc:"regular expression that no command may match"`
	Paths            []string      `env:"OPENCLAW_MCP_PATHS" doc:"folders or globs that file tools may touch; empty: all"`
	ExcludePaths     []string      `env:"OPENCLAW_MCP_EXCLUDE_PATHS" doc:"folders or globs that file tools may not touch"`
	TransferRoots    string        `env:"OPENCLAW_MCP_TRANSFER_ROOTS" help:"main" doc:"local folders that upload_files and download_files may touch, separated as in PATH; stdio only; empty: none"`
	Confirm          string        `env:"OPENCLAW_MCP_CONFIRM" help:"main" envDefault:"ask" doc:"what to do before reboots, shutdowns and deletes: ask, allow or deny"`
	VNCPassword      secret.Text   `env:"OPENCLAW_MCP_VNC_PASSWORD" doc:"password of desktops that ask for one; only its first 8 bytes count"`
	TerminalFamily   string        `env:"OPENCLAW_MCP_TERMINAL_FAMILY" envDefault:"auto" doc:"message format of terminals: auto finds out, T1 to T5 force one"`
	Terminals        int           `env:"OPENCLAW_MCP_TERMINALS" envDefault:"8" doc:"open terminals that one caller may have, 1 to 100"`
	TerminalIdle     time.Duration `env:"OPENCLAW_MCP_TERMINAL_IDLE" envDefault:"30m" doc:"how long a terminal may go without a call before it is closed; a shell that the instance keeps ends after the same time again"`
	LogLevel         string        `env:"OPENCLAW_MCP_LOG_LEVEL" help:"main" envDefault:"info" doc:"how much to log: debug, info, warn or error"`
	LogFormat        string        `env:"OPENCLAW_MCP_LOG_FORMAT" envDefault:"text" doc:"format of the log: text or json"`

	StateDir string `env:"OPENCLAW_MCP_STATE_DIR" doc:"over stdio: folder in which your processes agree who does what, so that nothing is done twice; empty: one in your home folder"`

	NATSURL      string `env:"OPENCLAW_MCP_NATS_URL" doc:"over HTTP: NATS with JetStream, through which replicas agree, such as tls://nats.example:4222; empty: this is the only replica"`
	NATSCreds    string `env:"OPENCLAW_MCP_NATS_CREDS" doc:"file of NATS credentials"`
	NATSCA       string `env:"OPENCLAW_MCP_NATS_CA" doc:"file with the certificate authority of NATS (PEM); empty: the system's"`
	NATSCert     string `env:"OPENCLAW_MCP_NATS_CERT" doc:"file with the certificate that NATS is shown (PEM)"`
	NATSKey      string `env:"OPENCLAW_MCP_NATS_KEY" doc:"file with its private key (PEM)"`
	NATSPrefix   string `env:"OPENCLAW_MCP_NATS_PREFIX" envDefault:"openclaw" doc:"prefix of the names of subjects and of the bucket"`
	NATSReplicas int    `env:"OPENCLAW_MCP_NATS_REPLICAS" envDefault:"1" doc:"NATS servers that keep each fact: 1, 3 or 5"`

	Admin          string        `env:"OPENCLAW_MCP_ADMIN" doc:"address for /healthz, /readyz and /metrics, for those who run the server; empty: none"`
	AuditLog       string        `env:"OPENCLAW_MCP_AUDIT_LOG" doc:"file that gets a line for each call: who called what on which instance; empty: none"`
	SlowCall       time.Duration `env:"OPENCLAW_MCP_SLOW_CALL" envDefault:"10s" doc:"log calls that work longer than this, not counting waits for runs and terminals; 0: none"`
	TraceEndpoint  string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"OpenTelemetry collector that gets traces, as in the standard; empty: no traces"`
	TracesEndpoint string        `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" doc:"the same, with the full path"`
	TraceProtocol  string        `env:"OTEL_EXPORTER_OTLP_PROTOCOL" doc:"must be http/protobuf"`
	TracesProtocol string        `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" doc:"the same, for traces alone"`
	TraceExporter  string        `env:"OTEL_TRACES_EXPORTER" doc:"otlp or none"`
	TraceDisabled  string        `env:"OTEL_SDK_DISABLED" doc:"true: no traces"`

	LocalVNC string `env:"OPENCLAW_LOCAL_VNC" doc:"with --local: host:port or socket of a VNC server to show as the desktop; empty: its own Xvnc, if that is installed"`
	LocalDir string `env:"OPENCLAW_LOCAL_DIR" help:"main" doc:"with --local: folder that keeps workspaces and sessions; empty: one in your home folder"`

	LocalModelURL   string      `env:"OPENCLAW_LOCAL_MODEL_URL" help:"main" doc:"with --local: OpenAI-compatible service whose model is the agent; empty: Ollama or LM Studio if one runs here, else an offline agent; none: the offline agent"`
	LocalModel      string      `env:"OPENCLAW_LOCAL_MODEL" doc:"model to use there; empty: the first one listed"`
	LocalModelKey   secret.Text `env:"OPENCLAW_LOCAL_MODEL_KEY" doc:"key for it, if it needs one"`
	LocalModelSteps int         `env:"OPENCLAW_LOCAL_MODEL_STEPS" envDefault:"25" doc:"requests to the model for one message, 1 to 200"`
}

// Error says what is wrong with the configuration.
type Error struct{ err error }

// Wrong makes an Error of err, which names the variable and what it may be.
func Wrong(err error) *Error { return &Error{err} }

func (e *Error) Error() string { return "openclaw-mcp: invalid configuration\n" + e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Regexp is an optional regular expression (RE2).
type Regexp struct{ *regexp.Regexp }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Regexp) UnmarshalText(b []byte) (err error) {
	r.Regexp, err = regexp.Compile(string(b))
	return err
}

func (r Regexp) list() []*regexp.Regexp {
	if r.Regexp == nil {
		return nil
	}
	return []*regexp.Regexp{r.Regexp}
}

// Rails are the limits that the configuration sets on every call.
func (c Config) Rails() *tools.Rails {
	return &tools.Rails{
		ReadOnly: c.ReadOnly, Toolsets: Words(c.Toolsets), Tools: Words(c.Tools), ExcludeTools: Words(c.ExcludeTools),
		Instances: Words(c.Instances), ExcludeInstances: Words(c.ExcludeInstances),
		Commands: c.Commands.list(), ExcludeCommands: c.ExcludeCommands.list(),
		Paths: Words(c.Paths), ExcludePaths: Words(c.ExcludePaths),
	}
}

// TransferFolders are the local folders that transfers may touch. Over HTTP there
// are none: who calls from elsewhere has no business with files of this machine.
// Neither are there for a server that changes nothing.
func (c Config) TransferFolders() []string {
	if c.HTTP != "" || c.ReadOnly {
		return nil
	}
	return Words(filepath.SplitList(c.TransferRoots))
}

// Words trims the items of a list and leaves empty ones out.
func Words(list []string) []string {
	var out []string
	for _, w := range list {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// Read reads and checks the environment. Its errors name the variable and
// what it may be, and never repeat a secret.
func Read(environ []string) (Config, error) {
	var c Config
	set := env.ToMap(environ)
	// Installers write variables for settings that the user left blank.
	maps.DeleteFunc(set, func(_, value string) bool { return value == "" })
	unread, err := explainEnv(env.ParseWithOptions(&c, env.Options{Environment: set, FuncMap: parsers}))
	c.HTTPFrom = "OPENCLAW_MCP_HTTP"
	c.Getenv = func(variable string) string { return set[variable] }
	errs := []error{err, checkNames(set)}
	bad := func(name, format string, a ...any) {
		if !unread[name] { // else its value is not the one that was set
			errs = append(errs, fmt.Errorf("%s %s", name, fmt.Sprintf(format, a...)))
		}
	}
	c.findKey(set, bad)
	c.checkSpelling(set, cmp.Or(c.KeyFrom, "OPENCLAW_API_KEY"), bad)
	c.checkLists(set, bad)
	if u, err := url.Parse(c.BaseURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.ContainsAny(c.BaseURL, "?#") {
		bad("OPENCLAW_API_BASE_URL", "must be an http or https URL without a user name, query or fragment, such as %s", DefaultBaseURL)
	}
	if c.SoftDeadline < time.Second || c.SoftDeadline > time.Hour {
		bad("OPENCLAW_MCP_SOFT_DEADLINE", "is %s; it must be a duration from 1s to 1h, such as 45s", c.SoftDeadline)
	}
	if c.StallAfter < time.Second {
		bad("OPENCLAW_MCP_STALL_AFTER", "is %s; it must be a duration of at least 1s, such as 3m", c.StallAfter)
	}
	if c.TaskAfter < 0 || c.TaskAfter > time.Hour {
		bad("OPENCLAW_MCP_TASK_AFTER", "is %s; it must be a duration from 0s (at once) to 1h, such as 10s", c.TaskAfter)
	}
	if c.Runs < 0 {
		bad("OPENCLAW_MCP_RUNS", "is %d; it must be 0 or more", c.Runs)
	}
	if c.MaxResultChars < 1000 || c.MaxResultChars > 1<<20 {
		bad("OPENCLAW_MCP_MAX_RESULT_CHARS", "is %d; it must be from 1000 to %d", c.MaxResultChars, 1<<20)
	}
	if !slices.Contains([]string{"ask", "allow", "deny"}, c.Confirm) {
		bad("OPENCLAW_MCP_CONFIRM", "is %q; it must be ask, allow or deny", c.Confirm)
	}
	for _, one := range []struct {
		name  string
		rails tools.Rails
	}{
		{"OPENCLAW_MCP_TOOLSETS", tools.Rails{Toolsets: Words(c.Toolsets)}},
		{"OPENCLAW_MCP_TOOLS", tools.Rails{Tools: Words(c.Tools)}},
		{"OPENCLAW_MCP_EXCLUDE_TOOLS", tools.Rails{ExcludeTools: Words(c.ExcludeTools)}},
	} {
		if err := one.rails.Check(); err != nil {
			bad(one.name, "%v", err)
		}
	}
	if c.TerminalFamily != "auto" && !slices.Contains(client.TerminalFamilies(), client.TerminalFamily(c.TerminalFamily)) {
		bad("OPENCLAW_MCP_TERMINAL_FAMILY", "is %q; it must be auto, T1, T2, T3, T4 or T5", c.TerminalFamily)
	}
	if c.Terminals < 1 || c.Terminals > 100 {
		bad("OPENCLAW_MCP_TERMINALS", "is %d; it must be from 1 to 100", c.Terminals)
	}
	if c.TerminalIdle < time.Minute || c.TerminalIdle > 24*time.Hour {
		bad("OPENCLAW_MCP_TERMINAL_IDLE", "is %s; it must be a duration from 1m to 24h, such as 30m", c.TerminalIdle)
	}
	for _, dir := range c.TransferFolders() {
		if st, err := os.Stat(dir); !filepath.IsAbs(dir) || err != nil || !st.IsDir() {
			bad("OPENCLAW_MCP_TRANSFER_ROOTS", "has %q; each must be the absolute path of an existing folder; separate them with %q", dir, string(os.PathListSeparator))
		}
	}
	if c.StateDir == "" {
		c.StateDir = StateDir(runtime.GOOS, set)
	} else if !filepath.IsAbs(c.StateDir) {
		bad("OPENCLAW_MCP_STATE_DIR", "is %q; it must be the absolute path of a folder", c.StateDir)
	}
	if _, ok := logLevels[c.LogLevel]; !ok {
		bad("OPENCLAW_MCP_LOG_LEVEL", "is %q; it must be debug, info, warn or error", c.LogLevel)
	}
	if c.LogFormat != "text" && c.LogFormat != "json" {
		bad("OPENCLAW_MCP_LOG_FORMAT", "is %q; it must be text or json", c.LogFormat)
	}
	if _, port, err := net.SplitHostPort(c.LocalVNC); c.LocalVNC != "" && !strings.HasPrefix(c.LocalVNC, "/") && (err != nil || port == "") {
		bad("OPENCLAW_LOCAL_VNC", "is %q; it must be host:port, such as 127.0.0.1:5900, or the path of a socket", c.LocalVNC)
	}
	c.checkLocalModel(set, bad)
	if err := CheckListenAddress(c.HTTP, c.Auth); err != nil {
		bad("OPENCLAW_MCP_HTTP", "%v", err)
	}
	c.checkHTTP(bad)
	c.checkNATS(bad)
	if err := checkAdminAddress(c.Admin); err != nil {
		bad("OPENCLAW_MCP_ADMIN", "%v", err)
	}
	if c.SlowCall < 0 || c.SlowCall > time.Hour {
		bad("OPENCLAW_MCP_SLOW_CALL", "is %s; it must be a duration up to 1h, such as 10s, or 0", c.SlowCall)
	}
	return c, errors.Join(errs...)
}

// findKey reads the key: from its variable, from the file that a variable names,
// or from the file of `openclaw-mcp login`. Where callers bring their keys, nobody
// is to use the one that a person logged in with.
func (c *Config) findKey(set map[string]string, bad func(name, format string, a ...any)) {
	var err error
	switch {
	case c.APIKeyFile != "" && c.APIKey != "":
		bad("OPENCLAW_API_KEY_FILE", "and OPENCLAW_API_KEY are both set; set one of them")
		return
	case c.APIKeyFile != "":
		c.KeyFrom = "OPENCLAW_API_KEY_FILE"
		var key string
		if key, err = keyfile.Read(c.APIKeyFile); err != nil {
			bad(c.KeyFrom, "can't be used: %v", err)
		}
		c.APIKey = secret.Text(key)
	case c.APIKey != "":
		c.KeyFrom = "OPENCLAW_API_KEY"
		if key := string(c.APIKey); secret.CheckWord(key) == nil && keyfile.Check(key) != nil {
			bad(c.KeyFrom, "holds a space, a line break or another character that no key has; it must be one word of ASCII characters")
		}
	case !c.CallersBringKeys():
		path := LoginFile(set)
		if path == "" {
			return
		}
		key, err := keyfile.Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			bad("OPENCLAW_API_KEY", "is not set, and the key of 'openclaw-mcp login' can't be used: %v", err)
		}
		c.KeyFrom, c.APIKey = path, secret.Text(key)
	}
}

// LoginFile is the file in which `openclaw-mcp login` keeps the key; "" where the
// environment names no home folder.
func LoginFile(set map[string]string) string {
	dir := keyfile.ConfigDir(runtime.GOOS, func(name string) string { return set[name] })
	if !filepath.IsAbs(dir) {
		return ""
	}
	return keyfile.Path(dir)
}

// TerminalFrames is the setting as the client has it.
func (c Config) TerminalFrames() client.TerminalFamily {
	if c.TerminalFamily == "auto" {
		return client.TerminalAuto
	}
	return client.TerminalFamily(c.TerminalFamily)
}

// CheckListenAddress refuses to listen for the network where nobody is
// authenticated: then only this machine may connect.
func CheckListenAddress(addr, auth string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		return fmt.Errorf("is %q; it must be host:port, such as 127.0.0.1:8080", addr)
	}
	if auth == "none" && !loopback.Host(host) {
		return fmt.Errorf("is %q; without authentication the server listens on loopback only: use 127.0.0.1:%s or [::1]:%s, or set OPENCLAW_MCP_AUTH", addr, port, port)
	}
	return nil
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// Logger logs to w, which is standard error: standard output may carry the
// protocol.
func (c Config) Logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: logLevels[c.LogLevel]}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
