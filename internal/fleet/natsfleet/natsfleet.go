// Package natsfleet is a fleet of replicas that NATS joins. Names and topics are
// subjects, so NATS's own directory of interest says who has what, and that nobody has
// it; facts are the keys of a JetStream bucket. It alone knows of NATS, and speaks to
// JetStream by its documented requests: the few that are needed are less than the
// client's library for them.
package natsfleet

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"openclaw-mcp/internal/fleet"
)

// Config is how NATS is reached.
type Config struct {
	URL      string // several are separated by commas
	Creds    string // file of credentials; "": none
	TLS      *tls.Config
	Prefix   string // of all subjects and of the bucket
	Replicas int    // of the bucket: 1, 3 or 5

	RequestTime time.Duration // how long JetStream may take until it counts as away; 0: 5 s
	Log         *slog.Logger
}

const (
	reconnectWait  = 200 * time.Millisecond
	connectTimeout = 2 * time.Second
	pingInterval   = 5 * time.Second
	// maxQuestions is how many may wait to be begun; what is more is lost, and its asker
	// told so by the silence.
	maxQuestions = 4096
	// requestTime is how long JetStream may take by default: then it counts as away.
	requestTime = 5 * time.Second
)

// Fleet is the replicas that share a prefix.
type Fleet struct {
	cfg   Config
	nc    *nats.Conn
	inbox string        // of this process: its tokens are below
	local *fleet.Memory // what this process itself serves and hears

	base   context.Context // of the answers
	end    context.CancelFunc
	wg     sync.WaitGroup
	bucket bucket

	questions chan *nats.Msg // for this process
	stalled   time.Duration

	mu     sync.Mutex
	closed bool
	last   uint64
	routes map[string]func(*nats.Msg) // by token: of questions asked and answered here
	topics map[string]*topic
	served map[*nats.Subscription]string // names
}

// Open connects to NATS. Where NATS does not answer, it goes on trying; it fails where
// NATS refuses this process, or the configuration can't work.
func Open(cfg Config) (*Fleet, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.RequestTime = cmp.Or(cfg.RequestTime, requestTime)
	f := &Fleet{
		cfg: cfg, stalled: stalled, local: fleet.Alone(), inbox: "_INBOX_" + cfg.Prefix + "." + rand.Text()[:12],
		routes: make(map[string]func(*nats.Msg)), topics: make(map[string]*topic),
		questions: make(chan *nats.Msg, maxQuestions), served: make(map[*nats.Subscription]string),
	}
	f.base, f.end = context.WithCancel(context.Background())
	options := []nats.Option{
		nats.Name("openclaw-mcp"), nats.CustomInboxPrefix("_INBOX_" + cfg.Prefix), nats.NoEcho(),
		nats.IgnoreAuthErrorAbort(), // credentials may be about to be renewed
		nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.Timeout(connectTimeout),
		// Nothing is kept to be sent later: a late cancel would hit what it was not meant for.
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval), nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				cfg.Log.Warn("NATS can't be reached: what replicas share waits for it", "error", err)
			}
		}),
		nats.ConnectHandler(func(*nats.Conn) { cfg.Log.Info("connected to NATS") }),
		nats.ReconnectHandler(func(*nats.Conn) { cfg.Log.Info("connected to NATS again") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			cfg.Log.Warn("NATS reports an error", "error", err)
		}),
	}
	if cfg.Creds != "" {
		options = append(options, nats.UserCredentials(cfg.Creds))
	}
	if cfg.TLS != nil {
		options = append(options, nats.Secure(cfg.TLS))
	}
	nc, err := nats.Connect(cfg.URL, options...)
	if err != nil && !refused(err) {
		cfg.Log.Warn("NATS can't be reached yet: what replicas share waits for it", "error", err)
		nc, err = nats.Connect(cfg.URL, append(options, nats.RetryOnFailedConnect(true))...)
	}
	if err != nil {
		return nil, err
	}
	f.nc = nc
	if _, err := nc.Subscribe(f.inbox+".*", f.route); err != nil {
		nc.Close()
		return nil, err
	}
	go f.takeQuestions()
	return f, nil
}

// refused reports errors that trying again does not change.
func refused(err error) bool {
	for _, lasting := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrNkeysNotSupported, nats.ErrSecureConnRequired, nats.ErrSecureConnWanted} {
		if errors.Is(err, lasting) {
			return true
		}
	}
	_, badName := errors.AsType[*tls.CertificateVerificationError](err)
	return badName || !errors.Is(err, nats.ErrNoServers) && !isNetwork(err)
}

// Connected reports whether NATS can be reached.
func (f *Fleet) Connected() bool { return f.nc.IsConnected() }

func away(err error) error { return fmt.Errorf("%w: %w", fleet.ErrAway, err) }

func (f *Fleet) subject(kind, name string) string {
	return f.cfg.Prefix + "." + kind + "." + fleet.Address(name)
}

// heard waits until NATS has taken what was said before. Where it is away, it will hear
// when it comes back.
func (f *Fleet) heard() {
	if f.nc.IsConnected() {
		_ = f.nc.FlushTimeout(connectTimeout)
	}
}

// Serve implements [fleet.Fleet].
func (f *Fleet) Serve(name string, h fleet.Handler) (func(), error) {
	stop, err := f.local.Serve(name, h)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	sub, err := f.nc.ChanQueueSubscribe(f.subject("ask", name), "q", f.questions)
	if err == nil {
		f.served[sub] = name
	}
	f.mu.Unlock()
	if err != nil {
		stop()
		return nil, away(err)
	}
	f.heard()
	return func() {
		_ = sub.Unsubscribe() // a second time, it says that it is not subscribed
		f.mu.Lock()
		delete(f.served, sub)
		f.mu.Unlock()
		stop()
	}, nil
}

// takeQuestions begins to answer what others ask. All names share its goroutine: a busy
// process serves one for each run that it keeps.
func (f *Fleet) takeQuestions() {
	for {
		select {
		case m := <-f.questions:
			f.begin(m)
		case <-f.base.Done():
			return
		}
	}
}

// topic is one that this process hears, however often.
type topic struct {
	sub   *nats.Subscription
	users int
}

// Hear implements [fleet.Fleet].
func (f *Fleet) Hear(name string, h func([]byte)) (func(), error) {
	stop, err := f.local.Hear(name, h)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[name]
	if t == nil {
		sub, err := f.nc.Subscribe(f.subject("tell", name), func(m *nats.Msg) { _ = f.local.Tell(name, m.Data) })
		if err != nil {
			stop()
			return nil, away(err)
		}
		t = &topic{sub: sub}
		f.topics[name] = t
		f.heard()
	}
	t.users++
	return sync.OnceFunc(func() {
		stop()
		f.mu.Lock()
		defer f.mu.Unlock()
		if t.users--; t.users == 0 {
			_ = t.sub.Unsubscribe()
			delete(f.topics, name)
		}
	}), nil
}

// Tell implements [fleet.Fleet].
func (f *Fleet) Tell(name string, body []byte) error {
	if err := f.local.Tell(name, body); err != nil {
		return err
	}
	if err := f.nc.Publish(f.subject("tell", name), body); err != nil {
		return away(err)
	}
	return nil
}

// Close implements [fleet.Fleet].
func (f *Fleet) Close() error {
	_ = f.local.Close() // askers learn that their handlers are ending
	f.mu.Lock()
	closed := f.closed
	f.closed = true
	f.mu.Unlock()
	if closed {
		return nil
	}
	// A moment for the last word to who is asking.
	defer time.AfterFunc(alive, f.end).Stop()
	f.wg.Wait()
	f.end()
	f.heard()
	f.nc.Close()
	return nil
}

var _ fleet.Fleet = (*Fleet)(nil)
