package bench

import (
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"regexp"
	"testing"
)

var (
	guard  = flag.Bool("guard", false, "compare the allocations of calls with guard.json")
	update = flag.Bool("update", false, "with -guard: record them instead")
)

// TestAllocations holds what the built binary allocates for a call, in objects, to
// guard.json. Unlike times, that hardly depends on the machine and its load.
func TestAllocations(t *testing.T) {
	if !*guard {
		t.Skip("-guard is not set; make bench-guard sets it")
	}
	const path, calls, tolerance = "guard.json", 1000, 1.15
	recorded, counted := map[string]float64{}, map[string]float64{}
	if text, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(text, &recorded); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	s := newService(t, nil)
	for _, w := range ways {
		p := startOurs(t, s, w, withMetrics)
		l := p.links(t, w, 1)[0]
		for _, r := range []request{nothing, toolCalls[0].request, toolCalls[1].request} {
			run := func(n int) {
				for range n {
					if _, err := l.ask(r); err != nil {
						t.Fatal(err)
					}
				}
			}
			run(10)
			before := p.allocations(t)
			run(calls)
			name := r.tool + "/" + w.name
			got, want := float64(int(p.allocations(t)-before)/calls), recorded[name]
			counted[name] = got
			if !*update && got > want*tolerance {
				t.Errorf("%s allocates %v objects a call, %v are recorded; make bench-guard UPDATE=1 records what is now", name, got, want)
			}
		}
	}
	if *update {
		text, _ := json.MarshalIndent(counted, "", "  ")
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var mallocs = regexp.MustCompile(`(?m)^go_memstats_mallocs_total (\S+)$`)

// allocations gives how many objects the process has allocated so far.
func (p *process) allocations(t *testing.T) float64 {
	t.Helper()
	res, err := http.Get(p.admin + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	m := mallocs.FindSubmatch(text)
	if err != nil || m == nil {
		t.Fatalf("no count of allocations in %.500q (%v)", text, err)
	}
	return number(t, string(m[1]))
}

// TestSize holds the binary to a size. One package that looks methods up by names that
// it learns at run time, as text/template does, makes the linker keep all methods of the
// whole program, and adds 4 MB.
func TestSize(t *testing.T) {
	if !*guard {
		t.Skip("-guard is not set; make bench-guard sets it")
	}
	const limit = 24 << 20
	path, err := ours()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if file.Size() > limit {
		t.Errorf("the binary has %d bytes, want at most %d; go build -ldflags=-dumpdep shows what it reaches, with <ReflectMethod> where methods are kept by name", file.Size(), limit)
	}
}
