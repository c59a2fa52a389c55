#!/usr/bin/env bash
# Has goreleaser make all of a release of the commit but publish nothing, twice, in
# two clones, and checks that both are the same and what .goreleaser.yaml promises.
# The release is left in dist/snapshot/.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '=== %s (%ss)\n' "$1" "$SECONDS"; }
for program in go git; do
  command -v "$program" >/dev/null || { echo "make snapshot needs $program" >&2; exit 1; }
done
set -a
# shellcheck source=/dev/null
. packaging/owner.env
set +a
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step "goreleaser and cyclonedx-gomod (a thousand packages: minutes, the first time)"
for tool in github.com/goreleaser/goreleaser/v2@v2.13.0 github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0; do
  # So many downloads that one of them may well fail: those that came are kept.
  for attempt in 1 2 3; do
    if GOBIN=$work/bin go install "$tool" 2> "$work/install.log"; then break; fi
    tail -3 "$work/install.log" >&2
    [ "$attempt" -lt 3 ] || { echo "$tool can't be installed" >&2; exit 1; }
  done
done

for copy in first second; do
  step "release, the $copy time"
  git clone -q . "$work/$copy"
  (cd "$work/$copy" && PATH=$work/bin:$PATH goreleaser release --snapshot --clean --skip=publish,sign) > "$work/$copy.log" 2>&1 ||
    { cat "$work/$copy.log" >&2; exit 1; }
done
diff "$work/first/dist/SHA256SUMS" "$work/second/dist/SHA256SUMS" || { echo "the second release differs from the first" >&2; exit 1; }

step "check"
rm -rf dist/snapshot
mkdir -p dist
cp -r "$work/first/dist" dist/snapshot
(cd packaging/check && RELEASE=$work/first go test -count=1 -tags snapshot -run Snapshot .)
arch=$(go env GOHOSTARCH)
built=("$work"/first/dist/openclaw-mcp_linux_"$arch"*/openclaw-mcp)
version=$("${built[0]}" --version)
bash packaging/check-linux.sh "dist/snapshot/openclaw-mcp_linux_$arch.deb" "dist/snapshot/openclaw-mcp_linux_$arch.rpm" "${version#* }"
step "done"
(cd dist/snapshot && cat SHA256SUMS)
