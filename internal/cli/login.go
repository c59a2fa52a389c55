package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/install"
	"openclaw-mcp/internal/keyfile"
	"openclaw-mcp/internal/secret"
)

func loginCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "login",
		Short: "Save your API key, for all commands and clients",
		Long: `Save your API key, for all commands and clients.

It asks for the key, which isn't shown as you type, or reads it from standard
input if that is not a terminal. It checks the key and, if the service accepts
it, saves it in a file that only you can read. The variables OPENCLAW_API_KEY
and OPENCLAW_API_KEY_FILE take precedence over it.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 { // perhaps the key, which is not repeated
				return usagef("login takes no arguments; %s", asksForKey)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return runLogin(cmd.Context(), c) },
	}
}

// asksForKey says why login takes the key in no other way.
const asksForKey = "it asks for the key, or reads it from standard input, so that it does not stay in your shell's history"

func logoutCommand(c *console) *cobra.Command {
	return &cobra.Command{
		Use:   "logout",
		Short: "Delete the API key that login saved",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if c.local {
				return usagef("--local needs no key, so there is nothing to log out of")
			}
			path, err := c.loginFile()
			if err != nil {
				return err
			}
			switch err := os.Remove(path); {
			case errors.Is(err, fs.ErrNotExist):
				fmt.Fprintln(c.stdout, "You are not logged in.")
			case err != nil:
				return err
			default:
				fmt.Fprintf(c.stdout, "Logged out: %s is deleted.\n", path)
			}
			c.warnOfVariables("is still set and will be used.")
			return nil
		},
	}
}

// loginFile is where login keeps the key.
func (c *console) loginFile() (string, error) {
	path := config.LoginFile(c.variables())
	if path == "" {
		return "", errors.New("can't tell where to save the key: HOME (APPDATA on Windows) is not set to an absolute path")
	}
	return path, nil
}

func (c *console) warnOfVariables(that string) {
	for _, name := range []string{"OPENCLAW_API_KEY", "OPENCLAW_API_KEY_FILE"} {
		if c.variable(name) != "" {
			c.say(dim, name+" "+that)
		}
	}
}

func runLogin(ctx context.Context, c *console) error {
	if c.local {
		return usagef("--local needs no key, so there is nothing to log in to")
	}
	path, err := c.loginFile()
	if err != nil {
		return err
	}
	// Only the address is needed: a key that is set already may be a wrong one.
	cfg, err := config.Read(append(c.environ, "OPENCLAW_API_KEY=none", "OPENCLAW_API_KEY_FILE="))
	if err != nil {
		return config.Wrong(err)
	}
	key, err := c.askKey(ctx, cfg.BaseURL)
	if err != nil {
		return err
	}
	instances, err := c.tryKey(ctx, cfg.BaseURL, key)
	if errors.Is(err, install.ErrRefused) {
		return exitWith(1, "The"+strings.TrimPrefix(err.Error(), "the")+" and was not saved.")
	}
	if err != nil {
		return fmt.Errorf("%w; it was not saved", err)
	}
	if err := keyfile.Save(path, key); err != nil {
		return fmt.Errorf("the key can't be saved: %w", err)
	}
	fmt.Fprintf(c.stdout, "Logged in to %s with the key %s: %s.\nThe key is saved in %s.\n", cfg.BaseURL, keyfile.Masked(key), count(instances, "instance"), path)
	c.warnOfVariables("is set, and takes precedence.")
	return nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// askKey asks the person for the API key, which isn't shown, or reads it from
// what is no terminal.
func (c *console) askKey(ctx context.Context, baseURL string) (string, error) {
	key, err := c.readSecret(ctx, "API key from "+account(baseURL)+" (not shown as you type): ")
	if err != nil {
		return "", err
	}
	key = strings.TrimSpace(key)
	if key == "" {
		return "", usagef("no key was given; yours is in your account at %s", account(baseURL))
	}
	if err := secret.CheckWord(key); err != nil {
		return "", fmt.Errorf("the API key %w", err)
	}
	return key, keyfile.Check(key)
}

// account is where people get their keys: a page, or the host of a service whose pages
// are not known.
func account(baseURL string) string {
	if baseURL == config.DefaultBaseURL {
		return "https://" + host(baseURL) + "/account"
	}
	return host(baseURL)
}

// host is whom an address belongs to.
func host(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return address
}

// readSecret reads a line without showing it. When ctx ends, it gives the
// terminal back as it was.
func (c *console) readSecret(ctx context.Context, prompt string) (string, error) {
	f, ok := c.stdin.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		b, err := io.ReadAll(io.LimitReader(c.stdin, 64<<10))
		return string(b), err
	}
	// Nothing is echoed from before the prompt shows: who sees it may type at once.
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return "", err
	}
	cancelled := true
	defer func() {
		_ = term.Restore(int(f.Fd()), before)
		if cancelled {
			fmt.Fprintln(c.stderr)
		}
	}()
	read := make(chan typedLine, 1)
	go func() { // a read from a terminal can't be cancelled
		text, err := term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{f, c.stderr}, "").ReadPassword(prompt)
		read <- typedLine{text, err}
	}()
	select {
	case line := <-read:
		if errors.Is(line.err, io.EOF) { // Ctrl-C or Ctrl-D
			return "", errCancelled
		}
		cancelled = false
		return line.text, line.err
	case <-ctx.Done():
		return "", errCancelled
	}
}

// tryKey asks the service for the key's instances, and says how many there are.
func (c *console) tryKey(ctx context.Context, baseURL, key string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	service, err := client.New(nil, baseURL, key, client.WithUserAgent("openclaw-mcp/"+c.version))
	if err != nil {
		return 0, err
	}
	defer service.CloseIdleConnections()
	page, err := service.Instances.List(ctx)
	if failure, ok := errors.AsType[*client.Error](err); ok && (failure.Status == 401 || failure.Status == 403) {
		return 0, fmt.Errorf("%w (%d)", install.ErrRefused, failure.Status)
	}
	if err != nil {
		at := baseURL
		if at != config.DefaultBaseURL {
			at += " (OPENCLAW_API_BASE_URL)"
		}
		return 0, fmt.Errorf("the key could not be checked at %s: %w", at, err)
	}
	return len(page.Items), nil
}
