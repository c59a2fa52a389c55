#!/usr/bin/env bash
# Carries packaging/owner.env into the tree: the module's path into go.mod and all
# imports, the image's name into the Kubernetes manifests, the ways to install into
# README.md. All else reads owner.env when it is used.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=/dev/null
. packaging/owner.env

old=$(go list -m)
if [ "$old" != "$MODULE" ]; then
  # Whole import paths, and no more: keys such as "openclaw-mcp/text" stay.
  packages=$(go list -tags e2e ./... | sed -n "s|^$old/||p" | paste -sd '|')
  git ls-files -z --cached --others --exclude-standard '*.go' |
    xargs -0 sed -E -i "s#\"$old/($packages)\"#\"$MODULE/\1\"#"
  git ls-files -z --cached --others --exclude-standard '*.go' | xargs -0 gofmt -w
  git ls-files -z --cached --others --exclude-standard go.mod '*/go.mod' | xargs -0 sed -i "s#^module $old#module $MODULE#"
  # What a debugger is told.
  sed -i "s#'break $old/#'break $MODULE/#" docs/walk.md
fi
sed -E -i "s#^( *image: )[^ :@]+([:@])#\1$IMAGE\2#" packaging/kubernetes/*.yaml
go test ./docs -count=1 -run GoldenREADME -update
