package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"openclaw-mcp/internal/config"
	clean "openclaw-mcp/internal/text"
)

func configCommand(c *console) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show what is set, and from where",
		Long: `Show what is set, and from where: the environment, the file of 'openclaw-mcp
login', or the default. Secrets are masked. --all also shows settings that are
empty. If a setting is wrong, the exit code is 2.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			values := config.Values(c.environ)
			if err := c.showConfig(values, all, asJSON); err != nil {
				return err
			}
			if _, err := config.Read(c.environ); err != nil {
				return config.Wrong(err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "show settings that are empty, too")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
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
		if v.Value == "" && !all {
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
		c.print(fmt.Sprintf("%-*s  %-*s  %s\n", name, l.Name, value, l.Value, l.From))
	}
	return nil
}
