package tools

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"

	"openclaw-mcp/client"
)

type manageFilesIn struct {
	Action      string `json:"action"`
	Path        string `json:"path"`
	Instance    string `json:"instance,omitempty" jsonschema:"default: the configured or only ready one"`
	Destination string `json:"destination,omitempty" jsonschema:"for move, copy: the new path"`
	Recursive   bool   `json:"recursive,omitempty" jsonschema:"copy or delete a directory with all in it"`
	Overwrite   bool   `json:"overwrite,omitempty" jsonschema:"replace a file at destination"`
	Confirm     string `json:"confirm,omitempty" jsonschema:"token that the first call gave, to delete"`
}

type manageFilesOut struct {
	Instance    string `json:"instance,omitempty"`
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
	case p == "/" || p == workspaceRoot:
		return "", badArgument("argument %q must be a path below %s, not %s", argument, workspaceRoot, p)
	case !p.inside():
		return "", badArgument("argument %q must be a path below %s; exec_command reaches the rest of the instance", argument, workspaceRoot)
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
		return "", "", badArgument("argument \"destination\" must not be %q itself nor lie in it", from)
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
		what := fmt.Sprintf("It deletes %q on instance %s.", from, id)
		if in.Recursive {
			what = fmt.Sprintf("It deletes %q on instance %s, with everything in it where it is a directory.", from, id)
		}
		if err := r.confirm(ctx, what, in.Confirm); err != nil {
			return manageFilesOut{}, err
		}
	}
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	report, err := r.script(ctx, id, manageScript(in, from, to))
	var no *noScript
	switch {
	case errors.As(err, &no) && no.begun:
		return manageFilesOut{}, &client.Error{Op: execOp, Outcome: client.OutcomeUnknown, Err: err,
			Message: fmt.Sprintf("the %s of %q did not come to its end: %s; for much data use exec_command with background: true", in.Action, from, no.why)}
	case errors.As(err, &no):
		return manageFilesOut{}, &refused{no.Error(), "exec_command may still do it by other means."}
	case err != nil:
		return manageFilesOut{}, err
	}
	switch report.verb {
	case "done":
		return manageFilesOut{
			Instance: id, Action: in.Action, Path: string(from), Destination: string(to),
			Type: report.word(0), Entries: report.number(1), Replaced: report.word(2) == "1",
		}, nil
	case "exists":
		if report.word(0) == "directory" {
			return manageFilesOut{}, &refused{fmt.Sprintf("the destination %q is a directory, and a directory is never replaced", to), "give the full new path, name included, or delete the directory first."}
		}
		return manageFilesOut{}, &refused{fmt.Sprintf("the destination %q exists", to), "pass overwrite: true to replace it, or choose another destination."}
	case "full":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q is a directory with %d entries in it", from, report.number(0)), fmt.Sprintf("pass recursive: true to %s all of it.", in.Action)}
	case "notfile":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q is a %s, and copy takes files, directories and symbolic links", from, report.word(0)), ""}
	case "into":
		return manageFilesOut{}, &refused{fmt.Sprintf("%q lies in %q itself", to, from), "choose another destination."}
	}
	return manageFilesOut{}, report.refusal(from)
}

// manageScript moves, copies or deletes. A copy is made beside its destination
// and renamed, so that it is there as a whole or not at all.
func manageScript(in manageFilesIn, from, to filePath) string {
	flag := map[bool]int{true: 1}
	s := from.vars("d", "n")
	if to != "" {
		s += to.vars("D", "N")
	}
	return s + fmt.Sprintf("act=%s rec=%d over=%d q=.openclaw-mcp-%s\n", in.Action, flag[in.Recursive], flag[in.Overwrite], rand.Text()[:12]) + `
need find mv cp rm rmdir mkdir wc
root; enter "$d"; within || say outside
src() { if [ -L "$1" ]; then ty=symlink; else kind "$1"; fi; }
src "./$n"; [ $ty != none ] || say missing
P=$PWD was=$ty
count() { find "$1" -exec sh -c 'for i do echo; done' sh {} + | wc -l; }
c=1; [ $ty != directory ] || { c=$(count "./$n"); c=$((c)); }
if [ $act = delete ]; then
  if [ $ty != directory ]; then e=$(rm -f -- "./$n" 2>&1) || fail "$e"
  elif [ $c -gt 1 ] && [ $rec = 0 ]; then say full $((c-1))
  elif [ $rec = 0 ]; then e=$(rmdir -- "./$n" 2>&1) || fail "$e"
  else e=$(rm -rf -- "./$n" 2>&1) || fail "$e"; fi
  say done $was $c 0
fi
if [ $act = copy ]; then
  case $ty in file|symlink) ;; directory) [ $rec = 1 ] || [ $c = 1 ] || say full $((c-1));; *) say notfile $ty;; esac
fi
a=$D; while [ ! -d "$W/$a" ]; do a=${a%/*}; done
enter "$a"; within || say outside
case $PWD/ in "$P/$n"/*) [ $was != directory ] || say into;; esac
e=$(mkdir -p -- "$W/$D" 2>&1) || fail "$e"
enter "$D"; within || say outside
there() {
  src "./$N"; r=0
  [ $ty = none ] || { [ $ty != directory ] && [ $over = 1 ] || say exists $ty; r=1; }
}
there
trap 'rm -rf "./$q"' EXIT; trap 'exit 1' HUP INT TERM
x=$P/$n
if [ $act = copy ]; then
  e=$(cp -pPR -- "$x" "./$q" 2>&1) || fail "$e"
  x=./$q; there
fi
# A link to a directory would have mv move into that.
[ $ty != symlink ] || rm -f "./$N"
if [ $over = 1 ] || [ $was = directory ]; then e=$(mv -f -- "$x" "./$N" 2>&1) || fail "$e"
else
  e=$(mv -n -- "$x" "./$N" 2>&1) || fail "$e"
  src "$x"; [ $ty = none ] || { there; fail "it can't be moved"; }
fi
say done $was $c $r
`
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
	return text + " (instance " + o.Instance + ")"
}
