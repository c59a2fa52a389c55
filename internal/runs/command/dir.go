package command

import (
	"crypto/rand"
	"fmt"
	"strings"

	"openclaw-mcp/internal/sandbox"
)

// DirError says that a command was not started, since its working directory can't be
// entered.
type DirError struct {
	Dir string // as it was asked for; "" where the sandbox does not say
	why string
}

func (e *DirError) Error() string {
	return fmt.Sprintf("the command was not started: its working directory (cwd) %q %s; cwd must be a directory of the instance that the command may enter", e.Dir, e.why)
}

// whyNot are the sandbox's words for what is wrong with a directory.
var whyNot = map[string]string{
	"dirMissing": "was not found",
	"dirIsFile":  "is not a directory",
	"dirClosed":  "can't be entered",
}

// dirError gives the error that one of the sandbox's words stands for, nil for any other.
func dirError(dir, word string) error {
	if why := whyNot[word]; why != "" {
		return &DirError{dir, why}
	}
	return nil
}

// entry is how a plain command's shell enters the directory. Where it can't, it prints a
// mark that nothing else knows, so that no command's own output is taken for that.
type entry struct{ dir, mark string }

func (req Request) entry() entry { return entry{req.Dir, "openclaw-mcp:" + rand.Text()[:8]} }

// shell is what the shell does first.
func (e entry) shell() string {
	if e.dir == "" {
		return ""
	}
	dir := e.dir
	if !strings.HasPrefix(dir, "/") {
		dir = "./" + dir // "-" is where the shell was before, and there may be a CDPATH
	}
	return strings.NewReplacer("DIR", sandbox.Quote(dir), "MARK", e.mark).Replace(
		"cd -- DIR >/dev/null 2>&1 || { if [ -d DIR ]; then echo MARK dirClosed; elif [ -e DIR ]; then echo MARK dirIsFile; else echo MARK dirMissing; fi; exit 1; }; ")
}

// failed says from the output whether the directory could not be entered.
func (e entry) failed(stdout string) error {
	word, ok := strings.CutPrefix(strings.TrimSpace(stdout), e.mark+" ")
	if !ok {
		return nil
	}
	return dirError(e.dir, word)
}
