package emulator

import (
	"crypto/sha256"
	"embed"
	"fmt"
	"net/http"
	"strings"
)

// documents is what the service publishes of itself. openapi.json is made from
// openapi.yaml: go test ./internal/emulator -run TestOpenAPI -update.
//
//go:embed documents
var documents embed.FS

// document gives the handler of a document. Whoever brings its ETag back gets
// 304 for as long as the document is the same.
func (s *Server) document(file, mediaType string) func(*call) {
	return func(c *call) {
		content, err := documents.ReadFile("documents/" + file)
		if err != nil {
			s.failWith(c.w, err)
			return
		}
		sum := sha256.Sum256(content)
		etag := fmt.Sprintf(`"%x"`, sum[:16])
		h := c.w.Header()
		h.Set("ETag", etag)
		h.Set("Cache-Control", "no-cache")
		for known := range strings.SplitSeq(c.r.Header.Get("If-None-Match"), ",") {
			if known = strings.TrimSpace(known); strings.TrimPrefix(known, "W/") == etag || known == "*" {
				c.w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		h.Set("Content-Type", mediaType)
		_, _ = c.w.Write(content)
	}
}
