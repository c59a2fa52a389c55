package resources

import (
	"context"
	"fmt"
	"strconv"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/text"
)

// readDocument gives a document that the service publishes as plain text, or the
// part of it from an offset on. Where there is more, a second item says so, and the
// metadata where to read on.
func (c *caller) readDocument(ctx context.Context, r ref) ([]mcp.ResourceContents, error) {
	doc, err := c.client.Documents.Get(ctx, r.document)
	if err != nil {
		return nil, err
	}
	whole := text.Plain(doc.Text)
	offset := int(r.number("offset", 0))
	if offset > len(whole) {
		return nil, invalid(r.uri, "parameter \"offset\" is %d, but the document has %d bytes", offset, len(whole))
	}
	part, from, end := text.Part(whole, offset, c.MaxChars)
	contents := mcp.TextResourceContents{URI: r.uri, MIMEType: doc.MediaType, Text: part}
	if len(part) == len(whole) {
		return []mcp.ResourceContents{contents}, nil
	}
	contents.Meta = map[string]any{"openclaw-mcp/offset": from, "openclaw-mcp/bytes": len(part), "openclaw-mcp/size": len(whole)}
	if end == len(whole) {
		return []mcp.ResourceContents{contents}, nil
	}
	next := withQuery(documentURI(doc.Name), "offset", strconv.Itoa(end))
	contents.Meta["openclaw-mcp/next"] = next
	return []mcp.ResourceContents{contents, mcp.TextResourceContents{URI: next, MIMEType: mimeText,
		Text: fmt.Sprintf("[the document goes on; this was byte %d to %d of %d; read on with %s]", from, end, len(whole), next)}}, nil
}
