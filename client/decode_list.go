package client

import (
	"fmt"
	"slices"
	"strings"

	"openclaw-mcp/internal/text"

	"github.com/go-json-experiment/json/jsontext"
)

// list is a listing before its items are decoded.
type list struct {
	items []jsontext.Value
	more  bool
	next  string
	outer object // what surrounded the array; nil for a bare one
	near  object // the object that the array is in, nil for none
}

// decodeList finds the array of a listing: the value itself, the property
// called name, else data, items, results or entries, else the only property
// that is an array. A wrapper may hold another. A null list is an empty one.
func decodeList(raw []byte, name string) (list, error) {
	var l list
	if !isJSON(raw) {
		return l, notJSON(raw)
	}
	if l.find(raw, name, 0) {
		if len(l.items) > maxItems {
			return list{}, &Error{Err: ErrTooLarge, Message: fmt.Sprintf("the list of %s has %d entries; up to %d are read", name, len(l.items), maxItems)}
		}
		return l, nil
	}
	return l, shapeError("list of "+name, raw)
}

func (l *list) find(raw []byte, name string, depth int) bool {
	if isNull(raw) {
		return true
	}
	if items, ok := asArray(raw); ok {
		l.items = items
		return true
	}
	o, ok := asObject(raw)
	if !ok || depth > maxNesting {
		return false
	}
	l.readPaging(o)
	if l.outer == nil {
		l.outer = o
	}
	sawNull := false
	for _, k := range []string{name, "data", "items", "results", "entries"} {
		v, there := o[k]
		switch {
		case !there:
		case isNull(v):
			sawNull = true
		case kindOf(v) == '[' || kindOf(v) == '{':
			if kindOf(v) == '[' {
				l.near = o
			}
			if l.find(v, name, depth+1) {
				return true
			}
		}
	}
	var arrays []string
	for k, v := range o {
		if kindOf(v) == '[' {
			arrays = append(arrays, k)
		}
	}
	if len(arrays) == 1 {
		return l.find(o[arrays[0]], name, depth+1)
	}
	return sawNull && len(arrays) == 0
}

// readPaging notes whether more exists than came.
func (l *list) readPaging(o object) {
	if next := o.id("next_cursor", "nextCursor", "cursor"); next != "" {
		l.next, l.more = next, true
	}
	switch {
	case o.flag("has_more", "hasMore", "truncated", "isTruncated", "is_truncated"):
		l.more = true
	case string(o.first("has_more", "hasMore")) == "false":
		l.more = false // a cursor beside it only says where this page ended
	}
	for _, k := range []string{"pagination", "paging", "meta", "page"} {
		if p, ok := asObject(o[k]); ok {
			l.readPaging(p)
		}
	}
}

// decodePage decodes a listing and each of its items.
func decodePage[T any](raw []byte, name string, item func(jsontext.Value) (T, error)) (Page[T], error) {
	l, err := decodeList(raw, name)
	if err != nil {
		return Page[T]{}, err
	}
	page := Page[T]{Items: make([]T, 0, len(l.items)), More: l.more, NextCursor: l.next}
	for i, raw := range l.items {
		if isNull(raw) {
			continue
		}
		v, err := item(raw)
		if err != nil {
			return Page[T]{}, &Error{Message: fmt.Sprintf("item %d of the list of %s: %v", i+1, name, err)}
		}
		page.Items = append(page.Items, v)
	}
	return page, nil
}

// decodeSingle finds an object that came bare, under one of the names, or under
// data (also as the only item of a list). It is found when it has one of the
// keys.
func decodeSingle(raw []byte, names, keys []string) (object, error) {
	if !isJSON(raw) {
		return nil, notJSON(raw)
	}
	if o := findSingle(raw, names, keys, 0); o != nil {
		return o, nil
	}
	return nil, shapeError(names[0], raw)
}

func findSingle(raw []byte, names, keys []string, depth int) object {
	if items, ok := asArray(raw); ok && len(items) == 1 && depth > 0 {
		raw = items[0]
	}
	o, ok := asObject(raw)
	if !ok || depth > maxNesting {
		return nil
	}
	for _, n := range names {
		if found := findSingle(o[n], names, keys, depth+1); found != nil {
			return found
		}
	}
	if o.id(keys...) != "" {
		return o
	}
	for _, n := range []string{"data", "result"} {
		if found := findSingle(o[n], names, keys, depth+1); found != nil {
			return found
		}
	}
	return nil
}

func notJSON(raw []byte) *Error {
	if k := kindOf(raw); k == '{' || k == '[' {
		return &Error{Message: "the answer is broken JSON"}
	}
	return &Error{Message: "the answer is " + describe(raw)}
}

var (
	instanceKeys  = []string{"id", "instance_id", "instanceId"}
	instanceNames = []string{"instance"}
	statusKeys    = []string{"status", "state"}
)

// decodeInstance reads one instance, bare or wrapped.
func decodeInstance(raw jsontext.Value) (Instance, error) {
	o, err := decodeSingle(raw, instanceNames, instanceKeys)
	if err != nil {
		return Instance{}, err
	}
	return makeInstance(o), nil
}

// maxName bounds what the service calls things, in bytes.
const maxName = 1000

func makeInstance(o object) Instance {
	status := o.text(statusKeys...)
	return Instance{
		ID:        o.id(instanceKeys...),
		Name:      text.Clip(o.text("name", "title"), maxName),
		Status:    text.Clip(status, maxName),
		State:     foldStatus(status),
		SandboxID: o.id("sandbox_id", "sandboxId"),
		CreatedAt: o.time("created_at", "createdAt"),
		UpdatedAt: o.time("updated_at", "updatedAt"),
	}
}

// decodeStatus reads the answer to GET …/status: an instance, or an object with
// no more than a status word. It is false where there is no word.
func decodeStatus(raw []byte, id string) (Instance, bool) {
	o := findSingle(raw, instanceNames, statusKeys, 0)
	if o == nil {
		return Instance{}, false
	}
	// {"status":"success","data":{"status":"ready"}}: the inner word counts.
	for range maxNesting {
		inner, ok := o.object("data", "result")
		if !ok || inner.text(statusKeys...) == "" {
			break
		}
		o = inner
	}
	i := makeInstance(o)
	if i.Status == "" {
		return Instance{}, false
	}
	setIfEmpty(&i.ID, id)
	return i, true
}

// decodeLifecycle reads the answer to a reboot or a shutdown. Any form says
// "accepted"; failures were sorted out before.
func decodeLifecycle(raw []byte) Lifecycle {
	if o := findSingle(raw, instanceNames, instanceKeys, 0); o != nil {
		i := makeInstance(o)
		if i.Status != "" || i.SandboxID != "" || !i.CreatedAt.IsZero() {
			return Lifecycle{Status: i.Status, Instance: &i}
		}
	}
	if i, ok := decodeStatus(raw, ""); ok {
		return Lifecycle{Status: i.Status}
	}
	return Lifecycle{}
}

// foldStatus says what a status word means.
func foldStatus(word string) State {
	word = strings.ToLower(strings.TrimSpace(word))
	word = strings.NewReplacer("-", "_", " ", "_").Replace(word)
	switch word {
	case "ready", "running", "active", "online":
		return StateReady
	case "creating", "provisioning", "pending", "starting", "booting", "initializing", "rebooting", "restarting":
		return StatePending
	case "stopped", "shutdown", "shutting_down", "terminated", "deleted":
		return StateOff
	case "error", "failed":
		return StateFailed
	}
	return StateUnknown
}

// decodeSession reads one chat session, bare or wrapped.
func decodeSession(raw jsontext.Value) (Session, error) {
	o, err := decodeSingle(raw, []string{"session"}, []string{"id", "session_id", "sessionId"})
	if err != nil {
		return Session{}, err
	}
	return Session{
		ID:        o.id("id", "session_id", "sessionId"),
		Title:     text.Clip(o.text("title", "name"), maxName),
		Busy:      saysBusy(o) || canonical(o.text("status", "state")) == "running",
		Aside:     isAside(o),
		CreatedAt: o.time(createdKeys...),
		UpdatedAt: o.time(updatedKeys...),
	}, nil
}

// isAside reports whether a session is not one to talk to the agent in.
func isAside(o object) bool {
	for _, name := range []string{o.id("id", "session_id", "sessionId"), o.id("key", "sessionKey", "session_key")} {
		name = strings.ToLower(name)
		for _, part := range []string{":subagent:", ":cron:", ":hook:", ":group:", ":channel:"} {
			if strings.Contains(name, part) {
				return true
			}
		}
	}
	for _, k := range []string{"kind", "type", "chatType", "chat_type", "status", "state"} {
		switch canonical(o.text(k)) {
		case "subagent", "sub_agent", "cron", "hook", "heartbeat", "group", "channel",
			"archived", "deleted", "closed", "expired", "readonly", "read_only":
			return true
		}
	}
	return o.id("spawnedBy", "spawned_by") != "" || isWithdrawn(o) ||
		o.flag("archived", "isArchived", "is_archived", "closed", "isClosed", "is_closed", "readonly", "readOnly", "read_only", "isReadOnly", "is_read_only") ||
		!o.time("archived_at", "archivedAt", "closed_at", "closedAt", "deleted_at", "deletedAt").IsZero()
}

// decodeDiscovery reads the answer to GET /: resources by name, a list of
// endpoints, or a list of paths. An object without any of them is an answer
// too: the service was reached.
func decodeDiscovery(raw []byte) (Discovery, error) {
	if !isJSON(raw) {
		return Discovery{}, notJSON(raw)
	}
	var d Discovery
	o, ok := asObject(raw)
	if !ok {
		if items, ok := asArray(raw); ok {
			d.addList(items)
			return d, nil
		}
		return Discovery{}, shapeError("description of the service", raw)
	}
	d.read(o)
	if inner, ok := o.object("data"); ok && len(d.Resources) == 0 {
		d.read(inner)
	}
	return d, nil
}

func (d *Discovery) read(o object) {
	setIfEmpty(&d.Name, o.text("name", "service", "title"))
	setIfEmpty(&d.Version, o.id("version"))
	for _, k := range []string{"resources", "endpoints", "paths", "routes"} {
		if items, ok := asArray(o[k]); ok {
			d.addList(items)
		} else if named, ok := asObject(o[k]); ok {
			for _, name := range sortedKeys(named) {
				if r, ok := makeResource(named[name]); ok {
					setIfEmpty(&r.Name, name)
					d.Resources = append(d.Resources, r)
				}
			}
		}
	}
}

func (d *Discovery) addList(items []jsontext.Value) {
	for _, item := range items {
		if r, ok := makeResource(item); ok {
			d.Resources = append(d.Resources, r)
		}
	}
}

// makeResource reads "path", "METHOD path" or an object of them.
func makeResource(raw jsontext.Value) (Resource, bool) {
	var r Resource
	if s, ok := asString(raw); ok {
		if method, path, ok := strings.Cut(s, " "); ok && slices.Contains([]string{"GET", "POST", "PUT", "PATCH", "DELETE", "WS"}, method) {
			return Resource{Method: method, Path: strings.TrimSpace(path)}, true
		}
		return Resource{Path: s}, s != ""
	}
	if o, ok := asObject(raw); ok {
		r = Resource{Name: o.text("name", "id"), Method: o.text("method"), Path: o.text("path", "url", "href")}
		if methods, ok := asArray(o["methods"]); ok && r.Method == "" && len(methods) > 0 {
			r.Method, _ = asString(methods[0])
		}
	}
	return r, r.Path != ""
}
