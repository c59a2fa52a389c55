package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"openclaw-mcp/internal/config"
)

// keptRun is a run that a command has left running. Its handle leads back to it.
type keptRun struct {
	Number   int       `json:"number"` // what a person types for it
	Service  string    `json:"service"`
	Run      string    `json:"run"`
	Kind     string    `json:"kind"`
	Title    string    `json:"title"`
	Instance string    `json:"instance,omitempty"`
	Session  string    `json:"session,omitempty"`
	Since    time.Time `json:"since"`
}

// maxKept bounds how many runs are kept; the oldest make room.
const maxKept = 20

// dataDir is the folder of this user for what commands keep; "" for none.
func (c *console) dataDir() string {
	local := config.DataDir(runtime.GOOS, c.variables())
	if local == "" {
		return ""
	}
	return filepath.Dir(local)
}

func (c *console) runsFile() string {
	if dir := c.dataDir(); dir != "" {
		return filepath.Join(dir, "runs.json")
	}
	return ""
}

// serviceName tells the runs of one service from those of another.
func (c *console) serviceName(cfg config.Config) string {
	if c.local {
		return "local " + cfg.LocalDir
	}
	return cfg.BaseURL
}

// allKept reads what is kept, the newest first. A file that can't be read holds nothing
// that is worth an error.
func (c *console) allKept() (all []keptRun) {
	if b, err := os.ReadFile(c.runsFile()); err == nil {
		_ = json.Unmarshal(b, &all)
	}
	return all
}

// keptRuns lists the kept runs of the service, the newest first.
func (c *console) keptRuns(cfg config.Config) []keptRun {
	return slices.DeleteFunc(c.allKept(), func(k keptRun) bool { return k.Service != c.serviceName(cfg) })
}

// keep notes that a run goes on after this command, and gives the number by which
// people call it.
func (c *console) keep(cfg config.Config, k keptRun) (int, error) {
	all := c.allKept()
	for _, other := range all {
		k.Number = max(k.Number, other.Number)
	}
	k.Number++
	k.Service, k.Title = c.serviceName(cfg), firstLine(k.Title, 60)
	all = slices.DeleteFunc(all, func(old keptRun) bool { return old.Run == k.Run })
	all = slices.Insert(all, 0, k)
	return k.Number, c.writeKept(all[:min(len(all), maxKept)])
}

// forget drops a run that is over.
func (c *console) forget(run string) error {
	all := c.allKept()
	rest := slices.DeleteFunc(slices.Clone(all), func(k keptRun) bool { return k.Run == run })
	if len(rest) == len(all) {
		return nil
	}
	return c.writeKept(rest)
}

func (c *console) writeKept(all []keptRun) error {
	path := c.runsFile()
	if path == "" {
		return errors.New("no home folder is known")
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return writePrivate(path, b)
}

// writePrivate writes a file that only this user can read, all or nothing.
func writePrivate(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name()) // it is gone where all went well
	_, err = temp.Write(b)
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}

// members is a list of objects in a structured result.
func members(res *mcp.CallToolResult, name string) (all []map[string]any) {
	data, _ := res.StructuredContent.(map[string]any)
	list, _ := data[name].([]any)
	for _, one := range list {
		if o, ok := one.(map[string]any); ok {
			all = append(all, o)
		}
	}
	return all
}

// text is a string member of an object; empty if there is none.
func text(of map[string]any, name string) string {
	s, _ := of[name].(string)
	return s
}

func firstLine(s string, limit int) string {
	for i, r := range s {
		if r == '\n' {
			return s[:i] + "…"
		}
		if i >= limit {
			return s[:i] + "…"
		}
	}
	return s
}
