package auth

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

const wellKnownResource = "/.well-known/oauth-protected-resource"

// MetadataPath gives the path at which the metadata of a resource is served (RFC
// 9728, section 3.1): the well-known part comes before the resource's own path.
func MetadataPath(resource string) string {
	u, err := url.Parse(resource)
	if err != nil || u.EscapedPath() == "/" {
		return wellKnownResource
	}
	return wellKnownResource + u.EscapedPath()
}

// MetadataHandler tells clients, including those in browsers, which authorization
// server issues tokens for this server.
func (o *OAuth) MetadataHandler() http.Handler {
	body, err := json.Marshal(struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported,omitempty"`
		Methods  []string `json:"bearer_methods_supported"`
	}{o.cfg.Resource, []string{o.cfg.Issuer}, o.cfg.Scopes, []string{"header"}})
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		switch r.Method {
		case http.MethodOptions:
			h.Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			h.Set("Access-Control-Allow-Headers", "*")
			h.Set("Access-Control-Max-Age", "3600")
			w.WriteHeader(http.StatusNoContent)
		case http.MethodGet, http.MethodHead:
			h.Set("Content-Type", "application/json")
			h.Set("Content-Length", strconv.Itoa(len(body)))
			h.Set("Cache-Control", "public, max-age=3600")
			_, _ = w.Write(body)
		default:
			h.Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "the metadata of this resource is read-only: use GET", http.StatusMethodNotAllowed)
		}
	})
}
