// undici's request() over an Agent of its own, as its documentation shows.

import { createRequire } from 'node:module'
import { Agent, request as call } from 'undici'
import { object, run, signal } from './kit.mjs'
import { agentOptions, settings } from './undici-settings.mjs'

// Its own statistics by the gauge that shows them: a Pool's pending has those that are queued in it.
const gauges = { active: 'running', idle: 'free', pending: 'pending', connected: 'connected' }

run({
  driver: 'undici',
  client: 'undici',
  version: createRequire(import.meta.url)('undici/package.json').version,
  settings,
  gauges: Object.keys(gauges),
  open(given, { timeout, insecure }) {
    const agent = new Agent(agentOptions(given, insecure))
    return {
      async send(request, done) {
        let status = 0
        let bytes = 0
        try {
          const response = await call(request.url, {
            method: request.method, headers: object(request.headers), body: request.body, dispatcher: agent, signal: signal(timeout)
          })
          status = response.statusCode
          for await (const chunk of response.body) bytes += chunk.length
        } catch (error) {
          return done(error, status, bytes)
        }
        done(null, status, bytes)
      },
      gauges() {
        const pools = Object.values(agent.stats)
        return Object.fromEntries(Object.entries(gauges).map(([name, own]) =>
          [name, pools.reduce((sum, pool) => sum + Number(pool[own] ?? 0), 0)]))
      },
      close: () => agent.destroy()
    }
  }
})
