// axios with its defaults: it names no agent, so Node's http.globalAgent carries its requests. A setting makes an http.Agent
// with keepAlive, given as httpAgent and httpsAgent, which is what its users do to change the pool.

import http from 'node:http'
import https from 'node:https'
import axios from 'axios'
import { object, run } from './kit.mjs'
import { agentOptions, agentSettings, gaugeNames, gaugesOf } from './agents.mjs'

run({
  driver: 'axios',
  client: 'axios',
  version: axios.VERSION,
  settings: agentSettings({ timeout: 5000 }), // of http.globalAgent; an agent made by settings has its own defaults
  gauges: gaugeNames,
  open(settings, { timeout, insecure }) {
    const own = Object.keys(settings).length > 0 || insecure
    const options = agentOptions(own && Object.keys(settings).length === 0 ? { timeout: 5000 } : settings, insecure)
    const agents = own ? [new http.Agent(options), new https.Agent(options)] : [http.globalAgent, https.globalAgent]
    const client = axios.create({
      ...(own ? { httpAgent: agents[0], httpsAgent: agents[1] } : {}), ...(timeout === null ? {} : { timeout }),
      maxRedirects: 0, proxy: false, responseType: 'arraybuffer', validateStatus: () => true
    })
    return {
      send(request, done) {
        client.request({ method: request.method, url: request.url, headers: object(request.headers), data: request.body }).then(
          (response) => done(null, response.status, response.data?.length ?? 0),
          (error) => done(error, error.response?.status ?? 0))
      },
      gauges: () => gaugesOf(() => agents),
      close: () => agents.forEach((agent) => agent.destroy())
    }
  }
})
