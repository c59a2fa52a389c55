// Package keyfile keeps an API key in a file that only its owner can read.
package keyfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"openclaw-mcp/internal/filewatch"
	"openclaw-mcp/internal/secret"
)

// ConfigDir is the folder in which this user's applications keep their
// configuration, on a system named as in runtime.GOOS; "" where the environment
// names no home folder.
func ConfigDir(system string, env func(string) string) string {
	home := env("HOME")
	if system == "windows" {
		if dir := env("APPDATA"); dir != "" {
			return dir
		}
		home = env("USERPROFILE")
	}
	// The XDG specification says to ignore relative paths.
	if dir := env("XDG_CONFIG_HOME"); system != "windows" && system != "darwin" && filepath.IsAbs(dir) {
		return dir
	}
	if home == "" {
		return ""
	}
	switch system {
	case "windows":
		return filepath.Join(home, "AppData", "Roaming")
	case "darwin":
		return filepath.Join(home, "Library", "Application Support")
	}
	return filepath.Join(home, ".config")
}

// Path is the file in which `openclaw-mcp login` keeps the key, below ConfigDir.
func Path(configDir string) string { return filepath.Join(configDir, "openclaw-mcp", "api-key") }

// Check refuses what no key can be. Its error does not repeat the key.
func Check(key string) error {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the API key must be one word of ASCII characters, without spaces or line breaks")
	}
	if err := secret.CheckWord(key); err != nil {
		return fmt.Errorf("the API key %w", err)
	}
	return nil
}

// Read reads the key from its file.
func Read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil {
		err = filewatch.Trusted(path, st)
	}
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(string(filewatch.WithoutMark(b)))
	if Check(key) != nil {
		return "", fmt.Errorf("%s must hold one key and nothing else", path)
	}
	return key, nil
}

// Save writes the key to its file with mode 0600, all or nothing.
func Save(path, key string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, ".api-key-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // it is gone where all went well
	_, err = temp.WriteString(key + "\n")
	err = errors.Join(err, temp.Sync())
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// Masked shows which key it is without giving it away.
func Masked(key string) string {
	if len(key) < 16 {
		return "***"
	}
	return key[:3] + "…" + key[len(key)-4:]
}
