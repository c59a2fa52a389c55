package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"openclaw-mcp/internal/nearest"
	"openclaw-mcp/internal/secret"
)

// prefix begins the names of all settings of our own.
const prefix = "OPENCLAW_"

// foreign are variables of that prefix that others set: OpenClaw itself for the
// programs that it starts, the embedded service for the commands that it runs, and
// clients for the token that they send.
var foreign = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^OPENCLAW_(TOKEN|HOME|PROFILE|SHELL|CLI|STATE_DIR|CONFIG_PATH|EMULATOR|EMULATOR_WORKSPACE|(GATEWAY|NO|SKIP|DISABLE)_[A-Z0-9_]+)$`)
})

// CheckName refuses a variable that looks like a setting and is none: a misspelt limit
// must not allow everything. The error names the nearest setting.
func CheckName(name string) error {
	var known []string
	for _, s := range Settings() {
		known = append(known, s.Name)
	}
	if !strings.HasPrefix(strings.ToUpper(name), prefix) || slices.Contains(known, name) || foreign().MatchString(name) {
		return nil
	}
	const help = "'openclaw-mcp help settings' lists them all"
	if near := cmp.Or(withMoreWords(name, known), nearest.Word(name, known, 6)); near != "" {
		return fmt.Errorf("%s is not a setting of openclaw-mcp: did you mean %s? (%s)", name, near, help)
	}
	return fmt.Errorf("%s is not a setting of openclaw-mcp; %s", name, help)
}

// withMoreWords gives the one setting that has all words of a name and more: an address
// that was set as OPENCLAW_API_URL is no OPENCLAW_API_KEY. It is "" where there are several.
func withMoreWords(name string, known []string) string {
	words := strings.Split(name, "_")
	var found []string
	for _, setting := range known {
		has := strings.Split(setting, "_")
		if !slices.ContainsFunc(words, func(word string) bool { return !slices.Contains(has, word) }) {
			found = append(found, setting)
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return ""
}

// checkNames does so for the environment.
func checkNames(set map[string]string) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(set)) {
		errs = append(errs, CheckName(name))
	}
	return errors.Join(errs...)
}

// checkSpelling refuses values that were not meant to be used as they stand.
func (c Config) checkSpelling(set map[string]string, keyFrom string, bad func(name, format string, a ...any)) {
	words := map[string][]string{
		keyFrom: {string(c.APIKey)}, "OPENCLAW_LOCAL_MODEL_KEY": {string(c.LocalModelKey)},
		"OPENCLAW_INSTANCE_ID": {c.Instance}, "OPENCLAW_MCP_INSTANCES": Words(c.Instances), "OPENCLAW_MCP_EXCLUDE_INSTANCES": Words(c.ExcludeInstances),
	}
	for _, name := range slices.Sorted(maps.Keys(words)) {
		for _, word := range words[name] {
			if err := secret.CheckWord(word); err != nil {
				bad(name, "%v", err)
				break
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		pattern := name == "OPENCLAW_MCP_COMMANDS" || name == "OPENCLAW_MCP_EXCLUDE_COMMANDS"
		if strings.HasPrefix(name, prefix) && words[name] == nil && !pattern && !foreign().MatchString(name) {
			if err := secret.CheckExpanded(set[name]); err != nil {
				bad(name, "%v", err)
			}
		}
	}
}
