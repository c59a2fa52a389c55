#!/usr/bin/env bash
# Lets systemd verify the unit, with BINARY in the place where it is going to be
# installed. Where there is no systemd, says so.
set -euo pipefail
binary=$1
unit=$(dirname "$0")/systemd/openclaw-mcp.service
if ! command -v systemd-analyze >/dev/null; then
  echo "systemd-analyze is not installed: the unit was not verified" >&2
  exit 0
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
# The man page is not part of this check: man would look for it on this machine.
sed -e "s|/usr/bin/openclaw-mcp|$binary|" -e '/^Documentation=man:/d' "$unit" > "$root/openclaw-mcp.service"
if ! said=$(systemd-analyze verify "$root/openclaw-mcp.service" 2>&1) || [ -n "$said" ]; then
  echo "the systemd unit is not valid: $said" >&2
  exit 1
fi
# 0 is no exposure, 10 all of it.
systemd-analyze security --offline=true --threshold=20 "$root/openclaw-mcp.service" | tail -n 1
