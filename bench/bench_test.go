// Package bench measures the built binary from outside, beside a bare mcp-go
// server and beside requests made directly to the embedded service. What is
// compared takes turns within one run, since a machine's speed changes from
// minute to minute. `make bench` runs it and writes docs/performance.md.
package bench

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// durations are times that one thing took, again and again.
type durations []time.Duration

// at gives the quantile q, in milliseconds.
func (d durations) at(q float64) float64 {
	sorted := slices.Sorted(slices.Values(d))
	return float64(sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]) / float64(time.Millisecond)
}

// compare runs ours and theirs in turn. A first turn, in which processes do what
// they do only once, does not count.
func compare(b *testing.B, ours, theirs func() error) (our, their durations) {
	b.Helper()
	timed := func(f func() error) time.Duration {
		started := time.Now()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		return time.Since(started)
	}
	timed(ours)
	timed(theirs)
	for b.Loop() {
		our = append(our, timed(ours))
		their = append(their, timed(theirs))
	}
	return our, their
}

type metrics map[string]float64

// report reports metrics instead of the time of an iteration, which is the sum of
// both sides.
func report(b *testing.B, m metrics) {
	b.ReportMetric(0, "ns/op")
	for unit, value := range m {
		b.ReportMetric(value, unit)
	}
}

// concurrently runs f n times at once and returns an error, if there is one.
func concurrently(n int, f func(i int) error) (failed error) {
	errs := make(chan error, n)
	for i := range n {
		go func() { errs <- f(i) }()
	}
	for range n {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	return failed
}

// nothing is a call that asks nothing of the service.
var nothing = call("list_runs", "{}")

// BenchmarkCalls counts the calls per second of a tool that asks nothing of the
// service, beside a bare mcp-go server, with 1 and with 16 calls in flight.
func BenchmarkCalls(b *testing.B) {
	const calls = 160 // in a turn
	s := newService(b, nil)
	for _, w := range ways {
		for _, inFlight := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", w.name, inFlight), func(b *testing.B) {
				turn := func(p *process) func() error {
					links := p.links(b, w, inFlight)
					return func() error {
						return concurrently(inFlight, func(i int) error {
							for range calls / inFlight {
								if _, err := links[i].ask(nothing); err != nil {
									return err
								}
							}
							return nil
						})
					}
				}
				ourServer, bareServer := startOurs(b, s, w), startBare(b, w)
				ourBefore, bareBefore := ourServer.cpu(b), bareServer.cpu(b)
				our, bare := compare(b, turn(ourServer), turn(bareServer))
				all := float64(calls * (len(our) + 1))
				report(b, metrics{
					"ours-calls/s": 1000 * calls / our.at(0.5), "bare-calls/s": 1000 * calls / bare.at(0.5), "ratio": bare.at(0.5) / our.at(0.5),
					"ours-cpu-us": (ourServer.cpu(b) - ourBefore) / all, "bare-cpu-us": (bareServer.cpu(b) - bareBefore) / all,
				})
			})
		}
	}
}

// BenchmarkStart measures from the start of a process to its answer to
// initialize, on stdio, beside a bare mcp-go server; and what either takes: the
// size of its binary and its memory when idle.
func BenchmarkStart(b *testing.B) {
	s, w := newService(b, nil), ways[0]
	m, took := metrics{}, map[string]durations{}
	turn := func(name string, start func() *process, idle func(*process)) {
		started := time.Now()
		p := start()
		p.links(b, w, 1)
		took[name] = append(took[name], time.Since(started))
		idle(p)
		p.stop()
	}
	sides := map[string]func() *process{
		"ours": func() *process { return startOurs(b, s, w) },
		"bare": func() *process { return startBare(b, w) },
	}
	for name, start := range sides {
		turn(name, start, func(p *process) {
			time.Sleep(2 * time.Second) // until it has settled
			m[name+"-idle-MiB"], m[name+"-binary-MiB"] = p.resident(b), p.binarySize(b)
		})
	}
	for b.Loop() {
		for name, start := range sides {
			turn(name, start, func(*process) {})
		}
	}
	m["ours-ms"], m["bare-ms"] = took["ours"].at(0.5), took["bare"].at(0.5)
	m["ratio"] = m["ours-ms"] / m["bare-ms"]
	report(b, m)
}

// toolCalls are tools beside the one request that does the same work.
var toolCalls = []struct {
	request
	method, path, body string
}{
	{call("get_instance", `{}`), "GET", "", ""},
	{call("list_files", `{"path":"/workspace/src"}`), "GET", "/files?path=/workspace/src", ""},
	{call("read_file", `{"path":"/workspace/src/f07.txt"}`), "GET", "/files/read?path=/workspace/src/f07.txt", ""},
	{call("exec_command", `{"command":"echo hello"}`), "POST", "/terminal/exec", `{"command":"echo hello"}`},
}

// BenchmarkTools measures calls of tools beside direct requests to the service.
func BenchmarkTools(b *testing.B) {
	s := newService(b, nil)
	for _, t := range toolCalls {
		for _, w := range ways {
			b.Run(t.tool+"/"+w.name, func(b *testing.B) {
				l := startOurs(b, s, w).links(b, w, 1)[0]
				our, direct := compare(b, func() error {
					_, err := l.ask(t.request)
					return err
				}, func() error {
					_, err := s.fetch(t.method, t.path, []byte(t.body))
					return err
				})
				report(b, metrics{"ours-ms": our.at(0.5), "ours-p99-ms": our.at(0.99), "direct-ms": direct.at(0.5), "ratio": our.at(0.5) / direct.at(0.5)})
			})
		}
	}
}

// BenchmarkTransfer moves a file of 64 MiB up and down, beside a plain loop of
// requests that move 1 MiB each.
func BenchmarkTransfer(b *testing.B) {
	const size, part = 64 << 20, 1 << 20
	s, local := newService(b, nil), b.TempDir()
	content := make([]byte, size)
	_, _ = rand.Read(content)
	if err := os.WriteFile(filepath.Join(local, "up"), content, 0o600); err != nil {
		b.Fatal(err)
	}
	s.write(b, "down", content)
	w := ways[1]
	l := startOurs(b, s, w, "OPENCLAW_MCP_TRANSFER_ROOTS="+local, "OPENCLAW_MCP_SOFT_DEADLINE=10m").links(b, w, 1)[0]
	exec := func(format string, a ...any) (stdout string, err error) {
		body, _ := json.Marshal(map[string]string{"command": "cd /workspace && " + fmt.Sprintf(format, a...)})
		answer, err := s.fetch("POST", "/terminal/exec", body)
		if err != nil {
			return "", err
		}
		var out struct{ Stdout string }
		err = json.Unmarshal(answer, &out)
		return out.Stdout, err
	}
	upload := func() error {
		for at := 0; at < size; at += part {
			body, _ := json.Marshal(map[string]string{"path": "/workspace/part", "content": base64.StdEncoding.EncodeToString(content[at : at+part])})
			if _, err := s.fetch("POST", "/files/write", body); err != nil {
				return err
			}
			if _, err := exec("base64 -d <part >>up"); err != nil {
				return err
			}
		}
		return nil
	}
	download := func() error {
		f, err := os.Create(filepath.Join(local, "down"))
		if err != nil {
			return err
		}
		defer f.Close()
		for at := range size / part {
			text, err := exec("dd if=down bs=%d skip=%d count=1 2>/dev/null | base64 -w 0", part, at)
			if err != nil {
				return err
			}
			b, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				return err
			}
			if _, err := f.Write(b); err != nil {
				return err
			}
		}
		return nil
	}
	for _, job := range []struct {
		name, result string
		direct       func() error
	}{{"up", filepath.Join(s.workspace, "up"), upload}, {"down", filepath.Join(local, "down"), download}} {
		b.Run(job.name+"load", func(b *testing.B) {
			whole := func(move func() error) func() error {
				return func() error {
					if err := move(); err != nil {
						return err
					}
					if got, err := os.ReadFile(job.result); err != nil || !bytes.Equal(got, content) {
						return fmt.Errorf("%s is not the file that was moved (%v)", job.result, err)
					}
					return os.Remove(job.result)
				}
			}
			our, direct := compare(b, whole(func() error {
				_, err := l.ask(call(job.name+"load_files", fmt.Sprintf(`{"local_path":%q,"path":%q}`, filepath.Join(local, job.name), "/workspace/"+job.name)))
				return err
			}), whole(job.direct))
			const ms = 1000 * (size >> 20)
			report(b, metrics{"ours-MiB/s": ms / our.at(0.5), "direct-MiB/s": ms / direct.at(0.5), "ratio": direct.at(0.5) / our.at(0.5)})
		})
	}
}
