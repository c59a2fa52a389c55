//go:build e2e && linux

package chaos

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// transferring copies a file to the instance, or from it. Where the call says that it is
// there, it is; else the call is made again.
func (w *worker) transferring() {
	ctx, stop := w.within()
	defer stop()
	mark := w.mark()
	content := make([]byte, 8+w.rand.IntN(4<<20))
	for i := range content {
		content[i] = byte(w.rand.Uint32())
	}
	here, there := filepath.Join(w.root, mark), filepath.Join(w.workspace, mark)
	tool, from, to := "upload_files", here, there
	if w.rand.IntN(2) == 0 {
		tool, from, to = "download_files", there, here
	}
	if err := os.WriteFile(from, content, 0o600); err != nil {
		w.violation("harness: %v", err)
		return
	}
	want := sha256.Sum256(content)
	began := time.Now()
	for {
		o, status := w.follow(ctx, w.call(ctx, tool, params{"local_path": here, "path": "/workspace/" + mark}), mark)
		if status == "completed" {
			got, err := os.ReadFile(to)
			if sum := sha256.Sum256(got); err != nil || !bytes.Equal(sum[:], want[:]) {
				w.violation("I10: %s of %s says that it is complete; of %d bytes, %d are there (%v): %s", tool, mark, len(content), len(got), err, o)
			}
			w.count(tool, time.Since(began))
			break
		}
		if ctx.Err() != nil {
			w.violation("I2: %s: no true outcome after %v: %s", mark, time.Since(began).Round(time.Second), o)
			return
		}
		w.trouble(mark, o)
		w.pause()
	}
	for _, path := range []string{here, there} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.violation("harness: %v", err)
		}
	}
}
