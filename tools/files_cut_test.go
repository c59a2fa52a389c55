package tools

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"openclaw-mcp/internal/emulator/emulatortest"
)

// cut has the service return no more than so much of a command's output, and read no files itself.
func (b *bench) cut(most int, remark string) {
	h := emulatortest.Cutting(most, remark)(b.srv)
	b.between = func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/files/read") {
			http.Error(w, "no such endpoint", http.StatusNotImplemented)
			return true
		}
		h.ServeHTTP(w, r)
		return true
	}
}

// TestSilentlyCutAnswers: files come whole from a service that cuts off the output of commands and
// does not say so, and where they can't, it is said how much came.
func TestSilentlyCutAnswers(t *testing.T) {
	t.Parallel()
	rnd := rand.NewChaCha8([32]byte{1})
	noise := make([]byte, 40_000)
	_, _ = rnd.Read(noise)
	for _, most := range []int{2 << 10, 8 << 10, 16 << 10, 64 << 10} {
		for name, remark := range map[string]string{"end": "", "middle": "\n... [truncated] ...\n", "lines": "\n"} {
			if !thorough && (most > 8<<10 || name == "lines") {
				continue
			}
			t.Run(fmt.Sprintf("%d, %s", most, name), func(t *testing.T) {
				t.Parallel()
				b := newBench(t, emulatortest.Options{})
				b.put("noise", string(noise))
				b.put("text", lines(3000))
				b.cut(most, remark)
				var got []byte
				for {
					out := call[readFileOut](b, "read_file", args{"path": "noise", "offset": len(got), "encoding": "base64"})
					part, err := base64.StdEncoding.DecodeString(out.Content)
					if err != nil || len(part) == 0 {
						t.Fatalf("%d bytes, %v", len(part), err)
					}
					got = append(got, part...)
					if out.Next == "" {
						break
					}
				}
				if string(got) != string(noise) {
					t.Errorf("%d other bytes came", len(got))
				}
				if out := call[readFileOut](b, "read_file", args{"path": "text", "line": -2}); out.Content != "line 2999\nline 3000\n" {
					t.Errorf("got %q", out.Content)
				}
				call[editFileOut](b, "edit_file", args{"path": "text", "old_text": "line 1234\n", "new_text": "changed\n"})
				b.want("text", strings.Replace(lines(3000), "line 1234\n", "changed\n", 1))
			})
		}
	}
	b := newBench(t, emulatortest.Options{})
	b.put("noise", string(noise))
	b.cut(300, "")
	b.refuse("read_file", args{"path": "noise"}, strconv.Itoa(300)+" bytes came")
	b.refuse("edit_file", args{"path": "noise", "old_text": "a", "new_text": "b"}, "300 bytes came")
	b.want("noise", string(noise))
}

// TestPartOfFile: where nothing but files/read gives files, and of one only the beginning, nothing is
// said that takes that for the file.
func TestPartOfFile(t *testing.T) {
	t.Parallel()
	content := lines(1000)
	for name, says := range map[string]func(map[string]any){
		"by a flag":      func(o map[string]any) { o["truncated"] = true },
		"by its size":    func(o map[string]any) { o["size"] = len(content) },
		"only in a list": func(map[string]any) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, emulatortest.Options{})
			b.put("d/f", content)
			b.noExec()
			refuse := b.between
			b.between = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/files/read") {
					return refuse(w, r)
				}
				o := map[string]any{"path": r.URL.Query().Get("path"), "content": content[:1000]}
				says(o)
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(o)
				return true
			}
			for _, a := range []args{{"line": 900}, {"offset": 5000}, {"line": -2}, {"offset": -20}} {
				a["path"] = "d/f"
				b.refuse("read_file", a, "only 1000 bytes", "exec_command")
			}
			r := b.try("read_file", args{"path": "d/f", "hash": true})
			out := decodeOut[readFileOut](b, r)
			if !strings.HasPrefix(content, strings.TrimSuffix(out.Content, "\n")) || out.SHA256 != "" || *out.Size != int64(len(content)) || !strings.Contains(r.Text, "a part of") {
				t.Errorf("got %s", r.Text)
			}
			for _, path := range []string{"d", "d/f"} {
				if r := b.try("search_files", args{"pattern": "line 999", "path": path}); !strings.Contains(r.Text, "1 file did not come whole") {
					t.Errorf("got %s", r.Text)
				}
			}
		})
	}
}
