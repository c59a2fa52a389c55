#!/usr/bin/env bash
# Runs the commands that README.md, docs/ and examples/ show: all that stands in a ```sh
# block, in the order of the page, in a copy of the tree with a home of its own.
# Blocks of another kind (console, text, …) are for the reader alone. With
# arguments, runs those pages only.
set -euo pipefail
cd "$(dirname "$0")/.."

pages=("$@")
if [ ${#pages[@]} = 0 ]; then
  mapfile -t pages < <(git ls-files --cached --others --exclude-standard README.md 'docs/*.md' 'docs/**/*.md' 'examples/*.md' | sort -u)
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Downloaded modules and compiled packages are kept; nothing else of this home is.
GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
# A page may take the program for installed.
mkdir "$work/bin"
CGO_ENABLED=0 go build -o "$work/bin/openclaw-mcp" .
ran=0
for page in "${pages[@]}"; do
  awk '/^```sh$/{on=1; next} /^```$/{on=0} on' "$page" > "$work/commands"
  [ -s "$work/commands" ] || continue
  rm -rf "${work:?}/tree" "${work:?}/home"
  mkdir "$work/tree" "$work/home"
  git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work/tree"
  # Some pages ask for a tree that git knows.
  git -C "$work/tree" init -q
  echo "--- $page"
  if ! (cd "$work/tree" && env -i HOME="$work/home" PATH="$work/bin:$PATH" TERM=dumb LANG=C.UTF-8 TMPDIR="${TMPDIR:-/tmp}" \
    GOCACHE="$GOCACHE" GOMODCACHE="$GOMODCACHE" GOPROXY="${GOPROXY-}" GOFLAGS="${GOFLAGS-}" GOTOOLCHAIN="${GOTOOLCHAIN-}" \
    timeout 900 bash -eux "$work/commands" </dev/null); then
    echo "$page: a command that it shows fails (above)" >&2
    exit 1
  fi
  if [ "$page" = README.md ] && ! go version -m "$work/tree/openclaw-mcp" | grep -q CGO_ENABLED=0; then
    echo "$page: what it builds is not a static program" >&2
    exit 1
  fi
  ran=$((ran + 1))
done
[ "$ran" -gt 0 ] || { echo "no page of ${pages[*]} has a sh block: nothing was run" >&2; exit 1; }
echo "$ran pages: all commands work"
