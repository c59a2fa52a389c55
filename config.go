package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"

	"openclaw-mcp/client"
	"openclaw-mcp/tools"
)

const defaultBaseURL = "https://openclaw-as-a-service.com/api"

// config is the environment, which is the one source of configuration. The
// `doc` tags say what --help and the documentation say; --help itself shows
// those that are marked as main.
type config struct {
	APIKey     secret `env:"OPENCLAW_API_KEY" help:"main" doc:"API key of the service"`
	APIKeyFile string `env:"OPENCLAW_API_KEY_FILE" help:"main" doc:"file that holds the API key"`
	BaseURL    string `env:"OPENCLAW_API_BASE_URL" help:"main" envDefault:"https://openclaw-as-a-service.com/api" doc:"the service"`
	Instance   string `env:"OPENCLAW_INSTANCE_ID" help:"main" doc:"instance used when a call names none"`

	HTTP           string        `env:"OPENCLAW_MCP_HTTP" help:"main" doc:"address for streamable HTTP at /mcp; empty: stdio"`
	Auth           string        `env:"OPENCLAW_MCP_AUTH" envDefault:"none" help:"main" doc:"who may call over HTTP: none (this machine alone), token, key (each caller brings an OpenClaw key) or oauth"`
	Tokens         secret        `env:"OPENCLAW_MCP_TOKENS" doc:"auth token: named tokens, name:token with commas between them"`
	TokensFile     string        `env:"OPENCLAW_MCP_TOKENS_FILE" doc:"auth token: file of name:token or name:token:OpenClaw-key lines, read again when it changes"`
	OAuthIssuer    string        `env:"OPENCLAW_MCP_OAUTH_ISSUER" doc:"auth oauth: URL of the authorization server"`
	OAuthAudience  string        `env:"OPENCLAW_MCP_OAUTH_AUDIENCE" doc:"auth oauth: audience that tokens must be for; empty: the public URL"`
	OAuthScopes    []string      `env:"OPENCLAW_MCP_OAUTH_SCOPES" doc:"auth oauth: scopes that tokens must have"`
	OAuthKeysFile  string        `env:"OPENCLAW_MCP_OAUTH_KEYS_FILE" doc:"auth oauth: file that gives subjects their OpenClaw keys, as subject:key lines or JSON; empty: all use this server's key"`
	PublicURL      string        `env:"OPENCLAW_MCP_PUBLIC_URL" doc:"URL of the MCP endpoint as clients see it, such as https://claw.example/mcp"`
	AllowedHosts   []string      `env:"OPENCLAW_MCP_ALLOWED_HOSTS" doc:"names in the Host header besides this machine's own; empty: on loopback none, else any"`
	AllowedOrigins []string      `env:"OPENCLAW_MCP_ALLOWED_ORIGINS" doc:"origins whose web pages may call, such as https://app.example; * for any"`
	TLSCert        string        `env:"OPENCLAW_MCP_TLS_CERT" doc:"file with the certificate chain (PEM), read again when it changes"`
	TLSKey         string        `env:"OPENCLAW_MCP_TLS_KEY" doc:"file with its private key (PEM)"`
	RateLimit      float64       `env:"OPENCLAW_MCP_RATE_LIMIT" doc:"requests a second of one caller, in bursts of two seconds' worth; 0: no limit (0)"`
	Concurrency    int           `env:"OPENCLAW_MCP_CONCURRENCY" envDefault:"4096" doc:"requests and streams of one caller at once; 0: no limit"`
	SessionIdle    time.Duration `env:"OPENCLAW_MCP_SESSION_IDLE" envDefault:"1h" doc:"a legacy session expires after so long without a request"`

	SoftDeadline     time.Duration `env:"OPENCLAW_MCP_SOFT_DEADLINE" help:"main" envDefault:"45s" doc:"longest wait of one call"`
	StallAfter       time.Duration `env:"OPENCLAW_MCP_STALL_AFTER" envDefault:"3m" doc:"silence after which a run is reported as stalled"`
	MaxResultChars   int           `env:"OPENCLAW_MCP_MAX_RESULT_CHARS" help:"main" envDefault:"20000" doc:"budget of one result, 1000 to 1048576"`
	ReadOnly         bool          `env:"OPENCLAW_MCP_READ_ONLY" help:"main" doc:"true: nothing is changed upstream; only reading tools"`
	Toolsets         []string      `env:"OPENCLAW_MCP_TOOLSETS" help:"main" doc:"families of tools to offer, with commas; empty: all"`
	Tools            []string      `env:"OPENCLAW_MCP_TOOLS" doc:"tools to offer; empty: all"`
	ExcludeTools     []string      `env:"OPENCLAW_MCP_EXCLUDE_TOOLS" doc:"tools not to offer"`
	Instances        []string      `env:"OPENCLAW_MCP_INSTANCES" doc:"instances to use, * for any part; empty: all"`
	ExcludeInstances []string      `env:"OPENCLAW_MCP_EXCLUDE_INSTANCES" doc:"instances not to use"`
	Commands         regexpValue   `env:"OPENCLAW_MCP_COMMANDS" doc:"regular expression that commands must match"`
	ExcludeCommands  regexpValue   `env:"OPENCLAW_MCP_EXCLUDE_COMMANDS" doc:"regular expression that no command may match"`
	Paths            []string      `env:"OPENCLAW_MCP_PATHS" doc:"folders or globs that file tools may touch; empty: all"`
	ExcludePaths     []string      `env:"OPENCLAW_MCP_EXCLUDE_PATHS" doc:"folders or globs that they may not touch"`
	TransferRoots    string        `env:"OPENCLAW_MCP_TRANSFER_ROOTS" help:"main" doc:"local folders that upload_files and download_files may touch, separated as in PATH; stdio only; empty: none"`
	Confirm          string        `env:"OPENCLAW_MCP_CONFIRM" help:"main" envDefault:"ask" doc:"before what destroys: ask, allow or deny"`
	VNCPassword      secret        `env:"OPENCLAW_MCP_VNC_PASSWORD" doc:"password of desktops that ask for one; its first 8 bytes count"`
	TerminalFamily   string        `env:"OPENCLAW_MCP_TERMINAL_FAMILY" envDefault:"auto" doc:"frames of the service's terminals: auto finds out, T1 to T5 force"`
	Terminals        int           `env:"OPENCLAW_MCP_TERMINALS" envDefault:"8" doc:"open terminals that one caller may have, 1 to 100"`
	TerminalIdle     time.Duration `env:"OPENCLAW_MCP_TERMINAL_IDLE" envDefault:"30m" doc:"a terminal is closed after so long without a call"`
	LogLevel         string        `env:"OPENCLAW_MCP_LOG_LEVEL" help:"main" envDefault:"info" doc:"debug, info, warn or error"`
	LogFormat        string        `env:"OPENCLAW_MCP_LOG_FORMAT" envDefault:"text" doc:"text or json"`

	Admin          string        `env:"OPENCLAW_MCP_ADMIN" doc:"address for /healthz, /readyz and /metrics, for those who run the server; empty: none"`
	AuditLog       string        `env:"OPENCLAW_MCP_AUDIT_LOG" doc:"file that gets a line for each call: who called what on which instance; empty: none"`
	SlowCall       time.Duration `env:"OPENCLAW_MCP_SLOW_CALL" envDefault:"10s" doc:"calls that work longer are logged, waiting for runs and terminals not counted; 0: none"`
	TraceEndpoint  string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT" doc:"OpenTelemetry collector that gets traces, as the standard has it; empty: no traces"`
	TracesEndpoint string        `env:"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" doc:"the same, with the whole path"`
	TraceProtocol  string        `env:"OTEL_EXPORTER_OTLP_PROTOCOL" doc:"http/protobuf is what this server knows"`
	TracesProtocol string        `env:"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" doc:"the same, for traces alone"`
	TraceExporter  string        `env:"OTEL_TRACES_EXPORTER" doc:"otlp or none"`
	TraceDisabled  string        `env:"OTEL_SDK_DISABLED" doc:"true: no traces"`

	LocalVNC string `env:"OPENCLAW_LOCAL_VNC" doc:"with --local: host:port or socket of a VNC server to show as the desktop; empty: an Xvnc of its own, where installed"`
	LocalDir string `env:"OPENCLAW_LOCAL_DIR" help:"main" doc:"with --local: folder that keeps workspaces and sessions; empty: one of yours with a model, else a temporary one"`

	LocalModelURL   string `env:"OPENCLAW_LOCAL_MODEL_URL" help:"main" doc:"with --local: OpenAI-compatible service whose model is the agent; empty: an offline agent"`
	LocalModel      string `env:"OPENCLAW_LOCAL_MODEL" doc:"model to ask there; empty: the first that it lists"`
	LocalModelKey   secret `env:"OPENCLAW_LOCAL_MODEL_KEY" doc:"key for it, where it needs one"`
	LocalModelSteps int    `env:"OPENCLAW_LOCAL_MODEL_STEPS" envDefault:"25" doc:"requests to the model for one message, 1 to 200"`
}

// regexpValue is an optional regular expression (RE2).
type regexpValue struct{ *regexp.Regexp }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *regexpValue) UnmarshalText(b []byte) (err error) {
	r.Regexp, err = regexp.Compile(string(b))
	return err
}

func (r regexpValue) list() []*regexp.Regexp {
	if r.Regexp == nil {
		return nil
	}
	return []*regexp.Regexp{r.Regexp}
}

// rails are the limits that the configuration sets on every call.
func (c config) rails() *tools.Rails {
	return &tools.Rails{
		ReadOnly: c.ReadOnly, Toolsets: words(c.Toolsets), Tools: words(c.Tools), ExcludeTools: words(c.ExcludeTools),
		Instances: words(c.Instances), ExcludeInstances: words(c.ExcludeInstances),
		Commands: c.Commands.list(), ExcludeCommands: c.ExcludeCommands.list(),
		Paths: words(c.Paths), ExcludePaths: words(c.ExcludePaths),
	}
}

// transferRoots are the local folders that transfers may touch. Over HTTP there
// are none: who calls from elsewhere has no business with files of this machine.
// Neither are there for a server that changes nothing.
func (c config) transferRoots() []string {
	if c.HTTP != "" || c.ReadOnly {
		return nil
	}
	return words(filepath.SplitList(c.TransferRoots))
}

// headerRails are the limits that an HTTP request sets on itself.
func headerRails(h http.Header) *tools.Rails {
	list := func(name string) []string { return words(strings.Split(strings.Join(h.Values(name), ","), ",")) }
	return &tools.Rails{
		// Anything but a clear "no" counts: a rail is not to be lost by a typo.
		ReadOnly: h.Get("X-MCP-Readonly") != "" && !slices.Contains([]string{"false", "0", "no"}, strings.ToLower(h.Get("X-MCP-Readonly"))),
		Toolsets: list("X-MCP-Toolsets"), Tools: list("X-MCP-Tools"), ExcludeTools: list("X-MCP-Exclude-Tools"),
		Instances: list("X-MCP-Instances"), ExcludeInstances: list("X-MCP-Exclude-Instances"),
	}
}

// words trims the items of a list and leaves empty ones out.
func words(list []string) []string {
	var out []string
	for _, w := range list {
		if w = strings.TrimSpace(w); w != "" {
			out = append(out, w)
		}
	}
	return out
}

// secret is a text that never prints.
type secret string

func (secret) String() string                  { return "***" }
func (secret) GoString() string                { return "***" }
func (secret) LogValue() slog.Value            { return slog.StringValue("***") }
func (secret) MarshalText() ([]byte, error)    { return []byte("***"), nil }
func (s *secret) UnmarshalText(b []byte) error { *s = secret(strings.TrimSpace(string(b))); return nil }

// readConfig reads and checks the environment. Its errors name the variable and
// what it may be, and never repeat a secret.
func readConfig(environ []string) (config, error) {
	var c config
	set := env.ToMap(environ)
	// Installers write variables for settings that the user left blank.
	maps.DeleteFunc(set, func(_, value string) bool { return value == "" })
	if err := env.ParseWithOptions(&c, env.Options{Environment: set}); err != nil {
		return c, explainEnv(err)
	}
	var errs []error
	bad := func(name, format string, a ...any) {
		errs = append(errs, fmt.Errorf("%s %s", name, fmt.Sprintf(format, a...)))
	}
	keyFrom := "OPENCLAW_API_KEY"
	if c.APIKeyFile != "" {
		keyFrom = "OPENCLAW_API_KEY_FILE"
		if c.APIKey != "" {
			bad("OPENCLAW_API_KEY_FILE", "and OPENCLAW_API_KEY are both set; set one of them")
		} else if key, err := readKeyFile(c.APIKeyFile); err != nil {
			bad("OPENCLAW_API_KEY_FILE", "can't be used: %v", err)
		} else {
			c.APIKey = secret(key)
		}
	}
	if strings.ContainsFunc(string(c.APIKey), func(r rune) bool { return r <= ' ' || r > '~' }) {
		bad(keyFrom, "holds a space, a line break or another character that no key has; it must be one word of ASCII characters")
	}
	if u, err := url.Parse(c.BaseURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.ContainsAny(c.BaseURL, "?#") {
		bad("OPENCLAW_API_BASE_URL", "must be an http or https URL without a user name, query or fragment, such as %s", defaultBaseURL)
	}
	if c.SoftDeadline < time.Second || c.SoftDeadline > time.Hour {
		bad("OPENCLAW_MCP_SOFT_DEADLINE", "is %s; it must be a duration from 1s to 1h, such as 45s", c.SoftDeadline)
	}
	if c.StallAfter < time.Second {
		bad("OPENCLAW_MCP_STALL_AFTER", "is %s; it must be a duration of at least 1s, such as 3m", c.StallAfter)
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
		{"OPENCLAW_MCP_TOOLSETS", tools.Rails{Toolsets: words(c.Toolsets)}},
		{"OPENCLAW_MCP_TOOLS", tools.Rails{Tools: words(c.Tools)}},
		{"OPENCLAW_MCP_EXCLUDE_TOOLS", tools.Rails{ExcludeTools: words(c.ExcludeTools)}},
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
	for _, dir := range c.transferRoots() {
		if st, err := os.Stat(dir); !filepath.IsAbs(dir) || err != nil || !st.IsDir() {
			bad("OPENCLAW_MCP_TRANSFER_ROOTS", "has %q; each must be the absolute path of a folder that exists, with %q between two of them", dir, string(os.PathListSeparator))
		}
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
	if err := checkListenAddress(c.HTTP, c.Auth); err != nil {
		bad("OPENCLAW_MCP_HTTP", "%v", err)
	}
	c.checkHTTP(bad)
	if err := checkAdminAddress(c.Admin); err != nil {
		bad("OPENCLAW_MCP_ADMIN", "%v", err)
	}
	if c.SlowCall < 0 || c.SlowCall > time.Hour {
		bad("OPENCLAW_MCP_SLOW_CALL", "is %s; it must be a duration up to 1h, such as 10s, or 0", c.SlowCall)
	}
	return c, errors.Join(errs...)
}

// terminalFamily is the setting as the client has it.
func terminalFamily(setting string) client.TerminalFamily {
	if setting == "auto" {
		return client.TerminalAuto
	}
	return client.TerminalFamily(setting)
}

// checkListenAddress refuses to listen for the network where nobody is
// authenticated: then only this machine may connect.
func checkListenAddress(addr, auth string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if _, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil {
		return fmt.Errorf("is %q; it must be host:port, such as 127.0.0.1:8080", addr)
	}
	if ip := net.ParseIP(host); auth == "none" && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("is %q; without authentication the server listens on loopback only: use 127.0.0.1:%s or [::1]:%s, or set OPENCLAW_MCP_AUTH", addr, port, port)
	}
	return nil
}

// explainEnv turns the library's error into one that names variables. It drops
// the values: one of them may be a key.
func explainEnv(err error) error {
	var all env.AggregateError
	if !errors.As(err, &all) {
		return err
	}
	var errs []error
	for _, e := range all.Errors {
		var parse env.ParseError
		if errors.As(e, &parse) {
			errs = append(errs, fmt.Errorf("%s is not a valid %s", variableOf(parse.Name), kindOf(parse)))
			continue
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

func kindOf(e env.ParseError) string {
	switch e.Type.String() {
	case "time.Duration":
		return "duration (such as 45s or 2m)"
	case "int":
		return "whole number"
	case "main.regexpValue":
		return "regular expression: " + e.Err.Error()
	case "bool":
		return "boolean (true or false)"
	}
	return e.Type.String()
}

// variableOf finds the variable of a field.
func variableOf(field string) string {
	f, ok := reflect.TypeFor[config]().FieldByName(field)
	if !ok {
		return field
	}
	return f.Tag.Get("env")
}

func readKeyFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if key == "" || strings.ContainsAny(key, "\r\n\t ") {
		return "", fmt.Errorf("%s must hold one key and nothing else", path)
	}
	return key, nil
}

var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// logger logs to w, which is standard error: standard output may carry the
// protocol.
func (c config) logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: logLevels[c.LogLevel]}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}
