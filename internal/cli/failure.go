package cli

import (
	"regexp"
	"strings"
	"sync"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/config"
)

// request is how an error begins that names the request it comes from.
var request = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(?:[a-z_]+ failed: )?(?:no instance was named, and finding one failed: )?(?:(?:GET|HEAD|POST|PUT|PATCH|DELETE) /\S*: )?`)
})

// failure is a failed result as a person reads it: what was wrong, what happened if
// that is not plain, and what to type next. Its text is for models: it names tools,
// and the person who runs the server is the one who reads it here.
// changes says that the call could have changed something.
func (c *console) failure(cfg config.Config, res *mcp.CallToolResult, changes bool) string {
	said := field(res, "error")
	if said == "" {
		said = textOf(res)
	}
	if strings.Contains(said, "(HTTP 401") {
		return c.rejectedKey(cfg)
	}
	var lines []string
	unknown, untouched := false, false
	for line := range strings.SplitSeq(said, "\n") {
		what, happened := strings.CutPrefix(line, "What happened: ")
		switch {
		case happened:
			untouched = strings.HasPrefix(what, "nothing")
			if unknown = strings.HasPrefix(what, "unknown"); unknown {
				lines = append(lines, line)
			}
		case strings.HasPrefix(line, "Repeat: "):
			if unknown {
				lines = append(lines, line)
			}
		case strings.HasPrefix(line, "Next: check_service tells whether"):
			if untouched && changes {
				lines = append(lines, "Nothing was changed.")
			}
			lines = append(lines, strings.TrimSpace(c.whatToCheck(cfg)+" `openclaw-mcp doctor"+c.flagLocal()+"` finds out more."))
		case strings.HasPrefix(line, "Next: "):
		default:
			lines = append(lines, line)
		}
	}
	return request().ReplaceAllString(strings.Join(lines, "\n"), "")
}

// whatToCheck says what may be wrong where the service can't be reached.
func (c *console) whatToCheck(cfg config.Config) string {
	switch {
	case c.local:
		return ""
	case cfg.BaseURL == config.DefaultBaseURL:
		return "Check your network, and your proxy if you have one."
	}
	return "Check OPENCLAW_API_BASE_URL, which is " + cfg.BaseURL + ", and your network."
}

// rejectedKey says what to do about a key that the service refuses.
func (c *console) rejectedKey(cfg config.Config) string {
	if from := cfg.KeyFrom; from == "OPENCLAW_API_KEY" || from == "OPENCLAW_API_KEY_FILE" {
		return "The API key was rejected (401). It comes from " + from + ": correct or unset that.\nWithout it, the key of `openclaw-mcp login` is used."
	}
	return "The API key was rejected (401). Run `openclaw-mcp login`."
}

// instanceTrouble says what to do about a call that named no instance where there are
// several, or one that is not there; how is how the command names one. "" for other
// failures.
func (c *console) instanceTrouble(cfg config.Config, res *mcp.CallToolResult, named, how string) string {
	said := textOf(res)
	if _, choices, ok := strings.Cut(said, `argument "instance" is needed, since `); ok {
		choices, _, _ = strings.Cut(choices, "\n")
		return strings.ToUpper(choices[:1]) + choices[1:] + "\nChoose one with " + how + ", or set OPENCLAW_INSTANCE_ID to it."
	}
	from := ""
	if named == "" {
		named, from = cfg.Instance, " (OPENCLAW_INSTANCE_ID)"
	}
	if named != "" && strings.Contains(said, "nstance not found") {
		return "There is no instance " + named + from + "; `openclaw-mcp status" + c.flagLocal() + "` shows yours."
	}
	return ""
}
