// Packs the npm packages of a release: one for each system, which holds its binary,
// and the one that people name, which npm gives the right one of these. As esbuild does.
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const [version, binaries, work, out, ...targets] = process.argv.slice(2)
const { NPM: name, REPOSITORY: repository } = process.env
if (!name || !repository || targets.length === 0) throw new Error('usage: NPM=… REPOSITORY=… pack.mjs VERSION BINARIES WORK OUT OS/ARCH...')

const about = { version, license: 'MIT', homepage: repository, repository: { type: 'git', url: `git+${repository}.git` } }

// pack packs one package: files by name, each with where it comes from.
function pack(manifest, files) {
  const dir = join(work, manifest.name.replace('/', '-'))
  mkdirSync(dir, { recursive: true })
  for (const [file, from] of Object.entries({ LICENSE: 'LICENSE', ...files })) copyFileSync(from, join(dir, file))
  for (const file of [...Object.values(manifest.bin ?? {}), ...Object.keys(files).filter((file) => file.startsWith('openclaw-mcp'))]) chmodSync(join(dir, file), 0o755)
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ ...manifest, ...about, files: Object.keys(files) }, null, 2) + '\n')
  execFileSync('npm', ['pack', '--silent', '--pack-destination', resolve(out)], { cwd: dir, stdio: ['ignore', 'ignore', 'inherit'] })
}

const systems = targets.map((target) => {
  const [goos, goarch] = target.split('/')
  return { dir: `${goos}_${goarch}`, os: goos === 'windows' ? 'win32' : goos, cpu: goarch === 'amd64' ? 'x64' : goarch }
})
for (const { dir, os, cpu } of systems) {
  const binary = os === 'win32' ? 'openclaw-mcp.exe' : 'openclaw-mcp'
  pack(
    { name: `${name}-${os}-${cpu}`, description: `The binary of ${name} for ${os} on ${cpu}. Install ${name} instead.`, os: [os], cpu: [cpu] },
    { [binary]: join(binaries, dir, binary) },
  )
}
pack(
  {
    name,
    description: 'MCP server for hosted OpenClaw instances: agent chat, commands, files, terminal and desktop',
    keywords: ['mcp', 'openclaw'],
    bin: { 'openclaw-mcp': 'openclaw-mcp.cjs' },
    engines: { node: '>=18' },
    optionalDependencies: Object.fromEntries(systems.map(({ os, cpu }) => [`${name}-${os}-${cpu}`, version])),
  },
  { 'openclaw-mcp.cjs': 'packaging/npm/launcher.cjs', 'README.md': 'README.md' },
)
