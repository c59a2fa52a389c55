package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

const (
	// maxDocument bounds one document, maxDocuments all that are kept.
	maxDocument  = 2 << 20
	maxDocuments = 4 << 20
)

// DocumentsService reads what the service publishes of itself.
type DocumentsService struct {
	core *core

	mu   sync.Mutex
	kept []Document // with an ETag, the one used last at the end
}

// DocumentInfo is a document that the service may publish.
type DocumentInfo struct {
	Name      string // by which [DocumentsService.Get] knows it
	Title     string
	Path      string // from the root of the service's host, such as /api/openapi.json
	MediaType string // of what Get gives
}

// documents lists them. Those under /api belong to the API: the service may want
// the key for them.
var documents = []DocumentInfo{
	{"discovery", "What the API advertises", "/api/", "application/json"},
	{"openapi.json", "OpenAPI description of the API", "/api/openapi.json", "application/json"},
	{"openapi.yaml", "OpenAPI description of the API, as YAML", "/api/openapi.yaml", "application/yaml"},
	{"llms-full.md", "The whole documentation", "/llms-full.md", "text/markdown"},
	{"agent.md", "Guide for agents", "/agent.md", "text/markdown"},
	{"SKILL.md", "Skill for agents: controlling the API", "/skills/openclaw-api-control/SKILL.md", "text/markdown"},
	{"docs", "Interactive documentation, as text", "/docs", "text/plain"},
}

// Documents lists the documents that a service is known to publish. A service
// may have only some of them.
func Documents() []DocumentInfo { return slices.Clone(documents) }

// DocumentNames gives their names.
func DocumentNames() []string {
	var names []string
	for _, d := range documents {
		names = append(names, d.Name)
	}
	return names
}

// Document is a document as the service has it now.
type Document struct {
	DocumentInfo
	Text string // UTF-8; of a web page, its text and the targets of its links

	etag string
}

// Get reads a document (GET /docs, /llms-full.md and so on, beside the API; GET
// /api/, /api/openapi.json and /api/openapi.yaml). It comes from the host of the
// base URL: redirects to another are not followed. The key is not sent, unless the
// service asks for it for a document of the API itself. A document with an ETag is
// kept, and asked for again only in case it changed.
func (s *DocumentsService) Get(ctx context.Context, name string) (Document, error) {
	i := slices.IndexFunc(documents, func(d DocumentInfo) bool { return d.Name == name })
	if i < 0 {
		return Document{}, notSent("GET document", fmt.Errorf("unknown document %q; the documents are %s", name, strings.Join(DocumentNames(), ", ")))
	}
	doc := Document{DocumentInfo: documents[i]}
	path, ofAPI := strings.CutPrefix(doc.Path, "/api")
	req := call{
		op: "GET " + path, method: http.MethodGet, path: path, beside: !ofAPI, accept: "*/*",
		anonymous: true, timeout: s.core.options.timeouts.Read,
	}
	known, isKnown := s.known(name)
	req.etag = known.etag
	r, err := s.core.do(ctx, req)
	switch e, _ := errors.AsType[*Error](err); {
	case e == nil:
	case e.Status == http.StatusNotFound && path == "/":
		req.path = "" // some routers know only this form
		r, err = s.core.do(ctx, req)
	case (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) && ofAPI && s.core.hasKey:
		req.anonymous = false
		r, err = s.core.do(ctx, req)
	}
	if err != nil {
		return Document{}, err
	}
	defer func() { _ = r.body.Close() }()
	if r.status == http.StatusNotModified && isKnown {
		s.keep(known)
		return known, nil
	}
	raw, err := readAll(io.LimitReader(r.body, maxDocument+1), min(maxDocument, r.length))
	if err != nil {
		return Document{}, err // of body.Read: complete already
	}
	if len(raw) > maxDocument {
		return Document{}, s.core.fail(req, &Error{Status: r.status, Err: ErrTooLarge, Message: fmt.Sprintf("the document is larger than %d bytes", maxDocument)})
	}
	if doc.Text, err = readable(doc, mediaType(r.header), raw); err != nil {
		return Document{}, s.core.fail(req, err)
	}
	doc.Text = s.core.redact(doc.Text)
	if doc.etag = r.header.Get("ETag"); doc.etag != "" {
		s.keep(doc)
	}
	return doc, nil
}

// readable gives a document's text. Many web sites answer any path with their
// start page, so a page in place of another document is none.
func readable(doc Document, mediaType string, raw []byte) (string, error) {
	page := isHTML(mediaType, raw)
	switch {
	case page && doc.Name == "docs":
		return pageText(string(raw)), nil
	case page && !isJSON(raw):
		e := pageError(http.StatusOK, raw)
		e.Message = strings.Replace(e.Message, "not the API's", "not the document: the service does not seem to publish it", 1)
		return "", e
	case strings.ContainsRune(string(raw), 0):
		return "", &Error{Status: http.StatusOK, Message: "the answer is not text, so it is not the document"}
	}
	return strings.ToValidUTF8(strings.TrimPrefix(string(raw), "\ufeff"), "\ufffd"), nil
}

func (s *DocumentsService) known(name string) (Document, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.kept {
		if d.Name == name {
			return d, true
		}
	}
	return Document{}, false
}

// keep keeps a document, and forgets those used longest ago where there is too much.
func (s *DocumentsService) keep(doc Document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = slices.DeleteFunc(s.kept, func(d Document) bool { return d.Name == doc.Name })
	s.kept = append(s.kept, doc)
	size := 0
	for i, d := range slices.Backward(s.kept) {
		if size += len(d.Text) + len(d.etag); size > maxDocuments {
			s.kept = slices.Clone(s.kept[i+1:])
			return
		}
	}
}

// pageText gives the text of a web page, a line for each block, with the targets
// of its links.
func pageText(page string) string {
	var b strings.Builder
	var target string
	skipped := 0 // depth of elements that show nothing
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		t := z.Token()
		invisible := slices.Contains([]atom.Atom{atom.Script, atom.Style, atom.Template, atom.Svg}, t.DataAtom)
		switch {
		case invisible && kind == html.StartTagToken:
			skipped++
		case invisible && kind == html.EndTagToken:
			skipped = max(0, skipped-1)
		case skipped > 0:
		case kind == html.TextToken:
			b.WriteString(t.Data)
		case t.DataAtom == atom.A && kind == html.StartTagToken:
			target = ""
			for _, a := range t.Attr {
				if a.Key == "href" {
					target = a.Val
				}
			}
		case t.DataAtom == atom.A && kind == html.EndTagToken:
			if target != "" {
				b.WriteString(" <" + target + ">")
			}
		case !inline[t.DataAtom]:
			b.WriteString("\n")
		}
	}
	var lines []string
	for line := range strings.SplitSeq(b.String(), "\n") {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(append(lines, "[The page may show more by scripts; openapi.json has what it is made of.]"), "\n") + "\n"
}

// inline are the elements that do not begin a new line.
var inline = map[atom.Atom]bool{
	atom.A: true, atom.Abbr: true, atom.B: true, atom.Code: true, atom.Em: true, atom.I: true, atom.Kbd: true,
	atom.Label: true, atom.Small: true, atom.Span: true, atom.Strong: true, atom.Sub: true, atom.Sup: true, atom.Var: true,
}
