package resources

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

const (
	// maxFile is how much of a file one answer has: whoever reads a file as a
	// resource wants the file, so this is far more than the budget of texts.
	maxFile        = 1 << 20
	defaultEntries = 500
	maxEntries     = 2000
)

// mimeTypes are the types of common names; the rest is found out.
var mimeTypes = map[string]string{
	".md": mimeMarkdown, ".markdown": mimeMarkdown, ".json": mimeJSON, ".txt": mimeText, ".log": mimeText,
	".html": "text/html", ".htm": "text/html", ".css": "text/css", ".csv": "text/csv", ".xml": "application/xml",
	".js": "text/javascript", ".mjs": "text/javascript", ".ts": "text/x-typescript", ".tsx": "text/x-typescript", ".jsx": "text/javascript",
	".go": "text/x-go", ".py": "text/x-python", ".rs": "text/x-rust", ".c": "text/x-c", ".h": "text/x-c", ".java": "text/x-java",
	".sh": "text/x-shellscript", ".yaml": "application/yaml", ".yml": "application/yaml", ".toml": "application/toml",
	".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".pdf": "application/pdf", ".zip": "application/zip", ".gz": "application/gzip", ".tar": "application/x-tar", ".wasm": "application/wasm",
}

// mimeOf guesses the type of a file by its name, "" when that does not tell.
func mimeOf(name string) string { return mimeTypes[strings.ToLower(path.Ext(name))] }

// mayBeDirectory reports whether reading a path failed as it may where the path
// is not a file; services differ in how they say that.
func mayBeDirectory(err error) bool {
	var e *client.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status < 500
}

// readFile reads a file, or lists a directory where that is what the path names.
func (c *caller) readFile(ctx context.Context, r ref) ([]mcp.ResourceContents, error) {
	if r.query.Has("after") || r.query.Has("limit") || r.path == "/" || r.path == client.Workspace {
		return c.readDirectory(ctx, r)
	}
	offset, length := r.number("offset", 0), r.number("length", maxFile)
	body, err := c.client.Files.Open(ctx, r.instance, r.path)
	if err != nil {
		if !mayBeDirectory(err) || r.query.Has("offset") || r.query.Has("length") {
			return nil, err
		}
		// The service does not say what a path is; a directory can be listed.
		listing, listErr := c.readDirectory(ctx, r)
		if listErr != nil {
			return nil, err
		}
		return listing, nil
	}
	defer func() { _ = body.Close() }()
	if n, err := io.CopyN(io.Discard, body, offset); errors.Is(err, io.EOF) {
		return nil, invalid(r.uri, "parameter \"offset\" is %d, but the file has %d bytes", offset, n)
	} else if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(body, length+utf8.UTFMax))
	if err != nil {
		return nil, err
	}
	more := int64(len(content)) > length
	if more {
		content = content[:length]
	}
	p, err := c.exact(ctx, r, part{content, offset, body.Size, more}, length)
	if err != nil {
		return nil, err
	}
	return fileContents(r, p.content, p.offset, p.size, p.more, body.Truncated && !p.more), nil
}

// fileContents renders a file, or a part of one: as text where it is that. Where
// there is more, a second item says so, and its metadata where to read on.
func fileContents(r ref, content []byte, offset, size int64, more, truncated bool) []mcp.ResourceContents {
	whole := content
	if more { // a part may end inside of a character
		whole = text.Complete(content)
	}
	isText := utf8.Valid(whole) && bytes.IndexByte(whole, 0) < 0
	if isText {
		content = whole
	}
	next := withQuery(FileURI(r.instance, r.path), "offset", strconv.FormatInt(offset+int64(len(content)), 10))
	var meta map[string]any
	if offset > 0 || more {
		meta = map[string]any{"openclaw-mcp/offset": offset, "openclaw-mcp/bytes": len(content)}
		if size >= 0 {
			meta["openclaw-mcp/size"] = size
		}
		if more {
			meta["openclaw-mcp/next"] = next
		}
	}
	mime := mimeOf(r.path)
	var out []mcp.ResourceContents
	note := ""
	if isText {
		shown := text.Visible(string(content))
		if shown != string(content) {
			note = "[invisible and control characters are shown as ⟨U+…⟩; the tool read_file with encoding \"text\" gives them as they are]"
		}
		out = append(out, mcp.TextResourceContents{URI: r.uri, MIMEType: cmp.Or(mime, mimeText), Text: shown, Meta: meta})
	} else {
		if mime == "" {
			mime = http.DetectContentType(content)
		}
		if strings.HasPrefix(mime, "text/") {
			mime = "application/octet-stream" // the name promises text, the content is none
		}
		out = append(out, mcp.BlobResourceContents{URI: r.uri, MIMEType: mime, Blob: base64.StdEncoding.EncodeToString(content), Meta: meta})
	}
	if note != "" {
		out = append(out, mcp.TextResourceContents{URI: r.uri, MIMEType: mimeText, Text: note})
	}
	switch {
	case more:
		out = append(out, mcp.TextResourceContents{URI: next, MIMEType: mimeText,
			Text: fmt.Sprintf("[the file goes on; this was byte %d to %d%s; read on with %s]", offset, offset+int64(len(content)), ofSize(size), next)})
	case truncated:
		out = append(out, mcp.TextResourceContents{URI: r.uri, MIMEType: mimeText,
			Text: "[the service gave only a part of this file, and no way to read the rest]"})
	}
	return out
}

func ofSize(size int64) string {
	if size < 0 {
		return ""
	}
	return fmt.Sprintf(" of %d", size)
}

// entryJSON is an entry of a directory as programs read it.
type entryJSON struct {
	Name       string `json:"name"`
	Dir        bool   `json:"dir,omitempty"`
	Size       *int64 `json:"size,omitempty"`
	ModifiedAt string `json:"modified_at,omitempty"`
	URI        string `json:"uri"`
}

type directoryJSON struct {
	Instance string      `json:"instance"`
	Path     string      `json:"path"`
	Total    int         `json:"total"`
	Entries  []entryJSON `json:"entries"` // by name
	More     bool        `json:"more,omitempty"`
	Next     string      `json:"next,omitempty"` // URI of the entries behind these
}

// files lists a directory, by name.
func (c *caller) files(ctx context.Context, instance, dir string) ([]client.FileInfo, error) {
	page, err := c.client.Files.List(ctx, instance, dir)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(page.Items, func(a, b client.FileInfo) int { return cmp.Compare(a.Name, b.Name) })
	return page.Items, nil
}

func (c *caller) readDirectory(ctx context.Context, r ref) ([]mcp.ResourceContents, error) {
	limit := r.number("limit", defaultEntries)
	if err := c.AllowTool(ctx, "list_files"); err != nil {
		return nil, forbidden(r.uri, err)
	}
	after := r.query.Get("after")
	// The first page asks the service; whoever pages on gets what it said then.
	all, err := c.directory(ctx, r.instance, r.path, after == "")
	if err != nil {
		return nil, err
	}
	out := directoryJSON{Instance: r.instance, Path: r.path, Total: len(all), Entries: []entryJSON{}}
	// A name as cursor stays good whatever comes and goes around it.
	from, found := slices.BinarySearchFunc(all, after, func(f client.FileInfo, name string) int { return cmp.Compare(f.Name, name) })
	if found && after != "" {
		from++
	}
	left := c.MaxChars
	for i, f := range all[from:] {
		e := entryJSON{Name: f.Name, Dir: f.IsDir, ModifiedAt: stamp(f.ModifiedAt), URI: FileURI(r.instance, f.Path)}
		if !f.IsDir && f.Size >= 0 {
			e.Size = &f.Size
		}
		if left -= len(e.Name) + len(e.URI) + len(e.ModifiedAt) + 100; i == int(limit) || left < 0 && i > 0 {
			out.More = true
			out.Next = withQuery(FileURI(r.instance, r.path), "after", all[from+i-1].Name, "limit", strconv.FormatInt(limit, 10))
			break
		}
		if c.AllowPath(ctx, f.Path) == nil {
			out.Entries = append(out.Entries, e)
		}
	}
	return jsonContents(r.uri, out)
}
