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
	"unicode"

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
	const help = "'openclaw-mcp help settings' lists them all"
	switch {
	case slices.Contains(known, name), foreign().MatchString(name):
		return nil
	case strings.HasPrefix(strings.ToUpper(name), prefix):
	case likePrefix(name, known):
		// Without what it has in place of the prefix, it is compared as others are.
		if near := nearest.Word(bare(name), bareNames(known), 4); near != "" {
			return fmt.Errorf("%s is not a setting of openclaw-mcp: did you mean %s? (%s)", name, known[slices.Index(bareNames(known), near)], help)
		}
		return fmt.Errorf("%s is not a setting of openclaw-mcp, whose names begin with %s; %s", name, prefix, help)
	default:
		return nil
	}
	if near := cmp.Or(withMoreWords(name, known), nearest.Word(name, known, 6)); near != "" {
		return fmt.Errorf("%s is not a setting of openclaw-mcp: did you mean %s? (%s)", name, near, help)
	}
	return fmt.Errorf("%s is not a setting of openclaw-mcp; %s", name, help)
}

// bare is a name in capital letters, with nothing but letters and digits.
func bare(name string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			return unicode.ToUpper(r)
		}
		return -1
	}, name)
}

func bareNames(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = bare(name)
	}
	return all
}

// likePrefix reports whether a name of another beginning was meant to be one of ours:
// OPENCLAWMCP_READ_ONLY, OPENCLAW-MCP-READ-ONLY, OPEN_CLAW_API_KEY.
func likePrefix(name string, known []string) bool {
	name = bare(name)
	return strings.Contains(name, "CLAWMCP") || strings.HasPrefix(name, "OPENCLAW") && slices.Contains(bareNames(known), name)
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
