package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// guarded are the benchmarks whose allocations are held to recorded figures:
// of a package, those of a pattern, so many rounds each. More rounds change what
// is counted by less than the tolerance.
var guarded = []struct{ pkg, pattern, rounds string }{
	{".", "^(BenchmarkCall|BenchmarkStream|BenchmarkBridge)$", "100x"},
	{".", "^BenchmarkBulk$", "10x"},
	{"./transport", "^BenchmarkEncodeProgress$", "100x"},
}

// figures are what a benchmark allocates for one operation.
type figures struct {
	Allocs float64 `json:"allocs"`
	Bytes  float64 `json:"bytes"`
}

// recordedFigures is the guard's file.
type recordedFigures struct {
	Comment    string             `json:"comment"`
	Tolerance  float64            `json:"tolerance"` // 0.1: a tenth more or less
	Benchmarks map[string]figures `json:"benchmarks"`
}

// runGuard compares, or records where update is set. Time is not compared: it
// depends on the machine.
func runGuard(ctx context.Context, path string, update bool, out io.Writer) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var want recordedFigures
	if err := json.Unmarshal(text, &want); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if want.Tolerance <= 0 || want.Tolerance >= 1 {
		return fmt.Errorf("%s: the tolerance is %v; it must be between 0 and 1, such as 0.1", path, want.Tolerance)
	}
	got := map[string]figures{}
	for _, g := range guarded {
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", g.pattern, "-benchmem", "-benchtime", g.rounds, g.pkg)
		text, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("go test -bench %s %s: %w\n%s", g.pattern, g.pkg, err, text)
		}
		found, err := parseBenchmarks(text)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s has no benchmark %s", g.pkg, g.pattern)
		}
		maps.Copy(got, found)
	}
	if !update {
		return compareFigures(path, want, got, out)
	}
	want.Benchmarks = got
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	if err := e.Encode(want); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d benchmarks recorded\n", path, len(got))
	return os.WriteFile(path, b.Bytes(), 0o644)
}

var benchmarkLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s.*?\s(\d+) B/op\s+(\d+) allocs/op`)

// parseBenchmarks reads the output of go test -benchmem.
func parseBenchmarks(text []byte) (map[string]figures, error) {
	found := map[string]figures{}
	for _, m := range benchmarkLine.FindAllSubmatch(text, -1) {
		size, err1 := strconv.ParseFloat(string(m[2]), 64)
		allocs, err2 := strconv.ParseFloat(string(m[3]), 64)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		found[string(m[1])] = figures{Allocs: allocs, Bytes: size}
	}
	return found, nil
}

// compareFigures reports what grew beyond the tolerance, and also which counts
// shrank beyond it: a figure that is out of date guards nothing. Bytes depend on
// when pooled buffers are collected, so they may vary thrice as much, and shrink.
func compareFigures(path string, want recordedFigures, got map[string]figures, out io.Writer) error {
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(want.Benchmarks)) {
		w := want.Benchmarks[name]
		g, ok := got[name]
		if !ok {
			wrong = append(wrong, name+": it is recorded, but there is no such benchmark any more")
			continue
		}
		for _, c := range []struct {
			what      string
			got, want float64
			slack     float64 // what a few more or less of small figures are
			tolerance float64
		}{{"allocs/op", g.Allocs, w.Allocs, 3, want.Tolerance}, {"bytes/op", g.Bytes, w.Bytes, 512, 3 * want.Tolerance}} {
			if most := c.want*(1+c.tolerance) + c.slack; c.got > most {
				wrong = append(wrong, fmt.Sprintf("%s: %.0f %s, recorded are %.0f, and at most %.0f are tolerated", name, c.got, c.what, c.want, most))
			}
			if least := c.want*(1-2*c.tolerance) - c.slack; c.what == "allocs/op" && c.got < least {
				wrong = append(wrong, fmt.Sprintf("%s: %.0f %s, recorded are %.0f: it has become better, so record that", name, c.got, c.what, c.want))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want.Benchmarks[name]; !ok {
			wrong = append(wrong, name+": it is not recorded")
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("allocations differ from %s:\n  %s\nWhere that is meant, run make bench-guard UPDATE=1 and say why in the commit", path, strings.Join(wrong, "\n  "))
	}
	fmt.Fprintf(out, "%d benchmarks allocate as recorded in %s (tolerance %.0f %%)\n", len(got), path, 100*want.Tolerance)
	return nil
}
