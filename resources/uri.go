package resources

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/text"
)

const (
	rootURI    = "openclaw://instances"
	serviceURI = "openclaw://service"
)

// kind is a kind of resource.
type kind int

const (
	kindInstances kind = iota
	kindInstance
	kindSessions
	kindMessages
	kindFile // or directory
	kindDocument
	kindSkill
)

// parameters are what the query of a URI may say.
var parameters = map[kind][]string{
	kindMessages: {"limit", "before", "format"},
	kindFile:     {"offset", "length", "after", "limit"},
	kindDocument: {"offset"},
}

// numbers are the bounds of parameters that are numbers.
var numbers = map[string]bounds{"limit": {1, maxMessages, maxEntries}, "offset": {0, 0, 1 << 50}, "length": {1, 0, maxFile}}

type bounds struct{ lo, ofMessages, ofFiles int64 }

func (b bounds) max(k kind) int64 {
	if k == kindMessages {
		return b.ofMessages
	}
	return b.ofFiles
}

// ref is a URI taken apart.
type ref struct {
	kind              kind
	instance, session string
	path              string // absolute and clean
	document          string // its name
	query             url.Values
	uri               string
}

// maxURI is the longest URI, in bytes: the longest path, with all of it escaped.
const maxURI = 16 << 10

// parse takes a URI apart.
func parse(uri string) (ref, error) {
	if len(uri) > maxURI {
		return ref{}, notFound(text.Clip(uri, 100), "there is no resource with a URI of %d bytes: none has more than %d", len(uri), maxURI)
	}
	r := ref{uri: uri}
	if uri == skillURI {
		r.kind = kindSkill
		return r, nil
	}
	rest, ok := strings.CutPrefix(uri, rootURI)
	ofService := false
	if !ok {
		rest, ofService = strings.CutPrefix(uri, serviceURI)
	}
	if !ok && !ofService {
		return r, notFound(uri, "there is no resource %q; the resources of this server begin with %s or %s, and there is %s", uri, rootURI, serviceURI, skillURI)
	}
	rest, query, _ := strings.Cut(rest, "?")
	segments := strings.Split(rest, "/")
	for i, s := range segments {
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return r, invalid(uri, "%q is not a valid URI: %v", uri, err)
		}
		segments[i] = decoded
	}
	// A slash at the end means nothing but with files, where it is cleaned.
	if n := len(segments); n > 1 && segments[n-1] == "" {
		segments = segments[:n-1]
	}
	known := func(k kind) { r.kind = k; ok = true }
	ok = false
	n := len(segments)
	if n > 1 && !ofService {
		r.instance = segments[1]
	}
	switch {
	case segments[0] != "":
	case ofService && n == 2 && slices.Contains(client.DocumentNames(), segments[1]):
		r.document = segments[1]
		known(kindDocument)
	case ofService:
		return r, notFound(uri, "there is no resource %q; the service's documents are %s/ and one of %s", uri, serviceURI, strings.Join(client.DocumentNames(), ", "))
	case n == 1:
		known(kindInstances)
	case client.CheckID("instance id", r.instance) != nil:
	case n == 2:
		known(kindInstance)
	case segments[2] == "files":
		r.path = path.Clean("/" + strings.Join(segments[3:], "/"))
		known(kindFile)
	case segments[2] == "sessions" && n == 3:
		known(kindSessions)
	case segments[2] == "sessions" && (n == 4 || n == 5 && segments[4] == "messages") && validID(segments[3]):
		r.session = segments[3]
		known(kindMessages)
	}
	if !ok {
		return r, notFound(uri, "there is no resource %q; see the resource templates", uri)
	}
	var err error
	if r.query, err = url.ParseQuery(query); err != nil {
		return r, invalid(uri, "the query of %q: %v", uri, err)
	}
	for name, values := range r.query {
		if !slices.Contains(parameters[r.kind], name) {
			if len(parameters[r.kind]) == 0 {
				return r, invalid(uri, "unknown parameter %q: this resource takes none", name)
			}
			return r, invalid(uri, "unknown parameter %q; there are: %s", name, strings.Join(parameters[r.kind], ", "))
		}
		if len(values) > 1 {
			return r, invalid(uri, "parameter %q is given twice", name)
		}
		if b, ok := numbers[name]; ok {
			if err := b.check(r, name); err != nil {
				return r, err
			}
		}
	}
	if f := r.query.Get("format"); f != "" && f != "markdown" && f != "json" {
		return r, invalid(uri, "parameter \"format\" must be markdown or json")
	}
	return r, nil
}

// validID tells a session's id from what can't be one. It goes into no path of a
// request; the client checks the rest.
func validID(s string) bool { return s != "" && s != "." && s != ".." }

// check reports what is wrong with a parameter that is a number.
func (b bounds) check(r ref, name string) error {
	n, err := strconv.ParseInt(r.query.Get(name), 10, 64)
	if err != nil || n < b.lo || n > b.max(r.kind) {
		return invalid(r.uri, "parameter %q must be a number from %d to %d", name, b.lo, b.max(r.kind))
	}
	return nil
}

// number gives a parameter that is a number, which parse has checked.
func (r ref) number(name string, def int64) int64 {
	if n, err := strconv.ParseInt(r.query.Get(name), 10, 64); err == nil {
		return n
	}
	return def
}

// subject is the same for all URIs of one thing, whatever part of it they name.
func (r ref) subject() string {
	return fmt.Sprintf("%d\x00%s\x00%s\x00%s\x00%s", r.kind, r.instance, r.session, r.path, r.document)
}

func instanceURI(id string) string { return rootURI + "/" + url.PathEscape(id) }

func sessionsURI(instance string) string { return instanceURI(instance) + "/sessions" }

func documentURI(name string) string { return serviceURI + "/" + name }

// MessagesURI names a session's history.
func MessagesURI(instance, session string) string {
	return sessionsURI(instance) + "/" + url.PathEscape(session) + "/messages"
}

// FileURI names a file or directory by its absolute path.
func FileURI(instance, file string) string {
	segments := strings.Split(strings.TrimPrefix(file, "/"), "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return instanceURI(instance) + "/files/" + strings.Join(segments, "/")
}

// withQuery puts parameters behind a URI: name, value, name, value…; empty
// values are left out.
func withQuery(uri string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return uri
	}
	return uri + "?" + q.Encode()
}
