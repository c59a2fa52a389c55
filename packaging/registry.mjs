// Prints server.json: the template with a package for each bundle of a release.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

const [version, namespace, downloads, dist, ...targets] = process.argv.slice(2)
if (targets.length === 0) throw new Error('usage: registry.mjs VERSION NAMESPACE DOWNLOADS DIST OS/ARCH...')

const server = JSON.parse(readFileSync(new URL('server.json', import.meta.url)))
const [template] = server.packages
server.name = server.name.replace('@NAMESPACE@', namespace)
server.version = version
server.packages = targets.map((target) => {
  const [os, arch] = target.split('/')
  const identifier = template.identifier.replace('@DOWNLOADS@', downloads).replace('@OS@', os).replace('@ARCH@', arch)
  const bundle = readFileSync(`${dist}/${identifier.split('/').pop()}`)
  return { ...template, identifier, fileSha256: createHash('sha256').update(bundle).digest('hex') }
})
console.log(JSON.stringify(server, null, 2))
