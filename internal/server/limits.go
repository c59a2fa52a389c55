package server

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"openclaw-mcp/internal/config"
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
	var all []*tools.Rails
	for _, line := range h.Values("X-MCP-Readonly") {
		for word := range strings.SplitSeq(line, ",") { // a proxy may have joined two lines
			// Anything but a clear "no" counts: a rail is not to be lost by a typo.
			if !slices.Contains([]string{"false", "0", "no"}, strings.ToLower(strings.TrimSpace(word))) {
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
	each("X-MCP-Toolsets", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, Toolsets: allowed(w)} })
	each("X-MCP-Tools", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, Tools: allowed(w)} })
	each("X-MCP-Instances", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, Instances: allowed(w)} })
	each("X-MCP-Exclude-Tools", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, ExcludeTools: w} })
	each("X-MCP-Exclude-Instances", func(w []string) *tools.Rails { return &tools.Rails{OfRequest: true, ExcludeInstances: w} })
	return all
}

// isYes reads a header that asks for something.
func isYes(value string) bool {
	if value == "" {
		return false
	}
	yes, _ := strconv.ParseBool(value)
	return yes
}
