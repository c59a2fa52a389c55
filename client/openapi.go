package client

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Endpoint is an endpoint as this client uses it, or as the service describes it.
type Endpoint struct {
	Method  string
	Path    string   // behind /api, a parameter as {…}
	Query   []string // names of parameters
	Fields  []string // names in the body of the request
	Needs   []string // those of Query and Fields that a request must have
	Answers []string // names in the answers, at any depth
	Events  []string // names of the events of a stream
}

// Endpoints lists what this client uses; Answers and Events are left out, since
// [KnownField] and [KnownEvent] know them.
func Endpoints() []Endpoint {
	const in = "/instances/{instance}"
	message, mustSay := []string{"message", "session_id"}, []string{"message"}
	path := []string{"path"}
	return []Endpoint{
		{Method: "GET", Path: "/"},
		{Method: "GET", Path: "/instances"},
		{Method: "POST", Path: "/instances", Fields: []string{"invite_code"}},
		{Method: "GET", Path: in},
		{Method: "GET", Path: in + "/status"},
		{Method: "POST", Path: in + "/reboot"},
		{Method: "POST", Path: in + "/shutdown"},
		{Method: "GET", Path: in + "/chat/sessions"},
		{Method: "POST", Path: in + "/chat/sessions", Fields: []string{"title"}},
		{Method: "POST", Path: in + "/chat", Fields: message, Needs: mustSay},
		{Method: "POST", Path: in + "/chat/stream", Fields: message, Needs: mustSay},
		{Method: "GET", Path: in + "/chat/messages", Query: []string{"session_id", "tail", "limit"}},
		{Method: "GET", Path: in + "/chat/events", Query: []string{"session_id", "after"}},
		{Method: "GET", Path: in + "/files", Query: path},
		{Method: "GET", Path: in + "/files/read", Query: path, Needs: path},
		{Method: "POST", Path: in + "/files/write", Fields: []string{"path", "content"}, Needs: []string{"path", "content"}},
		{Method: "POST", Path: in + "/files/upload", Fields: []string{"targetDir", "fileName", "content"}, Needs: []string{"targetDir", "fileName", "content"}},
		{Method: "POST", Path: in + "/files/mkdir", Fields: path, Needs: path},
		{Method: "POST", Path: in + "/terminal/exec", Fields: []string{"command", "timeout_ms"}, Needs: []string{"command"}},
		{Method: "GET", Path: in + "/terminal/ws", Query: []string{"session_id"}},
		{Method: "GET", Path: in + "/vnc/ws"},
	}
}

// OpenAPI reads the service's own description of its API (GET
// /api/openapi.json; OpenAPI 3, or what is left of it where it is not quite that).
// The endpoints are in the order of their paths. From then on this client goes by what it
// believes of them, see [Believe].
func (s *DocumentsService) OpenAPI(ctx context.Context) ([]Endpoint, error) {
	doc, err := s.Get(ctx, "openapi.json")
	if err != nil {
		return nil, err
	}
	unread := func(err error) error {
		e := s.core.fail(call{op: "GET /openapi.json", method: http.MethodGet}, err)
		e.Status = http.StatusOK
		return e
	}
	if !isJSON([]byte(doc.Text)) {
		return nil, unread(notJSON([]byte(doc.Text)))
	}
	root, _ := asObject([]byte(doc.Text))
	if _, ok := asObject(root["paths"]); !ok {
		return nil, unread(shapeError("OpenAPI document", []byte(doc.Text)))
	}
	described := describedBy(root)
	s.core.beliefs.learn(described)
	return described, nil
}

// description reads an OpenAPI document.
type description struct{ root object }

func describedBy(root object) (all []Endpoint) {
	d := description{root}
	paths, _ := asObject(root["paths"])
	for _, path := range sortedKeys(paths) {
		item := d.resolve(paths[path])
		shared, _ := asArray(item["parameters"])
		for _, method := range []string{"get", "post", "put", "patch", "delete"} {
			op, ok := asObject(item[method])
			if !ok {
				continue
			}
			e := Endpoint{Method: strings.ToUpper(method), Path: d.place(path, item, op)}
			own, _ := asArray(op["parameters"])
			for _, raw := range slices.Concat(shared, own) {
				if p := d.resolve(raw); p.text("in") == "query" && p.text("name") != "" {
					e.Query = append(e.Query, p.text("name"))
					if p.flag("required") {
						e.Needs = append(e.Needs, p.text("name"))
					}
				}
			}
			d.request(&e, op)
			d.answers(&e, op)
			for _, list := range []*[]string{&e.Query, &e.Fields, &e.Needs, &e.Answers, &e.Events} {
				slices.Sort(*list)
				*list = slices.Compact(*list)
			}
			all = append(all, e)
		}
	}
	return all
}

// place gives a path from /api on. What is beside it begins with "/..".
func (d description) place(path string, holders ...object) string {
	base := ""
	for _, o := range slices.Insert(holders, 0, d.root) {
		if servers, ok := asArray(o["servers"]); ok && len(servers) > 0 {
			server, _ := asObject(servers[0])
			if u, err := url.Parse(server.text("url")); err == nil {
				base = strings.TrimRight(u.Path, "/")
			}
		}
	}
	full := base + "/" + strings.TrimLeft(path, "/")
	if rest, ok := strings.CutPrefix(full, "/api"); ok && (rest == "" || rest[0] == '/') {
		return "/" + strings.TrimLeft(rest, "/")
	}
	if _, ok := asArray(d.root["servers"]); ok && base == "" && !strings.HasPrefix(path, "/instances") {
		return "/.." + full
	}
	return full
}

// resolve gives an object, or what it refers to within the document.
func (d description) resolve(raw jsontext.Value) object {
	for range maxNesting {
		o, _ := asObject(raw)
		ref, ok := strings.CutPrefix(o.text("$ref"), "#/")
		if !ok {
			return o
		}
		at := d.root
		for part := range strings.SplitSeq(ref, "/") {
			raw = at[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
			at, _ = asObject(raw)
		}
	}
	return nil
}

// maxSchemaDepth bounds how deep into an answer's schema names are looked for.
const maxSchemaDepth = 6

// names calls found with the names of a schema's properties.
func (d description) names(raw jsontext.Value, depth, levels int, found func(name string, schema object)) {
	schema := d.resolve(raw)
	if schema == nil || depth > maxSchemaDepth {
		return
	}
	for _, k := range []string{"allOf", "anyOf", "oneOf"} {
		variants, _ := asArray(schema[k])
		for _, v := range variants {
			d.names(v, depth+1, levels, found)
		}
	}
	if levels > 0 {
		d.names(schema["items"], depth+1, levels, found)
	}
	properties, _ := asObject(schema["properties"])
	for _, name := range sortedKeys(properties) {
		inner := d.resolve(properties[name])
		found(name, inner)
		if levels > 0 {
			d.names(properties[name], depth+1, levels-1, found)
		}
	}
}

func (d description) request(e *Endpoint, op object) {
	content, _ := asObject(d.resolve(op["requestBody"])["content"])
	for _, kind := range sortedKeys(content) {
		media, _ := asObject(content[kind])
		d.names(media["schema"], 0, 0, func(name string, _ object) { e.Fields = append(e.Fields, name) })
		required, _ := asArray(d.resolve(media["schema"])["required"])
		for _, raw := range required {
			if name, ok := asString(raw); ok {
				e.Needs = append(e.Needs, name)
			}
		}
	}
}

func (d description) answers(e *Endpoint, op object) {
	responses, _ := asObject(op["responses"])
	for _, status := range sortedKeys(responses) {
		content, _ := asObject(d.resolve(responses[status])["content"])
		for kind, raw := range content {
			media, _ := asObject(raw)
			add := func(name string, _ object) { e.Answers = append(e.Answers, name) }
			if kind != "text/event-stream" && kind != "application/x-ndjson" {
				d.names(media["schema"], 0, maxSchemaDepth, add)
				continue
			}
			events, _ := asObject(media["x-events"])
			for name := range maps.Keys(events) {
				e.Events = append(e.Events, name)
				d.names(events[name], 0, maxSchemaDepth, add)
			}
			for _, schema := range []jsontext.Value{media["schema"], media["itemSchema"]} {
				d.names(schema, 0, maxSchemaDepth, func(name string, s object) {
					e.Answers = append(e.Answers, name)
					if name == "event" || name == "type" {
						e.Events = append(e.Events, words(s)...)
					}
				})
			}
		}
	}
}

// words gives the values that a schema allows.
func words(schema object) (all []string) {
	values, _ := asArray(schema["enum"])
	for _, raw := range append(values, schema["const"]) {
		if s, ok := asString(raw); ok {
			all = append(all, s)
		}
	}
	return all
}

// KnownEvent reports whether a stream's event of that name means something to
// this client. Events that don't are passed over.
func KnownEvent(name string) bool {
	kind := canonical(name)
	return classOf(kind) != classUnknown || strings.HasPrefix(kind, "response.") ||
		slices.Contains([]string{"chat", "agent", "event", "agent_output", "files_update"}, kind)
}

// KnownField reports whether this client reads a value of that name in some
// answer.
func KnownField(name string) bool {
	_, ok := slices.BinarySearch(answerFields, name)
	return ok
}
