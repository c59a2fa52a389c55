package cli

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/server"
	clean "openclaw-mcp/internal/text"
)

func configCommand(c *console) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the settings, and where they come from",
		Long: `Show the settings, and where they come from: the environment, the file of
'openclaw-mcp login', the default, or --local. Secrets are masked. Settings that
are not set are shown if most people need them; --all shows the others, too. If
a setting is wrong, the exit code is 2.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			values := config.Values(c.environ)
			if c.local {
				c.showLocal(values)
			}
			if err := c.showConfig(values, all, asJSON); err != nil {
				return err
			}
			if _, err := config.Read(c.environ); err != nil {
				return config.Wrong(err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also show all settings that are not set")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// showLocal shows what --local has in place of a key and an address.
func (c *console) showLocal(values []config.Value) {
	dir := ""
	for _, v := range values {
		if v.Name == "OPENCLAW_LOCAL_DIR" {
			dir = v.Value
		}
	}
	instead := map[string]string{
		"OPENCLAW_API_KEY": "not needed", "OPENCLAW_API_KEY_FILE": "not needed",
		"OPENCLAW_API_BASE_URL": cmp.Or(server.LocalURL(dir), "a port of this machine, while something uses it"),
	}
	for i, v := range values {
		if value, ok := instead[v.Name]; ok {
			values[i].Value, values[i].From = value, "--local"
		}
	}
}

func (c *console) showConfig(values []config.Value, all, asJSON bool) error {
	type line struct {
		Name  string `json:"name"`
		Value string `json:"value"`
		From  string `json:"from"`
	}
	lines := []line{}
	name, value := 0, 0
	for _, v := range values {
		if v.Value == "" && !all && !v.Main {
			continue
		}
		v.Value = clean.Visible(v.Value)
		lines = append(lines, line{v.Name, v.Value, v.From})
		name, value = max(name, len(v.Name)), max(value, min(len(v.Value), 36))
	}
	if asJSON {
		return printJSON(c.stdout, lines)
	}
	for _, l := range lines {
		if l.Value == "" {
			l.Value, l.From = "not set", ""
		}
		c.print(strings.TrimRight(fmt.Sprintf("%-*s  %-*s  %s", name, l.Name, value, l.Value, l.From), " ") + "\n")
	}
	return nil
}
