// Package install puts this program into the configurations of MCP clients, and
// takes it out again. It edits their files' text where it must and nowhere else.
package install

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"openclaw-mcp/internal/keyfile"
)

// Setup is all that an installation takes from the process.
type Setup struct {
	Env    func(string) string // the value of a variable; empty: unset
	GOOS   string              // as runtime.GOOS
	Home   string              // the user's home folder; empty: from Env
	Exe    string              // path of this program, for the entry's command
	Now    func() time.Time    // for the names of backups
	Stdin  io.Reader           // asked for the key when it is a terminal
	Stdout io.Writer
	Stderr io.Writer

	// TryKey asks the service whether it accepts a key, before that is saved. Its
	// error is ErrRefused where it does not; nil: keys are not tried.
	TryKey func(key string) error
	// Confirm asks the person whether to make the change that was shown; nil: nobody is
	// asked.
	Confirm func(question string) (bool, error)
}

// ErrRefused says that the service refuses a key.
var ErrRefused = errors.New("the key was rejected")

// UsageError is an error of the command line.
type UsageError struct{ error }

func (e UsageError) Unwrap() error { return e.error }

func usagef(format string, a ...any) error {
	return UsageError{fmt.Errorf(format, a...)}
}

// Run is `openclaw-mcp install`. Errors of the command line are UsageErrors.
func Run(s Setup, o Options) error {
	c := &command{Setup: s, Options: o, places: places{goos: s.GOOS, home: s.Home, env: s.Env}}
	if err := c.prepare(); err != nil {
		return err
	}
	switch {
	case c.List:
		return c.listClients()
	case c.path == "":
		return c.print()
	case c.Uninstall:
		return c.takeOut()
	}
	return c.putIn()
}

// saveKey writes the key to its file, before anything names that.
func (c *command) saveKey(k apiKey) error {
	if !k.write {
		return nil
	}
	verb := "written to"
	if k.found {
		verb = "replaced in"
	}
	if c.DryRun {
		fmt.Fprintf(c.Stderr, "The key would be %s %s.\n", verb, k.file)
		return nil
	}
	if err := c.tryKey(k); err != nil {
		return err
	}
	if err := keyfile.Save(k.file, k.value); err != nil {
		return fmt.Errorf("the key can't be saved: %w", err)
	}
	fmt.Fprintf(c.Stderr, "The key was %s %s.\n", verb, k.file)
	return nil
}

// tryKey refuses a key that the service refuses. Where the service can't be
// reached, it says so, and a key that is there already is not replaced.
func (c *command) tryKey(k apiKey) error {
	if c.TryKey == nil {
		return nil
	}
	err := c.TryKey(k.value)
	if errors.Is(err, ErrRefused) {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	switch {
	case err == nil:
	case k.found && !c.Force:
		return fmt.Errorf("nothing was changed, and %s keeps its key: %w; --force replaces it by one that was not checked", k.file, err)
	default:
		fmt.Fprintf(c.Stderr, "Not checked: %v\n", err)
	}
	return nil
}

// confirm asks whether to do what comes next.
func (c *command) confirm(k apiKey, next ...string) error {
	if k.write {
		next = append(next, "save the API key in "+k.file)
	}
	if c.Confirm == nil || c.Yes || c.DryRun || len(next) == 0 {
		return nil
	}
	question := strings.Join(next, ", and ") + "?"
	yes, err := c.Confirm(strings.ToUpper(question[:1]) + question[1:])
	if err == nil && !yes {
		err = errors.New("nothing was changed: you did not confirm it")
	}
	return err
}

// asShown names the change that was shown.
func (c *command) asShown() string {
	if c.Config != "" {
		return "change this file as shown above"
	}
	return "change the configuration of " + c.client.title + " as shown above"
}

// open reads the configuration and what it has under the entry's name.
func (c *command) open() (f *file, existing any, err error) {
	if f, err = read(c.path); err != nil {
		return nil, nil, err
	}
	config, err := c.client.format.decode(f.text())
	if err != nil {
		return nil, nil, fmt.Errorf("%s was left as it is: %w", c.path, err)
	}
	servers, _ := config[c.client.container].(map[string]any)
	return f, servers[c.Name], nil
}

func (c *command) putIn() error {
	f, existing, err := c.open()
	if err != nil {
		return err
	}
	entry, k, err := c.entry()
	if err != nil {
		return err
	}
	if c.KeyInConfig {
		f.mode &^= 0o077 // others must not read the key
	}
	if existing != nil && installed(existing, entry.value()) {
		if err := c.confirm(k); err != nil {
			return err
		}
		if err := c.saveKey(k); err != nil {
			return err
		}
		if f.exists && f.stat.Mode().Perm() != f.mode && !c.DryRun {
			if err := os.Chmod(f.target, f.mode); err != nil {
				return err
			}
		}
		fmt.Fprintf(c.Stdout, "Already installed: %s has %q.\n", c.path, c.Name)
		return nil
	}
	edit := c.client.format.put
	if existing != nil {
		edit = c.client.format.replace
	}
	text, err := edit(f.text(), c.client.container, c.Name, rendering{members: entry})
	if err != nil {
		return fmt.Errorf("%s was left as it is: %w", c.path, err)
	}
	whole := f.withMark(text)
	if existing != nil && !c.Force {
		diff(c.Stdout, c.path, f.whole, whole)
		return fmt.Errorf("%s has another %q already; it was left as it is. --force makes the change above, --name adds another entry", c.path, c.Name)
	}
	if err := f.writable(); err != nil {
		return err
	}
	diff(c.Stdout, c.path, f.whole, whole)
	if err := c.confirm(k, c.asShown()); err != nil {
		return err
	}
	if err := c.saveKey(k); err != nil {
		return err
	}
	if c.DryRun {
		fmt.Fprintln(c.Stdout, "Nothing was written (--dry-run).")
		return nil
	}
	backup, err := f.write(whole, c.Now())
	if err != nil {
		return err
	}
	c.done(fmt.Sprintf("Installed in %s as %q", c.path, c.Name), backup)
	if c.client.then != "" && c.Config == "" {
		fmt.Fprintln(c.Stdout, c.client.then)
	}
	return nil
}

func (c *command) takeOut() error {
	f, existing, err := c.open()
	if err != nil {
		return err
	}
	if existing == nil {
		fmt.Fprintf(c.Stdout, "Not installed: %s has no %q.\n", c.path, c.Name)
		return nil
	}
	before, same := f.before(c.client.format, c.client.container, c.Name)
	if !same {
		text, err := c.client.format.drop(f.text(), c.client.container, c.Name)
		if err != nil {
			return fmt.Errorf("%s was left as it is: %w", c.path, err)
		}
		before = f.withMark(text)
	}
	if err := f.writable(); err != nil {
		return err
	}
	diff(c.Stdout, c.path, f.whole, before)
	if c.DryRun {
		fmt.Fprintln(c.Stdout, "Nothing was written (--dry-run).")
		return nil
	}
	if err := c.confirm(apiKey{}, c.asShown()); err != nil {
		return err
	}
	var backup string
	if same && before == nil {
		backup, err = f.remove(c.Now())
	} else {
		backup, err = f.write(before, c.Now())
	}
	if err != nil {
		return err
	}
	c.done("Removed from "+c.path, backup)
	entry, _ := existing.(map[string]any)
	env, _ := entry["env"].(map[string]any)
	if keyFile, ok := env["OPENCLAW_API_KEY_FILE"].(string); ok {
		fmt.Fprintf(c.Stdout, "The key stays in %s; delete that if nothing else uses it.\n", keyFile)
	}
	return nil
}

func (c *command) done(what, backup string) {
	fmt.Fprintf(c.Stdout, "%s.", what)
	if backup != "" {
		fmt.Fprintf(c.Stdout, " Backup: %s", backup)
	}
	fmt.Fprintln(c.Stdout)
}

// listClients lists the clients with their files.
func (c *command) listClients() error {
	for _, cl := range clients() {
		path, state, why := cl.path(c.places), "", ""
		if path == "" {
			fmt.Fprintf(c.Stdout, "%-15s prints an entry, or edits the --config file\n", cl.name)
			continue
		}
		one := *c
		one.client, one.path = cl, path
		switch f, existing, err := one.open(); {
		case err != nil:
			state, why = "can't be read", strings.TrimPrefix(err.Error(), path)
			if reason := errors.Unwrap(err); reason != nil {
				why = ": " + reason.Error()
			}
		case existing != nil:
			state = "installed"
		case f.exists:
			state = "not installed"
		default:
			state = "no file yet"
		}
		fmt.Fprintf(c.Stdout, "%-15s %-14s %s%s\n", cl.name, state, path, why)
	}
	return nil
}

// Process is the Setup of this process, given what only main may touch.
func Process(environ []string, stdin io.Reader, stdout, stderr io.Writer) (Setup, error) {
	exe, err := os.Executable()
	return Setup{
		GOOS: runtime.GOOS, Exe: exe, Now: time.Now, Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Env: func(name string) string {
			for _, v := range slices.Backward(environ) {
				if key, value, _ := strings.Cut(v, "="); key == name || runtime.GOOS == "windows" && strings.EqualFold(key, name) {
					return value
				}
			}
			return ""
		},
	}, err
}
