#!/usr/bin/env bash
# Runs a command while three busy loops for each processor run beside it, as on a
# machine that others use: e2e/busy.sh make test
set -euo pipefail

loops=()
stop() { kill "${loops[@]}" 2>/dev/null || true; }
trap stop EXIT
for _ in $(seq $((3 * $(nproc)))); do
  # Each ends by itself, should this script be killed.
  timeout 3600 sh -c 'while :; do :; done' &
  loops+=($!)
done
echo "${#loops[@]} busy loops run beside: $*"
"$@"
