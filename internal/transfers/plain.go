package transfers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
)

// An instance without a shell has files all the same: those go through the service's file
// endpoints, one request each, as far as these reach.

// plainWay is a transfer through the file endpoints.
type plainWay struct {
	*transfer
	why    string
	listed map[string]client.FileInfo // what the instance has, by absolute path, as far as it was looked at
	blind  bool                       // the service lists no files

	unsized sync.Once // it was said that sizes are not told
}

// plain gives the other way where err says that there is no shell, or none that helps.
func (t *transfer) plain(err error) *plainWay {
	why, without := sandbox.WithoutShell(err, true)
	var tools *missingTools
	if errors.As(err, &tools) {
		why, without = err.Error(), true
	}
	if !without {
		return nil
	}
	return &plainWay{transfer: t, why: why, listed: make(map[string]client.FileInfo)}
}

// missingTools is the error for a sandbox that lacks programs without which nothing works.
type missingTools struct{ programs []string }

func (e *missingTools) Error() string {
	return "the sandbox lacks " + strings.Join(e.programs, " and ")
}

// isAboutOne reports whether a refusal is about one file, and not about the transfer.
func isAboutOne(err error) bool {
	var e *client.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusTooManyRequests:
		return false
	}
	return e.Status >= 400 && e.Status <= 500 || e.Status == http.StatusInsufficientStorage || errors.Is(err, client.ErrTooLarge)
}

func isNotFound(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}

func lacksEndpoint(err error) bool {
	var e *client.Error
	return errors.As(err, &e) && e.NoEndpoint()
}

// list notes what a folder of the instance has.
func (w *plainWay) list(ctx context.Context, dir string) (page client.Page[client.FileInfo], err error) {
	err = w.try(ctx, func(ctx context.Context) error {
		page, err = w.s.c.Files.List(ctx, w.state.Instance, dir)
		return err
	})
	if err == nil {
		w.listed[dir] = client.FileInfo{IsDir: true}
	}
	for _, f := range page.Items {
		w.listed[path.Join(dir, f.Name)] = f
	}
	return page, err
}

// probe finds out what the instance has at the far end, going by the list of the folder
// above it.
func (w *plainWay) probe(ctx context.Context) (end, error) {
	remote := path.Clean(w.state.Remote)
	_, err := w.list(ctx, client.Workspace)
	if lacksEndpoint(err) {
		w.blind = true
		return end{kind: 'n'}, nil
	}
	if err != nil {
		return end{}, err
	}
	if remote == "/" || remote == client.Workspace {
		return end{kind: 'd'}, nil
	}
	if dir := path.Dir(remote); dir != client.Workspace {
		if _, err := w.list(ctx, dir); isNotFound(err) {
			return end{kind: 'n'}, nil
		} else if err != nil {
			// What is above it may be closed to the key, and it itself open.
			if _, err := w.list(ctx, remote); err != nil {
				return end{}, err
			}
			return end{kind: 'd'}, nil
		}
	}
	f, ok := w.listed[remote]
	switch {
	case !ok:
		return end{kind: 'n'}, nil
	case f.IsDir:
		return end{kind: 'd'}, nil
	}
	return end{kind: 'f'}, nil
}

// read gives a file of the instance whole.
func (w *plainWay) read(ctx context.Context, p string, limit int64) (content []byte, err error) {
	err = w.try(ctx, func(ctx context.Context) error {
		content, err = w.s.c.Files.Read(ctx, w.state.Instance, p, limit)
		return err
	})
	return content, err
}

// announce says, before anything is moved, by which way it goes and what that can't do.
func (w *plainWay) announce(cannot string) {
	w.Note(fmt.Sprintf("scripts can't run on the instance (%s), so each file goes by itself through the service's file endpoints; %s", w.why, cannot))
}
