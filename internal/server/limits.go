package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/text"
	"openclaw-mcp/tools"
)

// nothing stands in a list that allows nothing; no tool or instance has this name.
const nothing = "(none)"

// headerLimits gives the limits that an HTTP request sets on itself. Each line of a
// header counts by itself, so that what a client sends can't loosen what a gateway
// adds: any yes is yes, lists of what is allowed intersect, and an empty one allows
// nothing.
func headerLimits(h http.Header) []*tools.Rails {
	if len(h) == 0 {
		return nil
	}
	// The names are written as net/http writes them: others it writes anew at each look.
	var all []*tools.Rails
	for _, line := range h.Values("X-Mcp-Readonly") {
		for word := range strings.SplitSeq(line, ",") { // a proxy may have joined two lines
			// Anything but a clear "no" counts: a rail is not to be lost by a typo.
			if on, err := config.Switch(word); on || err != nil {
				all = append(all, &tools.Rails{OfRequest: true, ReadOnly: true})
			}
		}
	}
	each := func(name string, limit func(words []string) *tools.Rails) {
		for _, line := range h.Values(name) {
			all = append(all, limit(config.Words(strings.Split(line, ","))))
		}
	}
	allowed := func(words []string) []string {
		if len(words) == 0 {
			return []string{nothing}
		}
		return words
	}
	each("X-Mcp-Toolsets", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, Toolsets: allowed(w)} })
	each("X-Mcp-Tools", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, Tools: allowed(w)} })
	each("X-Mcp-Instances", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, Instances: allowed(w)} })
	each("X-Mcp-Exclude-Tools", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, ExcludeTools: w} })
	each("X-Mcp-Exclude-Instances", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, ExcludeInstances: w} })
	return all
}

// wantsStructured reads the header by which a request asks for results as data: any yes is
// yes.
func wantsStructured(h http.Header) (yes bool, err error) {
	for _, line := range h.Values("X-Mcp-Structured") {
		for _, word := range config.Words(strings.Split(line, ",")) {
			on, wrong := config.Switch(word)
			if wrong != nil {
				err = fmt.Errorf("the header X-MCP-Structured is %q; it must be true or false (yes/no, on/off, 1/0 also work)", text.Clip(word, 40))
			}
			yes = yes || on
		}
	}
	return yes, err
}

// headerNames are the headers of ours.
var headerNames = []string{"X-MCP-Readonly", "X-MCP-Toolsets", "X-MCP-Tools", "X-MCP-Exclude-Tools", "X-MCP-Instances", "X-MCP-Exclude-Instances", "X-MCP-Structured"}

// limitWords are in the names of settings that limit what calls may do. A header with such a
// name is refused where there is none for its setting: whoever sends it believes in a limit.
var limitWords = []string{"readonly", "tool", "instance", "path", "command", "confirm", "exclude"}

// settingNames are the names that headers would have which stand for settings, in bare form.
var settingNames = sync.OnceValue(func() map[string]bool {
	names := map[string]bool{}
	for _, s := range config.Settings() {
		if name, ok := strings.CutPrefix(s.Name, "OPENCLAW_"); ok {
			names["x"+bareHeader.Replace(strings.ToLower(name))] = true
		}
	}
	return names
})

var bareHeader = strings.NewReplacer("-", "", "_", "", ".", "")

// looksLikeLimit reports whether a header of another name was meant to be one of ours that
// limits something: X-MCP-Read-Only, X-OpenClaw-MCP-Tools, X-OpenClaw-Readonly, MCP-Readonly.
func looksLikeLimit(name string) bool {
	if len(name) < 4 || !strings.ContainsAny(name[:1], "xXmMoO") { // nearly all
		return false
	}
	bare := bareHeader.Replace(strings.ToLower(name))
	rest, x := strings.CutPrefix(bare, "x")
	rest, openclaw := strings.CutPrefix(rest, "openclaw")
	before, word, mcp := strings.Cut(rest, "mcp")
	if openclaw && !mcp {
		before, word = "", rest
	}
	limits := slices.ContainsFunc(limitWords, func(limit string) bool { return strings.Contains(word, limit) })
	setting := settingNames()["xmcp"+word]
	switch {
	case !mcp && !openclaw, slices.ContainsFunc(headerNames, func(known string) bool { return strings.EqualFold(name, known) }):
		return false
	case before == "" && (x || openclaw):
		return limits || setting
	}
	return limits && setting // others have headers of the protocol, or of their own
}

// checkHeader says what is wrong with the headers of a request that ask for something. A
// misspelt limit is not to allow what it was to forbid.
func checkHeader(h http.Header) error {
	for name := range h {
		if looksLikeLimit(name) {
			return fmt.Errorf("the header %s is none that openclaw-mcp has, and looks like a limit; there are %s", text.Clip(name, 60), strings.Join(headerNames, ", "))
		}
	}
	for _, r := range headerLimits(h) {
		r.Tools = slices.DeleteFunc(r.Tools, func(name string) bool { return name == nothing })
		r.Toolsets = slices.DeleteFunc(r.Toolsets, func(name string) bool { return name == nothing })
		if err := r.Check(); err != nil {
			return fmt.Errorf("an X-MCP header %w", err)
		}
	}
	_, err := wantsStructured(h)
	return err
}
