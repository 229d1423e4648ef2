// What the drivers over Node's http.Agent share: its settings, its gauges and one request of the module http.

import http from 'node:http'
import https from 'node:https'
import { infinite, object, signal, since } from './kit.mjs'

// agentSettings are the options of http.Agent under their own names, with the given defaults.
export const agentSettings = (defaults) => [
  { name: 'keepAlive', kind: 'bool', default: true },
  // The time of inactivity of a socket, in use or free; Node follows a shorter Keep-Alive header only if it is set.
  { name: 'timeout', kind: 'duration', default: null, pool: 'idle_timeout', min: 1 },
  { name: 'keepAliveMsecs', kind: 'duration', default: 1000, off: false },
  { name: 'maxSockets', kind: 'count', default: null, pool: 'max_conns', min: 1 },
  { name: 'maxTotalSockets', kind: 'count', default: null, pool: 'max_conns_all', min: 1 },
  { name: 'maxFreeSockets', kind: 'count', default: 256, pool: 'max_idle', min: 1 },
  { name: 'scheduling', kind: 'text', default: 'lifo', pool: 'lease_order', values: ['lifo', 'fifo'] },
  ...(since([22, 20], [24, 7])
    ? [{ name: 'agentKeepAliveTimeoutBuffer', kind: 'duration', default: 1000, pool: 'hint_margin', off: false }]
    : [])
].map((setting) => (setting.name in (defaults ?? {}) ? { ...setting, default: defaults[setting.name] } : setting))

// responseTimeout is request.setTimeout: a time of inactivity, after which users destroy the request.
export const responseTimeout = { name: 'setTimeout', kind: 'duration', default: null, pool: 'response_timeout', min: 1 }

// agentOptions are settings as http.Agent takes them.
export function agentOptions(settings, insecure) {
  const options = infinite(settings, 'maxSockets', 'maxTotalSockets', 'maxFreeSockets')
  if (options.timeout === null) delete options.timeout
  options.keepAlive ??= true
  if (insecure) options.rejectUnauthorized = false
  return options
}

// maps are the agent's maps of lists, by the gauge that counts what is in them.
const maps = { active: 'sockets', idle: 'freeSockets', pending: 'requests' }

export const gaugeNames = Object.keys(maps)

// gaugesOf counts what the agents' maps hold, over all hosts.
export const gaugesOf = (agents) => Object.fromEntries(gaugeNames.map((name) => [name, agents().reduce((sum, agent) =>
  Object.values(agent[maps[name]]).reduce((n, list) => n + list.length, sum), 0)]))

// ask makes one request with the module http, as its users do, and reads the whole body.
export function ask(request, { agents, timeout, idle = null, insecure }, done) {
  const secure = request.url.startsWith('https:')
  const call = (secure ? https : http).request(request.url, {
    method: request.method, headers: object(request.headers), agent: secure ? agents?.https : agents?.http,
    signal: signal(timeout), ...(insecure ? { rejectUnauthorized: false } : {})
  })
  if (idle !== null) call.setTimeout(idle, () => call.destroy())
  call.on('error', done)
  call.on('response', (response) => {
    let bytes = 0
    response.on('data', (chunk) => { bytes += chunk.length })
    response.on('error', (error) => done(error, response.statusCode, bytes))
    response.on('end', () => done(null, response.statusCode, bytes))
  })
  call.end(request.body)
}
