package client

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDecodeFiles(t *testing.T) {
	file := func(name string, size int64) FileInfo {
		return FileInfo{Name: name, Path: "/workspace/" + name, Size: size}
	}
	dir := func(name string) FileInfo {
		return FileInfo{Name: name, Path: "/workspace/" + name, IsDir: true, Size: -1}
	}
	at := func(f FileInfo, t time.Time) FileInfo { f.ModifiedAt = t; return f }
	sub := func(f FileInfo) FileInfo { f.Path = "/workspace/src/" + f.Name; return f }
	emptyDir := dir("src")
	emptyDir.Size = 0
	table(t, "files", map[string]any{
		"objects.json":                []FileInfo{at(file("a.txt", 12), march20)},
		"entries.json":                []FileInfo{emptyDir, at(file("a.txt", 3), march20b)},
		"strings.json":                []FileInfo{dir("src"), file("b.txt", -1)},
		"strings_absolute.json":       []FileInfo{dir("src"), file("b.txt", -1)},
		"strings_trailing_slash.json": []FileInfo{dir("src"), file("b.txt", -1)},
		"recursive_objects.json":      []FileInfo{dir("src"), file("b.txt", 2)},
		"dir_flags.json":              []FileInfo{dir("a"), dir("b"), dir("c"), dir("d"), dir("e")},
		"mtime_ms.json":               []FileInfo{at(file("a", 1), march20b.Add(123*time.Millisecond))},
		"updated_at.json":             []FileInfo{at(file("a", 1), march20)},
		"no_size.json":                []FileInfo{file("a", -1)},
		"outside.json":                []FileInfo{{Name: "passwd", Path: "/etc/passwd", Size: -1}},
		"null.json":                   []FileInfo(nil),
		"bad_keys.json":               errorHas(`"count"`),
		"bad_entry.json":              errorHas(`no file entry: it is an object with the keys "color"`),
		"sub_workspace_relative.json": []FileInfo{sub(file("App.jsx", -1)), sub(dir("lib"))},
		"sub_resolved_path.json":      []FileInfo{sub(file("App.jsx", -1))},
	}, func(b []byte) ([]FileInfo, error) {
		where := "/workspace"
		if bytes.Contains(b, []byte("lib/x.js")) && !bytes.Contains(b, []byte("b.txt")) || bytes.Contains(b, []byte("/mnt/")) {
			where = "/workspace/src/"
		}
		p, err := decodeFiles(b, where)
		if rel, err2 := decodeFiles(b, strings.TrimPrefix(where, "/workspace/")); err == nil && strings.HasSuffix(where, "src/") {
			if diff := cmp.Diff(p, rel); diff != "" || err2 != nil {
				t.Errorf("a relative path gives another listing: %s %v", diff, err2)
			}
		}
		return p.Items, err
	})
}

func TestFileRead(t *testing.T) {
	raw := func(name string) string { return string(fixture(t, "file_read", name)) }
	cases := map[string]any{
		"envelope.json":              "hé\n😀",
		"base64.json":                "hi",
		"base64_encoding_first.json": "\x00\x01\xff\xfe",
		"base64_unpadded.json":       "\xff\xfe\xfd",
		"base64_bad.json":            errorHas("not valid base64"),
		"file.json":                  "hi",
		"all_keys.json":              "hi",
		"empty_content.json":         "",
		"part_by_size.json":          "a part",
		"error.json":                 errorHas("File not found"),
	}
	for _, name := range []string{"raw_json_foreign_key.json", "raw_json_no_content.json", "raw_json_content_object.json",
		"raw_json_unknown_encoding.json", "raw_package.json", "raw_array.json", "raw_broken.txt", "raw_text.txt",
		"raw_empty.txt", "raw_spaces.txt", "raw_two_values.txt"} {
		cases[name] = raw(name)
	}
	table(t, "file_read", cases, func(b []byte) (string, error) {
		c := serve(t, answer(200, "application/json", string(b)))
		f, err := c.Files.Open(t.Context(), "i1", "/workspace/a")
		if err != nil {
			return "", err
		}
		content, err := io.ReadAll(f)
		if err == nil && f.Size >= 0 && f.Size != int64(len(content)) {
			t.Errorf("Size is %d, content has %d bytes", f.Size, len(content))
		}
		if f.Truncated != (bytes.Contains(b, []byte(`"truncated"`)) || string(fixture(t, "file_read", "part_by_size.json")) == string(b)) {
			t.Errorf("Truncated is %v", f.Truncated)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		return string(content), err
	})
	c := serve(t, answer(200, "application/octet-stream", raw("file.json")))
	if b, err := c.Files.Read(t.Context(), "i1", "/a", 0); err != nil || string(b) != raw("file.json") {
		t.Errorf("bytes of another type were unwrapped: %q, %v", b, err)
	}
}

// A file of any size comes as bytes. JSON around one may be as large as an
// answer, and a JSON file is told from it by its beginning.
func TestFileLarge(t *testing.T) {
	const limit = 1 << 20
	block := bytes.Repeat([]byte("0123456789abcde\n"), 3<<8) // a multiple of 3 for base64
	quoted, _ := json.Marshal(string(block))
	in64 := base64.StdEncoding.EncodeToString(block)
	for _, tt := range []struct {
		name                string
		blocks              int
		before, piece, post string
		want                int // bytes of content; -1: too large
	}{
		{"bytes", 200, "", string(block), "", 200 * len(block)},
		{"text", 70, `{"path":"/a","content":"`, string(quoted[1 : len(quoted)-1]), `"}`, 70 * len(block)},
		{"base64", 60, `{"content":"`, in64, `","encoding":"base64"}`, 60 * len(block)},
		{"JSON file", 200, `{"other":1,"content":"`, in64, `"}`, 200*len(in64) + 24},
		{"text beyond the limit", 100, `{"path":"/a","content":"`, string(quoted[1 : len(quoted)-1]), `"}`, -1},
	} {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, tt.before+strings.Repeat(tt.piece, tt.blocks)+tt.post)
		}, WithMaxAnswer(limit))
		f, err := c.Files.Open(t.Context(), "i1", "/a")
		if tt.want < 0 {
			if !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: got %v, want ErrTooLarge", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(tt.name, err)
		}
		n, err := io.Copy(io.Discard, f)
		if err != nil || n != int64(tt.want) || f.Size >= 0 && f.Size != n {
			t.Errorf("%s: read %d of %d bytes (Size %d), %v", tt.name, n, tt.want, f.Size, err)
		}
		if err := f.Close(); err != nil {
			t.Error(tt.name, err)
		}
		if _, err := c.Files.Read(t.Context(), "i1", "/a", 1000); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: got %v, want ErrTooLarge", tt.name, err)
		}
	}
}

func TestFileReadFailures(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "part")
	})
	_, err := c.Files.Read(t.Context(), "i1", "/a", 0)
	if e := wantError(t, err); e.Outcome != "" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut: got %v, outcome %q", e, e.Outcome)
	}
	c = serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "part")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}, WithTimeouts(Timeouts{Idle: 50 * time.Millisecond}))
	_, err = c.Files.Read(t.Context(), "i1", "/a", 0)
	if e := wantError(t, err); !e.Timeout() || !strings.Contains(e.Error(), "nothing came for 50ms") {
		t.Errorf("silent: got %v", e)
	}
}

// A write that is refused for want of room may have emptied the file first.
func TestWriteToFullDisk(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"ENOSPC: no space left on device, write"}`)
	})
	if e := wantError(t, c.Files.Write(t.Context(), "i1", "/a", "text")); e.Outcome != OutcomeUnknown {
		t.Errorf("got %v, outcome %q", e, e.Outcome)
	}
}

func TestFileWrites(t *testing.T) {
	var got string
	reply := ""
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.URL.Path + " " + string(b)
		if reply == "204" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, reply)
	})
	ctx := t.Context()
	for _, reply = range []string{"204", "", `{"ok":true}`, `{"success":true}`, `{"path":"/a","size":2}`, `{"status":"ok"}`, "OK"} {
		if err := c.Files.Write(ctx, "i1", "/a", "<é>"); err != nil {
			t.Errorf("%q: %v", reply, err)
		}
		if want := `/api/instances/i1/files/write {"path":"/a","content":"<é>"}`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if err := c.Files.Upload(ctx, "i1", "/workspace", "a b", ""); err != nil {
		t.Error(err)
	}
	if want := `/api/instances/i1/files/upload {"targetDir":"/workspace","fileName":"a b","content":""}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := c.Files.Mkdir(ctx, "i1", "/a/b"); err != nil {
		t.Error(err)
	}
	if want := `/api/instances/i1/files/mkdir {"path":"/a/b"}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, reply = range []string{`{"ok":false}`, `{"success":false,"message":"Disk is full"}`, `{"error":"Disk is full"}`} {
		if e := wantError(t, c.Files.Mkdir(ctx, "i1", "/a")); e.Outcome != OutcomeUnknown {
			t.Errorf("%s: got %v, outcome %q", reply, e, e.Outcome)
		}
	}
	got = ""
	for name, err := range map[string]error{
		"bytes":     c.Files.Write(ctx, "i1", "/a", "\xff"),
		"no path":   c.Files.Mkdir(ctx, "i1", ""),
		"no name":   c.Files.Upload(ctx, "i1", "/a", "", "x"),
		"no id":     c.Files.Write(ctx, "", "/a", "x"),
		"dots":      c.Files.Write(ctx, "..", "/a", "x"),
		"line feed": c.Files.Write(ctx, "a\nb", "/a", "x"),
	} {
		if e := wantError(t, err); e.Outcome != OutcomeNotSent || got != "" {
			t.Errorf("%s: got %v, outcome %q, sent %q", name, e, e.Outcome, got)
		}
	}
}

func TestDecodeBase64(t *testing.T) {
	for in, want := range map[string]string{"aGVsbG8=": "hello", "aGVs\nbG8": "hello", "": "", "_-8=": "\xff\xef", "/+8": "\xff\xef"} {
		if got, err := decodeBase64([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"a", "no, none", "aGk=aGk="} {
		if got, err := decodeBase64([]byte(in)); err == nil {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

// FuzzUnwrap checks that only an object with a content is unwrapped, and that
// the beginning of an answer never shows what the whole denies.
func FuzzUnwrap(f *testing.F) {
	for _, s := range []string{`{"content":"x","path":"/a"}`, `{"file":{"content":""}}`, `{"content":"aGk=","encoding":"base64"}`,
		`{"content":1}`, `{"content":"x","other":1}`, `{"content":"x"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		content, kind, err := decodeEnvelope(b, "/a")
		if kind != wholeContent && kind != partContent {
			return
		}
		for n := range b[:min(len(b), 200)] {
			if _, part, _ := decodeEnvelope(b[:n], "/a"); part != undecided && len(bytes.TrimSpace(b[:n])) > 0 && len(bytes.TrimSpace(b[n:])) > 0 {
				t.Fatalf("%q is unwrapped, but its first %d bytes are %v", b, n, part)
			}
		}
		o, ok := asObject(b)
		if !ok {
			t.Fatalf("%q is unwrapped but is not an object", b)
		}
		if inner, ok := o.object("file", "data"); ok && o["content"] == nil {
			o = inner
		}
		want, ok := asString(o["content"])
		if !ok {
			t.Fatalf("%q is unwrapped but has no content", b)
		}
		if isBase64 := bytes.Contains(bytes.ToLower(b), []byte("base64")) || bytes.Contains(b, []byte(`\u`)); err == nil && !isBase64 && string(content) != want {
			t.Fatalf("got %q; want %q", content, want)
		}
	})
}

// TestChangesThatFailed has answers with a status of success that say otherwise.
func TestChangesThatFailed(t *testing.T) {
	for body, want := range map[string]string{
		``: "", `{}`: "", `{"ok":true}`: "", `{"error":null,"path":"/a"}`: "", `{"status":"ok","size":3}`: "", `{"status":"completed","errors":[]}`: "", `{"bytes_written":3}`: "", `done`: "",
		`{"status":"error","message":"disk full"}`:                    "disk full",
		`{"failed":true,"reason":"over quota"}`:                       "over quota",
		`{"errors":[{"message":"over quota"}]}`:                       "over quota",
		`{"data":{"status":"failed","message":"disk full"}}`:          "disk full",
		`{"results":[{"path":"/a","ok":false,"error":"over quota"}]}`: "over quota",
		`{"ok":true,"bytes_written":1}`:                               "wrote 1 bytes of 3",
		`ERROR: disk full`:                                            "ERROR: disk full",
	} {
		c := serve(t, answer(200, "application/json", body))
		err := c.Files.Write(t.Context(), "i1", "/a", "new")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", body, err, want)
		}
	}
}

// TestFileListForms has lists whose folders are known by other names.
func TestFileListForms(t *testing.T) {
	for _, body := range []string{
		`{"files":["a"],"directories":["d"]}`,
		`{"data":{"files":[{"name":"a"}],"folders":[{"name":"d"}]}}`,
		`{"tree":[{"path":"a","type":"blob"},{"path":"d","type":"tree"}]}`,
		`[{"name":"a","mode":"-rw-r--r--"},{"name":"d","mode":"drwxr-xr-x"}]`,
		`[{"name":"a","mode":33188},{"name":"d","mode":16877}]`,
	} {
		page, err := decodeFiles([]byte(body), "")
		var got []string
		for _, f := range page.Items {
			name := f.Name
			if f.IsDir {
				name += "/"
			}
			got = append(got, name)
		}
		if strings.Join(got, " ") != "a d/" || err != nil || page.More {
			t.Errorf("%s: got %v, %v", body, got, err)
		}
	}
	if page, err := decodeFiles([]byte(`{"files":["a"],"truncated":true}`), ""); err != nil || !page.More {
		t.Errorf("a list that is cut short: got %+v, %v", page, err)
	}
}

// TestFileContentForms has the ways in which a file's bytes travel in JSON.
func TestFileContentForms(t *testing.T) {
	for _, body := range []string{
		`{"path":"a","content":"aGk=","encoding":"BASE64"}`, `{"path":"a","content":"aGk","encoding":"base64url"}`, `{"content":"6869","encoding":"hex"}`,
		`{"content":"aGk=","content_encoding":"base64"}`, `{"content":"aGk=","isBase64":true}`, `{"path":"a","contentBase64":"aGk="}`,
		`{"content":"data:text/plain;base64,aGk=","encoding":"dataurl"}`,
		`{"success":true,"path":"a","content":"hi"}`, `{"ok":true,"data":{"path":"a","content":"hi","size":2}}`, `{"data":{"path":"a","content":"aGk=","encoding":"base64"},"success":true}`,
	} {
		content, kind, err := decodeEnvelope([]byte(body), "a")
		if string(content) != "hi" || kind != wholeContent || err != nil {
			t.Errorf("%s: got %q, %v, %v", body, content, kind, err)
		}
	}
	for _, body := range []string{`{"content":"x","encoding":"rot13"}`, `{"content":"xyz","encoding":"hex"}`, `{"contentBase64":"aGk=","owner":1}`,
		`{"success":true,"content":"hi"}`, `{"success":true,"path":"b","content":"hi"}`, `{"data":{"content":"hi"}}`, `{"success":false,"path":"a","content":"hi"}`} {
		if _, kind, _ := decodeEnvelope([]byte(body), "a"); kind != noEnvelope {
			t.Errorf("%s is unwrapped", body)
		}
	}
}
