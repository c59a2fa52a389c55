package apps

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"openclaw-mcp/internal/loopback"
)

// Client is how one MCP client is connected.
type Client struct {
	ID, Name string
	Hint     string // where it goes, in a few words
	Steps    []Step
	Note     string
}

// Step is something to do.
type Step struct {
	Text string
	File string // what Code goes into
	Code string // to be copied
}

// Short reports whether the code is one line, which is shown whole; longer code
// keeps its lines.
func (s Step) Short() bool { return !strings.Contains(s.Code, "\n") }

// entry is a server in a client's settings. Clients differ in the names.
type entry struct {
	Type      string            `json:"type,omitempty"`
	URL       string            `json:"url,omitempty"`
	ServerURL string            `json:"serverUrl,omitempty"`
	HTTPURL   string            `json:"httpUrl,omitempty"`
	Command   string            `json:"command,omitempty"`
	Args      []string          `json:"args,omitempty"`
	Env       map[string]string `json:"env,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
}

type servers map[string]entry

// input is a value that VS Code asks its user for, and keeps safe.
type input struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	Description string `json:"description"`
	Password    bool   `json:"password"`
}

// credential is the header that a caller sends; none for the zero value.
type credential struct {
	header, prefix, placeholder, what string
}

func credentialFor(auth Auth, keyHeader string) credential {
	switch auth {
	case Token:
		return credential{"Authorization", "Bearer ", "YOUR_TOKEN", "token"}
	case Key:
		c := credential{keyHeader, "", "YOUR_OPENCLAW_API_KEY", "API key"}
		if strings.EqualFold(keyHeader, "Authorization") {
			c.prefix = "Bearer "
		}
		return c
	default:
		return credential{}
	}
}

func (c credential) headers(value string) map[string]string {
	if c.header == "" {
		return nil
	}
	return map[string]string{c.header: c.prefix + value}
}

// flag is the header as an argument of a command.
func (c credential) flag() string {
	if c.header == "" {
		return ""
	}
	return " --header \"" + c.header + ": " + c.prefix + c.placeholder + "\""
}

// Clients tells how to connect each client to the MCP endpoint.
func Clients(endpoint *url.URL, auth Auth, keyHeader string) []Client {
	u, c := endpoint.String(), credentialFor(auth, keyHeader)
	headers := c.headers(c.placeholder)
	login := ""
	if auth == OAuth {
		login = "Your browser opens for you to log in when the client first connects."
	}
	file := func(name string, settings any) []Step {
		return []Step{{Text: "Put this into", File: name, Code: indented(settings)}}
	}
	mcpServers := func(e entry) any {
		return struct {
			Servers servers `json:"mcpServers"`
		}{servers{"openclaw": e}}
	}

	claude := Client{ID: "claude", Name: "Claude Desktop and claude.ai", Note: login}
	if endpoint.Scheme == "https" && c.header == "" && !loopback.Host(endpoint.Hostname()) {
		claude.Hint = "custom connector"
		claude.Steps = []Step{{Text: "Open Settings, then Connectors, choose “Add custom connector”, name it OpenClaw and paste this address:", Code: u}}
	} else {
		claude.Hint = "claude_desktop_config.json"
		claude.Steps = file("claude_desktop_config.json", mcpServers(c.bridge(endpoint)))
		claude.Note = "A custom connector, and so claude.ai, needs an https address that the internet reaches, without a header. " +
			"Claude Desktop gets here through mcp-remote, which needs Node.js."
	}

	vscode := struct {
		Servers servers `json:"servers"`
		Inputs  []input `json:"inputs,omitempty"`
	}{Servers: servers{"openclaw": {Type: "http", URL: u, Headers: c.headers("${input:openclaw}")}}}
	vscodeNote := login
	if c.header != "" {
		vscode.Inputs = []input{{"promptString", "openclaw", "OpenClaw " + c.what, true}}
		vscodeNote = "VS Code asks for the " + c.what + " once and keeps it out of the file."
	}

	code := []Step{{Text: "Run", Code: "claude mcp add --transport http openclaw " + u + c.flag()}}
	codeNote := login
	if auth == OAuth {
		codeNote = "Then type /mcp in a session and choose “Authenticate”."
	}

	return []Client{
		claude,
		{ID: "claude-code", Name: "Claude Code", Hint: "one command", Steps: code, Note: codeNote},
		{ID: "cursor", Name: "Cursor", Hint: "~/.cursor/mcp.json", Note: login,
			Steps: file("~/.cursor/mcp.json", mcpServers(entry{URL: u, Headers: headers}))},
		{ID: "vscode", Name: "VS Code", Hint: ".vscode/mcp.json", Note: vscodeNote, Steps: file(".vscode/mcp.json", vscode)},
		{ID: "windsurf", Name: "Windsurf", Hint: "mcp_config.json", Note: login,
			Steps: file("~/.codeium/windsurf/mcp_config.json", mcpServers(entry{ServerURL: u, Headers: headers}))},
		{ID: "zed", Name: "Zed", Hint: "settings.json", Note: login, Steps: file("~/.config/zed/settings.json", struct {
			Servers servers `json:"context_servers"`
		}{servers{"openclaw": {URL: u, Headers: headers}}})},
		codex(u, auth, c),
		{ID: "gemini", Name: "Gemini CLI", Hint: "~/.gemini/settings.json", Note: login,
			Steps: file("~/.gemini/settings.json", mcpServers(entry{HTTPURL: u, Headers: headers}))},
		{ID: "other", Name: "Any other client", Hint: "settings and a test", Note: login, Steps: []Step{
			{Text: "Most settings look much like this; names differ, the values do not.", Code: indented(mcpServers(entry{Type: "http", URL: u, Headers: headers}))},
			{Text: "To see from a shell that the server answers, run", Code: curl(u, c)},
		}},
	}
}

// codex keeps secrets in variables, not in its file.
func codex(u string, auth Auth, c credential) Client {
	toml := "[mcp_servers.openclaw]\nurl = " + strconv.Quote(u) + "\n"
	client := Client{ID: "codex", Name: "Codex", Hint: "~/.codex/config.toml"}
	switch {
	case c.header == "":
	case c.prefix != "":
		toml += "bearer_token_env_var = \"OPENCLAW_TOKEN\"\n"
	default:
		toml += "env_http_headers = { " + strconv.Quote(c.header) + " = \"OPENCLAW_TOKEN\" }\n"
	}
	client.Steps = []Step{{Text: "Put this into", File: "~/.codex/config.toml", Code: toml}}
	switch {
	case c.header != "":
		client.Steps = append(client.Steps, Step{Text: "and the " + c.what + " into the environment that Codex starts in:", Code: "export OPENCLAW_TOKEN=" + c.placeholder})
	case auth == OAuth:
		client.Steps = append(client.Steps, Step{Text: "Then log in:", Code: "codex mcp login openclaw"})
	}
	return client
}

// bridge runs mcp-remote for a client that only starts programs. The header's
// value is a variable, since some clients break arguments at spaces.
func (c credential) bridge(endpoint *url.URL) entry {
	e := entry{Command: "npx", Args: []string{"-y", "mcp-remote", endpoint.String()}}
	if endpoint.Scheme == "http" && !loopback.Host(endpoint.Hostname()) {
		e.Args = append(e.Args, "--allow-http")
	}
	if c.header != "" {
		e.Args = append(e.Args, "--header", c.header+":${OPENCLAW_AUTH}")
		e.Env = map[string]string{"OPENCLAW_AUTH": c.prefix + c.placeholder}
	}
	return e
}

func curl(u string, c credential) string {
	lines := []string{"curl -sS " + u, "-H 'Content-Type: application/json'", "-H 'Accept: application/json, text/event-stream'"}
	if c.header != "" {
		lines = append(lines, "-H '"+c.header+": "+c.prefix+c.placeholder+"'")
	}
	lines = append(lines, `-d '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1"}}}'`)
	return strings.Join(lines, " \\\n  ")
}

// indented is JSON as people write it. Types of this package always encode.
func indented(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the template escapes
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return b.String()
}
