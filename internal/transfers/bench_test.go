//go:build unix

package transfers

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"net/http/httptest"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/emulator/emulatortest"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/runs/runstest"
)

// BenchmarkTransfer moves 10,000 files and one of 200 MB up and down again,
// and holds them to their hashes. Heap is what this process takes at most,
// with the service in it.
func BenchmarkTransfer(b *testing.B) {
	for _, c := range []struct {
		name  string
		plant func(dir string) error
	}{
		{"10000_files", func(dir string) error {
			for i := range 10_000 {
				d := filepath.Join(dir, fmt.Sprintf("d%03d", i%311))
				if err := os.MkdirAll(d, 0o755); err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(d, fmt.Sprintf("f%05d.go", i)), []byte(strings.Repeat(fmt.Sprintf("line %d of it\n", i), i%250)), 0o644); err != nil {
					return err
				}
			}
			return nil
		}},
		{"200_MB", func(dir string) error {
			f, err := os.Create(filepath.Join(dir, "large"))
			for i := 0; i < 200 && err == nil; i++ {
				_, err = f.Write(noise(1_000_000, uint64(i)))
			}
			if err != nil {
				return err
			}
			return f.Close()
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			srv, err := emulatortest.New(emulatortest.Options{})
			if err != nil {
				b.Fatal(err)
			}
			web := httptest.NewServer(srv)
			id, err := srv.AddInstance(runstest.Key)
			if err != nil {
				b.Fatal(err)
			}
			cl, err := client.New(nil, web.URL, runstest.Key)
			if err != nil {
				b.Fatal(err)
			}
			root := b.TempDir()
			m, err := runs.NewManager(runs.Config{Client: cl, APIKey: runstest.Key})
			if err != nil {
				b.Fatal(err)
			}
			files := New(m, Config{Roots: []string{root}})
			defer func() {
				m.Close()
				_ = srv.Close()
				cl.CloseIdleConnections()
				web.Close()
			}()
			src := filepath.Join(root, "src")
			if err := os.Mkdir(src, 0o755); err != nil {
				b.Fatal(err)
			}
			if err := c.plant(src); err != nil {
				b.Fatal(err)
			}
			want := survey(b, src)
			var took [2]time.Duration
			var posts [2]int
			peak := watchHeap()
			for n := 0; b.Loop(); n++ {
				for i, kind := range []runs.Kind{runs.KindUpload, runs.KindDownload} {
					req := Request{Instance: id, Local: src, Remote: fmt.Sprintf("/workspace/app%d", n)}
					where := filepath.Join(srv.Workspace(id), fmt.Sprintf("app%d", n))
					if kind == runs.KindDownload {
						req.Local = filepath.Join(root, fmt.Sprintf("back%d", n))
						where = req.Local
					}
					begin, before := time.Now(), srv.Mutations()
					run, _, err := files.Start(b.Context(), kind, req)
					if err != nil {
						b.Fatal(err)
					}
					u, err := run.Wait(b.Context(), runs.UntilDone, 0, nil)
					if err != nil || u.Status != runs.StatusCompleted {
						b.Fatal(err, u.Status, u.Err)
					}
					took[i] += time.Since(begin)
					posts[i] = srv.Mutations() - before
					same(b, survey(b, where), want)
				}
			}
			b.ReportMetric(took[0].Seconds()/float64(b.N), "s/upload")
			b.ReportMetric(took[1].Seconds()/float64(b.N), "s/download")
			b.ReportMetric(float64(posts[0]), "POSTs/upload")
			b.ReportMetric(float64(posts[1]), "POSTs/download")
			b.ReportMetric(peak(), "MB-peak")
		})
	}
}

// watchHeap samples how much memory this process has from the system.
func watchHeap() (stop func() float64) {
	done, result := make(chan struct{}), make(chan float64)
	go func() {
		var most uint64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			most = max(most, s.Sys-s.HeapReleased)
			select {
			case <-tick.C:
			case <-done:
				result <- float64(most) / 1e6
				return
			}
		}
	}()
	return func() float64 { close(done); return <-result }
}
