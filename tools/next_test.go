package tools

import "testing"

// A suggested call is read by a model, which writes it again as it stands.
func TestSuggestedCall(t *testing.T) {
	t.Parallel()
	got := callArgs{{"terminal", "term-2"}, {"instance", ""}}.call("read_terminal", arg{"wait_for", `<a> & "b" > $`}, arg{"cursor", 7})
	if want := `read_terminal {"terminal":"term-2","wait_for":"<a> & \"b\" > $","cursor":7}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
