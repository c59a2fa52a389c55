package tools

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/nearest"
	"openclaw-mcp/internal/text"
)

// pathError is about a path that leads to nothing that a tool could use, in words that say
// what is there instead.
type pathError struct {
	why, next string
	err       error
}

func (e *pathError) Error() string { return e.why }
func (e *pathError) Unwrap() error { return e.err }

const (
	// folderPatience is how long the look at a folder may take.
	folderPatience = 5 * time.Second
	// shownNames bounds how much of a folder an error shows, in bytes.
	shownNames = 300
)

// aboutPath gives err as a *pathError where it comes from a path that a file tool was given.
func (r *request) aboutPath(ctx context.Context, err error) error {
	if r.tool.Family != "files" || len(r.paths) == 0 {
		return err
	}
	p := r.paths[0]
	var gone *missingError
	var e *client.Error
	switch {
	case errors.As(err, &gone):
		return r.lookAround(ctx, gone.path, err)
	case !errors.As(err, &e) || !strings.Contains(e.Op, "/files") || e.Outcome == client.OutcomeUnknown && r.tool.Effect != Reads:
		return err
	case e.Status == http.StatusForbidden && !p.inside():
		return &pathError{
			fmt.Sprintf("%q is outside of %s, and OpenClaw's file endpoints refuse it: %s", p, client.Workspace, e.Message),
			fmt.Sprintf("paths in %s are allowed; exec_command reaches the rest of the instance.", client.Workspace), err,
		}
	case e.Status == http.StatusNotFound && !e.NoEndpoint(), e.Status == http.StatusConflict, e.Status == http.StatusBadRequest:
		return r.lookAround(ctx, p, err)
	}
	return err
}

// lookAround looks at what is in the place of a path, and gives err where that explains nothing.
func (r *request) lookAround(ctx context.Context, p filePath, err error) error {
	ctx, cancel := context.WithTimeout(ctx, folderPatience)
	defer cancel()
	dir, missing := path.Dir(string(p)), string(p)
	for {
		if string(p) == client.Workspace || r.rails.path(dir) != nil {
			return err
		}
		page, listErr := r.Client.Files.List(ctx, r.used, dir)
		if listErr == nil {
			return r.instead(dir, missing, string(p), page.Items, err)
		}
		e, ok := errors.AsType[*client.Error](listErr)
		if !ok || e.Status != http.StatusNotFound && e.Status != http.StatusConflict || dir == client.Workspace || dir == "/" {
			return err
		}
		dir, missing = path.Dir(dir), dir
	}
}

// instead says what a folder has in the place of what is missing.
func (r *request) instead(dir, missing, wanted string, has []client.FileInfo, err error) error {
	var names, shown []string
	left := shownNames
	for _, f := range has {
		if r.rails.path(f.Path) != nil {
			continue
		}
		if f.Path == missing {
			return r.isOther(f, wanted, err)
		}
		names = append(names, f.Name)
		if left <= 0 {
			continue
		}
		name := showName(f.Name)
		if f.IsDir {
			name += "/"
		}
		if left -= len(name) + 2; left > 0 {
			shown = append(shown, name)
		}
	}
	why := fmt.Sprintf("there is no %q; %s has %s", missing, dir, strings.Join(shown, ", "))
	if more := len(names) - len(shown); more > 0 {
		why += fmt.Sprintf(" and %d more", more)
	}
	if len(names) == 0 {
		why = fmt.Sprintf("there is no %q; %s is empty", missing, dir)
	}
	look := callArgs{{"path", dir}, {"instance", r.named(r.used)}}.call("list_files") + " shows what there is."
	if near := nearest.Word(path.Base(missing), names, 2); near != "" {
		look = fmt.Sprintf("%q may be meant; ", path.Join(dir, near)+strings.TrimPrefix(wanted, missing)) + look
	}
	return &pathError{why, look, err}
}

// isOther is about something that is there and is not what the tool takes.
func (r *request) isOther(f client.FileInfo, wanted string, err error) error {
	var e *client.Error
	switch {
	case f.IsDir || !errors.As(err, &e):
		return err
	case f.Path != wanted:
		return &pathError{fmt.Sprintf("%q is a file, so there is no %q", f.Path, wanted), "choose another path.", err}
	case e.Status == http.StatusNotFound:
		return &pathError{
			fmt.Sprintf("%q is in its folder, but what it leads to is not there: it may be a symbolic link that leads nowhere", f.Path),
			"exec_command with ls -la shows where it leads.", err,
		}
	case r.tool.Name == "list_files":
		return &pathError{fmt.Sprintf("%q is a file, and list_files lists directories", f.Path), callArgs{{"path", f.Path}, {"instance", r.named(r.used)}}.call("read_file"), err}
	}
	return err
}

// showName is a file's name in a sentence.
func showName(name string) string { return text.Line(showHidden(name), 100) }
