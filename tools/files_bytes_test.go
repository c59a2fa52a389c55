package tools

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
)

// readAs has files/read give every file as a service does that takes it for text.
func (b *bench) readAs(decode func(string) string, noExec bool) {
	b.noExec()
	refuse := b.between
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/files/read") {
			name := strings.TrimPrefix(r.URL.Query().Get("path"), client.Workspace+"/")
			content, err := os.ReadFile(b.path(name))
			if err != nil {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]string{"path": name, "content": decode(string(content))})
			return true
		}
		return noExec && refuse(w, r)
	}
}

// TestReadTrueBytes: what files/read gives as text is not taken for the file.
func TestReadTrueBytes(t *testing.T) {
	t.Parallel()
	latin := func(s string) string {
		var b strings.Builder
		for i := range len(s) {
			b.WriteRune(rune(s[i]))
		}
		return b.String()
	}
	png := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + strings.Repeat("\x00\xff\xd8\x80", 30000) // more than one window
	files := map[string]string{"a.png": png, "a.gz": "\x1f\x8b\x08\x00\x00\xff\xfe", "latin": "caf\xe9 cr\xe8me\n", "crlf": "a\r\nb\r\n", "utf8": "é \uFFFD\n"}
	for name, decode := range map[string]func(string) string{
		"replaced": func(s string) string { return strings.ToValidUTF8(s, "\uFFFD") },
		"left out": func(s string) string { return strings.ToValidUTF8(s, "") },
		"latin-1":  latin,
		"LF":       func(s string) string { return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\r\n", "\n") },
	} {
		if !thorough && name != "replaced" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, emulatortest.Options{})
			for f, content := range files {
				b.put(f, content)
			}
			b.readAs(decode, false)
			for f, content := range files {
				got := call[readFileOut](b, "read_file", args{"path": f, "encoding": "base64", "hash": true})
				data, err := base64.StdEncoding.DecodeString(got.Content)
				if err != nil || !strings.HasPrefix(content, string(data)) || len(data) < min(len(content), 1000) || *got.Size != int64(len(content)) || got.SHA256 != hashOf([]byte(content)) {
					t.Errorf("%s: got %d bytes of %d, %v", f, len(data), *got.Size, err)
				}
			}
			if got := call[readFileOut](b, "read_file", args{"path": "a.png"}); got.image == nil || got.image.Data != base64.StdEncoding.EncodeToString([]byte(png)) {
				t.Error("the image is not the file")
			}
			call[editFileOut](b, "edit_file", args{"path": "latin", "old_text": "cr", "new_text": "Cr"})
			b.want("latin", "caf\xe9 Cr\xe8me\n")

			// Without commands it is said.
			b.readAs(decode, true)
			for f, content := range files {
				if decode(content) == content {
					if r := b.try("read_file", args{"path": f}); r.IsError || strings.Contains(r.Text, "are lost") {
						t.Errorf("%s: got %s", f, r.Text)
					}
					continue
				}
				b.refuse("read_file", args{"path": f, "encoding": "base64"}, "lost on the way", "nothing was changed")
			}
		})
	}
}
