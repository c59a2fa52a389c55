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
	return regexp.MustCompile(`^(?:[a-z_]+ failed: )?(?:(?:GET|HEAD|POST|PUT|PATCH|DELETE) /\S*: )?`)
})

// failure is a failed result as a person reads it: what was wrong, what happened if
// that is not plain, and what to type next. Its text is for models: it names tools,
// and the person who runs the server is the one who reads it here.
func (c *console) failure(cfg config.Config, res *mcp.CallToolResult) string {
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
			if untouched {
				lines = append(lines, "Nothing was changed.")
			}
			lines = append(lines, "Run `openclaw-mcp doctor"+c.flagLocal()+"` to find out why OpenClaw can't be reached.")
		case strings.HasPrefix(line, "Next: "):
		default:
			lines = append(lines, line)
		}
	}
	return request().ReplaceAllString(strings.Join(lines, "\n"), "")
}

// rejectedKey says what to do about a key that the service refuses.
func (c *console) rejectedKey(cfg config.Config) string {
	if from := cfg.KeyFrom; from == "OPENCLAW_API_KEY" || from == "OPENCLAW_API_KEY_FILE" {
		return "The API key was rejected (401). It comes from " + from + ": correct or unset that.\nWithout it, the key of `openclaw-mcp login` is used."
	}
	return "The API key was rejected (401). Run `openclaw-mcp login`."
}

// needsInstance tells whether a call failed since it named no instance, and gives
// which there are.
func needsInstance(res *mcp.CallToolResult) (choices string, ok bool) {
	_, choices, ok = strings.Cut(textOf(res), `argument "instance" is needed, since `)
	choices, _, _ = strings.Cut(choices, "\n")
	return choices, ok && res.IsError
}
