package bench

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var pageFrom = flag.String("page", "", "write the tables of docs/performance.md from this output of go test -bench")

var procs = regexp.MustCompile(`-\d+$`) // after the name of a benchmark

// tables renders the output of go test -bench: a Markdown table for each
// benchmark, with a row for each of its cases and a column for each unit. Under
// "Machine" it says what the output was measured on.
func tables(output string) map[string]string {
	out := map[string]string{}
	machine := []string{fmt.Sprint(runtime.NumCPU(), " cores"), runtime.Version()}
	for line := range strings.Lines(output) {
		words := strings.Fields(line)
		if len(words) > 1 && slices.Contains([]string{"goos:", "goarch:", "cpu:"}, words[0]) {
			machine = append(machine, strings.Join(words[1:], " "))
		}
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name, row, _ := strings.Cut(procs.ReplaceAllString(words[0], ""), "/")
		var values, units []string
		for pair := range slices.Chunk(words[2:], 2) {
			values, units = append(values, pair[0]), append(units, pair[len(pair)-1])
		}
		name = strings.TrimPrefix(name, "Benchmark")
		if out[name] == "" {
			out[name] = "| | " + strings.Join(units, " | ") + " |\n|---|" + strings.Repeat("---:|", len(units)) + "\n"
		}
		out[name] += "| " + row + " | " + strings.Join(values, " | ") + " |\n"
	}
	out["Machine"] = "Measured on: " + strings.Join(machine, ", ") + ".\n"
	return out
}

var marked = regexp.MustCompile(`(?s)(<!-- bench:(\w+) -->\n).*?(<!-- end -->)`)

// fill puts the table of NAME between <!-- bench:NAME --> and <!-- end -->.
func fill(page string, tables map[string]string) (filled string, missing []string) {
	filled = marked.ReplaceAllStringFunc(page, func(part string) string {
		m := marked.FindStringSubmatch(part)
		table, ok := tables[m[2]]
		if !ok {
			missing = append(missing, m[2])
			return part
		}
		return m[1] + table + m[3]
	})
	return filled, missing
}

func TestFill(t *testing.T) {
	t.Parallel()
	const output = "goos: linux\nBenchmarkCalls/stdio/1-2   3   10.5 bare-calls/s   21 ours-calls/s\n" +
		"BenchmarkCalls/http/1-2    3   10 bare-calls/s   5000 ours-calls/s\nPASS\n"
	const page = "before\n<!-- bench:Calls -->\nold\n<!-- end -->\n<!-- bench:Start -->\nkept\n<!-- end -->\n"
	const want = "before\n<!-- bench:Calls -->\n| | bare-calls/s | ours-calls/s |\n|---|---:|---:|\n" +
		"| stdio/1 | 10.5 | 21 |\n| http/1 | 10 | 5000 |\n<!-- end -->\n<!-- bench:Start -->\nkept\n<!-- end -->\n"
	got, missing := fill(page, tables(output))
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if !slices.Equal(missing, []string{"Start"}) {
		t.Errorf("missing is %v, want Start", missing)
	}
}

// TestWritePage writes docs/performance.md, if asked to by -page.
func TestWritePage(t *testing.T) {
	if *pageFrom == "" {
		t.Skip("-page is not set; make bench sets it")
	}
	const path = "../docs/performance.md"
	output, err1 := os.ReadFile(*pageFrom)
	page, err2 := os.ReadFile(path)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	filled, missing := fill(string(page), tables(string(output)))
	if len(missing) > 0 || strings.Contains(string(output), "FAIL") {
		t.Fatalf("a benchmark failed, or some did not run: %s has no results of %v", *pageFrom, missing)
	}
	if err := os.WriteFile(path, []byte(filled), 0o644); err != nil {
		t.Fatal(err)
	}
}
