#!/usr/bin/env node
// Starts the binary for this system, which npm has installed as a package of its own.
'use strict'
const { spawn } = require('node:child_process')
const { constants } = require('node:os')
const { name } = require('./package.json')

const system = `${process.platform}-${process.arch}`
let binary
try {
  binary = require.resolve(`${name}-${system}/openclaw-mcp${process.platform === 'win32' ? '.exe' : ''}`)
} catch {
  console.error(`openclaw-mcp: the package ${name}-${system}, which holds the binary for this system, is not installed.
Either there is none for this system, or npm was told to leave out optional packages: install again without --omit=optional.`)
  process.exit(1)
}

const child = spawn(binary, process.argv.slice(2), { stdio: 'inherit' })
child.on('error', (error) => {
  console.error(`openclaw-mcp: ${binary} can't be started: ${error.message}`)
  process.exit(1)
})
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
process.on('SIGTERM', () => child.kill('SIGTERM'))
process.on('SIGHUP', () => child.kill('SIGHUP'))
// A terminal sends Ctrl-C to both; a second one would end the program at once.
process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'))
