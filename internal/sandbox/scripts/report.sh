# How a script reports, whatever it does:
#
#	MARK begin
#	MARK verb word...
#	base64, in lines
#	. length
#	MARK end
#
# A report has any number of parts, each ended by a line with a dot and how long its base64 is,
# since some services leave out the middle of what is long. An empty part may be the dot alone. $mark is new in every
# request, so nothing else that the instance prints can pass for a report. Exit codes and
# standard error are not relied on: not every service returns them.
# shellcheck disable=SC2119,SC2120 # sha256 has arguments in some scripts

: "${mark:?}"
# zsh does not split words like the other shells unless told.
if [ -n "${ZSH_VERSION-}" ]; then emulate sh; fi
begun=

# begin starts the report. What programs print as errors would get into it, so that goes.
begin() {
  exec 2>/dev/null
  LC_ALL=C; export LC_ALL; unset CDPATH
  begun=yes
  printf '%s begin\n' "$mark"
}

report() {
  [ -n "$begun" ] || begin
  printf '%s %s\n' "$mark" "$*"
}

# part adds standard input to the report.
part() {
  encoded=$(encode)
  printf '%s\n. %s\n' "$encoded" "${#encoded}"
}

finish() { printf '%s end\n' "$mark"; }

say() { report "$@"; finish; exit 0; }

# fail reports what a program printed as its error: nothing is changed then. Where that can't be
# said, a second argument takes the place of the verb: "partly" and what became of it.
fail() {
  report "${2:-failed}"
  printf %s "$1" | head -c 600 | part
  finish; exit 0
}

has() { command -v "$1" >/dev/null 2>&1; }

# need ends the script unless all these programs are there.
need() {
  missing=
  for program; do
    case $program in
      base64) has base64 || has openssl ;;
      sha256sum) has sha256sum || has shasum || has openssl ;;
      *) has "$program" ;;
    esac || missing="$missing $program"
  done
  # shellcheck disable=SC2086 # words of the report
  [ -z "$missing" ] || say missingTools $missing
}

encode() { if has base64; then base64; else openssl base64; fi; }

decode() {
  if ! has base64; then openssl base64 -d
  elif echo | base64 -d >/dev/null 2>&1; then base64 -d
  else base64 -D; fi # older macOS
}

# sha256 prints the SHA-256 of files or, without arguments, of standard input.
sha256() {
  if has sha256sum; then sha256sum "$@"
  elif has shasum; then shasum -a 256 "$@"
  elif has openssl; then openssl dgst -sha256 -r "$@"
  else return 1; fi
}

# unpack prints commands that make texts of any bytes the arguments: eval "$(unpack "$names")".
unpack() { printf 'set -- '; printf '%s\n' "$1" | decode; }

# hash sets $hash to a file's SHA-256, or to "none".
hash() {
  hash=$(sha256 <"$1") || hash=none
  hash=${hash%% *}
  [ -n "$hash" ] || hash=none
}
