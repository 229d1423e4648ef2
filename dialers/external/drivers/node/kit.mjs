// What every driver in JavaScript shares: frames, clock, settings, gauges and errors of protocol 1. A driver gives `run` a
// description of its client and a function that makes one:
//
//   run({driver, client, version, settings: [{name, kind, default, pool, values, words, off, min}], gauges: [names],
//        open(settings, {timeout, insecure}) → {send(request, done), gauges(), close()}})
//
// `settings` holds only what kabench sent, so whatever was not sent stays the client's own default. `off` false means that
// the client can't take null ("no limit"). `send` calls done(error) or done(null, status, bytes) once.

const nanoseconds = process.hrtime.bigint

// number writes a bigint of nanoseconds as JSON: it is below 2^53 for 104 days of uptime, and exact enough after.
const now = () => Number(nanoseconds())

// Node's pipes are written at once, in order and whole on Linux, so a frame needs no queue of ours.
const write = (frame) => process.stdout.write(JSON.stringify(frame) + '\n')

export function run(driver) {
  const gauges = driver.gauges ?? []
  let client = null
  let ticking = null
  let generation = 0

  write({
    type: 'hello', protocol: 1, driver: driver.driver, client: driver.client, version: driver.version,
    runtime: `Node ${process.versions.node}`,
    settings: driver.settings.map(({ off, min, ...said }) => ({ default: null, ...said })), gauges
  })

  const on = {
    config(frame) {
      generation++ // what the client before was asked is given up: its answers are not written any more
      clearInterval(ticking)
      client?.close()
      client = null
      const complaint = check(driver.settings, frame.settings ?? {})
      if (complaint) return write({ type: 'refused', ...complaint })
      try {
        const words = translate(driver.settings, frame.settings ?? {})
        client = driver.open(words, { timeout: frame.timeout ?? null, insecure: frame.insecure === true })
      } catch (error) {
        return write({ type: 'refused', setting: blamed(frame.settings, error), text: String(error.message) })
      }
      if (frame.gauges > 0 && gauges.length > 0) {
        ticking = setInterval(() => write({ type: 'gauges', at: now(), values: client.gauges() }), frame.gauges)
      }
      write({ type: 'ready' })
    },
    clock() {
      write({ type: 'clock', now: now() })
    },
    dispatch(frame, received) {
      const asked = generation
      let answered = false
      let called
      const done = (error, status = 0, bytes = 0) => {
        if (answered || asked !== generation) return
        answered = true
        const finished = now()
        const answer = { type: 'done', seq: frame.seq, received, called, finished, status, bytes }
        if (error) answer.error = told(error)
        write(answer)
      }
      const request = {
        method: frame.method, url: frame.url, headers: frame.headers ?? [],
        body: frame.body > 0 ? 'x'.repeat(frame.body) : undefined
      }
      called = now()
      try {
        if (client === null) throw new Error('no client: a config frame must come first')
        client.send(request, done)
      } catch (error) {
        done(error)
      }
    },
    bye() {
      write({ type: 'bye' })
      process.exit(0)
    }
  }

  let rest = ''
  process.stdin.setEncoding('utf8')
  process.stdin.on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    for (const line of lines) {
      if (line === '') continue
      const frame = JSON.parse(line)
      on[frame.type]?.(frame, now())
    }
  })
  process.stdin.on('end', () => process.exit(0))
  process.stdout.on('error', () => process.exit(0)) // nobody reads any more
}

// object makes the headers of a request an object, as Node's clients take them.
export const object = (headers) => Object.fromEntries(headers)

// signal ends a request as users of a client without a limit of its own for the whole request do.
export const signal = (timeout) => (timeout === null ? undefined : AbortSignal.timeout(timeout))

// infinite turns "no limit" of a count into what Node's agents call it.
export const infinite = (settings, ...names) => {
  const agent = { ...settings }
  for (const name of names) if (agent[name] === null) agent[name] = Infinity
  return agent
}

// since tells whether this Node has what came with the given releases, a [major, minor] each.
export const since = (...releases) => {
  const [major, minor] = process.versions.node.split('.').map(Number)
  return releases.some(([a, b]) => major === a && minor >= b) || major > Math.max(...releases.map(([a]) => a))
}

// check gives the first complaint about settings that the client has not, or that it can't take.
function check(known, settings) {
  for (const [name, value] of Object.entries(settings)) {
    const setting = known.find((s) => s.name === name)
    const refuse = (text) => ({ setting: name, text })
    if (!setting) return refuse(`there is no such setting; there are ${known.map((s) => s.name).join(', ') || 'none'}`)
    const allowed = setting.values ?? Object.values(setting.words ?? {})
    if (value === null) {
      if (setting.off === false || setting.kind === 'bool' || setting.kind === 'text') return refuse('it can\'t be null')
    } else if (setting.kind === 'bool') {
      if (typeof value !== 'boolean') return refuse('it must be true or false')
    } else if (setting.kind === 'text') {
      if (typeof value !== 'string') return refuse('it must be a text')
      const takes = [...allowed, ...Object.keys(setting.words ?? {})]
      if (takes.length > 0 && !takes.includes(value)) return refuse(`it must be one of ${allowed.join(', ')}`)
    } else {
      const least = setting.min ?? 0
      if (typeof value !== 'number' || !(value >= least)) return refuse(`it must be a number of at least ${least}`)
      if (setting.kind === 'count' && !Number.isInteger(value)) return refuse('it must be a whole number')
    }
  }
}

// translate turns kabench's words (lifo) into the client's where they differ.
function translate(known, settings) {
  const out = {}
  for (const [name, value] of Object.entries(settings)) {
    out[name] = known.find((s) => s.name === name).words?.[value] ?? value
  }
  return out
}

// blamed is the setting that the client's own complaint names, or the first that was sent.
function blamed(settings, error) {
  const names = Object.keys(settings ?? {})
  return names.find((name) => String(error.message).includes(name)) ?? names[0] ?? ''
}

// told gives an error and at most 8 causes beneath. Node keeps the failures of several addresses in `errors`.
function told(error) {
  const one = (e) => {
    const name = e.constructor?.name
    return {
      class: name === 'DOMException' || name === 'Object' ? e.name ?? name : name, text: String(e.message ?? e),
      ...(e.code === undefined ? {} : { code: String(e.code) }) // as ECONNRESET, beside the protocol's own fields
    }
  }
  const causes = []
  for (let e = error; e != null && causes.length < 8;) {
    e = e.cause ?? e.errors?.[0]
    if (e != null) causes.push(one(e))
  }
  return { ...one(error), causes }
}
