package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// guardPath is where the figures of make bench-guard are.
const guardPath = "bench/guard.json"

// allocations shows what the guard holds calls to, beside the same requests made
// by the client alone.
func allocations() (string, error) {
	text, err := os.ReadFile(guardPath)
	if err != nil {
		return "", err
	}
	var recorded recordedFigures
	if err := json.Unmarshal(text, &recorded); err != nil {
		return "", fmt.Errorf("%s: %w", guardPath, err)
	}
	t := newTable("tool", "direct", "stdio, legacy", "stdio, modern", "HTTP, legacy", "HTTP, modern")
	for _, tool := range []string{"get_instance", "list_files", "read_file"} {
		cells := []string{tool}
		for _, way := range []string{"direct", "stdio-legacy", "stdio-modern", "http-legacy", "http-modern"} {
			name := "Call/" + tool + "/" + way
			f, ok := recorded.Benchmarks[name]
			if !ok {
				return "", fmt.Errorf("%s has no %s", guardPath, name)
			}
			cells = append(cells, fmt.Sprintf("%.0f (%.1f KB)", f.Allocs, f.Bytes/1000))
		}
		t.row(cells...)
	}
	return "Allocations of one call (bytes), and of the same requests made by `client/`, as\n`make bench-guard` holds them:\n\n" + t.String(), nil
}
