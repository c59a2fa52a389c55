// Package nearest finds the word that a misspelt one was meant to be.
package nearest

import "strings"

const (
	longest = 255  // bytes of a word, as of a file's name
	most    = 2000 // known words that are compared letter by letter
)

// Word gives the known word that is nearest to a misspelt one, at most so many letters
// away, or one that begins with it; "" where none is near. Case doesn't count. Of a folder of
// a hundred thousand names, it compares only those of about the same length, and not all.
func Word(word string, known []string, farthest int) string {
	found, left := "", most
	if word == "" || len(word) > longest {
		return ""
	}
	low := strings.ToLower(word)
	for _, name := range known {
		d := farthest + 1
		switch {
		case len(name) >= len(word) && strings.EqualFold(name[:len(word)], word):
			d = 1
		case max(len(name)-len(word), len(word)-len(name)) <= farthest && left > 0:
			left--
			d = max(distance(low, strings.ToLower(name), farthest), 1) // another case is as near as another letter
		}
		if d <= farthest {
			found, farthest = name, d-1
		}
	}
	return found
}

// distance is how many letters are to be put in, left out or replaced to make b of a
// (Levenshtein); more than farthest as soon as it is more.
func distance(a, b string, farthest int) int {
	row := make([]int, len(b)+1) // from the beginning of a to each beginning of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before, least := row[0], i+1
		row[0] = i + 1
		for j := range len(b) {
			change := before
			if a[i] != b[j] {
				change = min(before, row[j], row[j+1]) + 1
			}
			before, row[j+1] = row[j+1], change
			least = min(least, change)
		}
		if least > farthest {
			break
		}
	}
	return row[len(b)]
}
