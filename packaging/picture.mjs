// Draws docs/chat.svg: a real session, run now. PROGRAM's demo is an MCP client
// that talks to the server over a pipe; what it prints from its chat on is the
// picture; long handles and ids are cut, and lines folded, to fit.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'

const [program, file] = process.argv.slice(2)
if (!program || !file) throw new Error('usage: picture.mjs PROGRAM FILE')

const said = execFileSync(program, ['demo'], { encoding: 'utf8', env: { PATH: process.env.PATH, HOME: process.env.HOME } })
const steps = said.split(/\n(?=\d+\. )/)
const pick = (title) => {
  const step = steps.find((s) => s.includes(title))
  if (!step) throw new Error(`the demo has no step ${JSON.stringify(title)}:\n${said}`)
  return step.replace(/^\d+\. /, '').replace(/\n {3}\$ close_terminal[^]*/, '').trimEnd()
    .replace(/term_[\w-]{20,}/g, (word) => word.slice(0, 10) + '…')
    .replace(/\b([0-9a-f]{8})[0-9a-f-]{28,}/g, '$1…')
}

// A folded line goes on below its own text, in its colour.
const columns = 94
const fold = (line, colour, indent) => {
  if (line.length <= columns) return [{ line, colour }]
  const space = line.lastIndexOf(' ', columns)
  const at = space > indent + 20 ? space : columns
  return [{ line: line.slice(0, at), colour }, ...fold(' '.repeat(indent) + line.slice(at).trimStart(), colour, indent)]
}
const colourOf = (line) => {
  if (/^ {3}\$ /.test(line)) return '#7ee787' // a call
  if (/^ {3}> /.test(line)) return '#79c0ff' // streamed
  if (/^ {3}/.test(line)) return '#c9d1d9' // a result
  return line.startsWith('$') ? '#ffffff' : '#ffa657'
}
const lines = ['$ openclaw-mcp demo', '', ...[
  'Connecting an MCP client', 'Writing a file', 'Talking to the agent', 'A terminal is for', 'and what a model types',
].map(pick).join('\n\n').split('\n')].flatMap((line) => fold(line, colourOf(line), 5))

const escape = (s) => s.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c])
const width = 850
const step = 19
const top = 58
const height = top + lines.length * step + 10
const texts = lines.map(({ line, colour }, i) => line &&
  `<text x="22" y="${top + i * step}" fill="${colour}" xml:space="preserve">${escape(line)}</text>`).filter(Boolean)

writeFileSync(file, `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>A session: an MCP client writes a file, chats with the agent and uses a terminal</title>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/>
<g><circle cx="24" cy="22" r="6" fill="#ff5f57"/><circle cx="44" cy="22" r="6" fill="#febc2e"/><circle cx="64" cy="22" r="6" fill="#28c840"/></g>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">
${texts.join('\n')}
</g>
</svg>
`)
console.log(`${file}: ${lines.length} lines`)
