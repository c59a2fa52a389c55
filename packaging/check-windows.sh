#!/usr/bin/env bash
# Starts the Windows binary, under Wine: it says its version and its help, puts
# itself into a client's configuration and takes itself out again, serves MCP, and
# writes a file.
#
#   check-windows.sh BINARY VERSION
set -euo pipefail

binary=$(realpath "$1")
for wine in /usr/lib/wine/wine64 wine64 ''; do
  if [ -n "$wine" ] && command -v "$wine" >/dev/null; then break; fi
done
if [ -z "$wine" ] || ! command -v x86_64-w64-mingw32-gcc >/dev/null; then
  echo "no Wine or no MinGW here: the Windows binary is not started"
  exit 0
fi
work=$(mktemp -d)
# Wine's server outlives what it serves for a while, and would write to the folder.
trap '"$(dirname "$wine")/wineserver" -k 2>/dev/null || true; "$(dirname "$wine")/wineserver" -w 2>/dev/null || true; rm -rf "$work"' EXIT
export WINEPREFIX=$work/prefix WINEDEBUG=-all DISPLAY='' WINEDLLOVERRIDES='bcryptprimitives=n;mscoree,mshtml,winemenubuilder.exe='
run() { env -u OPENCLAW_API_KEY HOME="$work" timeout 120 "$wine" "$@"; }

# Go programs take their randomness from a library that Wine has since version 9.
cat > "$work/random.c" <<'C'
#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T n) { return RtlGenRandom(to, (ULONG)n); }
C
x86_64-w64-mingw32-gcc -shared -o "$work/bcryptprimitives.dll" "$work/random.c" -ladvapi32
run cmd /c exit >/dev/null 2>&1 || true # it makes the prefix
cp "$work/bcryptprimitives.dll" "$WINEPREFIX/drive_c/windows/system32/"

# expect WORDS COMMAND...: its output has the words.
expect() {
  local out
  out=$("${@:2}" 2>&1) || { echo "${*:2} fails: $out" >&2; exit 1; }
  case $out in *"$1"*) ;; *) echo "${*:2} does not have $1: $out" >&2; exit 1 ;; esac
}
expect "openclaw-mcp $2" run "$binary" --version
expect 'Usage:' run "$binary" --help
expect '.cursor\mcp.json' run "$binary" install cursor --local
expect 'Roaming\Claude\claude_desktop_config.json' run "$binary" install claude-desktop --local
expect 'Removed from' run "$binary" install cursor --uninstall
expect 'it has 5 bytes now' run "$binary" call --local write_file path=/workspace/a.txt content=hello
serve() {
  printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"check","version":"1"},"capabilities":{}}}' \
    '{"jsonrpc":"2.0","id":2,"method":"tools/list"}' | run "$binary" --local
}
expect '"name":"exec_command"' serve
echo "the Windows binary starts, installs itself, serves and writes"
