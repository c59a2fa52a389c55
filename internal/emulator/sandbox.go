package emulator

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
)

// sandbox makes the namespaces of instances, and knows whether this machine
// allows them: the first attempt decides for all.
type sandbox struct {
	scratch string
	log     *slog.Logger

	mu      sync.Mutex // guards the rest
	decided bool
	why     string // why there are no namespaces; "" = there are
}

func (sb *sandbox) init(mode SandboxMode, scratch string, log *slog.Logger) {
	sb.scratch, sb.log = scratch, log
	if mode == SandboxOff {
		sb.decided, sb.why = true, "namespaces are switched off"
	}
}

// enter makes a namespace; nil when this machine allows none. An error is one of
// this attempt alone: namespaces worked before, or ctx has ended.
func (sb *sandbox) enter(ctx context.Context, workspace, tmp string) (*holder, error) {
	sb.mu.Lock()
	refused := sb.decided && sb.why != ""
	sb.mu.Unlock()
	if refused {
		return nil, nil
	}
	h, err := startHolder(ctx, sb.scratch, workspace, tmp)
	if ctx.Err() != nil {
		if h != nil {
			h.stop()
		}
		return nil, context.Cause(ctx)
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.decided && sb.why == "" {
		return h, err
	}
	sb.decided = true
	if err != nil {
		sb.why = err.Error()
		sb.log.Warn("commands run as plain processes in the workspace directory, without a /workspace", "why", sb.why)
	}
	return h, nil
}

// info says how commands run. It makes a namespace if that is not known yet.
func (sb *sandbox) info(ctx context.Context) string {
	if findProgram("bash", "sh") == "" {
		return "commands and terminals do not work, files do: there is no shell (bash or sh) on this machine"
	}
	sb.mu.Lock()
	decided := sb.decided
	sb.mu.Unlock()
	if !decided {
		dir := filepath.Join(sb.scratch, "probe")
		err := os.MkdirAll(dir, 0o755)
		if err == nil {
			defer os.Remove(dir)
			var h *holder
			if h, err = sb.enter(ctx, dir, dir); h != nil {
				h.stop()
			}
		}
		if err != nil {
			return "it is not known yet how commands run: " + err.Error()
		}
	}
	sb.mu.Lock()
	defer sb.mu.Unlock()
	if sb.why == "" {
		return "commands run in a private mount and process namespace, with the workspace as /workspace"
	}
	return "commands run as plain processes in the workspace directory, without a /workspace: " + sb.why
}
