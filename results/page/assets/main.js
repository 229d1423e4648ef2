// The page: head, then a section for each kind of picture.

function section(id, title, how, panels, kind) {
  const list = panels.map((p) => p.panel || p);
  return el('section', { id, 'aria-labelledby': id + '-title' }, el('h2', { id: id + '-title' }, title), how ? el('p', { class: 'how' }, how) : null,
    el('div', { class: kind || (list.length > 1 ? 'panels many' : 'panels') }, ...list));
}

// scales are what the pictures of several runs have in common, so that they can
// be held against each other.
function scales(runs) {
  const rate = (r) => highest(r.flow.due, r.flow.started, r.flow.ok) / r.flow.step;
  const failed = (r) => highest(r.flow.due.map((_, i) => Object.values(r.flow.failed).reduce((n, list) => n + list[i], 0)));
  const longest = Math.max(...runs.map(extent), 0.1);
  const times = runs.flatMap((r) => [...r.response, ...r.service].map((p) => p.s)).filter((s) => s > 0);
  return {
    many: runs.length > 1,
    rows: [...new Set(runs.flatMap((r) => r.heat.rows))].sort((a, b) => a - b),
    // Runs of about the same length have one axis of time.
    end: (run) => (extent(run) * 1.5 < longest ? extent(run) : longest),
    anyFailed: runs.some((r) => Object.keys(r.flow.failed).length > 0),
    rate: nice(Math.max(...runs.map(rate), 1) * 1.05), failed: nice(Math.max(...runs.map(failed), 1)),
    pool: Math.max(...runs.map((r) => highest(r.pool.leased, r.pool.idle, r.pool.dialing, r.pool.pending)), 1) * 1.08,
    sockets: Math.max(...runs.map((r) => highest(r.sockets.established, r.sockets.time_wait, r.sockets.time_wait_server, r.sockets.ports_used)), 1) * 1.08,
    latencyLow: Math.min(...times, Infinity) === Infinity ? 1e-3 : Math.min(...times), latencyHigh: Math.max(...times, 1e-6),
    percentile: Math.pow(10, Math.max(1, Math.ceil(Math.log10(Math.max(...runs.flatMap((r) => [...r.response, ...r.service].map((p) => 1 / (1 - Math.min(p.p, 99.999999) / 100))), 10)) - 1e-9))),
  };
}

// fewWarnings are shown; more would push the pictures off the screen, and are
// there when asked for.
const fewWarnings = 3;

function head(data) {
  const text = (id, value) => { const e = byID(id); if (e.textContent !== value) e.textContent = value; };
  text('question', data.question || data.title || 'A run');
  text('answer', data.headline.answer);
  document.body.classList.toggle('bad-answer', !data.headline.good);
  byID('live').hidden = !data.live;
  byID('figures').replaceChildren(...(data.headline.figures || []).map((f) => el('li', {}, el('span', { class: 'value' }, f.value), el('span', { class: 'label' }, f.label), el('span', { class: 'note' }, f.note || ''))));
  byID('more').replaceChildren(...(data.headline.more || []).map((text) => el('p', {}, text)));
  const warnings = data.runs.flatMap((r) => (r.doc.warnings || []).map((w) => (data.runs.length > 1 ? r.name + ': ' + w : w)));
  warnings.push(...((data.comparison && data.comparison.warnings) || []));
  const open = byID('notes').querySelector('details[open]') !== null; // on a live page somebody reads them
  const items = (data.notes || []).concat(warnings.length > fewWarnings ? [] : warnings).map((n) => el('li', {}, n));
  if (warnings.length > fewWarnings) items.push(el('li', { class: 'folded' }, el('details', { open }, el('summary', {}, warnings.length + ' warnings of the runs'), el('ul', {}, ...warnings.map((w) => el('li', {}, w))))));
  byID('notes').replaceChildren(...items);
  const doc = data.runs.length ? data.runs[0].doc : data.comparison || {};
  const host = doc.host || {};
  byID('made').textContent = ['kabench ' + (doc.version || ''), doc.start && doc.start > '0002' ? doc.start.replace('T', ' ').replace(/\.\d+/, '') : '', [host.os, host.arch, host.kernel].filter(Boolean).join(' '), host.cpus ? host.cpus + ' cores' : '', host.go]
    .filter((s) => s && s.trim()).join(' · ');
}

function comparisonSections(c, labels) {
  const names = {}, units = {};
  for (const [name, label] of labels) names[name] = label;
  for (const arm of c.arms) for (const [name, m] of Object.entries(arm.measures)) units[name] = m.unit;
  const found = [];
  const chosen = labels.filter(([name]) => c.arms.some((a) => a.measures[name]));
  if (chosen.length) {
    found.push(section('measures', 'The configurations side by side',
      'Each picture is one measure, each row a configuration. The large point is the estimate, the bar the interval that holds the true value with a confidence of ' + percent(c.confidence) + ', and the small points are single runs; a bar without an end goes on beyond the picture. Where bars are far apart the configurations differ; what is chance is said below.',
      chosen.map(([name, label]) => multiple(c, name, label)), 'multiples'));
  }
  if (c.pairs && c.pairs.length) found.push(section('pairs', 'What differs, and what is chance', 'Every pair with its verdict. The tests behind it are corrected for their number; “detectable” is the least difference that 80 % of such experiments find.', c.pairs.map((p) => pairTable(p, { names, units })), 'panels'));
  found.push(section('arms', 'What was set', null, [scroll(['configuration', 'set', 'valid runs', 'left out'], c.arms.map((a) => [a.name, Object.entries(a.change || {}).map(([k, v]) => k + ' = ' + v).join(', ') || 'as in the profile', a.runs, a.excluded]), [1], true)], 'panels'));
  return found;
}

const estimate = (run) => (run.flow.one_in > 1 ? ' Of successes one in ' + run.flow.one_in + ' was recorded, and each stands for so many.' : '');

// timers says of runs that met no idle timer that it was so.
const timers = (runs) => runs.filter((r) => r.no_timer).map((r) => ' ' + (runs.length > 1 ? r.name + ': ' : '') + r.no_timer).join('');

// laneCaption says how to read the lifelines.
function laneCaption(runs) {
  const timer = runs.find((r) => r.lifelines.idle_timeout > 0);
  const left = runs.map((r) => (r.lifelines.left_out ? integer(r.lifelines.left_out) + ' of ' + integer(r.lifelines.connections) + (runs.length > 1 ? ' (' + r.name + ')' : '') : '')).filter(Boolean);
  return 'A lane is one connection. Thick parts are exchanges, the thin line between them is idle, a pale band stands for exchanges that there is no room for, and a diamond is a failure in the colour of its phase.'
    + (timer ? ' An upright tick is where the server\u2019s keep-alive timer (' + tick(timer.lifelines.idle_timeout) + ') runs out: a request sent just before it meets the close.' : '')
    + ' Drag the slider, or turn the wheel with Ctrl, to zoom; click a diamond for its packets and evidence, or use the arrow keys and Enter.'
    + (left.length ? ' Not shown: ' + left.join(', ') + '; connections with failures come first, the others are a sample.' : '')
    + (runs.some((r) => r.lifelines.lanes.some((lane) => !lane.conn)) ? ' The lane “no conn” has failures that came before there was a connection: the first of each kind, and a sample of the others.' : '')
    + (runs.some((r) => r.lifelines.one_in > 1) ? ' Not every success was recorded, so gaps may hold exchanges.' : '');
}

function body(data) {
  const runs = data.runs, s = scales(runs), found = [];
  if (data.comparison) found.push(...comparisonSections(data.comparison, data.measures || []));
  if (runs.length > 1) found.push(section('figures-table', data.kind === 'reproduction' ? 'The incident and its remedies' : 'The runs in figures', data.kind === 'comparison' ? 'One run of each configuration, the first that is valid; so are the pictures below.' : null, [figureTable(runs)], 'panels'));
  if (!runs.length) return found;
  const ports = runs.filter((r) => r.sockets.t.length && r.sockets.ports_available).map((r) => (runs.length > 1 ? r.name + ' ' : '') + integer(highest(r.sockets.ports_used)) + ' of ' + integer(r.sockets.ports_available));
  const from = (p) => p ? [p.name + (p.changed || []).map((c, i) => (i ? ', ' : ', but ') + c.path.replace(/^pool\./, '') + ' ' + c.run + ' (preset: ' + c.preset + ')').join('')] : [];
  const bounds = (r) => [...from(r.doc.preset), r.pool.max_conns > 0 ? 'at most ' + r.pool.max_conns + ' connections' : 'no cap on connections', r.pool.pending_max >= 0 ? 'at most ' + r.pool.pending_max + ' pending' : 'no bound on the queue'].join(', ');
  found.push(
    section('traffic', 'Traffic', 'What the schedule wanted (due), what was sent (started) and what came back (answered), per second. Started below due is a generator or cap at its limit; answered below started is waiting or failing. Below it, failures by phase and cause when they happened.' + estimate(runs[0]), runs.map((r) => traffic(r, s))),
    section('lifelines', 'Connection lifelines', laneCaption(runs), runs.map((r) => lifelines(r, s)), 'panels'),
    section('percentiles', 'How long answers took', 'Read upwards from a percentile: that share of answers took no longer. The axis gives each further nine the same width, so the tail is as wide as the bulk. Where response is above service, requests waited before they were sent.', runs.map((r) => curves(r, s))),
    section('heat', 'Response times over time', 'Each cell is a span of time and a range of response times; the stronger its colour, the more exchanges are in it, failed ones too, on a logarithmic scale. Bands are kinds of answers, a column that reaches up is a pause.', runs.map((r) => heatMap(r, s))),
    section('pool', 'The pool', 'Connections by what they are doing, and requests that wait for one (pending); the highest of each span. Pending above zero with leased at its cap is a pool that is too small. ' + (runs.length > 1 ? runs.map((r) => r.name + ': ' + bounds(r)).join('; ') : 'Set: ' + bounds(runs[0])) + '.' + timers(runs), runs.map((r) => poolPicture(r, s))),
    section('sockets', 'Sockets and ports', 'What the kernel holds towards the target. TIME_WAIT is a minute long, on the side that closed first, and keeps its port.' + (ports.length ? ' Local ports used, at most: ' + ports.join('; ') + '.' : ''), runs.map((r) => socketPicture(r, s))),
  );
  const wanted = expectations(runs);
  if (runs.length === 1) found.push(section('figures-table', 'Figures', null, [figureTable(runs)], 'panels'));
  if (wanted) found.push(section('expectations', 'What was expected', null, [wanted], 'panels'));
  return found;
}

function show(data) {
  head(data);
  const y = window.scrollY;
  while (charts.length) forget(charts[0]);
  byID('pictures').replaceChildren(...body(data));
  window.scrollTo(0, y);
  if (library) charts.forEach(draw); // at once: a live page would flicker
}

// unpack makes the chart library from its compressed text, and runs it.
async function unpack() {
  const packed = Uint8Array.from(atob(byID('library').textContent), (ch) => ch.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const script = document.createElement('script');
  script.textContent = await new Response(stream).text();
  document.head.append(script);
  if (typeof echarts === 'undefined') throw new Error('the chart library did not run');
  library = true;
  drawAll();
}

let current = JSON.parse(byID('data').textContent);
show(current);
unpack().catch((e) => {
  byID('notes').append(el('li', {}, 'The charts cannot be drawn in this browser (' + e.message + '); their figures are in the tables.'));
});

// A live page asks for newer data until the run is over. What is open stays so:
// while evidence is read or a table is open, only the head changes.
async function follow() {
  try {
    const answer = await fetch('data.json', { cache: 'no-store' });
    if (!answer.ok) throw new Error(answer.status);
    current = await answer.json();
    const reading = !current.live ? false : byID('pictures').querySelector('details[open], .evidence:not([hidden])') || byID('pictures').contains(document.activeElement) && document.activeElement !== byID('pictures');
    if (reading) head(current);
    else show(current);
    byID('live').textContent = 'live';
  } catch (e) {
    byID('live').textContent = 'live, but kabench does not answer';
  }
  if (current.live) setTimeout(follow, 1000);
}
if (current.live) setTimeout(follow, 1000);
