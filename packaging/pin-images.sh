#!/usr/bin/env bash
# Pins the images that ours is made of, and ours in the Kubernetes manifests, by digest.
#
#   packaging/pin-images.sh                     asks the registries for today's digests of the
#                                               base images, and writes them into the Dockerfile
#   packaging/pin-images.sh kubernetes IMAGE    writes IMAGE with its digest into the manifests
#   packaging/pin-images.sh --check             fails where a base image is not pinned
#
#   DOCKERFILE, MANIFESTS   other files than those in packaging/
set -euo pipefail
cd "$(dirname "$0")/.."
DOCKERFILE=${DOCKERFILE:-packaging/Dockerfile}
MANIFESTS=${MANIFESTS:-packaging/kubernetes/openclaw-mcp.yaml}

# bases: the images that the Dockerfile names, and not its own stages.
bases() {
  awk '/^FROM / {image = $2 ~ /^--/ ? $3 : $2; if (image != "scratch" && !(image in stage)) print image; if (tolower($(NF-1)) == "as") stage[$NF]}' "$DOCKERFILE"
}

# pinned IMAGE: with the digest that its registry gives for all platforms together.
pinned() {
  local name=${1%@*} digest
  digest=$(go run github.com/google/go-containerregistry/cmd/crane@v0.20.7 digest "$name") || return 1
  [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "the registry's digest of $name is \"$digest\"" >&2; return 1; }
  echo "$name@$digest"
}

# replace OLD NEW FILE: a word, as it stands.
replace() {
  OLD=$1 NEW=$2 perl -pi -e 's/(?<![^\s])\Q$ENV{OLD}\E(?![^\s])/$ENV{NEW}/' "$3"
}

case ${1:-} in
--check)
  loose=$(bases | grep -Ev '@sha256:[0-9a-f]{64}$' || true)
  [ -z "$loose" ] || {
    printf 'not pinned by digest in %s: %s\nrun packaging/pin-images.sh where the registries can be reached, and look at the diff\n' "$DOCKERFILE" "${loose//$'\n'/ }" >&2
    exit 1
  }
  ;;
kubernetes)
  image=$(pinned "${2:?give the image, as REGISTRY/NAME:TAG}")
  old=$(awk '$1 == "image:" {print $2; exit}' "$MANIFESTS")
  replace "$old" "$image" "$MANIFESTS"
  echo "$MANIFESTS: $image"
  ;;
"")
  for old in $(bases); do
    new=$(pinned "$old")
    replace "$old" "$new" "$DOCKERFILE"
    echo "$DOCKERFILE: $new"
  done
  ;;
*) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
esac
