//go:build unix

package resources

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mark3labs/mcp-go/mcp"
)

// decoding is a service that takes every file for text, and runs commands in a
// real shell.
type decoding struct {
	dir   string
	shell []string // none: it runs no commands
	drops bool     // what is not UTF-8 is left out, not replaced
	sizes bool     // its lists have sizes
}

func (d decoding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	at := filepath.Join(d.dir, strings.TrimPrefix(r.URL.Query().Get("path"), "/workspace"))
	var answer any
	switch {
	case strings.HasSuffix(r.URL.Path, "/files/read"):
		b, err := os.ReadFile(at)
		if err != nil {
			http.Error(w, `{"message":"no"}`, http.StatusNotFound)
			return
		}
		with := "\uFFFD"
		if d.drops {
			with = ""
		}
		answer = map[string]any{"content": strings.ToValidUTF8(string(b), with)}
	case strings.HasSuffix(r.URL.Path, "/files"):
		entries, _ := os.ReadDir(at)
		list := []any{}
		for _, e := range entries {
			entry := map[string]any{"name": e.Name(), "type": "file"}
			if st, err := e.Info(); err == nil && d.sizes {
				entry["size"] = st.Size()
			}
			list = append(list, entry)
		}
		answer = list
	case strings.HasSuffix(r.URL.Path, "/terminal/exec") && d.shell != nil:
		var in struct{ Command string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		cmd := exec.CommandContext(r.Context(), d.shell[0], append(slices.Clone(d.shell[1:]), "-c", in.Command)...)
		cmd.Env = append(os.Environ(), "OPENCLAW_EMULATOR_WORKSPACE="+d.dir)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		code := 0
		var failed *exec.ExitError
		if err := cmd.Run(); errors.As(err, &failed) {
			code = failed.ExitCode()
		}
		answer = map[string]any{"stdout": stdout.String(), "stderr": stderr.String(), "exit_code": code}
	default:
		http.Error(w, `{"message":"no"}`, http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(answer)
}

func TestReadTrueBytes(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 700_000)
	for i := range noise {
		noise[i] = byte(i * 7 >> 2)
	}
	files := map[string][]byte{
		"a.png": []byte("\x89PNG\r\n\x1a\n\x00\x00\xff\xd8"), "b.gz": {0x1f, 0x8b, 8, 0, 0xff, 0xfe, 0},
		"latin.txt": []byte("gr\xfc\xdfe\n"), "utf8.txt": []byte("grüße 🦞\n"), "said \uFFFD.txt": []byte("\uFFFD is said\n"), "large.bin": noise, "sub/x.bin": {0xff, 'x'},
	}
	dir := t.TempDir()
	for name, content := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.WriteFile(filepath.Join(dir, name), content, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for name, service := range map[string]decoding{
		"dash, replaced":     {dir: dir, shell: []string{"dash"}, sizes: true},
		"bash, dropped":      {dir: dir, shell: []string{"bash"}, drops: true, sizes: true},
		"busybox, replaced":  {dir: dir, shell: []string{"busybox", "sh"}, sizes: true},
		"without sizes":      {dir: dir, shell: []string{"sh"}},
		"without a shell":    {dir: dir, sizes: true},
		"with neither":       {dir: dir},
		"nothing but sizes?": {dir: dir, drops: true, sizes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if len(service.shell) > 0 {
				if _, err := exec.LookPath(service.shell[0]); err != nil {
					t.Skip(err)
				}
			}
			w := newService(t, service, quick())
			for file, want := range files {
				if strings.Contains(file, "said") && !service.sizes && service.shell == nil {
					continue
				}
				contents, err := w.Read(t.Context(), FileURI("i1", "/workspace/"+file))
				honest := service.shell == nil && service.sizes && !utf8.Valid(want)
				if honest {
					if err == nil || !strings.Contains(err.Error(), "not UTF-8") {
						t.Errorf("%s: got %v, %v", file, contents, err)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", file, err)
					continue
				}
				if service.shell == nil && !utf8.Valid(want) {
					continue // nobody could know
				}
				var got []byte
				switch c := contents[0].(type) {
				case mcp.TextResourceContents:
					got = []byte(c.Text)
				case mcp.BlobResourceContents:
					got, _ = base64.StdEncoding.DecodeString(c.Blob)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("%s: got %q, want %q", file, got[:min(40, len(got))], want[:min(40, len(want))])
				}
			}
			if service.shell == nil {
				return
			}
			part, err := w.Read(t.Context(), FileURI("i1", "/workspace/large.bin")+"?offset=5&length=650000")
			if err != nil {
				t.Fatal(err)
			}
			blob, _ := part[0].(mcp.BlobResourceContents)
			got, _ := base64.StdEncoding.DecodeString(blob.Blob)
			if !bytes.Equal(got, noise[5:650_005]) || len(part) != 2 || cmp.Or(blob.Meta["openclaw-mcp/size"]) != int64(len(noise)) {
				t.Errorf("got %d bytes, %d items, %v", len(got), len(part), blob.Meta)
			}
		})
	}
}
