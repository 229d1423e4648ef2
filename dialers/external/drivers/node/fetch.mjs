// The global fetch() of Node, each request over an Agent of the undici that is inside this Node, which is what fetch() uses if
// it is given none. With an Agent of the package undici its version would be another.

import { object, run, signal } from './kit.mjs'
import { agentOptions, settings } from './undici-settings.mjs'

try {
  await fetch('data:,') // Node loads its undici at the first use
} catch { /* no request was meant */ }
// Where undici keeps the dispatcher that fetch() uses: lib/global.js of nodejs/undici, 8 and later, and before.
const places = ['undici.globalDispatcher.2', 'undici.globalDispatcher.1'].map(Symbol.for)
const Agent = places.map((place) => globalThis[place]).find((dispatcher) => dispatcher !== undefined).constructor

run({
  driver: 'fetch',
  client: 'fetch of Node',
  version: process.versions.undici,
  settings: settings.filter(({ name }) => name !== 'clientTtl' || Number(process.versions.undici.split('.')[0]) >= 7),
  open(given, { timeout, insecure }) {
    const agent = new Agent(agentOptions(given, insecure))
    return {
      async send(request, done) {
        let status = 0
        let bytes = 0
        try {
          const response = await fetch(request.url, {
            method: request.method, headers: object(request.headers), body: request.body, redirect: 'manual', signal: signal(timeout),
            dispatcher: agent
          })
          status = response.status
          if (response.body !== null) for await (const chunk of response.body) bytes += chunk.length
        } catch (error) {
          return done(error, status, bytes)
        }
        done(null, status, bytes)
      },
      close: () => agent.destroy()
    }
  }
})
