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
)

// apiKey is the key of an installation, and the file that holds it or will.
type apiKey struct {
	value string
	file  string
	write bool // the file has to be written
	found bool // it is there from before
}

const noKey = `there is no API key to install; there are these choices:

  set OPENCLAW_API_KEY        it is written to a file that only you can read
  set OPENCLAW_API_KEY_FILE   to a file that holds it
  run this on a terminal      it is asked for
  pass --local                no account: an embedded service on this machine
  pass --http URL             a server that runs elsewhere`

// key finds the key: in the environment, in the file of an earlier
// installation, or by asking.
func (c *command) key() (apiKey, error) {
	keyFile := filepath.Join(c.places.config(), "openclaw-mcp", "api-key")
	if c.name != defaultName {
		keyFile += "-" + c.name
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
		if k.value, err = readKey(k.file); err != nil {
			return k, fmt.Errorf("OPENCLAW_API_KEY_FILE can't be used: %w", err)
		}
		k.found = true
		return k, nil
	default:
		k.value, err = readKey(keyFile)
		if err == nil {
			k.found = true
			return k, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return k, err
		}
		if c.dryRun && !c.keyInConfig {
			k.write = true // whatever the key will be
			return k, nil
		}
		if k.value, err = c.ask(); err != nil {
			return k, err
		}
	}
	if err := checkKey(k.value); err != nil {
		return k, err
	}
	if c.keyInConfig {
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

// checkKey never repeats the key.
func checkKey(key string) error {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the API key must be one word of ASCII characters, without spaces or line breaks")
	}
	return nil
}

func readKey(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(b))
	if checkKey(key) != nil {
		return "", fmt.Errorf("%s must hold one key and nothing else", path)
	}
	return key, nil
}

// save writes the key where only its owner can read it, all or nothing.
func (k apiKey) save() error {
	dir := filepath.Dir(k.file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".api-key-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // it is gone where all went well
	_, err = temp.WriteString(k.value + "\n")
	err = errors.Join(err, temp.Sync())
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), k.file)
}
