package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/server"
)

// rootCommand serves MCP, and has the commands for people below it.
func rootCommand(c *console) *cobra.Command {
	var httpAddr string
	var version bool
	root := &cobra.Command{
		Use:   "openclaw-mcp [--local] [--http ADDR]",
		Short: "Let MCP clients operate hosted OpenClaw instances",
		Long: `openclaw-mcp lets MCP clients operate hosted OpenClaw instances.

Without a command, it serves MCP on standard input and output, or with --http
over streamable HTTP at http://ADDR/mcp. With --local, it uses a local instance
on this machine, for which you need no account.

The API key comes from OPENCLAW_API_KEY, from the file that
OPENCLAW_API_KEY_FILE names, or from 'openclaw-mcp login', which saves it for
all commands and clients. Settings are environment variables;
'openclaw-mcp help settings' lists them all.`,
		Args:                  noArguments,
		DisableFlagsInUseLine: true,
		SilenceErrors:         true,
		SilenceUsage:          true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version { // cobra's own flag would bring text/template into the program
				c.printVersion()
				return nil
			}
			if httpAddr == "" && c.variable("OPENCLAW_MCP_HTTP") == "" && isTerminal(c.stdin) {
				c.greet() // no client is at a terminal
				return nil
			}
			cfg, err := config.Read(c.environ)
			if httpAddr != "" {
				cfg.HTTP, cfg.HTTPFrom = httpAddr, "--http"
				if wrong := config.CheckListenAddress(cfg.HTTP, cfg.Auth); wrong != nil {
					err = errors.Join(err, fmt.Errorf("--http %w", wrong))
				}
			}
			if err != nil {
				return config.Wrong(err)
			}
			if !c.local && cfg.APIKey == "" && !cfg.CallersBringKeys() {
				return exitWith(2, noKey)
			}
			cfg.Version = c.version
			if isTerminal(c.stderr) {
				cfg.Listening = func(url string) { c.say(bold, "open "+url) }
			}
			return server.Serve(cmd.Context(), cfg, c.local, c.stdin, under(c.stdout), c.stderr)
		},
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.Flags().StringVar(&httpAddr, "http", "", "serve MCP over streamable HTTP on `ADDR`, at the path /mcp")
	root.Flags().BoolVarP(&version, "version", "v", false, "print the version")
	root.PersistentFlags().BoolVar(&c.local, "local", false, "use a local instance on this machine (no account needed)")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand())
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.AddCommand(
		callCommand(c), chatCommand(c), configCommand(c), demoCommand(c), doctorCommand(c), installCommand(c),
		loginCommand(c), logoutCommand(c), logsCommand(c), manCommand(c), statusCommand(c), versionCommand(c), settingsTopic(),
	)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		checkCompletion(completion)
	}
	return root
}

// checkCompletion makes cobra's command "completion" report mistakes as the other
// commands do.
func checkCompletion(completion *cobra.Command) {
	shells := completion.Commands()
	for _, cmd := range append(shells, completion) {
		cmd.Args = noArguments
	}
	completion.RunE = func(*cobra.Command, []string) error {
		return usagef("completion needs the name of a shell: %s", strings.Join(names(shells), ", "))
	}
}

const noKey = `openclaw-mcp needs an OpenClaw service to connect to. You have two choices:

  your hosted instances   run 'openclaw-mcp login' once, or set OPENCLAW_API_KEY
                          to your API key (or OPENCLAW_API_KEY_FILE to its file)
  no account              pass --local: a local instance runs on this machine

'openclaw-mcp demo' shows what it does, 'openclaw-mcp --help' how to use it.`

// greet tells a person who starts the program alone what it is, and what to type.
func (c *console) greet() {
	c.print(wrapped(c.stdout, `openclaw-mcp lets MCP clients (Claude, Cursor, VS Code and others) operate
OpenClaw instances in the cloud. Your client starts it, once you have set it up:

  openclaw-mcp login            save your API key
  openclaw-mcp install CLIENT   add it to a client; --list shows the clients
  openclaw-mcp status           your instances, and what's running
  openclaw-mcp chat             talk to an instance's agent

No account? These work on this machine:

  openclaw-mcp demo             watch a session, in a few seconds
  openclaw-mcp chat --local     talk to a local agent
  openclaw-mcp install CLIENT --local

'openclaw-mcp --help' shows everything. It serves MCP on standard input and
output when a program starts it, and over HTTP with --http ADDR.
`))
}

func versionCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		Run:   func(*cobra.Command, []string) { c.printVersion() },
	}
}

func (c *console) printVersion() { fmt.Fprintln(c.stdout, "openclaw-mcp", c.version) }
