package server

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"openclaw-mcp/internal/config"
	"openclaw-mcp/internal/emulator"
	"openclaw-mcp/internal/secret"
)

// Local is the embedded service on a loopback port of its own. Several processes
// share a folder: the first of them serves, the others pass their requests on to
// it. When it ends, another of them takes over.
type Local struct {
	cfg  config.Config
	log  *slog.Logger
	http *http.Server
	url  string // of http

	mu     sync.Mutex
	own    *emulator.Server // nil: another process serves
	owner  ownerRecord      // who serves
	closed bool
}

// ownerRecord is what the process that serves a folder tells the others, in a file
// that only this user can read.
type ownerRecord struct {
	URL   string `json:"url"`
	PID   int    `json:"pid"`
	Key   string `json:"key"` // of the service
	ID    string `json:"id"`  // what it answers at ownerPath: a port may be somebody else's by now
	About string `json:"about"`
	Agent string `json:"agent"`
}

const (
	ownerFile = "served-by.json"
	ownerPath = "/.openclaw-mcp/served-by"
	// ownerPatience is for an owner that is just starting or ending.
	ownerPatience = 5 * time.Second
)

// StartLocal starts the embedded service with the instances that its folder
// keeps, or with a new one, and gives the configuration that leads to it. If
// another process serves the folder, it joins that one. The key is the folder's
// own, so that nobody else on the machine can run commands through it. Close it
// when nothing uses it any more.
func StartLocal(cfg config.Config, log *slog.Logger) (_ *Local, _ config.Config, err error) {
	if cfg.LocalDir != "" && cfg.LocalDirDefault {
		if err := os.MkdirAll(cfg.LocalDir, 0o700); err != nil {
			log.Warn("the local instance keeps nothing: its folder can't be made", "error", err)
			cfg.LocalDir = ""
		}
	}
	l := &Local{cfg: cfg, log: log}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, cfg, err
	}
	l.url = "http://" + ln.Addr().String()
	l.http = &http.Server{Handler: l, ReadHeaderTimeout: 10 * time.Second}
	if err := l.attach(); err != nil {
		return nil, cfg, errors.Join(err, ln.Close())
	}
	go func() { _ = l.http.Serve(ln) }()
	cfg.BaseURL, cfg.APIKey, cfg.KeyFrom = l.url+"/api", secret.Text(l.owner.Key), "the local instance"
	cfg.ServiceName = "local" // each process has an address of its own for it, and nobody else has its key
	return l, cfg, nil
}

// attach finds the process that serves the folder, or becomes it. It is called
// with mu held, or before anybody else can call.
func (l *Local) attach() error {
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if owner, ok := l.readOwner(); ok && owner.answers() {
			l.owner = owner
			l.log.Info("another process serves the local instance", "folder", l.cfg.LocalDir, "commands", owner.About)
			return nil
		}
		err := l.serve()
		if !errors.Is(err, emulator.ErrInUse) {
			return err
		}
		if time.Since(begin) > ownerPatience {
			return l.notShared()
		}
	}
}

// notShared says what to do about a process that has the folder and does not answer.
func (l *Local) notShared() error {
	who := "another process, perhaps an older openclaw-mcp,"
	if owner, ok := l.readOwner(); ok && owner.PID != 0 {
		who = fmt.Sprintf("the openclaw-mcp with the process id %d", owner.PID)
	}
	return fmt.Errorf("the local instance can't be shared: %s uses its folder, %s, and does not answer: end it, or set OPENCLAW_LOCAL_DIR to another folder", who, l.cfg.LocalDir)
}

// serve makes this process the one that serves.
func (l *Local) serve() error {
	opts, agent, err := localOptions(l.cfg, l.log)
	if err != nil {
		return err
	}
	service, err := emulator.New(opts)
	if err != nil {
		if !errors.Is(err, emulator.ErrInUse) && l.cfg.LocalDir != "" {
			err = fmt.Errorf("the local instance can't be kept in %s (OPENCLAW_LOCAL_DIR names another folder): %w", l.cfg.LocalDir, err)
		}
		return err
	}
	key := service.Key()
	var instance string
	if kept := service.Instances(key); len(kept) > 0 {
		instance = kept[0]
	} else if instance, err = service.AddInstance(key); err != nil {
		return errors.Join(err, service.Close())
	}
	owner := ownerRecord{URL: l.url, PID: os.Getpid(), Key: key, ID: rand.Text(), About: service.SandboxInfo(), Agent: agent}
	if err := l.writeOwner(owner); err != nil {
		l.log.Warn("other processes can't join the local instance", "error", err)
	}
	l.own, l.owner = service, owner
	l.log.Info("the local instance is up", "url", l.url+"/api", "commands", owner.About, "workspace", service.Workspace(instance))
	return nil
}

func (l *Local) ownerFile() string { return filepath.Join(l.cfg.LocalDir, ".openclaw", ownerFile) }

func (l *Local) readOwner() (o ownerRecord, ok bool) {
	if l.cfg.LocalDir == "" {
		return o, false
	}
	b, err := os.ReadFile(l.ownerFile())
	return o, err == nil && json.Unmarshal(b, &o) == nil
}

// LocalURL is the API's address of the process that serves a folder now; "" for none.
func LocalURL(dir string) string {
	l := Local{cfg: config.Config{LocalDir: dir}}
	if owner, ok := l.readOwner(); ok && owner.answers() {
		return owner.URL + "/api"
	}
	return ""
}

func (l *Local) writeOwner(o ownerRecord) error {
	if l.cfg.LocalDir == "" {
		return nil
	}
	b, err := json.Marshal(o)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(l.ownerFile()), 0o700); err != nil {
		return err
	}
	temp := l.ownerFile() + ".new" // one process at a time has the folder
	return errors.Join(os.WriteFile(temp, b, 0o600), os.Rename(temp, l.ownerFile()))
}

// answers tells whether the process is still there.
func (o ownerRecord) answers() bool {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL+ownerPath, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	id, err := io.ReadAll(io.LimitReader(res.Body, 100))
	return err == nil && o.ID != "" && string(id) == o.ID
}

// ServeHTTP implements http.Handler.
func (l *Local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	if r.URL.Path == ownerPath {
		defer l.mu.Unlock()
		if l.own == nil {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, l.owner.ID)
		return
	}
	if l.own == nil && !l.closed && !l.owner.answers() {
		if err := l.attach(); err != nil {
			l.mu.Unlock()
			l.log.Error("the local instance can't be taken over", "error", err)
			http.Error(w, "the local instance is gone", http.StatusBadGateway)
			return
		}
	}
	own, owner := l.own, l.owner
	l.mu.Unlock()
	if own != nil {
		own.ServeHTTP(w, r)
		return
	}
	target, err := url.Parse(owner.URL)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	(&httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(target) },
		FlushInterval: -1, // each piece of a reply at once
		ErrorLog:      slog.NewLogLogger(l.log.Handler(), slog.LevelDebug),
	}).ServeHTTP(w, r)
}

// SandboxInfo says what commands run in.
func (l *Local) SandboxInfo() string { return l.owner.About }

// Agent says who answers: a model, or the offline agent.
func (l *Local) Agent() string { return l.owner.Agent }

// HasDesktop tells whether the service has a desktop to show.
func (l *Local) HasDesktop() bool { return l.own != nil && l.own.HasDesktop() }

// Serves tells whether this process serves, so that what runs ends with it.
func (l *Local) Serves() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.own != nil
}

// Close ends the service and all that runs in it, unless another process serves.
func (l *Local) Close() error {
	l.mu.Lock()
	l.closed = true
	own := l.own
	l.mu.Unlock()
	if own == nil {
		return l.http.Close()
	}
	if l.cfg.LocalDir != "" {
		_ = os.Remove(l.ownerFile()) // a stale one is known by its silence
	}
	return errors.Join(l.http.Close(), own.Close())
}

// offlineAgent describes the agent that answers where there is no model.
const offlineAgent = `an offline stand-in that understands only "run: COMMAND" and the like; for a real model, start Ollama or LM Studio, or set OPENCLAW_LOCAL_MODEL_URL`

// localOptions configures the embedded service, and says who its agent is.
func localOptions(cfg config.Config, log *slog.Logger) (opts emulator.Options, agent string, err error) {
	opts = emulator.Options{Dir: cfg.LocalDir, VNC: cfg.LocalVNC, OwnKey: true, CreateDelay: 3 * time.Second, Logger: log}
	if cfg.LocalModelURL == "" && cfg.FindModel {
		cfg.LocalModelURL = findModel(usualModels)
	}
	if cfg.LocalModelURL == "" {
		opts.Pace = 20 * time.Millisecond // so that streaming can be seen
		return opts, offlineAgent, nil
	}
	opts.Agent, err = emulator.ModelAgent(emulator.ModelOptions{
		URL: cfg.LocalModelURL, Model: cfg.LocalModel, Key: string(cfg.LocalModelKey), Steps: cfg.LocalModelSteps,
	})
	agent = "the model at " + cfg.LocalModelURL
	if cfg.LocalModel != "" {
		agent = cfg.LocalModel + " at " + cfg.LocalModelURL
	}
	return opts, agent, err
}

// usualModels are where Ollama and LM Studio listen.
var usualModels = []string{"http://127.0.0.1:11434", "http://127.0.0.1:1234"}

// findModel finds a service that has a model; "" for none.
func findModel(urls []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, u := range urls {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u+"/v1/models", nil)
		if err != nil {
			continue
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		var list struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		err = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&list)
		_ = res.Body.Close()
		if err == nil && len(list.Data) > 0 {
			return u
		}
	}
	return ""
}
