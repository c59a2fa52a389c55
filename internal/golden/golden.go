// Package golden compares what the program says with what is recorded of it, in
// tests. Run them with -update to record it anew.
package golden

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// File compares a file with what its content is to be.
func File(t testing.TB, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != want {
		t.Errorf("%s differs from what the code says. If the change is meant, run: make golden\n%s", file, difference(string(b), want))
	}
}

// Sections compares parts of a file, each of which stands between the lines
// <!-- NAME:begin … --> and <!-- NAME:end -->. bodies is by name.
func Sections(t testing.TB, file string, bodies map[string]string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, body := range bodies {
		begin := strings.Index(text, "<!-- "+name+":begin")
		end := strings.Index(text, "<!-- "+name+":end -->")
		if begin < 0 || end < begin {
			t.Fatalf("%s has no section %q", file, name)
		}
		line := begin + strings.Index(text[begin:], "\n") + 1
		text = text[:line] + body + text[end:]
	}
	File(t, file, text)
}

// difference shows the first line that differs.
func difference(recorded, now string) string {
	a, b := strings.Split(recorded, "\n"), strings.Split(now, "\n")
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return "- " + a[i] + "\n+ " + strings.Join(b[min(i, len(b)):min(i+1, len(b))], "")
		}
	}
	return "+ " + b[len(a)]
}
