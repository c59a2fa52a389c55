package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Text writes the report for people, and for bug reports.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "openclaw-mcp doctor\nprogram   %s, %s\nservice   %s\ntime      %s\n\n", r.Program, r.Platform, r.Service, r.Time)
	for _, c := range r.Checks {
		fmt.Fprintf(w, "%-8s  %-18s %s\n", c.Level, c.Name, c.Detail)
		if c.Advice != "" {
			fmt.Fprintf(w, "%29s%s\n", "> ", c.Advice)
		}
		for _, q := range c.Requests {
			answer := "no answer"
			if q.Status != 0 {
				answer = strings.TrimSpace(fmt.Sprintf("%d %s", q.Status, q.ContentType))
			}
			fmt.Fprintf(w, "          %s %s -> %s, %d ms\n", q.Method, q.Path, answer, q.Millis)
			for _, line := range []string{q.Keys, q.Events} {
				if line != "" {
					fmt.Fprintf(w, "            %s\n", line)
				}
			}
		}
	}
	fmt.Fprintln(w)
	if d := r.Dialect; d != nil {
		for _, p := range [][2]string{
			{"lists", d.Lists}, {"names", d.Names}, {"stream", d.Stream}, {"terminal", d.Terminal}, {"desktop", d.Desktop},
		} {
			if p[1] != "" {
				fmt.Fprintf(w, "%-9s %s\n", p[0], p[1])
			}
		}
	}
	if c := r.Contract; c != nil {
		for _, p := range []struct {
			label string
			lines []string
		}{
			{"missing", c.Missing}, {"moved", c.Moved}, {"new", c.New}, {"names", c.Names}, {"fields", c.Fields}, {"events", c.Events},
		} {
			for _, line := range p.lines {
				fmt.Fprintf(w, "%-9s %s\n", p.label, line)
			}
		}
	}
	if r.ClockSkewSeconds != nil {
		fmt.Fprintf(w, "clock     %+d s\n", *r.ClockSkewSeconds)
	}
	if len(r.TimeOuts) > 0 {
		fmt.Fprintf(w, "time-outs %s\n", strings.Join(r.TimeOuts, ", "))
	}
	fmt.Fprintf(w, "result    %s\n", r.Result)
}
