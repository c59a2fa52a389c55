package transfers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
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
// ignore case and some characters that show nothing, Windows also dots and spaces at
// the end, and what follows a colon is a stream of the same file.
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
	return strings.TrimRight(part, ". ")
}

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
		letters := strings.TrimLeft(name, ".")
		letters, _, _ = strings.Cut(letters, ".") // the ending is behind the number
		n.short[letters[:min(6, len(letters))]] = true
	}
	return n
}

var (
	gitNames = namesOf(".git")
	// runningFolders hold what some program runs that a person starts in the folder
	// above: editors, agents, shells, hooks.
	runningFolders = namesOf(`.vscode .vscode-insiders .idea .fleet .zed .devcontainer .husky .githooks .lefthook .claude .cursor .windsurf
		.gemini .codex .continue .roo .kiro .aider .amazonq .ssh .config .cargo .yarn .bundle .direnv .mise .nvim .vim .gnupg .docker .kube .aws launchagents .opencode .codeium .trae .mvn`)
	// runningFiles are read and obeyed by programs that are started beside them.
	runningFiles = namesOf(`.envrc .npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .pnpmfile.js .pnp.cjs .pnp.js bunfig.toml .mcp.json mcp.json .devcontainer.json
		.exrc .nvimrc .nvim.lua .vimrc .gvimrc .lvimrc .dir-locals.el .emacs .gdbinit .lldbinit .inputrc .screenrc .tmux.conf .bazelrc .bazeliskrc .buckconfig .rvmrc .irbrc .pryrc
		.pre-commit-config.yaml lefthook.yml lefthook.yaml .lefthook.yml .lefthook.yaml .mise.toml mise.toml .tool-versions .gitconfig .gitmodules .hgrc .watchmanconfig
		.bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin .zlogout .cshrc .tcshrc .login .kshrc .xprofile .xinitrc .xsession
		sitecustomize.py usercustomize.py desktop.ini autorun.inf .condarc .curlrc .wgetrc .netrc .pythonrc.py .rprofile .renviron .pdbrc .pylintrc
		.ycm_extra_conf.py .eslintrc.js .eslintrc.cjs .prettierrc.js .prettierrc.cjs .mocharc.js .mocharc.cjs .babelrc.js .babelrc.cjs rust-toolchain rust-toolchain.toml opencode.json opencode.jsonc`)
	// runningEndings are of files that an editor opens as a project.
	runningEndings = []string{".code-workspace", ".sublime-project", ".pth"}
	// buildFiles run at the next build. That a tree has them is usual; that they
	// change in one that is here already is worth a question.
	buildFiles = namesOf(`makefile gnumakefile bsdmakefile justfile .justfile taskfile.yml taskfile.yaml rakefile gemfile gulpfile.js gruntfile.js package.json
		setup.py setup.cfg pyproject.toml tox.ini noxfile.py conftest.py build.gradle build.gradle.kts settings.gradle settings.gradle.kts gradlew gradlew.bat
		mvnw mvnw.cmd pom.xml cmakelists.txt configure configure.ac build.rs build.sbt build.zig meson.build sconstruct wscript jenkinsfile vagrantfile dockerfile
		docker-compose.yml docker-compose.yaml compose.yml compose.yaml .gitlab-ci.yml procfile flake.nix shell.nix default.nix`)
)

// WouldRun is the reason in Transfer.Held.
const WouldRun = "it would run here"

const (
	isGit      = "git would run what it says"
	isBareRepo = "with the files beside it, git would take its folder for a repository and run what it says"
)

// isOfGit reports whether a path is that of a repository's own files, or of the file
// or link that stands for them.
func isOfGit(name string) bool { return slices.ContainsFunc(folded(name), gitNames.called) }

// git reports why an entry may not be here for what git would do with it. Where the
// caller wants .git, too, it may come to be outside of repositories that are here.
func (d *downloading) git(e entry) string {
	at := path.Join(d.at, e.name)
	if d.dst != nil && d.dst.only != "" {
		at = path.Join(d.at, d.dst.only)
	}
	into := e.kind == kindLink && isOfGit(e.target)
	if !into && !isOfGit(at) {
		return ""
	}
	if d.all && (d.fresh || !d.inRepository(path.Dir(filepath.ToSlash(d.here(e))))) {
		return ""
	}
	return isGit
}

// inRepository reports whether a folder of the destination, or one above it, has a
// .git.
func (d *downloading) inRepository(dir string) bool {
	if known, ok := d.repositories[dir]; ok {
		return known
	}
	_, err := d.dst.Lstat(filepath.FromSlash(path.Join(dir, ".git")))
	in := err == nil
	if !in {
		if dir == "." {
			in = isOfGit(filepath.ToSlash(d.folder)) || repositoryAbove(d.folder)
		} else {
			in = d.inRepository(path.Dir(dir))
		}
	}
	if d.repositories == nil {
		d.repositories = map[string]bool{}
	}
	d.repositories[dir] = in
	return in
}

// repositoryAbove reports whether a folder above dir has a .git.
func repositoryAbove(dir string) bool {
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target
	}
	for {
		above := filepath.Dir(dir)
		if above == dir {
			return false
		}
		if _, err := os.Lstat(filepath.Join(above, ".git")); err == nil {
			return true
		}
		dir = above
	}
}

// bareParts are what makes a folder a repository without a .git.
var bareParts = []string{"head", "objects", "refs"}

// refuseBare takes out what would make folders repositories without a .git, with what
// else comes or is here.
func (d *downloading) refuseBare(entries []entry) []entry {
	if d.all {
		return entries
	}
	parts := map[string]int{} // by folder, in folded form: a bit for each of bareParts
	each := func(name string, f func(folder string, part int)) {
		all := folded(name)
		for i, p := range all {
			if part := slices.Index(bareParts, p); part >= 0 {
				f(strings.Join(all[:i], "/"), part)
			}
		}
	}
	for _, e := range entries {
		each(e.name, func(folder string, part int) { parts[folder] |= 1 << part })
	}
	return slices.DeleteFunc(entries, func(e entry) bool {
		makes := false
		each(e.name, func(folder string, _ int) {
			have := parts[folder]
			for i, name := range []string{"HEAD", "objects", "refs"} {
				if _, err := d.dst.Lstat(filepath.Join(filepath.FromSlash(folder), name)); err == nil {
					have |= 1 << i
				}
			}
			makes = makes || have == 7
		})
		if makes {
			d.skip(e, false, isBareRepo)
		}
		return makes
	})
}

// runs reports whether a file would be run, or obeyed, for no more than lying where it
// comes to lie.
func (d *downloading) runs(e entry) bool {
	at := folded(path.Join(d.at, e.name))
	if d.dst.only != "" {
		at = folded(path.Join(d.at, d.dst.only))
	}
	if len(at) == 0 {
		return false
	}
	last := at[len(at)-1]
	switch {
	case slices.ContainsFunc(at[:len(at)-1], runningFolders.called), runningFiles.called(last),
		slices.ContainsFunc(runningEndings, func(end string) bool { return strings.HasSuffix(last, end) }),
		e.kind == kindLink && runningFolders.called(last):
		return true
	case buildFiles.called(last):
		_, err := d.dst.Lstat(d.here(e))
		return err == nil
	}
	return false
}

// hold takes out of what is to be fetched what would run here, except where just that
// was agreed to: the same names with the same contents. What is here already needs no
// agreement.
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
	for _, e := range news {
		fmt.Fprintf(h, "%q %s %v\n", e.name, e.sum, e.exec)
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
		d.now.Held.add(e.name, WouldRun)
		d.now.HeldDigest = digest
		d.now.TotalFiles--
		d.now.TotalBytes -= e.size
		d.mu.Unlock()
	}
	return rest, nil
}

// changedSince reports whether a file is not the one that was agreed to.
func (e entry) changedSince(sum string) bool { return e.agreed != "" && sum != e.agreed }

const notAgreed = "it has changed since it was agreed to"
