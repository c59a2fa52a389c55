package doctor

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxDepth = 5
	maxKeys  = 40 // of one object
)

// describe says what an answer looks like.
func describe(r *Request, sample []byte) {
	switch {
	case r.ContentType == "text/event-stream":
		events := parseEvents(sample)
		r.Stream, r.Events = familyOf(events), summary(events)
	case r.ContentType == "application/x-ndjson":
		events := parseLines(sample)
		r.Stream, r.Events = "ndjson", summary(events)
	case len(bytes.TrimSpace(sample)) == 0:
		r.Keys = "(empty)"
	case strings.HasSuffix(r.Path, "/openapi.json"): // see Contract
	default:
		r.Keys = keysOf(sample)
		if strings.HasSuffix(r.Path, "/chat/stream") && r.Status/100 == 2 {
			r.Stream = "json"
		}
	}
}

// keysOf gives the names of a JSON text's keys, each in its place: [{id, status}].
func keysOf(sample []byte) string {
	var v any
	if err := json.Unmarshal(sample, &v); err != nil {
		switch {
		case len(sample) >= maxSample:
			return "(too large to look at)"
		case bytes.HasPrefix(bytes.TrimSpace(sample), []byte("<")):
			return "(a page, no JSON)"
		}
		return "(no JSON)"
	}
	return shape(v, 0)
}

func shape(v any, depth int) string {
	switch v := v.(type) {
	case map[string]any:
		if depth == maxDepth {
			return "{...}"
		}
		var parts []string
		others := 0
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if !isName(key) || len(parts) == maxKeys {
				others++
				continue
			}
			inner := shape(v[key], depth+1)
			if inner != "" {
				inner = ": " + inner
			}
			parts = append(parts, key+inner)
		}
		if others > 0 {
			parts = append(parts, fmt.Sprintf("%d more", others))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		// The items of a list are taken together.
		all := make(map[string]any)
		objects, other := 0, ""
		for _, item := range v {
			if o, ok := item.(map[string]any); ok {
				objects++
				for key, value := range o {
					if old, seen := all[key]; !seen || old == nil {
						all[key] = value
					}
				}
			} else if s := shape(item, depth+1); s != "" {
				other = s
			}
		}
		if objects > 0 {
			return "[" + shape(all, depth+1) + "]"
		}
		return "[" + other + "]"
	}
	return ""
}

// name is what a key of an interface looks like. Other keys may be data: the
// ids of a map, say.
var (
	name      = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[$@]?[A-Za-z_][A-Za-z_-]*[0-9]{0,2}[A-Za-z_-]*$`) })
	eventName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z_.:-]*$`) })
)

func isName(key string) bool { return len(key) <= 40 && name().MatchString(key) }

// event is one event of a stream: its name, and the value of its data where
// that is JSON.
type event struct {
	name string
	data any
	done bool // [DONE]
}

// parseEvents reads Server-Sent Events. A last one that is cut off is left out.
func parseEvents(sample []byte) []event {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(sample))
	var all []event
	for block := range strings.SplitSeq(text, "\n\n") {
		var ev event
		var data []string
		for line := range strings.SplitSeq(block, "\n") {
			field, value, _ := strings.Cut(line, ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				ev.name = value
			case "data":
				data = append(data, value)
			}
		}
		joined := strings.Join(data, "\n")
		if ev.name == "" && joined == "" {
			continue
		}
		ev.done = joined == "[DONE]"
		_ = json.Unmarshal([]byte(joined), &ev.data) // text that is no JSON has no keys
		all = append(all, ev)
	}
	return all
}

func parseLines(sample []byte) []event {
	var all []event
	for line := range bytes.SplitSeq(sample, []byte("\n")) {
		var ev event
		if json.Unmarshal(line, &ev.data) == nil {
			all = append(all, ev)
		}
	}
	return all
}

// summary lists the kinds of events, in the order in which they first came.
func summary(events []event) string {
	var kinds []string
	counts := make(map[string]int)
	for _, ev := range events {
		kind := shape(ev.data, 1)
		switch {
		case ev.done:
			kind = "[DONE]"
		case kind == "":
			kind = "text"
		}
		if ev.name != "" {
			label := "(other)"
			if len(ev.name) <= 40 && eventName().MatchString(ev.name) {
				label = ev.name
			}
			kind = label + " " + kind
		}
		if counts[kind]++; counts[kind] == 1 {
			kinds = append(kinds, kind)
		}
	}
	for i, kind := range kinds {
		if n := counts[kind]; n > 1 {
			kinds[i] = fmt.Sprintf("%s x%d", kind, n)
		}
	}
	const most = 20
	if len(kinds) > most {
		kinds = append(kinds[:most], fmt.Sprintf("%d more kinds", len(kinds)-most))
	}
	return strings.Join(kinds, "; ")
}

// families are the known families of chat streams, by what gives them away.
var families = []struct {
	name string
	is   func(name string, data map[string]any) bool
}{
	{"A (OpenAI chunks)", func(_ string, d map[string]any) bool { return has(d, "choices") }},
	{"G (OpenResponses)", func(n string, d map[string]any) bool {
		kind, _ := d["type"].(string)
		return strings.HasPrefix(n, "response.") || strings.HasPrefix(kind, "response.")
	}},
	{"E (gateway chat events)", func(_ string, d map[string]any) bool {
		inner, _ := d["payload"].(map[string]any)
		return has(d, "state") || has(inner, "state")
	}},
	{"F (agent events)", func(_ string, d map[string]any) bool { return has(d, "stream") && has(d, "data") }},
	{"B (status, output, complete)", func(n string, _ map[string]any) bool { return n == "output" || n == "complete" }},
	{"D (named events)", func(n string, _ map[string]any) bool {
		return slices.Contains([]string{"session", "delta", "token", "chunk", "message", "content", "done", "end", "final"}, n)
	}},
	{"C (typed in the data)", func(n string, d map[string]any) bool { return n == "" && has(d, "type") }},
}

// familyOf is the first family that any event belongs to.
func familyOf(events []event) string {
	for _, f := range families {
		for _, ev := range events {
			data, _ := ev.data.(map[string]any)
			if f.is(ev.name, data) {
				return f.name
			}
		}
	}
	return "unknown"
}

func has(m map[string]any, key string) bool {
	_, ok := m[key]
	return ok
}

var camel = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[a-z][A-Z]`) })

// dialectOf tells from the shape of a listing how the service spells things.
func dialectOf(keys string) (lists, names string) {
	switch {
	case strings.HasPrefix(keys, "["):
		lists = "bare arrays"
	case strings.HasPrefix(keys, "{"):
		lists = "wrapped"
	}
	switch {
	case camel().MatchString(keys):
		names = "camelCase"
	case strings.Contains(keys, "_"):
		names = "snake_case"
	}
	return lists, names
}

func median(d []time.Duration) time.Duration {
	sorted := slices.SortedFunc(slices.Values(d), cmp.Compare[time.Duration])
	return sorted[len(sorted)/2]
}
