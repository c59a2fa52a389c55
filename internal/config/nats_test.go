package config

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// Who can write a file for NATS says who this server is there, or which NATS it believes.
func TestNATSFilesOfOthers(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has other permissions")
	}
	for _, mode := range []os.FileMode{0o620, 0o602} {
		file, own := filepath.Join(t.TempDir(), "file"), filepath.Join(t.TempDir(), "own")
		for _, name := range []string{file, own} {
			if err := os.WriteFile(name, []byte("something"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		for _, set := range [][]string{{"CREDS=" + file}, {"CA=" + file}, {"CERT=" + own, "KEY=" + file}, {"CERT=" + file, "KEY=" + own}} {
			environ := []string{"OPENCLAW_MCP_NATS_URL=tls://a.example"}
			for _, s := range set {
				environ = append(environ, "OPENCLAW_MCP_NATS_"+s)
			}
			if _, err := Read(environ); err == nil || !strings.Contains(err.Error(), file+" can be written by others") {
				t.Errorf("mode %#o, %q: %v", mode, set, err)
			}
		}
	}
}

func TestNATSSettings(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ set, wrong string }{
		{"URL=nats://127.0.0.1:4222", ""},
		{"URL=nats://localhost:4222,nats://[::1]:4223", ""},
		{"URL=tls://a.example:4222, tls://b.example:4222", ""},
		{"URL=nats://a.example:4222", "without encryption"},
		{"URL=nats://127.0.0.1,nats://a.example:4222", "without encryption"},
		{"URL=tls://me:secret@a.example", "user name or password"},
		{"URL=http://a.example", "nats:// or tls://"},
		{"URL=a.example:4222", "nats:// or tls://"},
		{"CREDS=" + file, "NATS_CREDS needs OPENCLAW_MCP_NATS_URL"},
		{"URL=tls://a.example OPENCLAW_MCP_NATS_CREDS=" + file + ".none", "NATS_CREDS can't be used"},
		{"URL=tls://a.example OPENCLAW_MCP_NATS_CREDS=" + file, ""},
		{"URL=tls://a.example OPENCLAW_MCP_NATS_CA=" + file, "contains no certificate"},
		{"URL=tls://a.example OPENCLAW_MCP_NATS_CERT=" + file, "go together"},
		{"URL=tls://a.example OPENCLAW_MCP_NATS_CERT=" + file + " OPENCLAW_MCP_NATS_KEY=" + file, "can't be used"},
		{"PREFIX=a.b", "OPENCLAW_MCP_NATS_PREFIX"},
		{"REPLICAS=2", "1, 3 or 5"},
	} {
		set, more, _ := strings.Cut(tt.set, " OPENCLAW")
		environ := []string{"OPENCLAW_MCP_NATS_" + set}
		for m := range strings.SplitSeq(more, " OPENCLAW") {
			if m != "" {
				environ = append(environ, "OPENCLAW"+m)
			}
		}
		_, err := Read(environ)
		if tt.wrong == "" && err != nil || tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong)) || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q", tt.set, err, tt.wrong)
		}
	}
}
