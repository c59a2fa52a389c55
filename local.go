package main

import (
	"log/slog"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"openclaw-mcp/internal/emulator"
)

// checkLocalModel checks the settings of the local agent's model, and chooses
// the folder of what it does: a conversation with a model is worth keeping.
func (c *config) checkLocalModel(set map[string]string, bad func(name, format string, a ...any)) {
	if c.LocalModelSteps < 1 || c.LocalModelSteps > 200 {
		bad("OPENCLAW_LOCAL_MODEL_STEPS", "is %d; it must be from 1 to 200", c.LocalModelSteps)
	}
	if strings.ContainsFunc(string(c.LocalModelKey), func(r rune) bool { return r <= ' ' || r > '~' }) {
		bad("OPENCLAW_LOCAL_MODEL_KEY", "holds a space, a line break or another character that no key has; it must be one word of ASCII characters")
	}
	if c.LocalModelURL == "" {
		if c.LocalModel != "" {
			bad("OPENCLAW_LOCAL_MODEL", "needs OPENCLAW_LOCAL_MODEL_URL, the service that has the model, such as http://127.0.0.1:11434")
		}
		if c.LocalModelKey != "" {
			bad("OPENCLAW_LOCAL_MODEL_KEY", "needs OPENCLAW_LOCAL_MODEL_URL, the service that it is for, such as https://api.openai.com")
		}
		return
	}
	if u, err := url.Parse(c.LocalModelURL); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.User != nil || strings.ContainsAny(c.LocalModelURL, "?#") {
		bad("OPENCLAW_LOCAL_MODEL_URL", "must be an http or https URL without a user name, query or fragment, such as http://127.0.0.1:11434")
	}
	if c.LocalDir == "" {
		if c.LocalDir = dataDir(runtime.GOOS, set); c.LocalDir == "" {
			bad("OPENCLAW_LOCAL_DIR", "must be set: no home folder is known to keep sessions in")
		}
	}
}

// dataDir gives the folder of this user for the local service, by the habits of
// the system; "" where the environment names no home.
func dataDir(system string, set map[string]string) string {
	under := func(name string, more ...string) string {
		if !filepath.IsAbs(set[name]) {
			return ""
		}
		return filepath.Join(append([]string{set[name]}, append(more, "openclaw-mcp", "local")...)...)
	}
	switch system {
	case "windows":
		return under("LOCALAPPDATA")
	case "darwin":
		return under("HOME", "Library", "Application Support")
	}
	if dir := under("XDG_DATA_HOME"); dir != "" {
		return dir
	}
	return under("HOME", ".local", "share")
}

// localOptions configures the embedded service.
func localOptions(cfg config, log *slog.Logger) (emulator.Options, error) {
	opts := emulator.Options{Dir: cfg.LocalDir, VNC: cfg.LocalVNC, CreateDelay: 3 * time.Second, Logger: log}
	if cfg.LocalModelURL == "" {
		opts.Pace = 20 * time.Millisecond // so that streaming can be seen
		return opts, nil
	}
	var err error
	opts.Agent, err = emulator.ModelAgent(emulator.ModelOptions{URL: cfg.LocalModelURL, Model: cfg.LocalModel,
		Key: string(cfg.LocalModelKey), Steps: cfg.LocalModelSteps})
	return opts, err
}
