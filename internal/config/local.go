package config

import (
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
)

// checkLocalModel checks the settings of the local agent's model, and chooses
// the folder of what it does: a conversation with a model is worth keeping.
func (c *Config) checkLocalModel(set map[string]string, bad func(name, format string, a ...any)) {
	if c.LocalModelSteps < 1 || c.LocalModelSteps > 200 {
		bad("OPENCLAW_LOCAL_MODEL_STEPS", "is %d; it must be from 1 to 200", c.LocalModelSteps)
	}
	if strings.ContainsFunc(string(c.LocalModelKey), func(r rune) bool { return r <= ' ' || r > '~' }) {
		bad("OPENCLAW_LOCAL_MODEL_KEY", "holds a space, a line break or another character that no key has; it must be one word of ASCII characters")
	}
	if c.LocalDir == "" {
		c.LocalDir, c.LocalDirDefault = DataDir(runtime.GOOS, set), true
	}
	// The demo has no home, and uses nothing of its user's.
	c.FindModel = c.LocalModelURL == "" && c.LocalDir != ""
	if c.LocalModelURL == "none" {
		c.LocalModelURL = ""
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
		bad("OPENCLAW_LOCAL_DIR", "must be set, because your home folder, which would keep the sessions, is not known")
	}
}

// DataDir gives the folder of this user for the local service, by the habits of
// the system; "" where the environment names no home.
func DataDir(system string, set map[string]string) string {
	return ownDir(system, set, "XDG_DATA_HOME", ".local/share", "local")
}

// StateDir gives the folder in which this user's processes meet, by the same rules.
func StateDir(system string, set map[string]string) string {
	name := "state"
	if system != "windows" && system != "darwin" {
		name = "" // the folder is for state alone
	}
	return ownDir(system, set, "XDG_STATE_HOME", ".local/state", name)
}

// ownDir gives a folder for one thing. variable and home are where the XDG rules have
// it: a folder that a variable names, or one below the home folder.
func ownDir(system string, set map[string]string, variable, home, name string) string {
	under := func(name string, more ...string) string {
		if !filepath.IsAbs(set[name]) {
			return ""
		}
		return filepath.Join(append([]string{set[name]}, more...)...)
	}
	switch system {
	case "windows":
		return under("LOCALAPPDATA", "openclaw-mcp", name)
	case "darwin":
		return under("HOME", "Library", "Application Support", "openclaw-mcp", name)
	}
	if dir := under(variable, "openclaw-mcp", name); dir != "" {
		return dir
	}
	return under("HOME", filepath.FromSlash(home), "openclaw-mcp", name)
}
