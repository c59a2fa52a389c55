package emulator

import (
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

// call is one authenticated request.
type call struct {
	w   http.ResponseWriter
	r   *http.Request
	key string
	in  *instance // of the path; nil where there is none
}

// route is one endpoint. Its method and pattern are its name.
type route struct {
	method, pattern string
	public          bool // works without a key
	handle          func(*call)
}

func (rt route) name() string { return rt.method + " " + rt.pattern }

// table lists the endpoints. The sockets (terminal/ws, vnc/ws) belong at its
// end: their handlers can take over the connection through call.w.
func (s *Server) table() []route {
	const in = "/instances/{instance}"
	return []route{
		{"GET", "/", true, s.serveRoot},
		{"GET", "/instances", false, s.listInstances},
		{"POST", "/instances", false, s.createInstance},
		{"GET", in, false, s.getInstance},
		{"POST", in + "/reboot", false, s.rebootInstance},
		{"POST", in + "/shutdown", false, s.shutdownInstance},
		{"GET", in + "/status", false, s.instanceStatus},
		{"GET", in + "/chat/sessions", false, s.listSessions},
		{"POST", in + "/chat/sessions", false, s.createSession},
		{"POST", in + "/chat", false, s.chat},
		{"POST", in + "/chat/stream", false, s.chatStream},
		{"GET", in + "/chat/messages", false, s.listMessages},
		{"GET", in + "/chat/events", false, s.followMessages},
		{"GET", in + "/files", false, s.listFiles},
		{"GET", in + "/files/read", false, s.readFile},
		{"POST", in + "/files/write", false, s.writeFile},
		{"POST", in + "/files/upload", false, s.uploadFile},
		{"POST", in + "/files/mkdir", false, s.makeDirectory},
		{"POST", in + "/terminal/exec", false, s.exec},
		{"GET", "/docs", true, s.document("docs.html", "text/html; charset=utf-8")},
		{"GET", "/openapi.json", true, s.document("openapi.json", "application/json; charset=utf-8")},
		{"GET", "/openapi.yaml", true, s.document("openapi.yaml", "application/yaml; charset=utf-8")},
		{"GET", "/llms-full.md", true, s.document("llms-full.md", "text/markdown; charset=utf-8")},
		{"GET", "/agent.md", true, s.document("agent.md", "text/markdown; charset=utf-8")},
		{"GET", "/skills/openclaw-api-control/SKILL.md", true, s.document("SKILL.md", "text/markdown; charset=utf-8")},
		{"GET", in + "/terminal/ws", false, s.terminal},
		{"GET", in + "/vnc/ws", false, s.vnc},
	}
}

// match gives the value of {instance} when a path has the pattern's form.
func match(pattern, path string) (instance string, ok bool) {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return "", false
	}
	for i, w := range want {
		if w == "{instance}" && got[i] != "" {
			instance = got[i]
		} else if w != got[i] {
			return "", false
		}
	}
	return instance, true
}

// ServeHTTP answers under both "/api/…" and "/…".
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if rest, ok := strings.CutPrefix(path, "/api"); ok && (rest == "" || rest[0] == '/') {
		path = rest
	}
	if path == "" {
		path = "/"
	}
	var (
		found    *route
		instance string
		allow    []string
	)
	for i := range s.routes {
		rt := &s.routes[i]
		value, ok := match(rt.pattern, path)
		if !ok {
			continue
		}
		allow = append(allow, rt.method)
		if rt.method == r.Method {
			found, instance = rt, value
		}
	}
	endpoint := r.Method + " " + path
	if found != nil {
		endpoint = found.name()
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	s.opts.Logger.Debug("emulator request", "endpoint", endpoint, "path", path)

	if closed {
		s.fail(w, http.StatusServiceUnavailable, "unavailable", "The service is shutting down")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	switch {
	case found != nil:
		s.dispatch(w, r, found, instance)
	case allow != nil:
		slices.Sort(allow)
		w.Header().Set("Allow", strings.Join(allow, ", "))
		s.fail(w, http.StatusMethodNotAllowed, "method_not_allowed", "Use "+strings.Join(allow, " or ")+" here")
	default:
		s.fail(w, http.StatusNotFound, "not_found", "No such path")
	}
}

// dispatch authenticates a request and finds its instance. An instance of
// another key is absent, so that ids cannot be probed.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, rt *route, id string) {
	c := &call{w: w, r: r}
	if !rt.public {
		key, ok := s.authenticate(r)
		if !ok {
			w.Header().Set("WWW-Authenticate", "Bearer")
			s.fail(w, http.StatusUnauthorized, "unauthorized", "Missing or unknown API key")
			return
		}
		c.key = key
	}
	if id != "" {
		s.mu.Lock()
		c.in = s.findLocked(id)
		s.mu.Unlock()
		if c.in == nil || c.in.owner != s.ownerOf(c.key) {
			s.fail(w, http.StatusNotFound, "not_found", "Instance not found")
			return
		}
	}
	rt.handle(c)
}

func (s *Server) authenticate(r *http.Request) (key string, ok bool) {
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "Bearer") || key == "" {
		return "", false
	}
	if len(s.opts.Keys) == 0 {
		return key, true
	}
	for _, k := range s.opts.Keys {
		if subtle.ConstantTimeCompare([]byte(k), []byte(key)) == 1 {
			ok = true
		}
	}
	return key, ok
}

// serveRoot advertises the resource paths.
func (s *Server) serveRoot(c *call) {
	s.reply(c.w, http.StatusOK, object{"name": "OpenClaw local instance", "resources": object{
		"instances": "/instances",
		"chat":      "/instances/{instance}/chat",
		"files":     "/instances/{instance}/files",
		"terminal":  "/instances/{instance}/terminal/exec",
	}})
}
