package install

import (
	"errors"
	"flag"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const defaultName = "openclaw"

const usage = `Puts openclaw-mcp into an MCP client's configuration.

Usage:
  openclaw-mcp install CLIENT [flags]
  openclaw-mcp install --list

Clients:
  %s
("json" prints an entry for any other client, or edits the file of --config.)

Flags:
  --uninstall       take the entry out again
  --dry-run         show the change; write nothing
  --list            list the clients, their files, and where it is installed
  --local           the embedded service instead of an account
  --http URL        a running server, such as http://127.0.0.1:8080/mcp
  --key-in-config   put the API key into the configuration itself
  --env NAME=VALUE  a setting of the server (may be repeated)
  --name NAME       name of the entry (openclaw)
  --config FILE     the configuration to edit, instead of the client's usual one
  --force           replace an entry of that name that is different

The key (OPENCLAW_API_KEY, OPENCLAW_API_KEY_FILE, else asked for) goes to a file
that only you can read. A backup is kept beside each file that is changed.
`

// command is an installation's command line, and what it runs on.
type command struct {
	Setup
	places places
	client client
	path   string

	list, uninstall, dryRun, local, keyInConfig, force bool
	http, name, config                                 string
	env                                                object
}

func names() (all []string) {
	for _, cl := range clients() {
		all = append(all, cl.name)
	}
	return all
}

var (
	nameOfEntry   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)
	nameOfSetting = regexp.MustCompile(`^OPENCLAW_[A-Z0-9_]+$`)
)

func (c *command) parse() error {
	flags := flag.NewFlagSet("install", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.BoolVar(&c.list, "list", false, "")
	flags.BoolVar(&c.uninstall, "uninstall", false, "")
	flags.BoolVar(&c.dryRun, "dry-run", false, "")
	flags.BoolVar(&c.local, "local", false, "")
	flags.BoolVar(&c.keyInConfig, "key-in-config", false, "")
	flags.BoolVar(&c.force, "force", false, "")
	flags.StringVar(&c.http, "http", "", "")
	flags.StringVar(&c.name, "name", defaultName, "")
	flags.StringVar(&c.config, "config", "", "")
	flags.Func("env", "", c.addEnv)
	var words []string
	for rest := c.Args; ; {
		if err := flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil {
			return usagef("openclaw-mcp install: %w\n\nRun 'openclaw-mcp install --help' for what there is", err)
		}
		if flags.NArg() == 0 {
			break
		}
		words, rest = append(words, flags.Arg(0)), flags.Args()[1:]
	}
	if c.places.home == "" {
		c.places.home = c.Env("HOME")
		if c.GOOS == "windows" {
			c.places.home = c.Env("USERPROFILE")
		}
	}
	if !filepath.IsAbs(c.places.home) {
		return errors.New("the home folder is not known: HOME (USERPROFILE on Windows) must be an absolute path")
	}
	if !nameOfEntry.MatchString(c.name) {
		return usagef("openclaw-mcp install: --name is %q; it must be 1 to 40 letters, digits, - or _", c.name)
	}
	if c.list {
		return nil
	}
	if len(words) != 1 {
		return usagef("openclaw-mcp install: name one client; there is: %s", strings.Join(names(), ", "))
	}
	at := slices.IndexFunc(clients(), func(cl client) bool { return cl.name == words[0] })
	if at < 0 {
		return usagef("openclaw-mcp install: unknown client %q; there is: %s", words[0], strings.Join(names(), ", "))
	}
	c.client = clients()[at]
	if c.path = c.client.path(c.places); c.config != "" {
		c.path = c.config
	}
	if c.path != "" {
		var err error
		if c.path, err = filepath.Abs(c.path); err != nil {
			return err
		}
	}
	return c.check()
}

func (c *command) addEnv(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || !nameOfSetting.MatchString(name) {
		return errors.New("it must be NAME=VALUE, where NAME begins with OPENCLAW_")
	}
	if slices.Contains(keyVariables, name) {
		return errors.New("the key is taken from the environment; see --key-in-config")
	}
	c.env = slices.DeleteFunc(c.env, func(m member) bool { return m.key == name })
	c.env = append(c.env, member{name, value})
	return nil
}

// check refuses flags that contradict each other.
func (c *command) check() error {
	bad := func(format string, a ...any) error { return usagef("openclaw-mcp install: "+format, a...) }
	switch {
	case c.local && c.http != "":
		return bad("--local and --http exclude each other")
	case c.local && c.keyInConfig:
		return bad("--local needs no key, so --key-in-config makes no sense with it")
	case c.uninstall && (c.local || c.http != "" || c.keyInConfig || c.force || c.env != nil):
		return bad("--uninstall goes with --name, --config and --dry-run alone")
	case c.uninstall && c.path == "":
		return bad("--uninstall json needs --config FILE")
	case c.http != "" && c.env != nil:
		return bad("--env is for a server that the client starts, so it makes no sense with --http")
	}
	if c.http == "" {
		return nil
	}
	u, err := url.Parse(c.http)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.Trim(u.Path, "/") == "" {
		return bad("--http must be the http or https URL of the server's endpoint, such as http://127.0.0.1:8080/mcp")
	}
	if ip := net.ParseIP(u.Hostname()); c.keyInConfig && u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return bad("--key-in-config would send the key in the clear to %s; use an https URL", u.Host)
	}
	return nil
}
