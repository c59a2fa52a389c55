package install

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"openclaw-mcp/internal/keyfile"
)

// apiKey is the key of an installation, and the file that holds it or will.
type apiKey struct {
	value string
	file  string
	write bool // the file has to be written
	found bool // it is there from before
}

const noKey = `there is no API key to install; there are these choices:

  run 'openclaw-mcp login'    it saves your key for all commands and clients
  set OPENCLAW_API_KEY        it is written to a file that only you can read
  set OPENCLAW_API_KEY_FILE   to a file that holds it
  run this in a terminal      you'll be asked for it
  pass --local                no account: a local instance, on this machine
  pass --http URL             a server that runs elsewhere`

// key finds the key: in the environment, in the file of an earlier
// installation, or by asking.
func (c *command) key() (apiKey, error) {
	keyFile := keyfile.Path(c.places.config())
	if c.Name != defaultName {
		keyFile += "-" + c.Name
	}
	k := apiKey{file: keyFile}
	env, envFile := strings.TrimSpace(c.places.env("OPENCLAW_API_KEY")), c.places.env("OPENCLAW_API_KEY_FILE")
	if env != "" && envFile != "" {
		return k, usagef("OPENCLAW_API_KEY_FILE and OPENCLAW_API_KEY are both set; set one of them")
	}
	var err error
	switch {
	case env != "":
		k.value = env
	case envFile != "":
		if k.file, err = filepath.Abs(envFile); err != nil {
			return k, err
		}
		if k.value, err = keyfile.Read(k.file); err != nil {
			return k, fmt.Errorf("OPENCLAW_API_KEY_FILE can't be used: %w", err)
		}
		k.found = true
		return k, nil
	default:
		k.value, err = keyfile.Read(keyFile)
		if err == nil {
			k.found = true
			return k, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return k, err
		}
		if c.DryRun && !c.KeyInConfig {
			k.write = true // whatever the key will be
			return k, nil
		}
		if k.value, err = c.ask(); err != nil {
			return k, err
		}
	}
	if err := keyfile.Check(k.value); err != nil {
		return k, err
	}
	if c.KeyInConfig {
		return k, nil
	}
	old, err := os.ReadFile(keyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k.found = err == nil
	k.write = strings.TrimSpace(string(old)) != k.value
	return k, nil
}

// ask asks for the key on a terminal, where it isn't shown as it is typed.
func (c *command) ask() (string, error) {
	in, ok := c.Stdin.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", usagef("%s", noKey)
	}
	fmt.Fprint(c.Stderr, "API key (not shown as you type): ")
	b, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(c.Stderr)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return string(bytes.TrimSpace(b)), nil
}
