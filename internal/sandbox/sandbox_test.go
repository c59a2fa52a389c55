//go:build !windows

package sandbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"openclaw-mcp/client"
)

// TestSyntax has each script parsed by each shell.
func TestSyntax(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		names, err := fs.Glob(files, "scripts/*.sh")
		if err != nil || len(names) < 20 {
			t.Fatalf("only %d scripts, %v", len(names), err)
		}
		for _, name := range names {
			name := strings.TrimSuffix(filepath.Base(name), ".sh")
			cmd := exec.Command(w.argv[0], "-n")
			cmd.Stdin = strings.NewReader(Text(name))
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v %s", name, err, out)
			}
		}
	})
}

// TestSize holds scripts small enough to leave room for what goes with them.
func TestSize(t *testing.T) {
	t.Parallel()
	const most = 12 << 10
	for name, text := range texts() {
		if name == "command_start" {
			text += Text("command_supervise") + Text("command_lead")
		}
		if len(text) > most {
			t.Errorf("%s has %d bytes, more than %d", name, len(text), most)
		}
		if regexp.MustCompile(`(?m)^\s*(#|\. \./)`).MatchString(text) {
			t.Errorf("%s has a comment, or a file that is not included", name)
		}
	}
}

func TestQuote(t *testing.T) {
	texts := []string{"", "a", "it's", `"`, "$HOME `id` \\ !x", "a\nb\n", "\\\n", strings.Repeat("'", 1000), strings.Repeat(`'"$`, 1000), "-n", "~", "a=b", "*", "\x01\xff", "'\\''"}
	const chars = "'\"$\\! ab`\n"
	for range 200 {
		b := make([]byte, rand.IntN(40))
		for i := range b {
			b[i] = chars[rand.IntN(len(chars))]
		}
		texts = append(texts, string(b))
	}
	for _, s := range texts {
		if q := Quote(s); float64(len(q)) > 1.75*float64(len(s))+2 {
			t.Errorf("%d bytes become %d", len(s), len(q))
		}
	}
	inShells(t, func(t *testing.T, w *world) {
		quoted := make([]string, len(texts))
		for i, s := range texts {
			quoted[i] = Quote(s)
		}
		got := strings.Split(w.exec(`printf '%s\0' `+strings.Join(quoted, " ")).Stdout.Head, "\x00")
		if len(got)-1 != len(texts) {
			t.Fatalf("got %d words, want %d", len(got)-1, len(texts))
		}
		for i, s := range texts {
			if got[i] != s {
				t.Errorf("%q became %q", s, got[i])
			}
		}
	})
}

// TestFraming reads reports that services changed on the way.
func TestFraming(t *testing.T) {
	t.Parallel()
	s := Script{mark: "m:1"}
	long := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("x"), 100))
	whole := "profile\nm:1 begin\nm:1 file 5 x\n" + long[:76] + "\n" + long[76:] + "\n. 137\n.\nm:1 end\nlater\n"
	for name, out := range map[string]string{
		"as printed": whole, "CRLF": strings.ReplaceAll(whole, "\n", "\r\n"), "trimmed": strings.TrimSpace(strings.TrimSuffix(whole, "later\n")),
		"trimmed CRLF": strings.TrimSpace(strings.ReplaceAll(strings.TrimSuffix(whole, "later\n"), "\n", "\r\n")),
	} {
		r, err := s.Read(client.ExecResult{Stdout: client.Output{Head: out}})
		if err != nil || r.Verb != "file" || !slices.Equal(r.Words, []string{"5", "x"}) || len(r.Parts) != 2 || len(r.Part(0)) != 100 || len(r.Part(1)) != 0 {
			t.Errorf("%s: got %v, %v", name, r, err)
		}
	}
	for name, tt := range map[string]struct {
		res   client.ExecResult
		begun bool
		long  bool
	}{
		"nothing":     {client.ExecResult{}, false, false},
		"other mark":  {client.ExecResult{Stdout: client.Output{Head: strings.ReplaceAll(whole, "m:1", "m:2")}}, false, false},
		"cut":         {client.ExecResult{Stdout: client.Output{Head: whole[:60]}}, true, false},
		"cut off":     {client.ExecResult{Stdout: client.Output{Head: whole[:60]}, Truncated: true}, true, true},
		"left out":    {client.ExecResult{Stdout: client.Output{Head: whole[:60], Tail: whole[70:], Omitted: 10}}, true, true},
		"empty":       {client.ExecResult{Stdout: client.Output{Head: "m:1 begin\nm:1 end\n"}}, true, false},
		"no dot":      {client.ExecResult{Stdout: client.Output{Head: "m:1 begin\nm:1 file\nabcd\nm:1 end\n"}}, true, true},
		"no middle":   {client.ExecResult{Stdout: client.Output{Head: strings.Replace(whole, long[20:60], "", 1)}}, true, true},
		"a remark":    {client.ExecResult{Stdout: client.Output{Head: strings.Replace(whole, long[20:60], "\n[cut]\n", 1)}}, true, true},
		"not base64":  {client.ExecResult{Stdout: client.Output{Head: "m:1 begin\nm:1 file\na!\n. 2\nm:1 end\n"}}, true, false},
		"no verb yet": {client.ExecResult{Stdout: client.Output{Head: "m:1 begin\n"}, TimedOut: true}, true, false},
	} {
		r, err := s.Read(tt.res)
		var no *NoReport
		if !errors.As(err, &no) || no.Begun != tt.begun || no.TooLong != tt.long || no.TimedOut != tt.res.TimedOut || no.Error() == "" {
			t.Errorf("%s: got %v, %+v", name, r, err)
		}
	}
}

func FuzzReport(f *testing.F) {
	f.Add("m:1 begin\nm:1 file 5 x\nYQ==\n. 4\n.\nm:1 end\n")
	f.Fuzz(func(t *testing.T, out string) {
		s := Script{mark: "m:1"}
		r, err := s.Read(client.ExecResult{Stdout: client.Output{Head: out}})
		if err == nil && r.Verb == "" {
			t.Errorf("%q gave an empty report", out)
		}
	})
}

// TestReport has scripts report, with base64 and with openssl.
func TestReport(t *testing.T) {
	inShells(t, func(t *testing.T, w *world) {
		data := make([]byte, 10_000)
		for i := range data {
			data[i] = byte(rand.IntN(256))
		}
		if err := os.WriteFile(w.workspace+"/data", data, 0o644); err != nil {
			t.Fatal(err)
		}
		encoders := []string{""}
		if w.name != "busybox" {
			encoders = append(encoders, `command() { [ "$2" != base64 ] || return 1; [ "$2" != sha256sum ] || return 1; [ "$2" != shasum ] || return 1; [ "$1" = -v ]; }; `)
		}
		for _, without := range encoders {
			s := New("report", Params{"text": Encode(data)})
			s.Command = without + s.Command + "\nbegin; report file a 'b  c'; part <data; printf %s \"$text\" | decode | part; hash data; printf %s \"$hash\" | part; finish\n"
			res := w.exec(s.Command)
			r, err := s.Read(res)
			if err != nil || len(r.Parts) != 3 || !bytes.Equal(r.Part(0), data) || !bytes.Equal(r.Part(1), data) || len(r.Part(2)) != 64 {
				t.Errorf("got %d parts, %v, %v; %q", len(r.Parts), r.Words, err, res.Stderr.Head)
			}
		}
		s := New("report", nil)
		s.Command += "\nneed sh no-such-1 cat no-such-2\n"
		if r, err := s.Read(w.exec(s.Command)); err != nil || r.MissingTools() != "no-such-1 no-such-2" {
			t.Errorf("got %v, %v", r, err)
		}
		s = New("report", nil)
		s.Command += "\nfail 'it is \"full\"'\n"
		if r, err := s.Read(w.exec(s.Command)); err != nil || r.Verb != "failed" || string(r.Part(0)) != `it is "full"` {
			t.Errorf("got %v, %v", r, err)
		}
	})
}
