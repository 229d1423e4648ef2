// A service that calls a URL at a steady rate through undici's pool, and shows the pool's PoolStats as metrics.

import { createServer } from 'node:http'
import { Pool } from 'undici'

const options = {}
for (let i = 2; i + 1 < process.argv.length; i += 2) options[process.argv[i].slice(2)] = process.argv[i + 1]
const url = new URL(options.url)
const method = options.method ?? 'GET'
const settings = { connections: Number(options.connections ?? 0) || null }
if (Number(options['idle-ms'])) settings.keepAliveTimeout = Number(options['idle-ms'])
const pool = new Pool(url.origin, settings)
let sent = 0
let ok = 0
const errors = {}

async function call() {
  sent++
  try {
    const response = await pool.request({ path: url.pathname + url.search, method })
    await response.body.dump()
    ok++
  } catch (error) {
    const text = `${error.name}: ${error.code ?? ''} ${error.message}`
    errors[text] = (errors[text] ?? 0) + 1
  }
}

const gauges = ['connected', 'free', 'pending', 'queued', 'running', 'size']
const server = createServer((request, response) => {
  const lines = gauges.flatMap(name => [
    `# TYPE undici_pool_${name} gauge`, `undici_pool_${name}{origin="${url.origin}"} ${pool.stats[name]}`])
  response.setHeader('Content-Type', 'text/plain; version=0.0.4')
  response.end(lines.join('\n') + '\n')
})
const address = options['metrics-address'] ?? '127.0.0.1'
server.listen(Number(options['metrics-port'] ?? 0), address, () => {
  console.log(JSON.stringify({ metrics: `http://${address}:${server.address().port}/metrics` }))
  const every = 1000 / Math.max(1, Number(options.rate))
  let due = performance.now()
  setInterval(() => { // a timer of Node fires once a millisecond at most
    due = Math.max(due, performance.now() - 2 * every - 2) // what a busy machine delays is left out
    for (; due <= performance.now(); due += every) call()
  }, Math.max(1, Math.floor(every / 2)))
})
process.stdin.resume()
process.stdin.on('end', () => {
  console.log(JSON.stringify({ sent, ok, errors }))
  process.exit(0)
})
