package tools

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/runs"
	"openclaw-mcp/internal/text"
	"openclaw-mcp/internal/transfers"
)

func transferTools() []*Tool {
	props := map[string]Prop{
		"local_path": notEmpty(), "path": notEmpty(), "overwrite": {Default: true}, "ignore": {Default: true}, "wait_seconds": waitProp(),
	}
	return []*Tool{
		define(Spec{
			Name: "upload_files", Title: "Upload files", Family: "files", Effect: Destroys, LocalOnly: true,
			Description: "Copies a file, or what is in a folder, from this machine to the instance. Overwrites files of the same name; others stay. What is there already is not sent again.",
			Props:       props,
		}, uploadFiles),
		define(Spec{
			Name: "download_files", Title: "Download files", Family: "files", Effect: Destroys, LocalOnly: true,
			Description: "Copies a file, or what is in a folder, from the instance to this machine. Overwrites files of the same name; others stay. Asks before it writes what would run here.",
			Props:       props,
		}, downloadFiles),
	}
}

type uploadFilesIn struct {
	LocalPath   string `json:"local_path" jsonschema:"file or folder of this machine"`
	Path        string `json:"path" jsonschema:"a folder for a folder; for a file its path, or a folder/"`
	Instance    string `json:"instance,omitempty" jsonschema:"if several"`
	Overwrite   bool   `json:"overwrite,omitempty" jsonschema:"replace files that differ"`
	Ignore      bool   `json:"ignore,omitempty" jsonschema:"leave out .git and what .gitignore files say"`
	WaitSeconds *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
}

type downloadFilesIn struct {
	Path        string `json:"path" jsonschema:"file or folder of the instance"`
	LocalPath   string `json:"local_path" jsonschema:"here: a folder for a folder; for a file its path, or a folder"`
	Instance    string `json:"instance,omitempty" jsonschema:"if several"`
	Overwrite   bool   `json:"overwrite,omitempty" jsonschema:"replace files that differ"`
	Ignore      bool   `json:"ignore,omitempty" jsonschema:"leave out .git"`
	WaitSeconds *int   `json:"wait_seconds,omitempty" jsonschema:"longest wait"`
	Confirm     string `json:"confirm,omitempty" jsonschema:"token of the first call"`
}

func uploadFiles(ctx context.Context, r *request, in uploadFilesIn) (*runOut, error) {
	return r.transfer(ctx, runs.KindUpload, in, "")
}

// downloadFiles asks before it writes what would run on this machine: the rest is in
// place by then.
func downloadFiles(ctx context.Context, r *request, in downloadFilesIn) (*runOut, error) {
	move := func(agreed string) (*runOut, error) {
		return r.transfer(ctx, runs.KindDownload, uploadFilesIn{
			LocalPath: in.LocalPath, Path: in.Path, Instance: in.Instance,
			Overwrite: in.Overwrite, Ignore: in.Ignore, WaitSeconds: in.WaitSeconds,
		}, agreed)
	}
	out, err := move("")
	if err != nil || out.Transfer == nil || out.Transfer.digest == "" || out.Status != string(runs.StatusCompleted) {
		return out, err
	}
	held := out.Transfer
	what := fmt.Sprintf("It writes %s from %s on instance %s to %s on this machine that may run here without being called, or change what runs: %s (contents %.16s).",
		text.Count(held.Held, "file", "files"), text.Line(held.Path, 400), out.Instance, text.Line(held.heldIn, 400), strings.Join(held.heldNames, ", "), held.digest)
	var unconfirmed *unconfirmedError
	switch err := r.confirmAfter(ctx, "All other files are in place.", what, held.digest, in.Confirm); {
	case err == nil:
		return move(held.digest)
	case errors.Is(err, errDenied):
		out.Notes = append(out.Notes, "files that would run on this machine are refused here (OPENCLAW_MCP_CONFIRM=deny)")
		return out, nil
	case errors.As(err, &unconfirmed):
		unconfirmed.text = out.text() + "\n" + unconfirmed.text
		return nil, unconfirmed
	default:
		return nil, err
	}
}

func (r *request) transfer(ctx context.Context, kind runs.Kind, in uploadFilesIn, agreed string) (*runOut, error) {
	if strings.ContainsRune(in.Path, 0) {
		return nil, badArgument("argument \"path\" must not contain NUL")
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
	inside := r.rails.path(client.Workspace+"/.openclaw-mcp-0") != nil
	if strings.HasSuffix(in.Path, "/") && remote != "/" {
		remote += "/"
	}
	run, joined, err := r.Files.Start(ctx, kind, transfers.Request{
		Instance: id, Local: in.LocalPath, Remote: remote, Keep: !in.Overwrite, All: !in.Ignore, Inside: inside, Agreed: agreed,
	})
	if errors.Is(err, transfers.ErrLocalPath) {
		return nil, badArgument("argument \"local_path\": %v", err)
	}
	if err != nil {
		return nil, err
	}
	r.stopOnCancel(ctx, run)
	out, err := r.waitFor(ctx, run, "", in.WaitSeconds, false)
	if err != nil {
		return nil, err
	}
	if joined != "" {
		out.Notes = append(out.Notes, joined)
	}
	return out, nil
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
	if err != nil {
		return err
	}
	remote := transfers.Remote(seen)
	if remote == "" {
		return nil
	}
	for _, t := range transferTools() {
		if strings.HasPrefix(t.Name, string(seen.Kind)) {
			if err := errors.Join(r.localOnly(ctx, t), r.rails.tool(t)); err != nil {
				return err
			}
		}
	}
	if _, err := r.allowInstance(ctx, seen.Instance); err != nil {
		return err
	}
	return r.rails.path(remote)
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
	Held       int      `json:"held,omitempty"`     // not written, since they would run on this machine
	Examples   []string `json:"examples,omitempty"` // of what failed, was skipped or held, with the reason

	heldNames []string // in heldIn, a folder of this machine
	heldIn    string
	digest    string // of what is held, where it is from and where it goes
}

// maxExamples bounds how much room the examples take.
const maxExamples = 3000

func transferOutOf(t *transfers.Transfer) *transferOut {
	o := &transferOut{
		LocalPath: t.Local, Path: t.Remote, Files: t.Files, TotalFiles: t.TotalFiles, Bytes: t.Bytes, TotalBytes: t.TotalBytes,
		Unchanged: t.Unchanged, Ignored: t.Ignored, Skipped: t.Skipped.Count, Failed: t.Failed.Count,
		Held: t.Held.Count, heldIn: t.HeldIn, digest: t.HeldDigest,
	}
	for _, name := range t.Held.Some {
		o.heldNames = append(o.heldNames, text.Line(strings.TrimSuffix(name, ": "+transfers.WouldRun), 100))
	}
	if rest := t.Held.Count - len(o.heldNames); rest > 0 {
		o.heldNames = append(o.heldNames, fmt.Sprintf("%d more", rest))
	}
	room := maxExamples
	add := func(verb string, l transfers.Listing) {
		shown := 0
		for _, s := range l.Some {
			s = verb + " " + text.Line(s, 400)
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
	add("held:", t.Held)
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
		{o.Held, "held back, since they would run on this machine: download_files, called again, asks about them"},
	} {
		if n.count > 0 {
			fmt.Fprintf(b, ", %d %s", n.count, n.what)
		}
	}
	for _, e := range o.Examples {
		b.WriteString("\n" + e)
	}
}
