# Completion of openclaw-mcp for bash: source <(openclaw-mcp completion bash)
_openclaw_mcp() {
  local words word line=${COMP_LINE:0:COMP_POINT}
  # The line is cut here: bash itself would part KEY=VALUE.
  read -ra words <<<"$line"
  [[ $line == *[[:space:]] ]] && words+=("")
  local partial=${words[${#words[@]} - 1]} cut=
  case $partial in
  *[=:]*) case $COMP_WORDBREAKS in *=*) cut=${partial%"${partial##*[=:]}"} ;; esac ;;
  esac
  COMPREPLY=()
  while IFS=$'\t' read -r word _; do
    [[ $word == *= ]] && compopt -o nospace 2>/dev/null
    COMPREPLY+=("${word#"$cut"}")
  done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -o bashdefault -o default -F _openclaw_mcp openclaw-mcp
