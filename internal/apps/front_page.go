package apps

import (
	"strings"

	g "maragu.dev/gomponents"
	h "maragu.dev/gomponents/html"
)

// frontPage is the page of the server's address in a browser. It is built of functions,
// not from a template: a program that has text/template in it must keep every exported
// method that there is, which made this one larger by a fifth.
func frontPage(info Info, url string, status Status, clients []Client) g.Node {
	return h.Doctype(h.HTML(h.Lang("en"),
		h.Head(
			h.Meta(h.Charset("utf-8")),
			h.Meta(h.Name("viewport"), h.Content("width=device-width, initial-scale=1")),
			h.Meta(h.Name("color-scheme"), h.Content("light dark")),
			h.TitleEl(g.Text("OpenClaw MCP server")),
			h.Meta(h.Name("description"), h.Content("Connect an MCP client to hosted OpenClaw instances.")),
			h.Link(h.Rel("icon"), h.Href("front.svg"), h.Type("image/svg+xml")),
			h.Link(h.Rel("stylesheet"), h.Href("front.css")),
			h.Script(h.Src("front.js"), h.Defer()),
			g.If(info.Auth == OAuth, h.Script(h.Src("oauth.js"), h.Defer())),
			h.Script(h.Src("console.js"), h.Defer()),
		),
		h.Body(
			h.A(h.Class("skip"), h.Href("#clients"), g.Text("Skip to the clients")),
			h.Main(h.Class("page"),
				h.Header(
					h.P(h.Class("brand"),
						h.Img(h.Src("front.svg"), h.Alt(""), h.Width("36"), h.Height("36")), g.Text(" "),
						h.Span(h.Class("product"), g.Text("openclaw-mcp")),
						g.If(info.Version != "", g.Group{g.Text(" "), h.Span(h.Class("version"), g.Text(info.Version))}),
					),
					h.H1(g.Text("Your OpenClaw instances in any MCP client")),
					h.P(h.Class("lead"), g.Text("This is an MCP server. Connect an AI assistant to it, and it can talk to the agent of an OpenClaw "+
						"instance, run commands, edit files, use a terminal and the desktop, and start or stop instances.")),
					g.If(status != Unknown, statusLine(status, info.Local)),
					h.Section(h.Class("endpoint"), h.Aria("labelledby", "address"),
						h.H2(h.ID("address"), g.Text("Address of this server")),
						codeToCopy("Address of this server", url, true),
						h.P(howToSignIn(info.Auth), g.Text(" The transport is streamable HTTP.")),
					),
					consoleSection(info),
				),
				h.Section(h.ID("clients"), h.Aria("labelledby", "clients-name"),
					h.H2(h.ID("clients-name"), g.Text("Connect a client")),
					h.P(h.Class("hint"), g.Text("Where a file has servers already, add the "), h.Code(g.Text("openclaw")), g.Text(" entry beside them.")),
					clientSections(clients),
				),
			),
			h.P(h.Class("said"), h.Role("status"), h.Aria("live", "polite"), h.ID("said")),
		),
	))
}

func statusLine(status Status, local bool) g.Node {
	text := "The OpenClaw service takes long to answer"
	switch {
	case status == Up && local:
		text = "The local instance is reachable"
	case status == Up:
		text = "The OpenClaw service is reachable"
	case status == Down:
		text = "The OpenClaw service can’t be reached right now; try again in a minute"
	}
	return h.P(h.Class("status "+string(status)), h.Role("status"),
		h.Span(h.Class("dot"), h.Aria("hidden", "true")), h.Span(g.Text(text)))
}

func howToSignIn(auth Auth) g.Node {
	put := func(what, placeholder, rest string) g.Node {
		return g.Group{h.Strong(g.Text(what)), g.Text(rest + ": put it where it says "), h.Code(g.Text(placeholder)), g.Text(".")}
	}
	switch auth {
	case Token:
		return g.Group{g.Text("You need a "), put("token", "YOUR_TOKEN", " from whoever runs this server")}
	case Key:
		return g.Group{g.Text("You need your own "), put("OpenClaw API key", "YOUR_OPENCLAW_API_KEY", ""), g.Text(" It is used for your requests alone.")}
	case OAuth:
		return g.Group{g.Text("You "), h.Strong(g.Text("log in")), g.Text(" with your browser when a client first connects.")}
	default:
		return g.Group{h.Strong(g.Text("No login")), g.Text(" is needed: whoever reaches this address may use it.")}
	}
}

// consoleSection is shown, and filled, by console.js.
func consoleSection(info Info) g.Node {
	secret, open := "Token", "Sign in"
	if info.Auth == Key {
		secret = "OpenClaw API key"
	}
	if info.Auth == None {
		open = "Open the console"
	}
	noSecret := g.If(info.Auth != Token && info.Auth != Key, hidden())
	view := func(view, tool, name string) g.Node {
		return h.Button(h.Type("button"), h.Data("view", view), g.If(tool != "", h.Data("tool", tool)), h.Aria("pressed", "false"), g.Text(name))
	}
	return h.Section(h.Class("console"), h.ID("console"), h.Data("auth", string(info.Auth)), h.Data("client", info.OAuthClient), h.Data("origins", strings.Join(signInOrigins(info), " ")),
		h.Aria("labelledby", "console-name"), hidden(),
		h.H2(h.ID("console-name"), g.Text("Console")),
		h.Form(h.ID("console-form"),
			h.P(g.Text("See your instances, follow runs, use a terminal or the desktop, here in the browser.")),
			h.Label(h.For("console-secret"), noSecret, g.Text(secret)),
			h.Input(h.ID("console-secret"), h.Type("password"), h.AutoComplete("off"), g.Attr("spellcheck", "false"), noSecret),
			h.Button(h.Type("submit"), g.Text(open)),
		),
		h.P(h.Class("say"), h.ID("console-say"), h.Role("status"), h.Aria("live", "polite")),
		h.Div(h.ID("console-work"), hidden(),
			h.Div(h.Class("tools"),
				h.Div(h.Role("group"), h.Aria("label", "View"),
					view("work", "list_work", "Work"),
					view("terminal", "open_terminal", "Terminal"),
					view("desktop", "follow_desktop", "Desktop"),
					view("clients", "", "Connect a client"),
				),
				h.Label(h.For("console-instance"), g.Text("Instance")),
				h.Select(h.ID("console-instance")),
				h.Button(h.Type("button"), h.ID("console-open"), hidden(), g.Text("New terminal")),
				h.Button(h.Type("button"), h.ID("console-out"), hidden(), g.Text("Sign out")),
			),
			h.Div(h.ID("console-page")),
		),
	)
}

func clientSections(clients []Client) g.Node {
	var all g.Group
	for i, c := range clients {
		body := g.Group{h.Class("body")}
		for _, s := range c.Steps {
			body = append(body,
				h.P(g.Text(s.Text), g.If(s.File != "", g.Group{g.Text(" "), h.Code(g.Text(s.File))})),
				codeToCopy(c.Name+": to copy", s.Code, s.Short()))
		}
		if c.Note != "" {
			body = append(body, h.P(h.Class("note"), g.Text(c.Note)))
		}
		all = append(all, h.Details(h.ID(c.ID), h.Name("client"), g.If(i == 0, g.Attr("open")),
			h.Summary(h.Span(h.Class("name"), g.Text(c.Name)), g.Text(" "), h.Span(h.Class("where"), g.Text(c.Hint))),
			h.Div(body)))
	}
	return all
}

// codeToCopy is text to be copied: front.js gives it a button.
func codeToCopy(label, text string, wrap bool) g.Node {
	return h.Div(h.Class("code"),
		h.Pre(g.If(wrap, h.Class("wrap")), h.TabIndex("0"), h.Aria("label", label), h.Code(g.Text(text))))
}

func hidden() g.Node { return g.Attr("hidden") }
