#!/usr/bin/env bash
# Builds the image as packaging/Dockerfile has it, and checks what is in it and
# how it runs. buildah needs no daemon, and chroot
# isolation no more rights than a container has that runs CI as root.
#
# Where no registry is reached, images made of this machine's Go and Debian
# packages stand in for the two base images, under their names.
#
#   VERSION     what --version says (from git by default)
set -euo pipefail
cd "$(dirname "$0")/.."

need() { command -v "$1" >/dev/null || { echo "make image needs $1: $2" >&2; exit 1; }; }
step() { printf '=== %s (%ss)\n' "$1" "$SECONDS"; }
need go "install Go 1.26 or newer"
need git "install git"
need buildah "apt-get install buildah"
need unshare "apt-get install util-linux"
need setpriv "apt-get install util-linux"
[ "$(id -u)" = 0 ] || { echo "make image must be run as root: it mounts folders and changes to the image's user" >&2; exit 1; }

VERSION=${VERSION:-$(git describe --tags --match 'v*' 2>/dev/null || echo v0.0.0-dev)}
VERSION=${VERSION#v}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Nothing gets into the images of whoever runs this. vfs works on any file system.
buildah() { command buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }

here=$(go env GOHOSTARCH)
case $here in amd64) there=arm64 ;; *) there=amd64 ;; esac
builder=$(awk '/^FROM .* AS build$/ {print $(NF-2)}' packaging/Dockerfile)
base=$(awk '/^FROM/ {image = $2} END {print image}' packaging/Dockerfile)

# unpacked IMAGE: the folder that holds what is in it.
unpacked() {
  local container
  container=$(buildah from --pull=never "$1") && buildah mount "$container"
}

# commit CONTAINER NAME SETTING...: an image of one layer.
commit() {
  buildah config "${@:3}" "$1"
  buildah commit -q --rm "$1" "$2" >/dev/null
}

# stand_in_builder: Go, a shell, and the certificates by which modules are fetched.
stand_in_builder() {
  local container root shell file
  need ldd "apt-get install libc-bin"
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  shell=$(readlink -f /bin/sh)
  mkdir -p "$root"/{bin,etc/ssl/certs,go,root,usr/local/go}
  mkdir -m 1777 "$root/tmp"
  for file in $(ldd "$shell" | grep -o '/[^ ]*'); do cp -L --parents "$file" "$root"; done
  cp "$shell" "$root/bin/sh"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
  echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
  # Without what only builds and tests of Go itself need: it is much, and is copied often.
  tar -C "$(go env GOROOT)" --exclude ./test --exclude ./api --exclude ./src/cmd --exclude testdata --exclude '*_test.go' -c . | tar -C "$root/usr/local/go" -x
  commit "$container" "docker.io/library/$builder" --workingdir /go --env GOPATH=/go --env GOTOOLCHAIN=local \
    --env PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

# stand_in_base: what distroless takes from Debian for its static image.
stand_in_base() {
  local container root package
  need dpkg-query "this needs Debian or one of its kin"
  for package in base-files netbase tzdata ca-certificates; do
    dpkg-query -L "$package" >/dev/null || { echo "make image needs $package: apt-get install $package" >&2; exit 1; }
  done
  container=$(buildah from scratch)
  root=$(buildah mount "$container")
  dpkg-query -L base-files netbase tzdata | sort -u | while read -r file; do
    if [ -e "$file" ] && [ "$file" != /. ]; then echo "${file#/}"; fi # images of Debian leave out pages
  done | tar -C / --no-recursion -T - -c | tar -C "$root" -x
  mkdir -p "$root/etc/ssl/certs" "$root/home/nonroot"
  chown 65532:65532 "$root/home/nonroot"
  find /usr/share/ca-certificates -name '*.crt' -print0 | LC_ALL=C sort -z | xargs -0 cat > "$root/etc/ssl/certs/ca-certificates.crt"
  echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
  printf '%s\n' root:x:0:0:root:/root:/sbin/nologin nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin \
    nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin > "$root/etc/passwd"
  printf '%s\n' root:x:0: nobody:x:65534: tty:x:5: staff:x:50: nonroot:x:65532: > "$root/etc/group"
  commit "$container" "$base" --user 0 --workingdir / --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
}

step "version $VERSION: base images"
pull=missing
if ! refused=$(buildah pull -q "$base" 2>&1); then
  pull=never
  echo "$refused" | tail -n 1
  builder=${builder%@*} base=${base%@*}
  echo "no registry is reached: $(go version | awk '{print $3}') of this machine stands in for $builder, Debian's packages for $base"
  stand_in_builder
  stand_in_base
fi

step "the context"
# A copy, in which lies what must not get into the image.
context=$work/context
mkdir "$context"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$context"
# What stands in for an image has another digest.
[ "$pull" = missing ] || sed -i -E '/^FROM/s/@sha256:[0-9a-f]{64}//' "$context/packaging/Dockerfile"
for rubbish in .git/config bin/openclaw-mcp dist/SHA256SUMS node_modules/a/index.js packaging/node_modules/a/index.js \
  openclaw-mcp openclaw-mcp.test client/client.test cpu.out; do
  mkdir -p "$context/$(dirname "$rubbish")"
  echo rubbish > "$context/$rubbish"
done
printf 'FROM scratch\nCOPY . /\n' > "$work/Context"
buildah build -q --isolation chroot -f "$work/Context" -t context "$context" >/dev/null
sent=$(unpacked localhost/context)
diff <(git ls-files --cached --others --exclude-standard | LC_ALL=C sort) <(cd "$sent" && find . ! -type d -printf '%P\n' | LC_ALL=C sort) ||
  { echo "the build's context is not what git keeps: see .dockerignore" >&2; exit 1; }

# How this machine gets modules is handed in from outside, with what it has of them.
for name in GOPROXY GOSUMDB GONOPROXY GONOSUMDB GOPRIVATE GOINSECURE GOFLAGS; do
  echo "$name=$(go env "$name")"
done > "$work/go.env"
mkdir -p "$(go env GOMODCACHE)" "$(go env GOCACHE)"
volumes=(-v "$work/go.env:/root/.config/go/env:ro" -v "$(go env GOMODCACHE):/go/pkg/mod" -v "$(go env GOCACHE):/root/.cache/go-build")

# build ARCH NAME OPTION...: the Dockerfile, as it stands.
build() {
  # BUILDPLATFORM: older buildahs do not set it.
  buildah build --isolation chroot --pull="$pull" --platform "linux/$1" "${volumes[@]}" \
    --build-arg "BUILDPLATFORM=linux/$here" --build-arg "VERSION=$VERSION" --iidfile "$work/id" \
    -f "$context/packaging/Dockerfile" -t "$2" "${@:3}" "$context" > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
}
# outside ARCH OUT: the same binary, without an image, by the Go that built the image's.
outside() {
  (cd "$context" && GOTOOLCHAIN=$toolchain GOOS=linux GOARCH=$1 CGO_ENABLED=0 go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X main.version=$VERSION" -o "$2" .)
}

step "build"
build "$here" openclaw-mcp
mkdir "$work/image"
buildah inspect --type image "$base" > "$work/image/base.json"
buildah inspect --type image localhost/openclaw-mcp > "$work/image/image.json"
buildah push -q localhost/openclaw-mcp "oci:$work/image/oci"
root=$(unpacked localhost/openclaw-mcp)

step "check"
toolchain=$(go version "$root/usr/bin/openclaw-mcp" | awk '{print $NF}')
outside "$here" "$work/image/openclaw-mcp"
(cd packaging/check && IMAGE=$work/image ROOT=$root VERSION=$VERSION go test -count=1 -tags image -run Image .)

# Its first stage alone: after a stage for another platform, older buildahs
# take the base for that platform, too.
step "build for $there"
build "$there" build --target build
outside "$there" "$work/openclaw-mcp"
stage=$(unpacked "$(cat "$work/id")")
cmp "$work/openclaw-mcp" "$stage/openclaw-mcp"

packaging/pin-images.sh --check || echo "an image for publication needs pinned base images" >&2

step "done"
