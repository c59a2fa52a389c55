package resources

import (
	_ "embed"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
)

// skillURI names a page that teaches an agent how to work with this server.
const skillURI = "skill://openclaw/SKILL.md"

//go:embed skill.md
var skill string

// skillResource is the page in the list.
func skillResource() mcp.Resource {
	_, about, _ := strings.Cut(skill, "description: ")
	about, _, _ = strings.Cut(about, "\n")
	return mcp.NewResource(skillURI, "openclaw/SKILL.md", mcp.WithResourceTitle("How to work with OpenClaw instances"),
		mcp.WithMIMEType(mimeMarkdown), mcp.WithResourceDescription(about), mcp.WithResourceSize(int64(len(skill))))
}
