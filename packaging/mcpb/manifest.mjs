// Prints the manifest of the bundle for one version and system: its binary's
// name, and the platform that it is for. A bundle holds one binary.
import { readFileSync } from 'node:fs'

const [version, os] = process.argv.slice(2)
const manifest = JSON.parse(readFileSync(new URL('manifest.json', import.meta.url)))
const platform = { linux: 'linux', darwin: 'darwin', windows: 'win32' }[os]
if (!version || !platform) throw new Error(`usage: manifest.mjs VERSION linux|darwin|windows, not ${process.argv.slice(2)}`)

manifest.version = version
manifest.compatibility.platforms = [platform]
if (platform === 'win32') {
  manifest.server.entry_point += '.exe'
  manifest.server.mcp_config.command += '.exe'
}
console.log(JSON.stringify(manifest, null, 2))
