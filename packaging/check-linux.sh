#!/usr/bin/env bash
# Installs a deb package into an empty root with dpkg, and removes it; reads what an
# rpm package holds with rpm. Both must bring the same files.
#   packaging/check-linux.sh DEB RPM VERSION
set -euo pipefail
deb=$1 rpm=$2 version=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
want="/usr/bin/openclaw-mcp
/usr/lib/systemd/system/openclaw-mcp.service
/usr/share/doc/openclaw-mcp/copyright
/usr/share/man/man1/openclaw-mcp.1.gz"

mkdir -p "$root"/var/lib/dpkg/{info,updates}
touch "$root/var/lib/dpkg/status"
dpkg --root="$root" --force-not-root --force-script-chrootless --log="$root/log" -i "$deb" > "$root/said" 2>&1 || { cat "$root/said" >&2; exit 1; }
[ "$(cd "$root" && find usr -type f | sed 's|^|/|' | LC_ALL=C sort)" = "$want" ] || { echo "$deb installs other files than $want" >&2; find "$root/usr" >&2; exit 1; }
HOME=$root "$root/usr/bin/openclaw-mcp" --version | grep -xF "openclaw-mcp $version"
gzip -dc "$root/usr/share/man/man1/openclaw-mcp.1.gz" | grep -q '^\.TH' || { echo "$deb has no manual page" >&2; exit 1; }
dpkg --root="$root" --force-not-root --log="$root/log" -P openclaw-mcp > "$root/said" 2>&1 || { cat "$root/said" >&2; exit 1; }
[ -z "$(find "$root" -name 'openclaw-mcp*' -type f)" ] || { echo "$deb leaves files behind" >&2; exit 1; }

[ "$(rpm -qpl --nosignature "$rpm" | grep -v '^/usr/share/doc/openclaw-mcp$' | LC_ALL=C sort)" = "$want" ] || { echo "$rpm holds other files than $want" >&2; rpm -qpl "$rpm" >&2; exit 1; }
rpm -qp --nosignature --qf '%{NAME} %{VERSION} %{LICENSE} %{BUILDHOST}\n' "$rpm" | grep "^openclaw-mcp ${version%%-*}.* MIT localhost$"
rpm -K --nosignature "$rpm" | grep -q 'digests OK' || { echo "$rpm is damaged" >&2; exit 1; }
