# Completion of openclaw-mcp for fish: openclaw-mcp completion fish | source
function __openclaw_mcp_complete
    set -l words (commandline -opc)
    $words[1] __complete $words[2..-1] (commandline -ct) 2>/dev/null
end
complete -c openclaw-mcp -f -a '(__openclaw_mcp_complete)'
