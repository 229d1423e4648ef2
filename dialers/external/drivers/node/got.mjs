// got with its defaults, its own retries included: it names no agent, so Node's http.globalAgent carries its requests. A
// setting of the pool makes an http.Agent with keepAlive, given as `agent`, which is what its users do to change it.

import http from 'node:http'
import https from 'node:https'
import { readFileSync } from 'node:fs'
import got from 'got'
import { object, run, signal } from './kit.mjs'
import { agentOptions, agentSettings, gaugeNames, gaugesOf } from './agents.mjs'

run({
  driver: 'got',
  client: 'got',
  version: JSON.parse(readFileSync(new URL('./node_modules/got/package.json', import.meta.url))).version,
  settings: [
    ...agentSettings({ timeout: 5000 }), // of http.globalAgent; an agent made by settings has its own defaults
    { name: 'retry', kind: 'count', default: 2, off: false } // retry.limit, of GET PUT HEAD DELETE OPTIONS TRACE
  ],
  gauges: gaugeNames,
  open({ retry, ...settings }, { timeout, insecure }) {
    const own = Object.keys(settings).length > 0
    const options = agentOptions(settings, false)
    const agents = own ? [new http.Agent(options), new https.Agent(options)] : [http.globalAgent, https.globalAgent]
    const client = got.extend({
      ...(own ? { agent: { http: agents[0], https: agents[1] } } : {}), ...(retry === undefined ? {} : { retry: { limit: retry } }),
      ...(insecure ? { https: { rejectUnauthorized: false } } : {}),
      followRedirect: false, throwHttpErrors: false, responseType: 'buffer'
    })
    return {
      send(request, done) { // got's own timeout.request bounds each try; the signal bounds them all
        client(request.url, {
          method: request.method, headers: object(request.headers), body: request.body, allowGetBody: true, signal: signal(timeout)
        }).then(
          (response) => done(null, response.statusCode, response.body.length),
          (error) => done(error, error.response?.statusCode ?? 0))
      },
      gauges: () => gaugesOf(() => agents),
      close: () => agents.forEach((agent) => agent.destroy())
    }
  }
})
