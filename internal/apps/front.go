// Package apps is what people see: the pages that clients show beside results (MCP
// Apps), and the page of the server's address in a browser: what this is, whether it
// works, and what to put into which client.
package apps

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Auth is how callers show who they are.
type Auth string

const (
	// None asks for nothing.
	None Auth = "none"
	// Token asks for a bearer token that the operator hands out.
	Token Auth = "token"
	// Key asks for the caller's own API key, in a header.
	Key Auth = "key"
	// OAuth sends the caller's browser to log in.
	OAuth Auth = "oauth"
)

// Info is what the page tells.
type Info struct {
	// PublicURL is the MCP endpoint as clients reach it, such as
	// https://mcp.example.org/mcp. Empty: it is taken from each request's Host.
	PublicURL string
	// TrustForwarded makes X-Forwarded-Host and X-Forwarded-Proto count where
	// PublicURL is empty: only behind a proxy that sets or removes both.
	TrustForwarded bool
	// Path of the MCP endpoint below the Host (/mcp).
	Path string

	Auth      Auth   // none
	KeyHeader string // with Key: the header that the key goes into (Authorization, as a bearer token)
	// Issuer is where the console signs in, with OAuth, and OAuthClient its client there;
	// "": it registers one.
	Issuer, OAuthClient string
	// SignInURLs lists what else the console asks there, which may be elsewhere; nil: nothing.
	SignInURLs func() []string

	Version string // of the program
	Local   bool   // the service is the embedded one

	// Status reports whether the service can be reached; nil: the page does not
	// say. It is asked every few seconds at most, and may take a few. What it
	// returns goes to the log, never to the page.
	Status func(context.Context) error
	Log    *slog.Logger // nil: none
}

//go:embed front.css front.js front.svg console.js oauth.js
var files embed.FS

// IconURI is the program's icon as a data URI, for clients that show one.
func IconURI() string {
	b, err := files.ReadFile("front.svg")
	if err != nil { // it is embedded
		panic(err)
	}
	return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString(b)
}

// security goes with every answer. Nothing but what this server has is loaded, framed
// or sent to; nothing is told to other sites. What differs is added: see policy.
var security = map[string]string{
	"X-Content-Type-Options":       "nosniff",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Resource-Policy": "same-origin",
}

// policy is for the front page and its assets. The console calls this server, and
// with OAuth the authorization server.
func (h *handler) policy() string {
	connect := strings.Join(append([]string{"'self'"}, signInOrigins(h.info)...), " ")
	return "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src " + connect + "; frame-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// signInOrigins lists the origins that the console may ask to sign in with OAuth.
func signInOrigins(info Info) []string {
	if info.Auth != OAuth {
		return nil
	}
	urls := []string{info.Issuer}
	if info.SignInURLs != nil {
		urls = append(urls, info.SignInURLs()...)
	}
	var origins []string
	for _, s := range urls {
		u, err := url.Parse(s)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || !safeHost().MatchString(u.Host) {
			continue
		}
		if origin := u.Scheme + "://" + u.Host; !slices.Contains(origins, origin) {
			origins = append(origins, origin)
		}
	}
	return origins
}

var assets = map[string]string{
	"/front.css": "text/css; charset=utf-8",
	"/front.js":  "text/javascript; charset=utf-8",
	"/front.svg": "image/svg+xml",

	"/console.js": "text/javascript; charset=utf-8",
	"/oauth.js":   "text/javascript; charset=utf-8",
}

// Handler serves the page at / and its assets beside it; anything else is 404.
// It fails where info is wrong.
func Handler(info Info) (http.Handler, error) {
	if info.Path == "" {
		info.Path = "/mcp"
	}
	if info.Auth == "" {
		info.Auth = None
	}
	if info.KeyHeader == "" {
		info.KeyHeader = "Authorization"
	}
	switch info.Auth {
	case None, Token, Key, OAuth:
	default:
		return nil, fmt.Errorf("front page: there is no way to authenticate called %q; there are none, token, key and oauth", info.Auth)
	}
	if info.PublicURL != "" {
		if err := checkURL(info.PublicURL); err != nil {
			return nil, fmt.Errorf("front page: public URL %w", err)
		}
	}
	if !safePath().MatchString(info.Path) {
		return nil, fmt.Errorf("front page: path %q: want / and then letters, digits and ._~/-", info.Path)
	}
	if !headerName().MatchString(info.KeyHeader) {
		return nil, fmt.Errorf("front page: %q is not the name of a header", info.KeyHeader)
	}
	if info.Log == nil {
		info.Log = slog.New(slog.DiscardHandler)
	}
	return &handler{info: info, status: newChecker(info.Status, info.Log)}, nil
}

type handler struct {
	info   Info
	status *checker
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name, value := range security {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Security-Policy", h.policy())
	w.Header().Set("X-Frame-Options", "DENY")
	kind, isAsset := assets[r.URL.Path]
	name, isPage := strings.CutPrefix(r.URL.Path, "/pages/")
	isPage = isPage && slices.Contains(Pages(), name)
	switch {
	case !isAsset && !isPage && r.URL.Path != "/":
		http.Error(w, "There is nothing here; MCP clients connect to "+h.info.Path+", and people find help at /.", http.StatusNotFound)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "This page only takes GET; MCP clients connect to "+h.info.Path+".", http.StatusMethodNotAllowed)
	case isPage:
		h.framed(w, r, name)
	case isAsset:
		body, err := files.ReadFile(r.URL.Path[1:])
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=300")
		send(w, r, kind, body)
	default:
		h.page(w, r)
	}
}

// framed gives a page for the console to show. It has no origin of its own, also when
// it is opened by itself, and talks to the window around it alone.
func (h *handler) framed(w http.ResponseWriter, r *http.Request, name string) {
	body, err := Page(name)
	if err != nil {
		h.info.Log.Error("a page could not be made", "error", err)
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	var scripts strings.Builder
	for _, s := range inlineScripts().FindAllStringSubmatch(body, -1) {
		sum := sha256.Sum256([]byte(s[1]))
		fmt.Fprintf(&scripts, " 'sha256-%s'", base64.StdEncoding.EncodeToString(sum[:]))
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src"+scripts.String()+"; style-src 'unsafe-inline'; img-src data:; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts allow-forms")
	w.Header().Set("X-Frame-Options", "SAMEORIGIN")
	w.Header().Set("Cache-Control", "public, max-age=300")
	send(w, r, "text/html; charset=utf-8", []byte(body))
}

var inlineScripts = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?s)<script>(.*?)</script>`) })

func (h *handler) page(w http.ResponseWriter, r *http.Request) {
	endpoint, err := h.endpoint(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var body bytes.Buffer
	page := frontPage(h.info, endpoint.String(), h.status.get(r.Context()), Clients(endpoint, h.info.Auth, h.info.KeyHeader))
	_ = page.Render(&body) // a buffer takes everything
	// It depends on the Host and on the moment.
	w.Header().Set("Cache-Control", "no-store")
	send(w, r, "text/html; charset=utf-8", body.Bytes())
}

// send compresses the body for browsers. That is safe: no page has a secret in it whose
// length could tell something.
func send(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Add("Vary", "Accept-Encoding")
	if takesGzip(r) {
		var b bytes.Buffer // which takes everything
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body)
		_ = z.Close()
		body = b.Bytes()
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // net/http leaves a HEAD's body out
}

// takesGzip leaves out who weighs it, as in gzip;q=0: no browser does, and everybody
// takes what is not compressed.
func takesGzip(r *http.Request) bool {
	return slices.ContainsFunc(strings.Split(strings.Join(r.Header.Values("Accept-Encoding"), ","), ","), func(name string) bool {
		return strings.EqualFold(strings.TrimSpace(name), "gzip")
	})
}

// What a visitor's browser sends ends up in commands that people paste into a
// shell, so only characters without a meaning there are allowed. The expressions
// are compiled when first used: a server on stdio never needs them.
var (
	safeHost = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?$`)
	})
	safePath   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^/[A-Za-z0-9._~/-]*$`) })
	headerName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9-]+$`) })
)

// endpoint is the MCP endpoint as this visitor reaches it.
func (h *handler) endpoint(r *http.Request) (*url.URL, error) {
	if h.info.PublicURL != "" {
		return url.Parse(h.info.PublicURL)
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if h.info.TrustForwarded {
		if v := forwarded(r, "X-Forwarded-Host"); v != "" {
			host = v
		}
		if v := forwarded(r, "X-Forwarded-Proto"); v != "" {
			scheme = strings.ToLower(v)
		}
	}
	if scheme != "http" && scheme != "https" {
		return nil, fmt.Errorf("the protocol %q is neither http nor https", scheme)
	}
	if !safeHost().MatchString(host) {
		return nil, fmt.Errorf("the Host header %q is not a host name or address with or without a port", host)
	}
	return &url.URL{Scheme: scheme, Host: host, Path: h.info.Path}, nil
}

// forwarded gives the value that the nearest proxy added, which is the last one:
// what stands before it may be the visitor's own.
func forwarded(r *http.Request, name string) string {
	values := r.Header.Values(name)
	if len(values) == 0 {
		return ""
	}
	all := strings.Split(values[len(values)-1], ",")
	return strings.TrimSpace(all[len(all)-1])
}

func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || !safeHost().MatchString(u.Host):
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || !safePath().MatchString(u.EscapedPath()):
	default:
		return nil
	}
	return fmt.Errorf("%q: want http or https, a host and a path of plain characters, as in https://mcp.example.org/mcp", s)
}
