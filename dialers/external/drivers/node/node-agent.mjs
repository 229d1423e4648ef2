// Node's http.Agent with keepAlive, the agent that most services make: no idle timeout unless one is set.

import http from 'node:http'
import https from 'node:https'
import { run } from './kit.mjs'
import { agentOptions, agentSettings, ask, gaugeNames, gaugesOf, responseTimeout } from './agents.mjs'

run({
  driver: 'node-agent',
  client: 'Node http.Agent',
  version: process.versions.node,
  settings: [...agentSettings(), responseTimeout],
  gauges: gaugeNames,
  open({ setTimeout: idle, ...settings }, { timeout, insecure }) {
    const options = agentOptions(settings, insecure)
    const agents = { http: new http.Agent(options), https: new https.Agent(options) }
    const both = () => [agents.http, agents.https]
    return {
      send: (request, done) => ask(request, { agents, timeout, idle }, done),
      gauges: () => gaugesOf(both),
      close: () => both().forEach((agent) => agent.destroy())
    }
  }
})
