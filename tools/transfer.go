package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"openclaw-mcp/runs"
)

func transferTools() []*Tool {
	props := map[string]Prop{
		"local_path": notEmpty(), "path": notEmpty(), "overwrite": {Default: true}, "ignore": {Default: true}, "wait_seconds": waitProp(),
	}
	return []*Tool{
		define(Spec{
			Name: "upload_files", Title: "Upload files", Family: "files", Effect: Destroys, LocalOnly: true,
			Description: "Copies a file, or what is in a folder, from this machine to the instance; binary files too. DESTROYS files of the same name, unless overwrite is false; others stay. What is there already is not sent again, so it is safe to repeat. Much takes long: go on with wait_run.",
			Props:       props,
		}, uploadFiles),
		define(Spec{
			Name: "download_files", Title: "Download files", Family: "files", Effect: Destroys, LocalOnly: true,
			Description: "Copies a file, or what is in a folder, from the instance to this machine; binary files too. DESTROYS files of the same name, unless overwrite is false; others stay. What is here already is not fetched again, so it is safe to repeat. Much takes long: go on with wait_run.",
			Props:       props,
		}, downloadFiles),
	}
}

type uploadFilesIn struct {
	LocalPath   string `json:"local_path" jsonschema:"file or folder of this machine"`
	Path        string `json:"path" jsonschema:"folder for a folder; for a file its path, or a folder with / at the end"`
	Instance    string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Overwrite   bool   `json:"overwrite,omitempty"`
	Ignore      bool   `json:"ignore,omitempty" jsonschema:"leave out .git and what .gitignore files say"`
	WaitSeconds *int   `json:"wait_seconds,omitempty"`
}

type downloadFilesIn struct {
	Path        string `json:"path" jsonschema:"file or folder of the instance"`
	LocalPath   string `json:"local_path" jsonschema:"of this machine: folder for a folder; for a file its path, or an existing folder"`
	Instance    string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Overwrite   bool   `json:"overwrite,omitempty"`
	Ignore      bool   `json:"ignore,omitempty" jsonschema:"leave out .git"`
	WaitSeconds *int   `json:"wait_seconds,omitempty"`
}

func uploadFiles(ctx context.Context, r *request, in uploadFilesIn) (*runOut, error) {
	return r.transfer(ctx, runs.KindUpload, in)
}

func downloadFiles(ctx context.Context, r *request, in downloadFilesIn) (*runOut, error) {
	return r.transfer(ctx, runs.KindDownload, uploadFilesIn{
		LocalPath: in.LocalPath, Path: in.Path, Instance: in.Instance,
		Overwrite: in.Overwrite, Ignore: in.Ignore, WaitSeconds: in.WaitSeconds,
	})
}

func (r *request) transfer(ctx context.Context, kind runs.Kind, in uploadFilesIn) (*runOut, error) {
	if strings.ContainsRune(in.Path, 0) {
		return nil, badArgument("argument \"path\" has a NUL, which no path can have")
	}
	if err := r.rails.path(in.Path); err != nil {
		return nil, err
	}
	id, err := r.instance(ctx, in.Instance)
	if err != nil {
		return nil, err
	}
	remote := absolute(in.Path)
	// Temporary files are beside the target, where the rails let them be.
	inside := r.rails.path("/workspace/.openclaw-mcp-0") != nil
	if strings.HasSuffix(in.Path, "/") && remote != "/" {
		remote += "/"
	}
	run, joined, err := r.Runs.StartTransfer(ctx, kind, runs.TransferRequest{
		Instance: id, Local: in.LocalPath, Remote: remote, Keep: !in.Overwrite, All: !in.Ignore, Inside: inside,
	})
	if errors.Is(err, runs.ErrLocalPath) {
		return nil, badArgument("argument \"local_path\": %v", err)
	}
	if err != nil {
		return nil, err
	}
	r.stopOnCancel(ctx, run)
	out, err := r.waitFor(ctx, run, in.WaitSeconds, false)
	if joined != "" {
		out.Notes = append(out.Notes, joined)
	}
	return out, err
}

// localOnly reports why a tool that touches files of this machine may not be
// used: those who call from elsewhere have no business with them.
func (d *Deps) localOnly(ctx context.Context, t *Tool) error {
	if t.LocalOnly && (d.Transfers == nil || !d.Transfers(ctx)) {
		return forbidden("%s is not allowed: it works only over stdio, and only where OPENCLAW_MCP_TRANSFER_ROOTS names the local folders that it may touch", t.Name)
	}
	return nil
}

// inspect refuses a handle that the rails do not allow, before anything is
// started: a transfer is taken up by opening its handle.
func (r *request) inspect(ctx context.Context, handle string) error {
	seen, err := r.Runs.Inspect(handle)
	if err != nil || seen.Remote == "" {
		return err
	}
	for _, t := range transferTools() {
		if strings.HasPrefix(t.Name, string(seen.Kind)) {
			if err := errors.Join(r.localOnly(ctx, t), r.rails.tool(t)); err != nil {
				return err
			}
		}
	}
	if err := r.rails.instance(seen.Instance); err != nil {
		return err
	}
	return r.rails.path(seen.Remote)
}

// transferOut is how far a transfer has come, in results.
type transferOut struct {
	LocalPath  string   `json:"local_path"`
	Path       string   `json:"path"`
	Files      int      `json:"files"` // that are in place
	TotalFiles int      `json:"total_files"`
	Bytes      int64    `json:"bytes"`
	TotalBytes int64    `json:"total_bytes"`
	Unchanged  int      `json:"unchanged,omitempty"`
	Ignored    int      `json:"ignored,omitempty"`
	Skipped    int      `json:"skipped,omitempty"`
	Failed     int      `json:"failed,omitempty"`
	Examples   []string `json:"examples,omitempty"` // of what failed and was skipped, with the reason
}

// maxExamples bounds how much room the examples take.
const maxExamples = 3000

func transferOutOf(t *runs.Transfer) *transferOut {
	o := &transferOut{
		LocalPath: t.Local, Path: t.Remote, Files: t.Files, TotalFiles: t.TotalFiles, Bytes: t.Bytes, TotalBytes: t.TotalBytes,
		Unchanged: t.Unchanged, Ignored: t.Ignored, Skipped: t.Skipped.Count, Failed: t.Failed.Count,
	}
	room := maxExamples
	add := func(verb string, l runs.Listing) {
		shown := 0
		for _, s := range l.Some {
			s = verb + " " + clip(s, 400)
			if room -= len(s); room < 0 {
				break
			}
			o.Examples = append(o.Examples, s)
			shown++
		}
		if rest := l.Count - shown; rest > 0 {
			o.Examples = append(o.Examples, fmt.Sprintf("%s %d more", verb, rest))
		}
	}
	add("failed:", t.Failed)
	add("skipped:", t.Skipped)
	return o
}

func (o *transferOut) write(b *strings.Builder, kind string) {
	from, to := o.LocalPath, o.Path
	if kind == string(runs.KindDownload) {
		from, to = to, from
	}
	fmt.Fprintf(b, "%s to %s: %d of %d files in place, %d of %d bytes", from, to, o.Files, o.TotalFiles, o.Bytes, o.TotalBytes)
	for _, n := range []struct {
		count int
		what  string
	}{
		{o.Unchanged, "were there already"}, {o.Ignored, "left out by .gitignore"}, {o.Skipped, "skipped"}, {o.Failed, "failed"},
	} {
		if n.count > 0 {
			fmt.Fprintf(b, ", %d %s", n.count, n.what)
		}
	}
	for _, e := range o.Examples {
		b.WriteString("\n" + e)
	}
}
