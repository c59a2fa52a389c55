#!/usr/bin/env bash
# Runs the three pipelines on an instance of this machine, in a home of their own, and
# reads what they print.
set -euo pipefail
cd "$(dirname "$0")"

binary=$(realpath ../bin/openclaw-mcp)
work=$(mktemp -d)
server=
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  wait
  rm -rf "$work"
}
trap stop EXIT
# Go's own folders are looked for in the home.
GOCACHE=$(go env GOCACHE) GOMODCACHE=$(go env GOMODCACHE)
export GOCACHE GOMODCACHE HOME=$work MCP_TOKEN=a-token-of-the-pipeline

# check NAME COMMAND...: the pipeline prints what the command added up, and the reply.
check() {
  local name=$1 want
  shift
  echo "--- $name"
  timeout 300 "$@" 'run: sort sales.csv' > "$work/said" 2> "$work/progress" || { cat "$work/said" "$work/progress" >&2; echo "$name fails" >&2; exit 1; }
  cat "$work/said"
  for want in 'north 165' 'south 80' 'north,45'; do
    grep -q "^$want" "$work/said" || { echo "$name does not print $want" >&2; exit 1; }
  done
  grep -q '^north,45' "$work/progress" || { echo "$name shows no progress" >&2; cat "$work/progress" >&2; exit 1; }
  if MCP_TOKEN=wrong MCP_URL=${MCP_URL:-} timeout 60 "$@" -server false > "$work/said" 2>&1; then
    echo "$name does not fail without a server" >&2
    exit 1
  fi
}

(cd go && go build -o "$work/pipeline" .)
check Go "$work/pipeline" -server "$binary --local"

mkfifo "$work/log"
OPENCLAW_MCP_LOG_FORMAT=json OPENCLAW_MCP_AUTH=token OPENCLAW_MCP_TOKENS="pipeline:$MCP_TOKEN" \
  "$binary" --local --http 127.0.0.1:0 2> "$work/log" &
server=$!
exec 3< "$work/log"
line='' said=''
until [[ $line == *'"msg":"serving MCP'* ]]; do
  read -r line <&3 || { echo "the server does not start: $said$line" >&2; exit 1; }
  said+=$line$'\n'
done
cat <&3 > /dev/null & # the server is never to wait for a reader
MCP_URL=$(node -pe 'JSON.parse(process.argv[1]).url' "$line")
export MCP_URL

check Python python3 python/pipeline.py
[ -d typescript/node_modules ] || (cd typescript && npm ci --silent --no-fund --no-audit)
(cd typescript && npm run -s build)
check TypeScript node typescript/dist/pipeline.js
echo "3 passed, 0 failed"
