package main

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	got, err := parseBenchmarks([]byte("goos: linux\nBenchmarkCall/read_file/stdio-2   \t 200\t 541.6 ns/op\t 269700 B/op\t 405 allocs/op\n" +
		"BenchmarkBulk/write-2 10 15 ns/op 18.97 MB/s 4880 B/op 400 allocs/op\nBenchmarkNoAllocs 1 2 ns/op\nok  x\n"))
	want := map[string]figures{"Call/read_file/stdio": {405, 269700}, "Bulk/write": {400, 4880}}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestCompareFigures(t *testing.T) {
	t.Parallel()
	want := recordedFigures{Tolerance: 0.1, Benchmarks: map[string]figures{"A": {100, 10_000}}}
	for _, c := range []struct {
		name  string
		got   map[string]figures
		error string // "": none
	}{
		{"the same", map[string]figures{"A": {100, 10_000}}, ""},
		{"within the tolerance", map[string]figures{"A": {110, 13_000}}, ""},
		{"far fewer bytes", map[string]figures{"A": {100, 5_000}}, ""},
		{"more allocations", map[string]figures{"A": {114, 10_000}}, "A: 114 allocs/op, recorded are 100, and at most 113"},
		{"more bytes", map[string]figures{"A": {100, 13_600}}, "A: 13600 bytes/op, recorded are 10000, and at most 13512"},
		{"far less", map[string]figures{"A": {50, 10_000}}, "it has become better"},
		{"one is gone", map[string]figures{}, "no such benchmark any more"},
		{"one is new", map[string]figures{"A": {100, 10_000}, "B": {1, 1}}, "B: it is not recorded"},
	} {
		err := compareFigures("figures.json", want, c.got, io.Discard)
		if c.error == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.error) || !strings.Contains(err.Error(), "UPDATE=1") {
			t.Errorf("%s: got %v, want an error with %q", c.name, err, c.error)
		}
	}
}

func TestGuardFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string][2]string{
		"none.json":      {"", "no such file"},
		"broken.json":    {"{", "unexpected end"},
		"tolerance.json": {`{"tolerance":2}`, "must be between 0 and 1"},
	} {
		path := filepath.Join(dir, name)
		if c[0] != "" {
			if err := os.WriteFile(path, []byte(c[0]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := runGuard(t.Context(), path, false, io.Discard); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c[1])
		}
	}
}

func TestWritePage(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "page.md")
	for _, c := range []struct{ before, after, error string }{
		{"# P\n" + pageBegin + "old\n" + pageEnd + "\nrest\n", "# P\n" + pageBegin + "new\n" + pageEnd + "\nrest\n", ""},
		{"# P\n", "# P\n", "lacks the markers"},
	} {
		if err := os.WriteFile(path, []byte(c.before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := writePage(path, "new\n")
		if (err == nil) != (c.error == "") || err != nil && !strings.Contains(err.Error(), c.error) {
			t.Errorf("got %v, want %q", err, c.error)
		}
		if got, _ := os.ReadFile(path); string(got) != c.after {
			t.Errorf("the page is %q, want %q", got, c.after)
		}
	}
}

func TestUnknownPart(t *testing.T) {
	t.Parallel()
	err := measure(t.Context(), "page.md", "start,speed", io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), `"speed"; there is: start, calls, streams`) {
		t.Errorf("got %v", err)
	}
}

func TestQuantiles(t *testing.T) {
	t.Parallel()
	var all times
	for i := range 100 {
		all = append(all, time.Duration(100-i)) // 100 down to 1
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := all.at(q); got != want {
			t.Errorf("the quantile %v is %d, want %d", q, got, want)
		}
	}
	if got := (times)(nil).at(0.5); got != 0 {
		t.Errorf("the median of nothing is %d", got)
	}
}

// What a chat brings is timed by its stamps, also where several came joined.
func TestReceiver(t *testing.T) {
	t.Parallel()
	r := &receiver{}
	r.text(stamp() + stamp())
	r.text("status: no stamp")
	r.text(stamp())
	if len(r.latency) != 3 {
		t.Fatalf("%d stamps were read, want 3", len(r.latency))
	}
	for _, d := range r.latency {
		if d < 0 || d > time.Minute {
			t.Errorf("an event was on its way for %v", d)
		}
	}
}
