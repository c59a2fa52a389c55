package emulatortest

import (
	"os"
	"path/filepath"
	"slices"
)

// PathWithout makes a folder with the programs of this machine but some, for
// Options.Path, and a function that removes it. Instances see it: it is not in
// their /tmp.
func PathWithout(missing ...string) (path string, remove func(), err error) {
	dir, err := os.MkdirTemp("/var/tmp", "openclaw-path-")
	if err != nil {
		return "", nil, err
	}
	for _, from := range []string{"/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin", "/opt/homebrew/bin"} {
		programs, _ := os.ReadDir(from) // not all of them are everywhere
		for _, p := range programs {
			if !slices.Contains(missing, p.Name()) {
				_ = os.Symlink(filepath.Join(from, p.Name()), filepath.Join(dir, p.Name())) // the first one counts
			}
		}
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}
