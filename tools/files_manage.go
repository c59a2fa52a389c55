package tools

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"openclaw-mcp/client"
	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

type manageFilesIn struct {
	Action      string `json:"action" jsonschema:"what to do"`
	Path        string `json:"path" jsonschema:"what to move, copy or delete"`
	Instance    string `json:"instance,omitempty" jsonschema:"if several"`
	Destination string `json:"destination,omitempty" jsonschema:"for move, copy: the new path"`
	Recursive   bool   `json:"recursive,omitempty" jsonschema:"copy or delete a directory with all in it"`
	Overwrite   bool   `json:"overwrite,omitempty" jsonschema:"replace a file at destination"`
	Confirm     string `json:"confirm,omitempty" jsonschema:"token of the first call, to delete"`
}

type manageFilesOut struct {
	onInstance
	Action      string `json:"action,omitempty"`
	Path        string `json:"path,omitempty"`
	Destination string `json:"destination,omitempty"`
	Type        string `json:"type,omitempty"`
	Entries     int64  `json:"entries,omitempty"` // that were moved, copied or deleted, itself included
	Replaced    bool   `json:"replaced,omitempty"`
}

// managedPath is toPath for what manage_files may touch.
func managedPath(argument, path string) (filePath, error) {
	p, err := toPath(argument, path)
	switch {
	case err != nil:
		return "", err
	case slices.Contains(strings.Split(path, "/"), ".."):
		return "", badArgument("argument %q must be a path without \"..\"; got %q", argument, path)
	case p == "/" || p == client.Workspace:
		return "", badArgument("argument %q must be a path below %s, not %s", argument, client.Workspace, p)
	case !p.inside():
		return "", badArgument("argument %q must be a path below %s; exec_command reaches the rest of the instance", argument, client.Workspace)
	}
	return p, nil
}

// The checks of manage_files come before anything is sent, so that a question
// to the user can be put between them and the deed.
func (in manageFilesIn) check() (from, to filePath, err error) {
	if from, err = managedPath("path", in.Path); err != nil {
		return "", "", err
	}
	if in.Action == "delete" {
		if in.Destination != "" || in.Overwrite {
			return "", "", badArgument("arguments \"destination\" and \"overwrite\" are for move and copy, not for delete")
		}
		return from, "", nil
	}
	if in.Destination == "" {
		return "", "", badArgument("argument \"destination\" is missing; %s needs the new path", in.Action)
	}
	if to, err = managedPath("destination", in.Destination); err != nil {
		return "", "", err
	}
	if strings.HasPrefix(string(to)+"/", string(from)+"/") {
		return "", "", badArgument("argument \"destination\" must not be %q itself or lie in it", from)
	}
	if strings.HasPrefix(string(from)+"/", string(to)+"/") {
		return "", "", badArgument("argument \"destination\" must not be a directory that %q lies in", from)
	}
	return from, to, nil
}

func manageFiles(ctx context.Context, r *request, in manageFilesIn) (manageFilesOut, error) {
	from, to, err := in.check()
	if err != nil {
		return manageFilesOut{}, err
	}
	paths := []filePath{from}
	if to != "" {
		paths = append(paths, to)
	}
	id, err := r.where(ctx, in.Instance, paths...)
	if err != nil {
		return manageFilesOut{}, err
	}
	if in.Action == "delete" {
		what, exact := "", ""
		if r.Confirm.asks() { // nobody is asked about what can't be done anyway
			found, err := r.manage(ctx, id, in, from, to, true)
			if err != nil {
				return manageFilesOut{}, err
			}
			what = fmt.Sprintf("It deletes the %s %q%s", found.Type, from, found.where("on"))
			if found.Type == kindDirectory && in.Recursive {
				what += ", with everything in it"
			}
			what += "."
			exact = fmt.Sprintf("%s %q %v %s", found.Type, from, in.Recursive, id)
		}
		if err := r.confirm(ctx, what, exact, in.Confirm); err != nil {
			return manageFilesOut{}, err
		}
	}
	return r.manage(ctx, id, in, from, to, false)
}

// manage does what was asked for, or only checks whether a delete can be done.
func (r *request) manage(ctx context.Context, id string, in manageFilesIn, from, to filePath, check bool) (manageFilesOut, error) {
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	whole := r.rails.below(string(from))
	if whole == nil && to != "" {
		whole = r.rails.below(string(to))
	}
	report, err := r.script(ctx, id, manageScript(in, from, to, whole == nil, check))
	if check {
		err = whileReading(err)
	}
	var no *noScript
	why, without := noShell(err)
	switch {
	case errors.As(err, &no) && no.begun:
		return manageFilesOut{}, &client.Error{Op: sandbox.Op, Outcome: client.OutcomeUnknown, Err: err,
			Message: fmt.Sprintf("the %s of %q was not completed: %s; for much data use exec_command with background: true", in.Action, from, no.why)}
	case without:
		return manageFilesOut{}, &refused{(&noScript{why: why}).Error() + "; the service has no endpoint that does it", "exec_command may still do it by other means."}
	case err != nil:
		return manageFilesOut{}, err
	}
	switch report.Verb {
	case "ok":
		return manageFilesOut{
			onInstance: r.on(id), Action: in.Action, Path: string(from), Destination: string(to),
			Type: report.Word(0), Entries: report.Number(1), Replaced: report.Word(2) == "1",
		}, nil
	case "exists":
		if report.Word(0) == "directory" {
			return manageFilesOut{}, &refused{fmt.Sprintf("the destination %q is a directory, and a directory is never replaced", to), "give the full new path, name included, or delete the directory first."}
		}
		return manageFilesOut{}, &refused{fmt.Sprintf("the destination %q exists", to), "pass overwrite: true to replace it, or choose another destination."}
	case "whole":
		return manageFilesOut{}, &refused{whole.Error(), "take what is in it one by one."}
	case "same":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q is %q itself, by another way", to, from), "choose another destination."}
	case "leads":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q is a symbolic link that would lead to itself at %q", from, to), "choose another destination, or delete the link if it is to go."}
	case "full":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q is a directory with %s in it", from, text.Count(report.Number(0), "entry", "entries")), fmt.Sprintf("pass recursive: true to %s all of it.", in.Action)}
	case "notfile":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q is a %s, and copy takes files, directories and symbolic links", from, report.Word(0)), ""}
	case "into":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q lies in %q itself", to, from), "choose another destination."}
	}
	return manageFilesOut{}, refusal(report, from)
}

// manageScript gives the script that moves, copies or deletes.
func manageScript(in manageFilesIn, from, to filePath, whole, check bool) sandbox.Script {
	p := from.params(sandbox.Params{
		"action": in.Action, "recursive": in.Recursive, "overwrite": in.Overwrite, "stage": ".openclaw-mcp-" + rand.Text()[:12],
		"to_dir": "", "to_name": "", "check": check, "whole": whole,
	})
	if to != "" {
		p["to_dir"], p["to_name"] = to.split()
	}
	return sandbox.New("file_manage", p)
}

func (o manageFilesOut) text() string {
	did := map[string]string{"move": "moved", "copy": "copied", "delete": "deleted"}[o.Action]
	text := fmt.Sprintf("%s the %s %s", did, o.Type, o.Path)
	if o.Destination != "" {
		text += " to " + o.Destination
	}
	if o.Type == "directory" {
		text += fmt.Sprintf(", %d entries in all", o.Entries)
	}
	if o.Replaced {
		text += ", replacing what was there"
	}
	return text + o.where("on")
}
