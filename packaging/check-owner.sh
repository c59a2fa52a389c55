#!/usr/bin/env bash
# Tries what the owner does to publish: other addresses in owner.env, in a copy of
# the tree; the copy then passes vet, and people can `go install` it by its new path.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '=== %s (%ss)\n' "$1" "$SECONDS"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
you=you
module=git.example.com/$you/mcp-for-openclaw
modules=$(go env GOMODCACHE)

step "make owner, in a copy"
mkdir "$work/tree"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work/tree"
cd "$work/tree"
git init -q
sed -i -e "s#^MODULE=.*#MODULE=$module#" -e "s#^TAP=.*#TAP=${you}/brews#" -e "s#^NPM=.*#NPM=@$you/openclaw-mcp#" \
  -e "s#^REPOSITORY=.*#REPOSITORY=https://$module#" -e "s#^IMAGE=.*#IMAGE=images.example.com/$you/openclaw-mcp#" packaging/owner.env
make -s owner
if git ls-files -o | xargs grep -nE '^(\s|import )*([a-z_.]+ )?"openclaw-mcp/(client|tools|transport|internal|prompts|resources)[/a-z]*"$'; then
  echo "these imports have the old path" >&2
  exit 1
fi
for said in "go install $module@latest" "npx -y @$you/openclaw-mcp" "brew install ${you}/brews/openclaw-mcp"; do
  grep -qF "$said" README.md || { echo "README.md does not say: $said" >&2; exit 1; }
done
grep -q "image: images.example.com/$you/openclaw-mcp:" packaging/kubernetes/openclaw-mcp.yaml
go vet -tags e2e ./...
go test -count=1 ./docs ./internal/architecture

step "go install $module@v1.2.3"
# What the Go module proxy would make of the tag.
exclude=()
while read -r nested; do exclude+=(":!$(dirname "$nested")"); done < <(git ls-files -o '*/go.mod')
git add -A
git -c user.name=check -c user.email=check commit -qm check
proxy=$work/proxy/$module/@v
mkdir -p "$proxy"
git archive --format=zip --prefix="$module@v1.2.3/" -o "$proxy/v1.2.3.zip" HEAD -- . "${exclude[@]}"
cp go.mod "$proxy/v1.2.3.mod"
echo v1.2.3 > "$proxy/list"
echo '{"Version":"v1.2.3"}' > "$proxy/v1.2.3.info"
cd "$work"
env -u GOFLAGS GOBIN="$work/bin" GOMODCACHE="$work/modules" GOPROXY="file://$work/proxy,file://$modules/cache/download" GOSUMDB=off GOFLAGS=-modcacherw \
  go install "$module@v1.2.3" || { echo "the module can't be installed by its path" >&2; exit 1; }
HOME=$work "$work/bin/mcp-for-openclaw" --version | grep -x 'openclaw-mcp v1.2.3'
step "done"
