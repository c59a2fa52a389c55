package install

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"openclaw-mcp/internal/loopback"
)

const defaultName = "openclaw"

// Options are the command line of `openclaw-mcp install`.
type Options struct {
	Clients []string // the arguments: one client, or none with List
	Local   bool     // the entry starts the server with --local
	// CheckSettings refuses variables, as NAME=VALUE, that the server would refuse;
	// nil: all are taken.
	CheckSettings func(env []string) error

	// The flags that AddFlags defines.
	List, Uninstall, DryRun, KeyInConfig, Force, Yes bool
	HTTP, Name, Config                               string
	Env                                              []string // NAME=VALUE
}

// AddFlags defines the flags of the command.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.List, "list", false, "list the clients, their files and what is installed")
	flags.BoolVar(&o.Uninstall, "uninstall", false, "remove the entry")
	flags.BoolVar(&o.DryRun, "dry-run", false, "show the change without making it")
	flags.BoolVar(&o.KeyInConfig, "key-in-config", false, "put the API key into the configuration itself")
	flags.BoolVar(&o.Force, "force", false, "replace a different entry of the same name")
	flags.BoolVar(&o.Yes, "yes", false, "make the change without asking")
	flags.StringVar(&o.HTTP, "http", "", "connect the client to a running server at this `URL`")
	flags.StringVar(&o.Name, "name", defaultName, "`NAME` of the entry")
	flags.StringVar(&o.Config, "config", "", "`FILE` to edit instead of the client's usual one")
	flags.StringArrayVar(&o.Env, "env", nil, "a setting of the server, `NAME=VALUE`; may be repeated")
}

// Clients lists the names of the known clients.
func Clients() (all []string) {
	for _, cl := range clients() {
		all = append(all, cl.name)
	}
	return all
}

// Help explains the command.
func Help() string {
	return `Add this server to an MCP client's configuration.

The clients are
  ` + strings.Join(Clients(), " ") + `
"json" prints an entry for any other client, or edits the --config file.

The API key comes from 'openclaw-mcp login', OPENCLAW_API_KEY or
OPENCLAW_API_KEY_FILE; otherwise, you are asked for it. It is kept in a file
that only you can read. At a terminal, you see the change first and are asked
whether to make it. The old file is kept as a backup, next to the new one.`
}

// command is an installation: its command line, and what it works on.
type command struct {
	Setup
	Options
	places places
	client client
	path   string // of the client's configuration
	env    object // Options.Env, checked
}

// Compiled when first used: most starts never need them.
var (
	nameOfEntry   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`) })
	nameOfSetting = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^OPENCLAW_[A-Z0-9_]+$`) })
)

// prepare checks the command line and finds the client and its configuration.
func (c *command) prepare() error {
	if !nameOfEntry().MatchString(c.Name) {
		return usagef("--name is %q; it must be 1 to 40 letters, digits, - or _", c.Name)
	}
	for _, setting := range c.Options.Env {
		if err := c.addEnv(setting); err != nil {
			return usagef("--env %w", err)
		}
	}
	if c.CheckSettings != nil && len(c.Options.Env) > 0 {
		if err := c.CheckSettings(c.Options.Env); err != nil {
			return usagef("--env %w", err)
		}
	}
	if c.places.home == "" {
		c.places.home = c.Setup.Env("HOME")
		if c.GOOS == "windows" {
			c.places.home = c.Setup.Env("USERPROFILE")
		}
	}
	if !c.List {
		if len(c.Clients) != 1 {
			if found := c.found(); len(found) > 0 {
				return usagef("name one client; found here: %s; supported: %s", strings.Join(found, ", "), strings.Join(Clients(), ", "))
			}
			return usagef("name one client; supported: %s", strings.Join(Clients(), ", "))
		}
		at := slices.IndexFunc(clients(), func(cl client) bool { return cl.name == c.Clients[0] })
		if at < 0 {
			return usagef("unknown client %q; the clients are %s", c.Clients[0], strings.Join(Clients(), ", "))
		}
		c.client = clients()[at]
	}
	if !filepath.IsAbs(c.places.home) {
		return errors.New("the home folder is not known: HOME (USERPROFILE on Windows) must be an absolute path")
	}
	if c.List {
		return nil
	}
	if c.path = c.client.path(c.places); c.Config != "" {
		c.path = c.Config
	}
	if c.path != "" {
		var err error
		if c.path, err = filepath.Abs(c.path); err != nil {
			return err
		}
	}
	return c.check()
}

// found lists the clients that this machine has: their configuration is there, or
// the folder for it.
func (c *command) found() (names []string) {
	for _, cl := range clients() {
		path := cl.path(c.places)
		if path == "" || !filepath.IsAbs(path) {
			continue
		}
		if _, err := os.Stat(path); err == nil {
			names = append(names, cl.name)
		} else if dir := filepath.Dir(path); dir != c.places.home {
			if _, err := os.Stat(dir); err == nil {
				names = append(names, cl.name)
			}
		}
	}
	return names
}

func (c *command) addEnv(setting string) error {
	name, value, ok := strings.Cut(setting, "=")
	if !ok || !nameOfSetting().MatchString(name) {
		return errors.New("must be NAME=VALUE, and NAME must begin with OPENCLAW_")
	}
	if slices.Contains(keyVariables, name) {
		return errors.New("can't set the key, which is taken from the environment; see --key-in-config")
	}
	c.env = slices.DeleteFunc(c.env, func(m member) bool { return m.key == name })
	c.env = append(c.env, member{name, value})
	return nil
}

// check refuses flags that contradict each other.
func (c *command) check() error {
	switch {
	case c.Local && c.HTTP != "":
		return usagef("--local and --http can't be used together")
	case c.Local && c.KeyInConfig:
		return usagef("--local needs no key, so it can't be combined with --key-in-config")
	case c.Uninstall && (c.Local || c.HTTP != "" || c.KeyInConfig || c.Force || c.env != nil):
		return usagef("--uninstall can only be combined with --name, --config, --dry-run and --yes")
	case c.Uninstall && c.path == "":
		return usagef("--uninstall json needs --config FILE")
	case c.HTTP != "" && c.env != nil:
		return usagef("--env is for a server that the client starts, so it can't be combined with --http")
	}
	if c.HTTP == "" {
		return nil
	}
	u, err := url.Parse(c.HTTP)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") == "" {
		return usagef("--http must be the http or https URL of the server's endpoint, such as http://127.0.0.1:8080/mcp")
	}
	if c.KeyInConfig && u.Scheme == "http" && !loopback.Host(u.Hostname()) {
		return usagef("--key-in-config would send the key unencrypted to %s; use an https URL", u.Host)
	}
	return nil
}
