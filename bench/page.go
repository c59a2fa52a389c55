package main

import (
	"fmt"
	"os"
	"strings"
)

const (
	pageBegin = "<!-- bench:begin (written by `make bench`) -->\n"
	pageEnd   = "<!-- bench:end -->"
)

// writePage puts the measurements between the markers of the page.
func writePage(path, text string) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(page), pageBegin)
	_, after, ok2 := strings.Cut(rest, pageEnd)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s lacks the markers %q and %q", path, strings.TrimSpace(pageBegin), pageEnd)
	}
	return os.WriteFile(path, []byte(before+pageBegin+text+pageEnd+after), 0o644)
}
