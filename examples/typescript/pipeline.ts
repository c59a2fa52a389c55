// A pipeline in TypeScript, with the official SDK, over streamable HTTP. It puts a file
// on the instance, adds it up there, and asks the agent about it.
//
//   openclaw-mcp --local --http 127.0.0.1:8080 &
//   MCP_URL=http://127.0.0.1:8080/mcp npm start -- 'Which region sold most?'
//
// MCP_TOKEN is the caller's token, where the server asks for one.
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { type CallToolResult, ProgressNotificationSchema } from '@modelcontextprotocol/sdk/types.js'

const sales = 'region,amount\nnorth,120\nsouth,80\nnorth,45\n'
const total = `awk -F, 'NR > 1 { sum[$1] += $2 } END { for (r in sum) print r, sum[r] }' sales.csv | sort`

// What a program needs to know of a result.
interface Facts {
  status?: string
  run?: string
  exit_code?: number
}

const client = new Client({ name: 'pipeline', version: '1' })

async function call(tool: string, args: Record<string, unknown>): Promise<{ text: string; facts: Facts }> {
  const result = (await client.callTool({ name: tool, arguments: args, _meta: { progressToken: tool } }, undefined, {
    timeout: 10 * 60 * 1000, // the server itself returns after 45 seconds
  })) as CallToolResult
  const text = result.content.map((part) => (part.type === 'text' ? part.text : '')).join('')
  if (result.isError) throw new Error(`${tool}: ${text}`)
  return { text, facts: (result._meta?.['openclaw-mcp/result'] ?? {}) as Facts }
}

async function main(question: string): Promise<void> {
  await call('write_file', { path: '/workspace/sales.csv', content: sales })
  const totals = await call('exec_command', { command: total, cwd: '/workspace' })
  if (totals.facts.exit_code !== 0) throw new Error(`the command failed: ${totals.text}`)
  console.log(totals.text)

  let reply = await call('send_chat_message', { message: question })
  // A long reply hands over what there is, and goes on by its handle.
  while (reply.facts.status === 'running') {
    console.log(reply.text)
    reply = await call('wait_run', { runs: [reply.facts.run] })
  }
  console.log(reply.text)
  if (reply.facts.status !== 'completed') throw new Error(`the reply is ${reply.facts.status}`)
}

const token = process.env.MCP_TOKEN
const transport = new StreamableHTTPClientTransport(new URL(process.env.MCP_URL ?? 'http://127.0.0.1:8080/mcp'), {
  requestInit: token ? { headers: { Authorization: `Bearer ${token}` } } : {},
})
// Each notification has exactly the text that is new.
client.setNotificationHandler(ProgressNotificationSchema, ({ params }) => {
  const text = params._meta?.['openclaw-mcp/text']
  if (typeof text === 'string') process.stderr.write(text)
})
try {
  await client.connect(transport)
  await main(process.argv[2] ?? 'Read sales.csv. Which region sold most? Answer in one sentence.')
  await transport.terminateSession()
} catch (error) {
  console.error(`pipeline: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
} finally {
  await client.close()
}
