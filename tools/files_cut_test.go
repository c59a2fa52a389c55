package tools

import (
	"encoding/base64"
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
