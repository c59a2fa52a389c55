package keyfile

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestKeyIsKept(t *testing.T) {
	t.Parallel()
	path := Path(t.TempDir())
	for _, key := range []string{"sk_live_0123456789abcdef", "another"} {
		if err := Save(path, key); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err != nil || got != key {
			t.Errorf("got %q, %v, want %q", got, err, key)
		}
	}
	if st, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", st.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the file there are %v, %v", left, err)
	}
	for _, text := range []string{"", "\n", "two words", "one\ntwo", "käse"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Read(path); err == nil || text != "" && strings.Contains(err.Error(), strings.TrimSpace(text)) && len(strings.TrimSpace(text)) > 0 {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"": "***", "sk_short": "***", "sk_live_0123456789abcdef": "sk_…cdef"} {
		if got := Masked(key); got != want {
			t.Errorf("Masked(%q) = %q, want %q", key, got, want)
		}
	}
}
