//go:build !windows

package filewatch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A file is refused where another user could put something else into it, or in its place.
func TestOthersOwn(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root gives files away")
	}
	const other = 54321
	for _, tt := range []struct {
		name         string
		owner        int         // of the file
		mode         os.FileMode // of its folder
		folder, team int         // who has that
		want         string      // what is said; "": the file is taken
	}{
		{"root's", 0, 0o755, 0, 0, ""},
		{"another user's", other, 0o755, 0, 0, "belongs to another user (54321)"},
		{"in a folder that all can write", 0, 0o777, 0, 0, "in a folder that others can write"},
		{"in a folder of a group", 0, 0o775, 0, other, "in a folder that others can write"},
		{"in a folder of our group", 0, 0o775, 0, 0, ""},
		{"in a folder of another user", 0, 0o755, other, 0, "in a folder of another user (54321)"},
		{"in a sticky folder", 0, 0o777 | os.ModeSticky, 0, 0, ""},
		{"in a sticky folder, another user's", other, 0o777 | os.ModeSticky, 0, 0, "belongs to another user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "folder")
			file, link := filepath.Join(dir, "tokens"), filepath.Join(t.TempDir(), "link")
			for _, err := range []error{
				os.Mkdir(dir, 0o755), os.WriteFile(file, []byte("x"), 0o600), os.Chown(file, tt.owner, 0),
				os.Chown(dir, tt.folder, tt.team), os.Chmod(dir, tt.mode), os.Symlink(file, link),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, path := range []string{file, link} {
				content, err := Read(path)
				if tt.want == "" && (err != nil || string(content) != "x") || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
					t.Errorf("%s: got %v, want %q", path, err, tt.want)
				}
			}
		})
	}
}

// Kubernetes mounts a secret as links into a folder with a version of it, whose files a group
// can read.
func TestKubernetesSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	version := filepath.Join(dir, "..2026_01_01")
	file := filepath.Join(dir, "tokens")
	for _, err := range []error{
		os.Chmod(dir, 0o777|os.ModeSticky|os.ModeSetgid), os.Mkdir(version, 0o755), os.Symlink("..2026_01_01", filepath.Join(dir, "..data")),
		os.WriteFile(filepath.Join(version, "tokens"), []byte("x"), 0o440), os.Symlink("..data/tokens", file),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if content, err := Read(file); err != nil || string(content) != "x" {
		t.Errorf("%q, %v", content, err)
	}
}
