package tools

import (
	"cmp"
	"context"
	"mime"
	"net/url"
	"path"
	"strings"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/mark3labs/mcp-go/server"
)

// Link points from a result to a resource that shows more of it, or that can be
// followed afterwards.
type Link struct {
	URI, Name, Title, Description, MIMEType string
}

// linker is an output with links to resources.
type linker interface{ links() []Link }

// firstWithLinks is the protocol version that introduced resource links. Clients of
// earlier ones refuse results with links.
const firstWithLinks = mcp.ProtocolVersion20250618

// withLinks adds links to a result if the client of ctx's request supports them.
func withLinks(ctx context.Context, result *mcp.CallToolResult, links []Link) *mcp.CallToolResult {
	if len(links) == 0 || server.RequestProtocolVersion(ctx) < firstWithLinks {
		return result
	}
	for _, l := range links {
		result.Content = append(result.Content, mcp.ResourceLink{
			Type: mcp.ContentTypeLink, URI: l.URI, Name: l.Name, Title: l.Title, Description: l.Description, MIMEType: l.MIMEType,
		})
	}
	return result
}

// messagesLink points to a session's history, if the session is known.
func messagesLink(instance, session string) []Link {
	if instance == "" || session == "" {
		return nil
	}
	name := "instances/" + url.PathEscape(instance) + "/sessions/" + url.PathEscape(session) + "/messages"
	return []Link{{
		URI: "openclaw://" + name, Name: name, Title: "Chat history",
		Description: "The session's messages; subscribe to be told of each new one.", MIMEType: "text/markdown",
	}}
}

// fileLink points to a file of an instance.
func fileLink(instance, file string) []Link {
	if instance == "" || file == "" {
		return nil
	}
	segments := strings.Split(strings.TrimPrefix(file, "/"), "/")
	for i, segment := range segments {
		segments[i] = url.PathEscape(segment)
	}
	name := "instances/" + url.PathEscape(instance) + "/files/" + strings.Join(segments, "/")
	return []Link{{
		URI: "openclaw://" + name, Name: name, Title: path.Base(file),
		Description: "The file; subscribe to be told of changes.",
		MIMEType:    cmp.Or(mime.TypeByExtension(path.Ext(file)), "application/octet-stream"),
	}}
}
