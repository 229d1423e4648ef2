// The options of undici's Agent under their own names, for the package undici and for the one inside Node.

// undici has no word for "no limit" of these two: the longest time that a timer of Node takes is 24.8 days.
const longest = 2 ** 31 - 1

// settings are those of undici 7. clientTtl is not in 6, which Node 20 has inside.
export const settings = [
  { name: 'keepAliveTimeout', kind: 'duration', default: 4000, pool: 'idle_timeout', min: 1 },
  { name: 'keepAliveMaxTimeout', kind: 'duration', default: 600000, pool: 'hint_cap', min: 1 },
  { name: 'keepAliveTimeoutThreshold', kind: 'duration', default: 2000, pool: 'hint_margin', off: false },
  { name: 'connections', kind: 'count', default: null, pool: 'max_conns', min: 1 },
  { name: 'pipelining', kind: 'count', default: 1, off: false },
  { name: 'clientTtl', kind: 'duration', default: null, pool: 'max_lifetime' },
  { name: 'maxRequestsPerClient', kind: 'count', default: null, pool: 'max_requests', min: 1 },
  { name: 'connectTimeout', kind: 'duration', default: 10000, pool: 'connect_timeout' },
  { name: 'headersTimeout', kind: 'duration', default: 300000, pool: 'response_timeout' },
  { name: 'bodyTimeout', kind: 'duration', default: 300000 }
]

// agentOptions are settings as undici's Agent takes them: 0 is its word for "no limit" of a timeout of a request.
export function agentOptions(given, insecure) {
  const options = { ...given }
  for (const name of ['connectTimeout', 'headersTimeout', 'bodyTimeout']) if (options[name] === null) options[name] = 0
  for (const name of ['keepAliveTimeout', 'keepAliveMaxTimeout']) if (options[name] === null) options[name] = longest
  if (options.maxRequestsPerClient === null) delete options.maxRequestsPerClient
  if (insecure) {
    options.connect = { rejectUnauthorized: false, timeout: options.connectTimeout ?? 10000 }
    delete options.connectTimeout
  }
  return options
}
