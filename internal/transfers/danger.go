package transfers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"openclaw-mcp/internal/text"
)

// What an instance names may be there to be run on this machine: git runs what
// .git/config and .git/hooks say, editors and shells what they find in a folder. So
// names are judged here, whatever the instance was asked to leave out.

// fold gives the name that a file system may take for this one: macOS and Windows
// ignore case and some characters that show nothing, and macOS takes some for several;
// Windows ignores dots and spaces at the end, too, and what follows a colon is a stream
// of the same file.
func fold(part string) string {
	part, _, _ = strings.Cut(part, ":")
	part = strings.Map(func(r rune) rune {
		if text.Hidden(r) || unicode.IsControl(r) {
			return -1
		}
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) { // the Kelvin sign is a k, too
			if o < 0x80 {
				return unicode.ToLower(o)
			}
		}
		return unicode.ToLower(r)
	}, part)
	return strings.TrimRight(letters.Replace(part), ". ")
}

// letters are those that some file systems take for several of ASCII.
var letters = strings.NewReplacer("ß", "ss", "ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "st", "ﬆ", "st")

// folded gives the parts of a path, folded. Windows takes backslashes for slashes.
func folded(name string) []string {
	parts := strings.FieldsFunc(name, func(r rune) bool { return r == '/' || r == '\\' })
	for i, p := range parts {
		parts[i] = fold(p)
	}
	return parts
}

// short gives the first six letters that an 8.3 name such as GIT~1 has of a longer
// one, "" for other names.
func short(part string) string {
	stem, number, ok := strings.Cut(part, "~")
	if !ok || stem == "" || number == "" || number[0] < '0' || number[0] > '9' {
		return ""
	}
	return stem
}

// called reports whether a folded name is in a set, also by its 8.3 name.
func (set names) called(part string) bool {
	if set.long[part] {
		return true
	}
	s := short(part)
	return s != "" && set.short[s]
}

// names is a set of folded names.
type names struct{ long, short map[string]bool }

func namesOf(list string) names {
	n := names{map[string]bool{}, map[string]bool{}}
	for name := range strings.FieldsSeq(list) {
		n.long[name] = true
		stem, _, _ := strings.Cut(strings.TrimLeft(name, "."), ".") // the ending is behind the number
		n.short[stem[:min(6, len(stem))]] = true
	}
	return n
}

// WouldRun is the reason in Transfer.Held.
const WouldRun = "it would run here"

// runs reports whether a file would be run, or obeyed, for no more than lying where it
// comes to lie, by its path as the caller names it or where links lead.
func (d *downloading) runs(e entry) bool {
	for _, at := range []string{d.place(e), path.Join(d.said, d.here(e))} {
		if runsThere(folded(at), e.kind == kindLink) {
			return true
		}
	}
	return !d.fresh && d.changesBuild(e)
}

// hold takes out of what is to be fetched what would run here, except where just that
// was agreed to: the same contents from there, in the same places here. What is here
// already needs no agreement.
func (d *downloading) hold(ctx context.Context, entries []entry) (rest []entry, err error) {
	var files, news []entry
	for _, e := range entries {
		switch {
		case !d.runs(e):
			rest = append(rest, e)
		case e.kind == kindLink:
			if target, err := d.dst.Readlink(d.here(e)); err == nil && filepath.ToSlash(target) == e.target {
				rest = append(rest, e)
			} else {
				e.sum = "link to " + e.target
				news = append(news, e)
			}
		default:
			files = append(files, e)
		}
	}
	for group := range groups(files) {
		missing, err := d.missing(ctx, group)
		if err != nil {
			return nil, err
		}
		news = append(news, missing...)
	}
	if len(news) == 0 {
		return rest, nil
	}
	slices.SortFunc(news, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	h := sha256.New()
	into := filepath.Join(d.root, filepath.FromSlash(d.at))
	fmt.Fprintf(h, "%q %q %q\n", d.state.Instance, d.state.Remote, into)
	for _, e := range news {
		fmt.Fprintf(h, "%q %s %v\n", d.here(e), e.sum, e.exec)
	}
	digest := hex.EncodeToString(h.Sum(nil)[:16])
	agreed := d.state.Agreed == digest
	for _, e := range news {
		if agreed {
			e.agreed = e.sum
			rest = append(rest, e)
			continue
		}
		d.mu.Lock()
		name := filepath.ToSlash(d.here(e))
		if e.kind == kindLink { // who agrees to it agrees to what is there, now and later
			name += " -> " + e.target
		}
		d.now.Held.add(name, WouldRun)
		d.now.HeldIn, d.now.HeldDigest = into, digest
		d.now.TotalFiles--
		d.now.TotalBytes -= e.size
		d.mu.Unlock()
	}
	return rest, nil
}

// changedSince reports whether a file is not the one that was agreed to.
func (e entry) changedSince(sum string) bool { return e.agreed != "" && sum != e.agreed }

const notAgreed = "it has changed since it was agreed to"
