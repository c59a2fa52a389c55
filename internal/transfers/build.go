package transfers

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// buildFiles run at the next build, test or start. Each line has those that one tool reads
// from a folder. That a tree has them is usual; that one changes, or comes in beside others
// of its line and goes before them or adds to them, is worth a question. A * stands for
// any beginning.
var buildFiles = familiesOf(`makefile gnumakefile bsdmakefile
	justfile .justfile
	taskfile.yml taskfile.yaml taskfile.dist.yml taskfile.dist.yaml
	rakefile rakefile.rb gemfile gems.rb
	package.json gulpfile.js gulpfile.ts gulpfile.mjs gulpfile.cjs gruntfile.js gruntfile.cjs gruntfile.coffee binding.gyp npm-shrinkwrap.json pnpm-workspace.yaml *.config.js *.config.cjs *.config.mjs *.config.ts *.config.cts *.config.mts
	composer.json
	mix.exs rebar.config rebar.config.script
	project.clj deps.edn build.boot
	cabal.project stack.yaml setup.hs setup.lhs
	dune dune-project dune-workspace
	lakefile.lean lakefile.toml
	makefile.pl build.pl
	package.swift
	pubspec.yaml build.yaml
	podfile fastfile
	build.xml
	xmake.lua premake5.lua premake4.lua
	tiltfile earthfile skaffold.yaml docker-bake.hcl docker-bake.json
	guardfile thorfile capfile dangerfile
	deno.json deno.jsonc
	*.csproj *.fsproj *.vbproj *.vcxproj *.sln *.slnx
	setup.py setup.cfg pyproject.toml tox.ini pytest.ini .pytest.ini pytest.toml .pytest.toml noxfile.py conftest.py
	build.gradle build.gradle.kts settings.gradle settings.gradle.kts init.gradle init.gradle.kts gradle.properties gradlew gradlew.bat
	gradle-wrapper.properties gradle-wrapper.jar
	mvnw mvnw.cmd pom.xml
	cmakelists.txt cmakepresets.json cmakeuserpresets.json
	configure configure.ac configure.in makefile.am makefile.in
	build.rs cargo.toml
	*.sbt
	build.zig build.zig.zon
	meson.build meson.options meson_options.txt
	sconstruct sconstruct.py
	wscript
	build build.bazel workspace workspace.bazel workspace.bzlmod module.bazel
	jenkinsfile
	vagrantfile
	dockerfile containerfile
	docker-compose.yml docker-compose.yaml docker-compose.override.yml docker-compose.override.yaml compose.yml compose.yaml compose.override.yml compose.override.yaml .env
	.gitlab-ci.yml
	procfile procfile.dev
	flake.nix shell.nix default.nix`)

type buildFamily struct {
	names
	endings []string
}

func familiesOf(list string) (families []buildFamily) {
	for line := range strings.Lines(list) {
		var f buildFamily
		var exact []string
		for name := range strings.FieldsSeq(line) {
			if ending, ok := strings.CutPrefix(name, "*"); ok {
				f.endings = append(f.endings, ending)
			} else {
				exact = append(exact, name)
			}
		}
		f.names = namesOf(strings.Join(exact, " "))
		families = append(families, f)
	}
	return families
}

// familyOf gives the index of the family that a file is of, -1 for none.
func familyOf(name string) int {
	name = fold(name)
	return slices.IndexFunc(buildFiles, func(f buildFamily) bool {
		return f.called(name) || slices.ContainsFunc(f.endings, func(end string) bool { return strings.HasSuffix(name, end) })
	})
}

// changesBuild reports whether an entry is a build file, and one of its family is here.
func (d *downloading) changesBuild(e entry) bool {
	here := filepath.ToSlash(d.here(e))
	family := familyOf(path.Base(here))
	return family >= 0 && d.familiesIn(path.Dir(here))[family]
}

// familiesIn gives the families of build files that a folder of the destination has.
func (d *downloading) familiesIn(dir string) map[int]bool {
	known, ok := d.families[dir]
	if !ok {
		known = map[int]bool{}
		names, _ := readNames(d.dst.Root, local(dir)) // nothing is in a folder that can't be read
		for _, name := range names {
			known[familyOf(name)] = true
		}
		if d.families == nil {
			d.families = map[string]map[int]bool{}
		}
		d.families[dir] = known
	}
	return known
}
