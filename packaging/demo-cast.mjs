// Draws docs/chat.svg from the bytes that PROGRAM's demo sends to a terminal, now: its
// words, its colours, its lines as a terminal of that width folds them. Whole steps are
// left out, each gap shown as ⋮, so that the picture has the size of a picture.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const [program, file] = process.argv.slice(2)
if (!program || !file) throw new Error('usage: demo-cast.mjs PROGRAM FILE')
const columns = 100
const shown = ['Connecting an MCP client', 'Writing a file', 'Talking to the agent', 'A terminal is for', 'and the model types']

// script (of util-linux) gives the demo a terminal.
const home = mkdtempSync(join(tmpdir(), 'demo-cast-'))
let bytes
try {
  bytes = execFileSync('script', ['-qec', `stty cols ${columns} rows 50; exec '${program}' demo`, '/dev/null'], {
    encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, HOME: home, TERM: 'xterm-256color', LANG: 'C.UTF-8' },
  })
} finally {
  rmSync(home, { recursive: true })
}

// The lines of the screen, each a list of runs {text, sgr}. Other control sequences than
// colours would need a terminal to draw them.
const lines = [[]]
let sgr = '0'
let column = 0
for (const [, parameter, end, character] of bytes.matchAll(/\x1b\[([0-9;]*)m|(\r?\n)|([^])/gu)) {
  if (parameter !== undefined) {
    sgr = parameter || '0'
    continue
  }
  if (character !== undefined && character < ' ') throw new Error(`the demo sends ${JSON.stringify(character)}, which this can't draw`)
  if (end !== undefined || column === columns) {
    lines.push([])
    column = 0
    if (end !== undefined) continue
  }
  const line = lines.at(-1)
  if (line.at(-1)?.sgr !== sgr) line.push({ text: '', sgr })
  line.at(-1).text += character
  column++
}
const textOf = (line) => line.map((run) => run.text).join('')

// A step begins with its number.
const steps = [[]]
for (const line of lines) {
  if (/^\d+\. /.test(textOf(line))) steps.push([])
  steps.at(-1).push(line)
}
const picture = [[{ text: '$ openclaw-mcp demo', sgr: '1' }]]
let last = 0
for (const title of shown) {
  const number = steps.findIndex((step) => textOf(step[0] ?? []).includes(title))
  if (number < 0) throw new Error(`the demo has no step ${JSON.stringify(title)}:\n${bytes}`)
  picture.push(number === last + 1 ? [] : [{ text: '⋮', sgr: '2' }], ...steps[number].slice(0, -1))
  last = number
}
picture.push([{ text: '⋮', sgr: '2' }])

const styles = { 0: 'fill="#c9d1d9"', 1: 'fill="#ffffff" font-weight="bold"', 2: 'fill="#8b949e"', 32: 'fill="#7ee787"', 36: 'fill="#56d4dd"' }
const escape = (s) => s.replace(/[&<>]/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[c])
const draw = ({ text, sgr }) => {
  if (!styles[sgr]) throw new Error(`the demo uses the colour ${sgr}, which has no style here`)
  return `<tspan ${styles[sgr]}>${escape(text)}</tspan>`
}
const step = 19
const top = 58
const width = 44 + Math.ceil(columns * 8.43)
const height = top + picture.length * step
const texts = picture.map((line, i) => line.length && `<text x="22" y="${top + i * step}" xml:space="preserve">${line.map(draw).join('')}</text>`).filter(Boolean)

writeFileSync(file, `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>A session: an MCP client writes a file, chats with the agent and uses a terminal</title>
<rect width="100%" height="100%" rx="10" fill="#0d1117"/>
<g><circle cx="24" cy="22" r="6" fill="#ff5f57"/><circle cx="44" cy="22" r="6" fill="#febc2e"/><circle cx="64" cy="22" r="6" fill="#28c840"/></g>
<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14">
${texts.join('\n')}
</g>
</svg>
`)
console.log(`${file}: ${picture.length} lines`)
