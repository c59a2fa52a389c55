// Tries the npm packages of a release as people use them: npx, in an empty home, from
// a registry that has them and nothing else.
import assert from 'node:assert/strict'
import { execFile, execFileSync, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

const { PACKAGES, NPM: name, VERSION: version } = process.env
const system = `${name}-${process.platform}-${process.arch}`
const home = mkdtempSync(join(tmpdir(), 'npm-'))
const installed = {} // by name: how often its archive was asked for
let registry, env

before(async () => {
  const packages = new Map()
  for (const file of readdirSync(PACKAGES)) {
    const archive = readFileSync(join(PACKAGES, file))
    const manifest = JSON.parse(execFileSync('tar', ['xzOf', join(PACKAGES, file), 'package/package.json']))
    packages.set(manifest.name, { manifest, archive })
  }
  registry = createServer((req, res) => {
    const path = decodeURIComponent(req.url.slice(1))
    const wanted = packages.get(path.replace(/\.tgz$/, ''))
    if (!wanted) return res.writeHead(404).end('{}')
    if (path.endsWith('.tgz')) {
      installed[wanted.manifest.name] = (installed[wanted.manifest.name] ?? 0) + 1
      return res.end(wanted.archive)
    }
    const dist = {
      tarball: `${env.npm_config_registry}${encodeURIComponent(path)}.tgz`,
      integrity: 'sha512-' + createHash('sha512').update(wanted.archive).digest('base64'),
    }
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ name: path, 'dist-tags': { latest: version }, versions: { [version]: { ...wanted.manifest, dist } } }))
  }).listen(0, '127.0.0.1')
  await once(registry, 'listening')
  env = {
    PATH: process.env.PATH, HOME: home, npm_config_registry: `http://127.0.0.1:${registry.address().port}/`,
    npm_config_update_notifier: 'false', npm_config_audit: 'false',
  }
})

after(() => {
  registry.close()
  rmSync(home, { recursive: true })
})

test('npx installs the binary for this system alone, and starts it', async () => {
  const { stdout } = await promisify(execFile)('npx', ['-y', name, 'version'], { cwd: home, env })
  assert.match(stdout, new RegExp(`^openclaw-mcp ${version.replaceAll('.', '\\.')}\\b`))
  assert.deepEqual(Object.keys(installed).sort(), [name, system].sort())
})

test('a client has a session with it, and ends it with a signal', async () => {
  await promisify(execFile)('npm', ['install', '--no-fund', '--prefix', home, name], { cwd: home, env })
  const server = spawn(join(home, 'node_modules/.bin/openclaw-mcp'), { cwd: home, env: { ...env, OPENCLAW_API_KEY: 'sk_test' }, stdio: ['pipe', 'pipe', 'inherit'] })
  for (const message of [
    { id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'check', version: '1' } } },
    { method: 'notifications/initialized' },
    { id: 2, method: 'tools/list' },
  ]) server.stdin.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n')
  const ended = once(server, 'close') // of the pipes, too: nothing is left that holds them
  for await (const line of createInterface({ input: server.stdout })) {
    const message = JSON.parse(line)
    if (message.id !== 2) continue
    assert.ok(message.result.tools.some((tool) => tool.name === 'read_file'))
    server.kill('SIGTERM')
  }
  const [code] = await ended
  assert.equal(code, 0)
})

test('without its binary, it says what is missing', async () => {
  rmSync(join(home, 'node_modules', ...system.split('/')), { recursive: true })
  await assert.rejects(promisify(execFile)(join(home, 'node_modules/.bin/openclaw-mcp'), ['version'], { cwd: home, env }), (error) => {
    assert.equal(error.code, 1)
    assert.ok(error.stderr.includes(system), error.stderr)
    return true
  })
})
