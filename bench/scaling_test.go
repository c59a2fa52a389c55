package bench

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Groups of 1, 2 and 4 replicas do the same calls at the same time, so that whatever else
// the machine does hits them alike. Each replica is held to a small part of a processor:
// what a group then does is what its replicas can, and not what the machine can.
const (
	scaleRounds  = 9
	scaleRound   = 5 * time.Second
	scaleCallers = 24   // of each replica
	scaleQuota   = 0.06 // of a processor, of each replica
	scaleDelay   = 20 * time.Millisecond

	scaleBar     = 3.6  // times as many calls by 4 replicas
	scaleCPU     = 1.15 // times as much processor time for a call of 4 replicas
	scaleBounded = 0.9  // of the periods in which a replica ran, it must have used up its quota
)

// cgroup holds a process to a part of a processor.
type cgroup struct {
	dir string
	v2  bool
}

// newCgroup makes a control group. That may not be allowed here: then nothing can be
// measured.
func newCgroup(name string, quota float64) (*cgroup, error) {
	const period = 100_000 // us
	root, v2 := "/sys/fs/cgroup", true
	if _, err := os.Stat(root + "/cgroup.controllers"); err != nil {
		root, v2 = root+"/cpu", false
	}
	g := &cgroup{filepath.Join(root, name), v2}
	if err := os.Mkdir(g.dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	limit := int(quota * period)
	// Beside others, it gets what its quota says.
	if v2 {
		return g, errors.Join(g.write("cpu.max", fmt.Sprint(limit, " ", period)), g.write("cpu.weight", "10000"))
	}
	return g, errors.Join(g.write("cpu.cfs_period_us", fmt.Sprint(period)), g.write("cpu.cfs_quota_us", fmt.Sprint(limit)), g.write("cpu.shares", "100000"))
}

func (g *cgroup) write(name, value string) error {
	return os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0o644)
}

func (g *cgroup) add(pid int) error { return g.write("cgroup.procs", strconv.Itoa(pid)) }

// remove takes the group away; its processes have ended.
func (g *cgroup) remove() { _ = os.Remove(g.dir) }

// periods gives in how many periods the processes ran, and in how many they used up
// their quota.
func (g *cgroup) periods(tb testing.TB) (all, throttled float64) {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(g.dir, "cpu.stat"))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name {
		case "nr_periods":
			all = number(tb, value)
		case "nr_throttled":
			throttled = number(tb, value)
		}
	}
	return all, throttled
}

// replicaGroup is some replicas behind a balancer that sends each call to the one with
// fewest.
type replicaGroup struct {
	replicas  []*process
	cgroups   []*cgroup
	inFlight  []atomic.Int64
	terminals []string
	calls     atomic.Int64
}

// pick chooses a replica for a call.
func (g *replicaGroup) pick() int {
	best, first := -1, rand.IntN(len(g.replicas))
	for i := range g.replicas {
		if i = (i + first) % len(g.replicas); best < 0 || g.inFlight[i].Load() < g.inFlight[best].Load() {
			best = i
		}
	}
	g.inFlight[best].Add(1)
	return best
}

func (g *replicaGroup) cpu(tb testing.TB) (us float64) {
	for _, p := range g.replicas {
		us += p.cpu(tb)
	}
	return us
}

// caller calls until stop is closed.
func (g *replicaGroup) caller(links []link, next func() request, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		r := next()
		i := g.pick()
		_, err := links[i].ask(r)
		g.inFlight[i].Add(-1)
		if err != nil {
			return err
		}
		g.calls.Add(1)
	}
}

// newGroup starts a group.
func newGroup(tb testing.TB, s *service, w way, nats string, n int) *replicaGroup {
	tb.Helper()
	g := &replicaGroup{inFlight: make([]atomic.Int64, n)}
	for i := range n {
		p := startOurs(tb, s, w, "GOMAXPROCS=1", "OPENCLAW_MCP_NATS_URL="+nats, fmt.Sprint("OPENCLAW_MCP_NATS_PREFIX=group", n))
		g.replicas = append(g.replicas, p)
		limit, err := newCgroup(fmt.Sprintf("openclaw-bench-%d-%d-%d", os.Getpid(), n, i), scaleQuota)
		if err == nil {
			tb.Cleanup(limit.remove)
			tb.Cleanup(p.stop) // before that
			err = limit.add(p.cmd.Process.Pid)
		}
		if err != nil {
			tb.Fatalf("not measured: the replicas can't be held to a part of a processor, which takes Linux and root: %v", err)
		}
		g.cgroups = append(g.cgroups, limit)
	}
	for _, p := range g.replicas {
		l := p.links(tb, w, 1)[0]
		for range 2 {
			g.terminals = append(g.terminals, openTerminal(tb, l))
		}
	}
	return g
}

// scaling measures how calls grow with the replicas.
func scaling(t *testing.T) (table string) {
	table = "| calls | replicas | calls/s | times | CPU per call | quota used up |\n|---|---:|---:|---:|---:|---:|\n"
	plain := func(*replicaGroup, string) request { return toolCalls[0].request }
	var sent atomic.Int64
	mixed := func(g *replicaGroup, session string) request {
		switch rand.IntN(10) {
		case 0:
			n := sent.Add(1)
			return send(session, fmt.Sprint("message ", n), fmt.Sprint("key ", n))
		case 1:
			return readTerminal(g.terminals[rand.IntN(len(g.terminals))])
		}
		return toolCalls[0].request
	}
	for _, kind := range []struct {
		name string
		next func(*replicaGroup, string) request
	}{{"plain", plain}, {"mixed", mixed}} {
		t.Run(kind.name, func(t *testing.T) { table += scalingOf(t, kind.name, kind.next) })
	}
	return table
}

func scalingOf(t *testing.T, name string, next func(*replicaGroup, string) request) (rows string) {
	s, w, nats := newSlowService(t, scaleDelay), ways[3], newNATS(t)
	groups := []*replicaGroup{newGroup(t, s, w, nats, 1), newGroup(t, s, w, nats, 2), newGroup(t, s, w, nats, 4)}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	errs := make(chan error, 1)
	for _, g := range groups {
		var connections [][]link // by replica
		for _, p := range g.replicas {
			connections = append(connections, p.links(t, w, scaleCallers*len(g.replicas)))
		}
		for i := range scaleCallers * len(g.replicas) {
			var links []link
			for _, of := range connections {
				links = append(links, of[i])
			}
			session := s.newSession(t)
			callers.Go(func() {
				if err := g.caller(links, func() request { return next(g, session) }, stop); err != nil {
					select {
					case errs <- err:
					default:
					}
				}
			})
		}
	}
	defer callers.Wait()
	defer close(stop)
	type reading struct{ calls, cpu, periods, throttled float64 }
	read := func(g *replicaGroup) (r reading) {
		r.calls, r.cpu = float64(g.calls.Load()), g.cpu(t)
		for _, c := range g.cgroups {
			all, throttled := c.periods(t)
			r.periods += all
			r.throttled += throttled
		}
		return r
	}
	time.Sleep(scaleRound) // what is done only once
	calls, times := make([][]float64, len(groups)), make([][]float64, len(groups))
	first, last := make([]reading, len(groups)), make([]reading, len(groups))
	for i, g := range groups {
		first[i] = read(g)
		last[i] = first[i]
	}
	for range scaleRounds {
		select {
		case err := <-errs:
			t.Fatal(err)
		case <-time.After(scaleRound):
		}
		var one float64
		for i, g := range groups {
			now := read(g)
			n := now.calls - last[i].calls
			if last[i] = now; i == 0 {
				one = n
			}
			calls[i] = append(calls[i], n/scaleRound.Seconds())
			times[i] = append(times[i], n/one)
		}
	}
	median := func(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }
	var cpu []float64
	for i, g := range groups {
		sum := reading{last[i].calls - first[i].calls, last[i].cpu - first[i].cpu, last[i].periods - first[i].periods, last[i].throttled - first[i].throttled}
		bounded := sum.throttled / sum.periods
		cpu = append(cpu, sum.cpu/sum.calls)
		rows += fmt.Sprintf("| %s | %d | %.0f | %.2f | %.0f µs | %.0f %% |\n", name, len(g.replicas), median(calls[i]), median(times[i]), cpu[i], 100*bounded)
		if bounded < scaleBounded {
			t.Errorf("not measured: %d replicas used up their quota in %.0f %% of their periods only", len(g.replicas), 100*bounded)
		}
	}
	if got := median(times[2]); got < scaleBar {
		t.Errorf("4 replicas do %.2f times as many calls, want %.1f", got, scaleBar)
	}
	if got := cpu[2] / cpu[0]; got > scaleCPU {
		t.Errorf("4 replicas take %.2f times as much processor time for a call, want at most %.2f", got, scaleCPU)
	}
	return rows
}
