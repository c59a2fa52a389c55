#compdef openclaw-mcp
# Completion of openclaw-mcp for zsh: source <(openclaw-mcp completion zsh)
_openclaw_mcp() {
  local line word doc
  local -a open closed opendocs docs
  for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    word=${line%%$'\t'*} doc=${line#*$'\t'}
    [[ -n $word ]] || continue
    if [[ $word == *= ]]; then
      open+=("$word") opendocs+=("$word  $doc")
    else
      closed+=("$word") docs+=("$word  $doc")
    fi
  done
  (( $#open )) && compadd -S '' -l -d opendocs -- $open
  (( $#closed )) && compadd -l -d docs -- $closed
  (( $#open + $#closed )) || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _openclaw_mcp openclaw-mcp
