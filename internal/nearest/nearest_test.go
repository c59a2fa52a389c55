package nearest

import "testing"

func TestWord(t *testing.T) {
	t.Parallel()
	known := []string{"call", "chat", "doctor", "--local"}
	for word, want := range map[string]string{"cal": "call", "chta": "chat", "docter": "doctor", "doc": "doctor", "-local": "--local", "--lo": "--local", "": "", "sitting": ""} {
		if got := Word(word, known, 2); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
	if got := Word("ls", known, 1); got != "" {
		t.Errorf("ls is taken for %q", got)
	}
}
