package transfers

import (
	"path"
	"slices"
	"strings"
)

var (
	// runningFolders hold what some program runs, or obeys, that a person starts in the folder
	// above.
	runningFolders = namesOf(`
		.vscode .vscode-insiders .vscode-server .cursor-server .idea .run .fleet .zed .atom .nova .lapce .theia .vs .settings .externaltoolbuilders
		.nvim .vim .emacs.d .doom.d .helix .kak .devcontainer
		.claude .cursor .windsurf .gemini .codex .continue .roo .kiro .aider .amazonq .opencode .codeium .trae
		.husky .githooks .lefthook .trunk .hg .svn .subversion .bzr .jj .sl _darcs .pijul .fossil-settings
		.config .local .ssh .gnupg .docker .kube .aws .autostart launchagents launchdaemons .byobu .tmux .tmuxinator .hammerspoon .xmonad
		.direnv .mise mise .rtx .asdf .proto .moon .devbox .devenv .flox .volta .pyenv .rbenv
		.cargo .yarn .meteor .storybook .bundle .gem .ruby-lsp .ipython .jupyter .ptpython .ropeproject .julia .luarocks .cpan .re.pl .phan
		.mvn .m2 .ivy2 .sbt .ammonite .groovy .lein .clojure .cabal .ghc .opam .mix
		.terraform .terraform.d .ansible .chef .vagrant.d .ddev`)
	// runningFiles are read and obeyed by programs that are started beside them. A * stands
	// for anything.
	runningFiles = filesOf(`
		.envrc .direnvrc .autoenv* .env.zsh .env.leave .in.zsh .out.zsh .rbenv-vars .tool-versions .mise.toml mise.toml .mise.*.toml mise.*.toml .rtx.toml .rtx.*.toml
		.prototools .rvmrc devbox.json devenv.nix devenv.yaml rust-toolchain rust-toolchain.toml .bazelversion .bazeliskrc .condarc
		.bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin .zlogout .cshrc .tcshrc .login .logout .kshrc .mkshrc
		.shrc .shinit .xonshrc .inputrc .pam_environment .xprofile .xinitrc .xserverrc .xsession .xsessionrc profile.ps1 *_profile.ps1
		.exrc .nvimrc .vimrc _vimrc .gvimrc _gvimrc .lvimrc .local.vimrc .ideavimrc .vsvimrc .vimspector.json .projections.json .kakrc .nanorc .jedrc .joerc
		.emacs .spacemacs .dir-locals*.el .lesskey .screenrc .tmux.conf .tmux.conf.local .tmuxp.* .tmuxinator.yml .alacritty.*
		.mcp.json mcp.json .devcontainer.json opencode.json opencode.jsonc .ycm_extra_conf.py .watchmanconfig .ccls .merlin
		.gdbinit .gdbearlyinit .lldbinit .lldbinit-* .perldb .pdbrc .rdebugrc .byebugrc .radare2rc .rizinrc .dbxrc
		.gitconfig .gitmodules .gitlint .hgrc .hgsub .jjconfig.toml .cvsrc .arcconfig .arclint .pre-commit-config.yaml .pre-commit-config.yml prek.toml
		lefthook.* .lefthook.* lefthook-local.* .lefthook-local.* .overcommit.yml .huskyrc* .lintstagedrc* .commitlintrc* .simple-git-hooks* grumphp.yml captainhook.json
		.npmrc .yarnrc .yarnrc.yml .pnpmfile.* pnpmfile.* .pnp.* bunfig.toml nodemon.json .nodemonrc .nuxtrc .sequelizerc .parcelrc
		.eslintrc* .babelrc* .prettierrc* .stylelintrc* .postcssrc* .mocharc* .nycrc* .c8rc* .taprc* .releaserc* .remarkrc* .textlintrc* .markdownlint-cli2.*
		sitecustomize.* usercustomize.* .pythonrc .pythonstartup .pystartup ipython_*config.* jupyter_*config.* pyvenv.cfg .pypirc pip.conf pip.ini .pydistutils.cfg
		uv.toml poetry.toml pdm.toml .pdm.toml .pylintrc* pylintrc* .flake8 mypy.ini .mypy.ini .coveragerc nose.cfg .noserc unittest.cfg matplotlibrc .pyre_configuration
		.irbrc .pryrc .gemrc .railsrc .rspec .rubocop.yml .standard.yml .solargraph.yml .yardopts .simplecov .proverc .replyrc
		.user.ini php.ini .htaccess web.config .php_cs* phpstan.* psalm.xml .phpactor.*
		.rprofile rprofile.site .renviron .rdata .luacheckrc .luarc.json .luarc.jsonc .busted .luacov
		.ghci .ocamlinit .erlang .sbclrc .clisprc .ccl-init.lisp .eclrc .abclrc .guile .gambini .racketrc .swiplrc .octaverc startup.m finish.m .gprc .gnuplot .maximarc
		.latexmkrc latexmkrc .araraconfig.yaml araraconfig.yaml .nrepl.edn .scalafix.conf .sbtopts .sbtrc .jvmopts .mavenrc .antrc
		directory.build.* directory.packages.props directory.solution.* msbuild.rsp nuget.config dotnet-tools.json
		.bazelrc .buckconfig .buckconfig.* .golangci.* .mega-linter.yml .tflint.hcl .terraformrc terraform.rc ansible.cfg .ansible.cfg .ansible-lint .actrc .lando.yml
		.psqlrc .sqliterc .duckdbrc .my.cnf .myclirc .mongorc.js .mongoshrc.js .cqlshrc
		.curlrc .wgetrc .netrc .lftprc .ackrc yt-dlp.conf .boto .rhosts .shosts .k5login .forward .procmailrc .muttrc .mailcap .fetchmailrc .msmtprc
		desktop.ini autorun.inf`)
	// runningEndings are of files that an editor opens as a project, or that a program obeys
	// which finds them.
	runningEndings = []string{".code-workspace", ".sublime-project", ".rproj", ".pth", "._pth", ".csproj.user", ".vcxproj.user", ".scf", ".library-ms", ".searchconnector-ms"}
	// scriptEndings are of files that are settings of some program where their name begins with
	// a dot, written in a language that it runs.
	scriptEndings = strings.Fields(`.js .cjs .mjs .ts .cts .mts .lua .el .vim .exs .py .rb .pl .php .sh .bash .zsh .fish .ps1 .lisp .scm .jl .r`)
)

// files is a set of folded names, and of patterns.
type files struct {
	names
	patterns []string
}

func filesOf(list string) files {
	var exact, patterns []string
	for name := range strings.FieldsSeq(list) {
		if strings.Contains(name, "*") {
			patterns = append(patterns, name)
		} else {
			exact = append(exact, name)
		}
	}
	return files{namesOf(strings.Join(exact, " ")), patterns}
}

// called reports whether a folded name is in the set.
func (set files) called(part string) bool {
	return set.names.called(part) || slices.ContainsFunc(set.patterns, func(pattern string) bool {
		fits, _ := path.Match(pattern, part)
		return fits
	})
}

// runsThere reports whether a program would run or obey what has this path, in folded parts, for no
// more than lying there.
func runsThere(at []string, link bool) bool {
	if len(at) == 0 { // a name of backslashes
		return false
	}
	last := at[len(at)-1]
	ends := func(ending string) bool { return strings.HasSuffix(last, ending) }
	return slices.ContainsFunc(at[:len(at)-1], runningFolders.called) || link && runningFolders.called(last) ||
		runningFiles.called(last) || slices.ContainsFunc(runningEndings, ends) ||
		strings.HasPrefix(last, ".") && slices.ContainsFunc(scriptEndings, ends)
}
