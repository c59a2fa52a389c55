package install

import (
	"os"
	"path/filepath"
	"strings"

	"openclaw-mcp/internal/keyfile"
)

// member is a key of an object with its value: a string, a []string or an object.
type member struct {
	key   string
	value any
}

// object is a part of a configuration; its order is kept.
type object []member

// server is what an entry describes: a program to start, or a URL.
type server struct {
	command string
	args    []string
	env     object

	url   string
	token string // for a URL: sent as a bearer token; empty: none
}

// client is a program that can use MCP servers, and how it is configured.
type client struct {
	name, title string
	container   string // the object or table that holds the servers
	format      format
	path        func(p places) string
	entry       func(s server) object
	then        string // what its user does next
}

// places says where this user's configurations are.
type places struct {
	goos, home string
	env        func(string) string
}

// config is the folder in which applications keep their configuration.
func (p places) config() string {
	return keyfile.ConfigDir(p.goos, func(name string) string {
		if name == "HOME" || name == "USERPROFILE" {
			return p.home
		}
		return p.env(name)
	})
}

// orHome is the folder that a variable names, else one below the home folder.
func (p places) orHome(variable string, below ...string) string {
	if dir := p.env(variable); dir != "" {
		return dir
	}
	return filepath.Join(append([]string{p.home}, below...)...)
}

// clients are all known clients, in the order in which they are listed.
func clients() []client {
	return []client{
		{
			name: "claude-desktop", title: "Claude Desktop", container: "mcpServers", format: jsonFormat{},
			path:  claudeDesktopConfig,
			entry: claudeDesktop, then: "Quit Claude Desktop and start it again.",
		},
		{
			name: "claude-code", title: "Claude Code", container: "mcpServers", format: jsonFormat{},
			path:  func(p places) string { return filepath.Join(p.orHome("CLAUDE_CONFIG_DIR"), ".claude.json") },
			entry: typed("stdio", "http"), then: "Start a new session of Claude Code; /mcp shows the server.",
		},
		{
			name: "cursor", title: "Cursor", container: "mcpServers", format: jsonFormat{},
			path:  func(p places) string { return filepath.Join(p.home, ".cursor", "mcp.json") },
			entry: remoteKey("url"), then: "Cursor's settings list the server under MCP; switch it on there.",
		},
		{
			name: "vscode", title: "VS Code", container: "servers", format: jsonFormat{},
			path:  func(p places) string { return filepath.Join(p.config(), "Code", "User", "mcp.json") },
			entry: typed("stdio", "http"), then: "In VS Code, run the command \"MCP: List Servers\" and start it.",
		},
		{
			name: "windsurf", title: "Windsurf", container: "mcpServers", format: jsonFormat{},
			path:  func(p places) string { return filepath.Join(p.home, ".codeium", "windsurf", "mcp_config.json") },
			entry: remoteKey("serverUrl"), then: "Refresh the MCP servers in Cascade.",
		},
		{
			name: "zed", title: "Zed", container: "context_servers", format: jsonFormat{},
			path:  zedSettings,
			entry: remoteKey("url"), then: "Zed starts the server by itself; its agent settings show it.",
		},
		{
			name: "codex", title: "Codex", container: "mcp_servers", format: tomlFormat{},
			path:  func(p places) string { return filepath.Join(p.orHome("CODEX_HOME", ".codex"), "config.toml") },
			entry: codex, then: "Start a new session of Codex; /mcp shows the server.",
		},
		{
			name: "gemini", title: "Gemini CLI", container: "mcpServers", format: jsonFormat{},
			path: func(p places) string {
				return filepath.Join(p.orHome("GEMINI_CLI_HOME"), ".gemini", "settings.json")
			},
			entry: remoteKey("httpUrl"), then: "Start Gemini CLI again; /mcp shows the server.",
		},
		{
			name: "json", title: "any other client", container: "mcpServers", format: jsonFormat{},
			path:  func(places) string { return "" },
			entry: remoteKey("url"),
		},
	}
}

// claudeDesktopConfig: on Windows, Claude Desktop is a packaged app, which has a
// private copy of the folder of configurations and never sees the real one.
func claudeDesktopConfig(p places) string {
	below := filepath.Join("Claude", "claude_desktop_config.json")
	if p.goos != "windows" {
		return filepath.Join(p.config(), below)
	}
	packages := filepath.Join(p.orHome("LOCALAPPDATA", "AppData", "Local"), "Packages")
	entries, _ := os.ReadDir(packages) // none: it is not packaged
	found := filepath.Join(p.config(), below)
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), "Claude_") {
			continue
		}
		found = filepath.Join(packages, e.Name(), "LocalCache", "Roaming", below)
		if _, err := os.Stat(found); err == nil {
			break
		}
	}
	return found
}

// zedSettings: Zed follows XDG on Linux alone, and has ~/.config on macOS too.
func zedSettings(p places) string {
	switch p.goos {
	case "windows":
		return filepath.Join(p.config(), "Zed", "settings.json")
	case "darwin":
		return filepath.Join(p.home, ".config", "zed", "settings.json")
	}
	return filepath.Join(p.config(), "zed", "settings.json")
}

// local is the entry of a program that the client starts.
func (s server) local() object {
	o := object{{"command", s.command}}
	if len(s.args) > 0 {
		o = append(o, member{"args", s.args})
	}
	if len(s.env) > 0 {
		o = append(o, member{"env", s.env})
	}
	return o
}

// remote is the entry of a URL, with these names for its two parts.
func (s server) remote(url, headers string) object {
	o := object{{url, s.url}}
	if s.token != "" {
		o = append(o, member{headers, object{{"Authorization", "Bearer " + s.token}}})
	}
	return o
}

// typed is for clients whose entries name their type.
func typed(local, remote string) func(server) object {
	return func(s server) object {
		if s.url != "" {
			return append(object{{"type", remote}}, s.remote("url", "headers")...)
		}
		return append(object{{"type", local}}, s.local()...)
	}
}

// remoteKey is for clients that tell the kinds apart by the URL's key.
func remoteKey(key string) func(server) object {
	return func(s server) object {
		if s.url != "" {
			return s.remote(key, "headers")
		}
		return s.local()
	}
}

func codex(s server) object {
	if s.url != "" {
		return s.remote("url", "http_headers")
	}
	return s.local()
}

// claudeDesktop starts programs only; for a URL it starts mcp-remote, the
// usual bridge, which needs Node.js.
func claudeDesktop(s server) object {
	if s.url == "" {
		return s.local()
	}
	bridge := server{command: "npx", args: []string{"-y", "mcp-remote", s.url}}
	if strings.HasPrefix(s.url, "http:") {
		bridge.args = append(bridge.args, "--allow-http")
	}
	if s.token != "" {
		// The header's space must not be in an argument: on Windows it would split it.
		bridge.args = append(bridge.args, "--header", "Authorization:${AUTH_HEADER}")
		bridge.env = object{{"AUTH_HEADER", "Bearer " + s.token}}
	}
	return bridge.local()
}

// transports are the keys that say how a server is reached; two kinds in one
// entry contradict each other.
var transports = []string{"command", "url", "httpUrl", "serverUrl"}

// keyVariables are the variables that give the key, of which one may be set.
var keyVariables = []string{"OPENCLAW_API_KEY", "OPENCLAW_API_KEY_FILE"}
