package auth

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"openclaw-mcp/internal/filewatch"
)

func TestSubjectKeys(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys")
	for _, c := range []struct{ text, subject, key string }{
		{"# ours\n\n alice:hidden-1 \r\nauth0|urn:x:bob:hidden-2", "alice", "hidden-1"},
		{"# ours\n\n alice:hidden-1 \r\nauth0|urn:x:bob:hidden-2", "auth0|urn:x:bob", "hidden-2"},
		{"alice:hidden", "Alice", ""},
		{"", "alice", ""},
		{"# nobody\n#alice:x", "#alice", ""},
		{` {"alice":"oc:hidden","#b":"hidden"} `, "alice", "oc:hidden"},
		{`{"alice":"oc:hidden","#b":"hidden"}`, "#b", "hidden"},
		{"{}", "alice", ""},
	} {
		write(t, file, c.text)
		keys, err := NewSubjectKeys(file, nil)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		if got, ok := keys.get(c.subject); got != c.key || ok != (c.key != "") {
			t.Errorf("%q: %s has %q, %v; want %q", c.text, c.subject, got, ok, c.key)
		}
	}
	const line = "must be one word of at most 512 printable"
	for _, c := range []struct{ text, want string }{
		{"a:k\nhidden", "line 2 is not of the form subject:key"},
		{":hidden", "line 1 has a subject of 0 bytes; it must have 1 to 255"},
		{strings.Repeat("s", 256) + ":hidden", "line 1 has a subject of 256 bytes"},
		{"a:", "line 1 has an invalid OpenClaw key"},
		{"a:hidden hidden", line},
		{"a:" + strings.Repeat("k", 513), line},
		{"a:hidden\na:hidden", "line 2 repeats a subject"},
		{"a:hidden\xff", "is not UTF-8 text"},
		{`{"a":"hidden","a":"hidden"}`, "entry 2 repeats a subject"},
		{`{"a":"hidden","b":""}`, "entry 2 has an invalid OpenClaw key"},
		{`{"a":5}`, "wrong near byte 6"},
		{`{"a":{"hidden":"x"}}`, "wrong near byte 6"},
		{`{"a"`, "wrong near byte 4"},
		{`{hidden:"x"}`, "wrong near byte 1"},
		{`{"a":"hidden"`, "wrong near byte 13"},
		{`{"a":"hidden"} {}`, "wrong near byte"},
		{"{", "wrong near byte"},
	} {
		write(t, file, c.text)
		if _, err := NewSubjectKeys(file, nil); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%q: got %v, want %s", c.text, err, c.want)
		}
	}
	if _, err := NewSubjectKeys(file+"-missing", nil); err == nil || !strings.Contains(err.Error(), file+"-missing") {
		t.Errorf("missing file: got %v", err)
	}
}

func TestSubjectKeysAreReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, subjectKeysAreReadAgain)
}

func subjectKeysAreReadAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	write(t, file, "alice:hidden-1")
	var log bytes.Buffer
	keys, err := NewSubjectKeys(file, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{{"alice:hidden-2", "hidden-2"}, {"broken hidden", "hidden-2"}, {`{"alice":"hidden-3"}`, "hidden-3"}, {"bob:hidden-4", ""}} {
		write(t, file, c.text)
		time.Sleep(filewatch.Interval)
		if got, _ := keys.get("alice"); got != c.want {
			t.Errorf("%s: got %q, want %q", c.text, got, c.want)
		}
	}
	if s := log.String(); strings.Count(s, "level=ERROR") != 1 || strings.Contains(s, "hidden") {
		t.Errorf("a broken file is not logged once, or a key is shown:\n%s", s)
	}
}
