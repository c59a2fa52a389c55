package tools

import "testing"

// The checkers are made at a tool's first call; that each can be made is shown
// here.
func TestEveryCheckerCanBeMade(t *testing.T) {
	for _, tool := range All() {
		if got, want := len(tool.checker().props), len(tool.Input.Properties); got != want {
			t.Errorf("%s checks %d arguments, want %d", tool.Name, got, want)
		}
	}
}
