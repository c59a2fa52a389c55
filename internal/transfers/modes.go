package transfers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"openclaw-mcp/internal/sandbox"
	"openclaw-mcp/internal/text"
)

// isLike reports whether what the sandbox has under a name has the rights and the
// time of an entry, as far as they are known.
func (s seen) isLike(e entry) bool {
	if s.mode == 0 {
		return e.exec == (s.kind == 'x')
	}
	rights := e.rights()
	if e.mode == 0 { // of the local file it is only known whether it is a program
		rights = modeFor(s.mode, e.exec)
	}
	return s.mode == rights && (e.time.IsZero() || s.time == e.time.Unix())
}

// mend gives files whose content is right the rights and the time that they are to
// have.
func (u *uploading) mend(ctx context.Context, list []entry) error {
	stay, err := u.setModes(ctx, list)
	if err != nil {
		return err
	}
	for _, e := range list {
		if stay[u.there(e)] {
			u.transfer.fail(e.name, "its mode can't be changed")
		} else {
			u.done(true, e)
		}
	}
	return nil
}

// setModes has the sandbox set the modes and times of entries, and gives the names of
// those where it can't.
func (u *uploading) setModes(ctx context.Context, list []entry) (stay map[string]bool, err error) {
	if len(list) == 0 {
		return nil, nil
	}
	words := make([]string, 0, 3*len(list))
	for _, e := range list {
		mode, name := octal(e.rights()), "./"+u.there(e)
		if e.kind == kindDir {
			name += "/"
			if e.mode == 0 {
				mode = "-"
			}
		}
		words = append(words, mode, stamp(e.time), name)
	}
	report, err := u.ask(ctx, "mode", sandbox.Params{"single": u.up, "names": sandbox.Words(words...)}, transferTimeout)
	if err != nil {
		return nil, err
	}
	stay = make(map[string]bool)
	for name := range strings.SplitSeq(string(report.Part(0)), "\x00") {
		stay[strings.TrimPrefix(name, "./")] = true
	}
	return stay, nil
}

// dressLater notes the folders among entries.
func (u *uploading) dressLater(list ...entry) {
	u.laterMu.Lock()
	defer u.laterMu.Unlock()
	for _, e := range list {
		if e.kind == kindDir {
			u.folders = append(u.folders, e)
		}
	}
}

// dressFolders gives folders their modes and times, when nothing is put into them any more.
func (u *uploading) dressFolders(ctx context.Context) error {
	var stay int
	for group := range groups(u.folders) {
		names, err := u.setModes(ctx, group)
		if err != nil {
			return err
		}
		for _, e := range group {
			u.mu.Lock()
			if names[e.name] && !u.failed[e.name] {
				stay++
			}
			u.mu.Unlock()
		}
	}
	if stay > 0 {
		u.Note(fmt.Sprintf("the modes of %s on the instance could not be set", text.Count(int64(stay), "folder", "folders")))
	}
	return nil
}

// dressFolders gives folders the modes and the times that they have on the instance, when
// nothing is put into them any more. One stays open to its owner, and is open to nobody to
// whom it was closed before.
func (d *downloading) dressFolders(ctx context.Context, list []entry) error {
	for group := range groups(list) {
		found := make(map[string]seen)
		if d.plain == nil {
			var err error
			if found, err = d.lookFolders(ctx, group); err != nil {
				return err
			}
		}
		for _, e := range group {
			old, existed := d.old[d.here(e)]
			if existed && d.keep {
				continue
			}
			s, err := found[e.name], error(nil)
			if s.mode != 0 && hasModes {
				mode := (s.mode | 0o700) &^ d.umask
				if existed {
					mode &= old | 0o700
				}
				err = d.dst.Chmod(d.here(e), mode)
			}
			if s.time != 0 {
				e.time = time.Unix(s.time, 0)
			}
			if err == nil && !e.time.IsZero() {
				err = d.dst.Chtimes(d.here(e), e.time, e.time)
			}
			if err != nil {
				d.Note(fmt.Sprintf("the mode or the time of the folder %s could not be set: %s", quoteName(e.name), cause(err)))
			}
		}
	}
	return nil
}
