// agentkeepalive's HttpAgent and HttpsAgent, given to Node's module http.

import { createRequire } from 'node:module'
import { HttpAgent, HttpsAgent } from 'agentkeepalive'
import { infinite, run } from './kit.mjs'
import { ask, gaugeNames, gaugesOf } from './agents.mjs'

run({
  driver: 'agentkeepalive',
  client: 'agentkeepalive',
  version: createRequire(import.meta.url)('agentkeepalive/package.json').version,
  settings: [
    { name: 'keepAlive', kind: 'bool', default: true },
    { name: 'freeSocketTimeout', kind: 'duration', default: 4000, pool: 'idle_timeout' },
    // Its own default is twice freeSocketTimeout, and at least 8 s: 8 s with the default above.
    { name: 'timeout', kind: 'duration', default: 8000, pool: 'response_timeout' },
    { name: 'socketActiveTTL', kind: 'duration', default: null, pool: 'max_lifetime' },
    { name: 'maxSockets', kind: 'count', default: null, pool: 'max_conns', min: 1 },
    { name: 'maxTotalSockets', kind: 'count', default: null, pool: 'max_conns_all', min: 1 },
    { name: 'maxFreeSockets', kind: 'count', default: 256, pool: 'max_idle', min: 1 },
    { name: 'scheduling', kind: 'text', default: 'lifo', pool: 'lease_order', values: ['lifo', 'fifo'] }
  ],
  gauges: gaugeNames,
  open(settings, { timeout, insecure }) {
    const options = infinite(settings, 'maxSockets', 'maxTotalSockets', 'maxFreeSockets')
    for (const name of ['freeSocketTimeout', 'timeout', 'socketActiveTTL']) if (options[name] === null) options[name] = 0
    if (insecure) options.rejectUnauthorized = false
    const agents = { http: new HttpAgent(options), https: new HttpsAgent(options) }
    const both = () => [agents.http, agents.https]
    return {
      send: (request, done) => ask(request, { agents, timeout }, done),
      gauges: () => gaugesOf(both),
      close: () => both().forEach((agent) => agent.destroy())
    }
  }
})
