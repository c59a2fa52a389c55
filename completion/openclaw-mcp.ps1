# Completion of openclaw-mcp for PowerShell:
#   openclaw-mcp completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName openclaw-mcp -ScriptBlock {
    param($word, $ast, $cursor)
    $words = @($ast.CommandElements | Where-Object { $_.Extent.EndOffset -le $cursor } | ForEach-Object { $_.Extent.Text })
    $program = $words[0]
    $before = @($words | Select-Object -Skip 1)
    if ($word -ne '' -and $before.Count -gt 0) { $before = @($before | Select-Object -SkipLast 1) }
    # An empty argument gets lost on its way to a program, in older versions.
    $last = if ($word -eq '') { '""' } else { $word }
    if ($PSVersionTable.PSVersion -ge [version]'7.3') { $last = $word }
    & $program __complete @before $last 2>$null | ForEach-Object {
        $parts = $_ -split "`t", 2
        $doc = if ($parts[1]) { $parts[1] } else { $parts[0] }
        [System.Management.Automation.CompletionResult]::new($parts[0], $parts[0], 'ParameterValue', $doc)
    }
}
