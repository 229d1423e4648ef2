// Node's http.globalAgent as shipped (keepAlive with a timeout of 5 s since Node 19), used by naming no agent at all.
// Settings make a new one in its place, with the rest as shipped.

import http from 'node:http'
import https from 'node:https'
import { run } from './kit.mjs'
import { agentOptions, agentSettings, ask, gaugeNames, gaugesOf, responseTimeout } from './agents.mjs'

const shipped = { http: http.globalAgent, https: https.globalAgent }
const options = { keepAlive: true, scheduling: 'lifo', timeout: 5000 } // nodejs/node lib/_http_agent.js, globalAgent

run({
  driver: 'node-globalagent',
  client: 'Node http.globalAgent',
  version: process.versions.node,
  settings: [...agentSettings({ timeout: 5000 }), responseTimeout],
  gauges: gaugeNames,
  open({ setTimeout: idle, ...settings }, { timeout, insecure }) {
    const changed = Object.keys(settings).length > 0
    const given = agentOptions({ ...options, ...settings }, false)
    http.globalAgent = changed ? new http.Agent(given) : shipped.http
    https.globalAgent = changed ? new https.Agent(given) : shipped.https
    const both = () => [http.globalAgent, https.globalAgent]
    return {
      send: (request, done) => ask(request, { timeout, idle, insecure }, done),
      gauges: () => gaugesOf(both),
      close: () => both().forEach((agent) => agent.destroy())
    }
  }
})
