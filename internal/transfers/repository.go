package transfers

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const (
	isGit      = "git would run what it says"
	isBareRepo = "with what is beside it, git would take its folder for a repository and run what that says"
)

var (
	gitNames = namesOf(".git")
	// sharedParts are files that lead git from a repository's folder to another one with
	// the rest of it.
	sharedParts = namesOf("commondir gitdir")
)

// isOfGit reports whether a path is that of a repository's own files, or of the file
// or link that stands for them.
func isOfGit(name string) bool { return slices.ContainsFunc(folded(name), gitNames.called) }

// git reports why an entry may not be here for what git would do with it. Where the
// caller wants .git, too, it may come to be outside of repositories that are here.
func (d *downloading) git(e entry) string {
	place := d.place(e)
	switch {
	case e.kind == kindLink && isOfGit(e.target), isOfGit(place), isOfGit(path.Join(d.said, d.here(e))):
	case !d.fresh && d.inBare(path.Dir(place)):
	case e.kind != kindDir && sharedParts.called(fold(path.Base(place))):
	default:
		return ""
	}
	if d.mayBeGit(e) {
		return ""
	}
	return isGit
}

// mayBeGit reports whether an entry may be part of a new repository.
func (d *downloading) mayBeGit(e entry) bool {
	return d.all && (d.fresh || !d.inRepository(path.Dir(d.place(e))))
}

// onDisk gives a path from the transfer root as one of this machine.
func (d *downloading) onDisk(place string) string {
	return filepath.Join(d.root, filepath.FromSlash(place))
}

// inRepository reports whether a folder, or one above it, is a repository or has a .git.
func (d *downloading) inRepository(dir string) bool {
	known, ok := d.repositories[dir]
	if !ok {
		known = d.inBare(dir) || isOfGit(filepath.ToSlash(d.onDisk(d.at))) || underGit(d.onDisk(dir))
		if d.repositories == nil {
			d.repositories = map[string]bool{}
		}
		d.repositories[dir] = known
	}
	return known
}

// underGit reports whether a folder of this machine, or one above it, has a .git.
func underGit(dir string) bool {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return true
		}
		above := filepath.Dir(dir)
		if above == dir {
			return false
		}
		dir = above
	}
}

// inBare reports whether a folder is in a repository without a .git, from the transfer
// root on.
func (d *downloading) inBare(dir string) bool {
	known, ok := d.bare[dir]
	if !ok {
		parts := partsIn(d.onDisk(dir))
		known = parts&partHead != 0 && (parts&partShared != 0 || parts&(partObjects|partRefs) == partObjects|partRefs) ||
			dir != "." && d.inBare(path.Dir(dir))
		if d.bare == nil {
			d.bare = map[string]bool{}
		}
		d.bare[dir] = known
	}
	return known
}

// What makes a folder a repository without a .git: a HEAD, and objects and refs beside it
// or where a commondir says.
const (
	partHead = 1 << iota
	partShared
	partObjects
	partRefs
)

// partsIn gives the parts that a folder of this machine has. The file system folds names
// here as it does for git.
func partsIn(dir string) (parts int) {
	for part, name := range map[int]string{partHead: "HEAD", partShared: "commondir", partObjects: "objects", partRefs: "refs"} {
		if st, err := os.Lstat(filepath.Join(dir, name)); err == nil && (part != partHead || !st.IsDir()) {
			parts |= part
		}
	}
	return parts
}

// eachPart calls f for each folder that an entry gives such a part. It leaves out
// sharedParts, which are refused wherever they are.
func (d *downloading) eachPart(e entry, f func(folder string, part int)) {
	names := strings.Split(d.place(e), "/")
	for i, name := range names {
		part := 0
		switch name := fold(name); {
		case name == "head" && i == len(names)-1 && e.kind != kindDir:
			part = partHead
		case name == "objects":
			part = partObjects
		case name == "refs":
			part = partRefs
		default:
			continue
		}
		f(path.Join(".", path.Join(names[:i]...)), part)
	}
}

// refuseBare takes out what would make folders repositories without a .git: a HEAD where
// another part comes or is here, and other parts where a HEAD is here. Two parts are
// enough, since a third can come with another download.
func (d *downloading) refuseBare(entries []entry) []entry {
	come := map[string]int{} // by folder, in folded form
	key := func(folder string) string { return strings.Join(folded(folder), "/") }
	for _, e := range entries {
		d.eachPart(e, func(folder string, part int) { come[key(folder)] |= part })
	}
	return slices.DeleteFunc(entries, func(e entry) bool {
		makes := d.makesBare(e, func(folder string) int { return come[key(folder)] &^ partHead })
		if !makes || d.mayBeGit(e) {
			return false
		}
		d.skip(e, false, isBareRepo)
		return true
	})
}

// makesBare reports whether an entry would make a folder a repository, with what is here
// and what else comes. Where a folder has such a part already, inBare judges it.
func (d *downloading) makesBare(e entry, comes func(folder string) int) (makes bool) {
	d.eachPart(e, func(folder string, part int) {
		here := partsIn(d.onDisk(folder))
		switch {
		case here&part != 0:
		case part == partHead:
			makes = makes || (here|comes(folder)) != 0
		default:
			makes = makes || here&partHead != 0
		}
	})
	return makes
}

// becameBare is makesBare at the time of writing: another download may have brought other
// parts meanwhile. Where the caller wants .git, this one may have.
func (d *downloading) becameBare(e entry) bool {
	return !d.all && d.makesBare(e, func(string) int { return 0 })
}
