//go:build e2e && linux

package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// freePort gives a port for a process that may end and begin again: none of those that
// systems give out by themselves (32768 to 60999 on Linux), which another program could
// get meanwhile.
func freePort(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(12000)
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// natsServer is a real nats-server with JetStream, in a directory of its own that
// outlives it.
type natsServer struct {
	config string
	port   int
	stop   context.CancelFunc
	done   chan struct{}
}

// newNATS prepares n servers, joined if there are several.
func newNATS(t testing.TB, n int) []*natsServer {
	t.Helper()
	if _, err := exec.LookPath("nats-server"); err != nil {
		t.Fatal("this needs nats-server: apt-get install nats-server")
	}
	servers := make([]*natsServer, n)
	var routes []string
	cluster := make([]int, n)
	for i := range servers {
		servers[i] = &natsServer{port: freePort(t)}
		cluster[i] = freePort(t)
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", cluster[i]))
	}
	for i, s := range servers {
		dir := t.TempDir()
		config := fmt.Sprintf("server_name: n%d\nlisten: 127.0.0.1:%d\njetstream: {store_dir: %q, max_mem: 64MB, max_file: 256MB}\n", i, s.port, dir)
		if n > 1 {
			config += fmt.Sprintf("cluster: {name: c, listen: 127.0.0.1:%d, routes: [%s]}\n", cluster[i], strings.Join(routes, ", "))
		}
		s.config = filepath.Join(dir, "nats.conf")
		if err := os.WriteFile(s.config, []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
		s.start(t)
		t.Cleanup(s.kill)
	}
	return servers
}

// start runs the server until it takes connections. Should it end by itself, it is started
// again, as whoever runs it does.
func (s *natsServer) start(t testing.TB) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	s.stop, s.done = stop, done
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			cmd := exec.CommandContext(ctx, "nats-server", "-c", s.config)
			var log bytes.Buffer
			cmd.Stdout, cmd.Stderr = &log, &log
			if err := cmd.Run(); ctx.Err() == nil {
				fmt.Fprintf(os.Stderr, "nats-server ended by itself: %v\n%s", err, &log)
				time.Sleep(100 * time.Millisecond)
			}
		}
	}()
	end := time.Now().Add(patience)
	for {
		conn, err := net.Dial("tcp", s.address())
		if err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(20 * time.Millisecond)
		if time.Now().After(end) {
			t.Fatalf("nats-server does not listen: %v", err)
		}
	}
}

func (s *natsServer) address() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

func (s *natsServer) kill() {
	s.stop()
	<-s.done
}

// link is the way of one replica to NATS: a relay that can be cut, and that says
// which places the replica has come to.
type link struct {
	listener net.Listener
	servers  []*natsServer
	next     atomic.Int64
	cut      atomic.Bool
	reached  func(place)

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	work  sync.WaitGroup
}

func newLink(t testing.TB, servers []*natsServer, reached func(place)) *link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	k := &link{listener: l, servers: servers, reached: reached, conns: make(map[net.Conn]struct{})}
	k.work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			k.work.Go(func() { k.relay(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		k.drop()
		k.work.Wait()
	})
	return k
}

// url has credentials nowhere: these servers trust their machine.
func (k *link) url() string { return "nats://" + k.listener.Addr().String() }

// drop closes what is open.
func (k *link) drop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for c := range k.conns {
		_ = c.Close()
	}
}

func (k *link) hold(c net.Conn) (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conns[c] = struct{}{}
	return func() {
		_ = c.Close()
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.conns, c)
	}
}

func (k *link) relay(replica net.Conn) {
	defer k.hold(replica)()
	if k.cut.Load() {
		return
	}
	server, err := k.dial()
	if err != nil {
		return
	}
	defer k.hold(server)()
	k.work.Go(func() { k.copy(replica, server, fromNATS) })
	k.copy(server, replica, toNATS)
}

// copy passes on what comes, and then says what that was.
func (k *link) copy(to, from net.Conn, find func([]byte, func(place))) {
	defer to.Close()
	for buf := make([]byte, 64<<10); ; {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			find(buf[:n], k.reached)
		}
		if err != nil {
			return
		}
	}
}

func (k *link) dial() (net.Conn, error) {
	var errs error
	for range k.servers {
		s := k.servers[int(k.next.Add(1))%len(k.servers)]
		conn, err := net.Dial("tcp", s.address())
		if err == nil {
			return conn, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, errs
}
