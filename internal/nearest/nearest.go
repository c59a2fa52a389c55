// Package nearest finds the word that a misspelt one was meant to be.
package nearest

import "github.com/spf13/cobra"

// Word gives the known word that is nearest to a misspelt one, at most so many letters
// away; "" where none is near. It leaves the comparison to cobra, which suggests
// commands: each known word stands as the name of one.
func Word(word string, known []string, farthest int) string {
	if word == "" {
		return ""
	}
	var all cobra.Command
	for _, name := range known {
		all.AddCommand(&cobra.Command{Use: name, Run: func(*cobra.Command, []string) {}})
	}
	for all.SuggestionsMinimumDistance = 1; all.SuggestionsMinimumDistance <= farthest; all.SuggestionsMinimumDistance++ {
		if found := all.SuggestionsFor(word); len(found) > 0 {
			return found[0]
		}
	}
	return ""
}
