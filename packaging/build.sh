#!/usr/bin/env bash
# Builds into dist/ all that a release holds: six binaries, their archives, a
# .mcpb bundle and an SBOM of each, deb and rpm packages, npm packages, a formula for
# Homebrew, server.json for the MCP registry, and SHA256SUMS with its signature; and
# checks each. The same commit gives the same binaries and archives: they are built
# twice, in two folders, and compared.
#
# VERSION is what --version says (from git by default). Addresses are from owner.env.
#
#   SIGNING_KEY, SIGNING_PASSWORD  the owner's minisign key, for what is published: see
#               packaging/check/sign. Then the base images must be pinned, too.
set -euo pipefail
cd "$(dirname "$0")/.."

need() { command -v "$1" >/dev/null || { echo "make packages needs $1: $2" >&2; exit 1; }; }
step() { printf '=== %s (%ss)\n' "$1" "$SECONDS"; }
need go "install Go 1.26 or newer"
need npm "it comes with Node.js"
need zip "apt-get install zip"
need sha256sum "it is part of coreutils"
need dpkg "it checks the deb package; use Debian"
need rpm "apt-get install rpm"
need ruby "apt-get install ruby"
need minisign "apt-get install minisign"
[ -z "${SIGNING_KEY:-}" ] || SIGNING_KEY=$(realpath "$SIGNING_KEY") || exit 1
if [ -n "${SIGNING_KEY:-}" ]; then packaging/pin-images.sh --check; fi

VERSION=${VERSION:-$(git describe --tags --match 'v*' 2>/dev/null || echo v0.0.0-dev)}
VERSION=${VERSION#v}
set -a
# shellcheck source=/dev/null
. packaging/owner.env
set +a
DOWNLOADS=${DOWNLOADS//@VERSION@/$VERSION}
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH VERSION
targets=(linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64)

rm -rf dist
mkdir dist
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# build SOURCE OUT: all binaries, as OUT/OS_ARCH/openclaw-mcp
build() {
  local target dir
  for target in "${targets[@]}"; do
    dir=$2/${target/\//_}
    mkdir -p "$dir"
    (cd "$1" && GOOS=${target%/*} GOARCH=${target#*/} CGO_ENABLED=0 go build -trimpath -buildvcs=false \
      -ldflags "-s -w -buildid= -X main.version=$VERSION" -o "$dir/" .)
  done
}

# archives BINARIES OUT: an archive of each, with nothing of this machine in it
archives() {
  local dir name
  for dir in "$1"/*/; do
    name=openclaw-mcp_$(basename "$dir")
    mkdir -p "$work/stage/$name"
    cp "$dir"openclaw-mcp* LICENSE README.md "$work/stage/$name/"
    cp -r docs "$work/stage/$name/docs"
    cp packaging/systemd/openclaw-mcp.service "$work/stage/$name/"
    find "$work/stage/$name" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
    case $name in
    *windows*) (cd "$work/stage" && find "$name" -type f | LC_ALL=C sort | TZ=UTC zip -qX9 "$2/$name.zip" -@) ;;
    *) tar -C "$work/stage" --sort=name --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --format=ustar \
         -cf - "$name" | gzip -n9 > "$2/$name.tar.gz" ;;
    esac
    rm -r "$work/stage/$name"
  done
}

step "version $VERSION: build"
build . "$work/first"
archives "$work/first" "$PWD/dist"

step "build again elsewhere, and compare"
mkdir -p "$work/elsewhere" "$work/again"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work/elsewhere"
build "$work/elsewhere" "$work/second"
archives "$work/second" "$work/again"
diff -r "$work/first" "$work/second" || { echo "the second build differs from the first" >&2; exit 1; }
for file in dist/*.tar.gz dist/*.zip; do
  cmp "$file" "$work/again/$(basename "$file")"
done

step "bundles for Claude Desktop"
(cd packaging && npm ci --silent --no-fund --no-audit)
mcpb=$PWD/packaging/node_modules/.bin/mcpb
for target in "${targets[@]}"; do
  os=${target%/*} name=${target/\//_}
  bundle=$work/bundle/$name
  mkdir -p "$bundle/server"
  cp "$work/first/$name"/openclaw-mcp* "$bundle/server/"
  cp LICENSE "$bundle/"
  node packaging/mcpb/manifest.mjs "$VERSION" "$os" > "$bundle/manifest.json"
  if ! { "$mcpb" validate "$bundle/manifest.json" && "$mcpb" pack "$bundle" "dist/openclaw-mcp_$name.mcpb"; } > "$work/mcpb.log"; then
    cat "$work/mcpb.log" >&2
    exit 1
  fi
done

step "SBOMs (CycloneDX)"
for target in "${targets[@]}"; do
  name=${target/\//_}
  go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0 bin -json -noserial -notimestamp -std \
    -version "$VERSION" -output "dist/openclaw-mcp_$name.sbom.json" "$work/first/$name"/openclaw-mcp* 2> "$work/sbom.log" ||
    { cat "$work/sbom.log" >&2; exit 1; }
done

step "deb and rpm"
"$work/first/linux_$(go env GOHOSTARCH)/openclaw-mcp" man | gzip -n9 > "$work/openclaw-mcp.1.gz"
GOBIN=$work/bin go install github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4 # as in goreleaser@v2.13.0
for arch in amd64 arm64; do
  for format in deb rpm; do
    ARCH=$arch BINARY=$work/first/linux_$arch/openclaw-mcp MANUAL=$work/openclaw-mcp.1.gz \
      "$work/bin/nfpm" package -f packaging/nfpm.yaml -p "$format" -t "dist/openclaw-mcp_linux_$arch.$format" > "$work/nfpm.log" 2>&1 ||
      { cat "$work/nfpm.log" >&2; exit 1; }
  done
done

step "npm packages"
mkdir dist/npm
node packaging/npm/pack.mjs "$VERSION" "$work/first" "$work/npm" dist/npm "${targets[@]}"

step "formula, server.json and SHA256SUMS"
fill=(-e "s|@VERSION@|$VERSION|" -e "s|@DOWNLOADS@|$DOWNLOADS|" -e "s|@REPOSITORY@|$REPOSITORY|")
for target in darwin_amd64 darwin_arm64 linux_amd64 linux_arm64; do
  sum=$(sha256sum "dist/openclaw-mcp_$target.tar.gz")
  fill+=(-e "s|@SHA256_$target@|${sum%% *}|")
done
sed "${fill[@]}" packaging/homebrew/openclaw-mcp.rb > dist/openclaw-mcp.rb
node packaging/registry.mjs "$VERSION" "$NAMESPACE" "$DOWNLOADS" dist "${targets[@]}" > dist/server.json
(cd dist && sha256sum openclaw-mcp_* openclaw-mcp.rb server.json npm/*.tgz > SHA256SUMS)

step "signature"
dist=$PWD/dist
go run -C packaging/check ./sign -comment "openclaw-mcp $VERSION" -public ../minisign.pub "$dist/SHA256SUMS"
# minisign's own program shares no code with what signed.
minisign -V -p "$dist/minisign.pub" -m "$dist/SHA256SUMS"
(cd dist && sha256sum --quiet -c SHA256SUMS)
(sed 's/^./0/' dist/SHA256SUMS > "$work/SHA256SUMS" && cp dist/SHA256SUMS.minisig "$work/")
if minisign -Vq -p "$dist/minisign.pub" -m "$work/SHA256SUMS" 2> "$work/minisign.log"; then
  echo "another SHA256SUMS passes with the same signature" >&2
  exit 1
fi

step "check"
# The schemas of the registry and of goreleaser, from their own modules.
module() { (cd packaging/check && go mod download -json "$1") | node -pe 'JSON.parse(require("fs").readFileSync(0)).Dir'; }
registry=$(module github.com/modelcontextprotocol/registry@v1.8.9)
goreleaser=$(module github.com/goreleaser/goreleaser/v2@v2.13.0)
(cd packaging/check && BINARIES=$work/first BUNDLES=$work/bundle DIST=$OLDPWD/dist REGISTRY=$registry GORELEASER=$goreleaser go test -count=1 ./...)
bash packaging/check-linux.sh "dist/openclaw-mcp_linux_$(go env GOHOSTARCH).deb" "dist/openclaw-mcp_linux_$(go env GOHOSTARCH).rpm" "$VERSION"
ruby -c dist/openclaw-mcp.rb > "$work/ruby.log" || { cat "$work/ruby.log" >&2; exit 1; }
ruby packaging/homebrew/check.rb dist/openclaw-mcp.rb dist
PACKAGES=dist/npm node --test packaging/npm/npm.test.mjs
bash packaging/check-systemd.sh "$work/first/linux_$(go env GOARCH)/openclaw-mcp"
bash packaging/check-windows.sh "$work/first/windows_amd64/openclaw-mcp.exe" "$VERSION"

step "done"
ls -l dist
