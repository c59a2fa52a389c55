package transport

import (
	"strings"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/text"
)

// What is kept of a client for as long as its session lasts, which may be a day, and
// there are thousands of them: what somebody asks for, and no more. As Go values, 64 KiB
// of capabilities take more than a megabyte.
const (
	maxKeptName  = 128 // bytes of a name
	maxKeptNames = 32  // extensions
)

// keptInfo is what is kept of what a client calls itself.
func keptInfo(i mcp.Implementation) mcp.Implementation {
	short := func(s string) string { return strings.Clone(text.Head(s, maxKeptName)) }
	return mcp.Implementation{Name: short(i.Name), Version: short(i.Version)}
}

// keptCapabilities is what is kept of what a client can do: of extensions, their names.
func keptCapabilities(c mcp.ClientCapabilities) mcp.ClientCapabilities {
	kept := mcp.ClientCapabilities{Elicitation: c.Elicitation, Roots: c.Roots, Sampling: c.Sampling}
	for name, settings := range c.Extensions {
		if settings == nil || len(name) > maxKeptName || len(kept.Extensions) == maxKeptNames {
			continue
		}
		if kept.Extensions == nil {
			kept.Extensions = make(map[string]any)
		}
		kept.Extensions[strings.Clone(name)] = struct{}{}
	}
	return kept
}
