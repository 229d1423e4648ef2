// The global fetch() of Node, over an Agent of the undici that is inside this Node. Its dispatcher is the one that the package
// undici's setGlobalDispatcher replaces, so settings reach it as they do for users, and the version stays Node's.

import { object, run, signal } from './kit.mjs'
import { agentOptions, settings } from './undici-settings.mjs'

const place = Symbol.for('undici.globalDispatcher.1') // nodejs/undici lib/global.js
try {
  await fetch('data:,') // Node loads its undici at the first use
} catch { /* no request was meant */ }
const Agent = globalThis[place].constructor

run({
  driver: 'fetch',
  client: 'fetch of Node',
  version: process.versions.undici,
  settings: settings.filter(({ name }) => name !== 'clientTtl' || Number(process.versions.undici.split('.')[0]) >= 7),
  open(given, { timeout, insecure }) {
    const agent = new Agent(agentOptions(given, insecure))
    globalThis[place] = agent
    return {
      async send(request, done) {
        let status = 0
        let bytes = 0
        try {
          const response = await fetch(request.url, {
            method: request.method, headers: object(request.headers), body: request.body, redirect: 'manual', signal: signal(timeout)
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
