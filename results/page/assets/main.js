// The page: the head, then a section for each kind of chart.

// halves are sections that stand beside another one on a wide screen, if they have one chart.
const halves = ['traffic', 'latency', 'percentiles', 'heat', 'pool', 'sockets'];

// section has a heading that can be linked to, and so has each of its panels.
function section(id, title, how, panels, kind) {
  const list = panels.map((p) => p.panel || p);
  const link = (to, name) => el('a', { class: 'anchor', href: '#' + to, 'aria-label': 'Link to ' + name }, '#');
  list.forEach((panel, i) => {
    if (!panel.id) panel.id = list.length > 1 ? id + '-' + (i + 1) : id + '-all';
    const name = panel.querySelector('h3');
    if (name && list.length > 1) name.append(link(panel.id, name.textContent));
  });
  return el('section', { id, 'aria-labelledby': id + '-title', class: list.length === 1 && halves.includes(id) ? 'half' : null },
    el('h2', { id: id + '-title' }, title, link(id, title)), how ? el('p', { class: 'how' }, how) : null,
    el('div', { class: kind || (list.length > 1 ? 'panels many' : 'panels') }, ...list));
}

// scales returns the axes that the charts of several runs share, so that they can be
// compared.
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
    axis: (run) => (extent(run) * 1.5 < longest ? 'of ' + run.name : ''), // its name, for the zoom
    anyFailed: runs.some((r) => Object.keys(r.flow.failed).length > 0),
    rate: nice(Math.max(...runs.map(rate), 1) * 1.05), failed: nice(Math.max(...runs.map(failed), 1)),
    pool: Math.max(...runs.map((r) => highest(r.pool.leased, r.pool.idle, r.pool.dialing, r.pool.pending)), 1) * 1.08,
    sockets: Math.max(...runs.map((r) => highest(r.sockets.established, r.sockets.time_wait, r.sockets.time_wait_server, r.sockets.ports_used)), 1) * 1.08,
    latencyLow: Math.min(...times, Infinity) === Infinity ? 1e-3 : Math.min(...times), latencyHigh: Math.max(...times, 1e-6),
    percentile: Math.pow(10, Math.max(1, Math.ceil(Math.log10(Math.max(...runs.flatMap((r) => [...r.response, ...r.service].map((p) => 1 / (1 - Math.min(p.p, 99.999999) / 100))), 10)) - 1e-9))),
  };
}

const estimate = (run) => (run.flow.one_in > 1 ? ' One in ' + run.flow.one_in + ' successes was recorded, and each counts for ' + run.flow.one_in + '.' : '');

// timers names the runs that reached no idle timer.
const timers = (runs) => runs.filter((r) => r.no_timer).map((r) => ' ' + (runs.length > 1 ? r.name + ': ' : '') + r.no_timer).join('');

// laneCaption says how to read the lifelines.
function laneCaption(runs) {
  const timer = runs.find((r) => r.lifelines.idle_timeout > 0);
  const left = runs.map((r) => (r.lifelines.left_out ? integer(r.lifelines.left_out) + ' of ' + integer(r.lifelines.connections) + (runs.length > 1 ? ' (' + r.name + ')' : '') : '')).filter(Boolean);
  return 'Each lane is one connection. Thick bars are exchanges, the thin line between them is idle time, a pale band replaces exchanges that do not fit, and a diamond is a failure in the colour of its phase.'
    + (runs.some((r) => r.lifelines.lanes.some((lane) => lane.end)) ? ' The mark at its end says which side closed first: a bar is ours, a triangle the server\u2019s close, a cross its reset.' : '')
    + (timer ? ' A vertical tick marks the end of the server\u2019s keep-alive timer (' + tick(timer.lifelines.idle_timeout) + '): a request sent just before it meets the close.' : '')
    + ' Click a diamond to see its packets and evidence, or use the arrow keys and Enter.'
    + (left.length ? ' Not shown: ' + left.join(', ') + '; connections with failures come first, the others are a sample.' : '')
    + (runs.some((r) => r.lifelines.lanes.some((lane) => !lane.conn)) ? ' The lane “no conn” has failures without a connection: the first of each kind, and a sample of the others.' : '')
    + (runs.some((r) => r.lifelines.one_in > 1) ? ' Not every success was recorded, so gaps may contain exchanges.' : '');
}

// driverPanel says what a real client did and said.
function driverPanel(run, several) {
  const d = run.driver;
  const parts = [el('h3', {}, (several ? run.name + ': ' : '') + d.line), scroll(['', ''], d.rows, [1], true)];
  if (d.errors.length) parts.push(scroll(['count', 'what ' + d.client + ' said', 'what was seen'], d.errors.map((e) => [integer(e.count), e.text, e.more.join('; ')]), [1, 2], true));
  return el('div', { class: 'panel' }, ...parts);
}

// agentsPanel has a row for each process that sent requests.
function agentsPanel(run, several) {
  const a = run.agents;
  return el('div', { class: 'panel' }, el('h3', {}, (several ? run.name + ': ' : '') + a.note), scroll(a.head, a.rows, [0, 5, 6], true),
    a.more ? el('p', { class: 'how' }, integer(a.more) + ' more agents are in run.json; those that were lost, are invalid, or were late are shown.') : null);
}

// spelledSection has what each remedy sets, in the words of real clients.
function spelledSection(all) {
  const says = (s) => (s.text ? s.text : s.instead) + (s.unchecked ? ' (not checked in its source)' : '');
  const where = (s) => [s.in, s.versions, s.note].filter(Boolean).join('; ');
  return section('spelled', 'What to set, in the words of clients', 'A setting of the pool as the client\u2019s documentation spells it, and the versions that have it. A time that a client cannot say exactly is shorter, never longer. The values fit the server of this incident.',
    all.map((r) => el('div', { class: 'panel' }, el('h3', {}, 'Remedy ' + r.remedy),
      scroll(['client', 'field', 'write', 'where'], r.settings.map((s) => [s.client, s.path + ' = ' + s.value, says(s), where(s)]), [2, 3], true))), 'panels');
}

// forecastPanel has what is expected of a run that was played on virtual time.
function forecastPanel(run, several) {
  const f = run.forecast;
  return el('div', { class: 'panel' }, several ? el('h3', {}, run.name) : null, scroll(f.head, f.rows, [], true),
    el('p', { class: 'how' }, 'First failure: ' + f.first + '.'), el('h3', {}, 'Not in this forecast'), el('ul', {}, ...(f.left_out || []).map((text) => el('li', {}, text))));
}

// shortNamed returns the runs by the short names of their configurations; the full ones are
// in the table of settings.
function shortNamed(data) {
  const short = new Map(((data.comparison && data.comparison.arms) || []).map((a, i) => [a.name, (data.arms || [])[i]]));
  return data.runs.map((r) => (short.get(r.name) ? Object.assign({}, r, { name: short.get(r.name), full: r.name }) : r));
}

function body(data) {
  const runs = shortNamed(data), s = scales(runs), found = [];
  if (data.comparison) found.push(...comparisonSections(data.comparison, data.measures || [], data.arms || []));
  if (runs.length > 1) found.push(section('figures-table', data.kind === 'reproduction' ? 'The incident and its remedies' : 'The runs side by side', data.kind === 'comparison' ? 'The first valid run of each configuration. The charts below show the same runs.' : null, [figureTable(runs)], 'panels'));
  if ((data.spelled || []).length) found.push(spelledSection(data.spelled));
  if (!runs.length) return found;
  const played = runs.filter((r) => r.forecast);
  if (played.length) found.push(section('forecast', 'The forecast', 'The traffic was played on virtual time: no request was sent, and the rules of the pool are those of real runs.', played.map((r) => forecastPanel(r, runs.length > 1)), 'panels'));
  const real = runs.filter((r) => r.driver);
  if (real.length) found.push(section('driver', 'The real client', 'The requests were sent by a real client in a process of its own. ' + (real.every((r) => r.doc.driver.looked) ? 'What happened on its connections was seen by kabench, not told by the client; its error texts stand beside that.' : 'What happened on its connections could not be seen in every run: where it was not, phases and causes are taken from the client\u2019s error texts.'), real.map((r) => driverPanel(r, runs.length > 1)), 'panels'));
  const fleets = runs.filter((r) => r.agents);
  if (fleets.length) found.push(section('agents', 'The agents', 'Several agents sent the requests together, each its share. The charts below are of all agents together.', fleets.map((r) => agentsPanel(r, runs.length > 1)), 'panels'));
  const ports = runs.filter((r) => r.sockets.t.length && r.sockets.ports_available).map((r) => (runs.length > 1 ? r.name + ' ' : '') + integer(highest(r.sockets.ports_used)) + ' of ' + integer(r.sockets.ports_available));
  const from = (p) => p ? [p.name + (p.changed || []).map((c, i) => (i ? ', ' : ', but ') + c.path.replace(/^pool\./, '') + ' ' + c.run + ' (preset: ' + c.preset + ')').join('')] : [];
  const bounds = (r) => r.driver ? r.driver.line + ((r.doc.driver.gauges || []).includes('pending') ? '' : '; the number of pending requests is not told') : [...from(r.doc.preset), r.pool.max_conns > 0 ? 'at most ' + r.pool.max_conns + ' connections' : 'no cap on connections', r.pool.pending_max >= 0 ? 'at most ' + r.pool.pending_max + ' pending' : 'no limit on the queue'].join(', ');
  found.push(
    section('traffic', 'Traffic', 'Requests per second that were due by the schedule, started, and completed (ok). If started is below due, the generator or a cap is at its limit; if ok is below started, requests wait or fail. The lower chart shows failures by phase and cause. Drag across any chart of time to zoom in on all of them.' + estimate(runs[0]), runs.map((r) => traffic(r, s))),
    ...countSections(runs),
    section('lifelines', 'Connection lifelines', laneCaption(runs), runs.map((r) => lifelines(r, s)), 'panels'),
    section('percentiles', 'Response times', 'At each percentile, that share of responses took no longer. 90, 99 and 99.9 % are equally far apart, so the tail stays visible. Where response is above service, requests waited before they were sent.', runs.map((r) => curves(r, s))),
    heatSection(runs, s),
    section('pool', 'The pool', 'Connections by state, and requests that wait for one (pending): the highest value of each span. If pending is above zero while leased is at its cap, the pool is too small. ' + (runs.length > 1 ? runs.map((r) => r.name + ': ' + bounds(r)).join('; ') : 'Set: ' + bounds(runs[0])) + '.' + timers(runs), runs.map((r) => poolPicture(r, s))),
    section('sockets', 'Sockets and ports', 'The kernel\u2019s sockets to the target. The side that closes first keeps a TIME_WAIT socket, with its port, for a minute.' + (ports.length ? ' Local ports used, at most: ' + ports.join('; ') + '.' : ''), runs.map((r) => socketPicture(r, s))),
  );
  const wanted = expectations(runs);
  if (runs.length === 1) found.push(section('figures-table', 'Values', null, [figureTable(runs)], 'panels'));
  if (wanted) found.push(section('expectations', 'Expectations', null, [wanted], 'panels'));
  if (runs.length === 1) found.filter((s) => ['figures-table', 'expectations'].includes(s.id)).forEach((s) => s.classList.add('half'));
  return found;
}

function show(data) {
  head(data);
  const y = window.scrollY;
  while (charts.length) forget(charts[0]);
  byID('pictures').replaceChildren(...body(data));
  contents();
  window.scrollTo(0, y);
  if (library) charts.forEach(draw); // immediately: a live page would flicker
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
const linked = location.hash.length > 1 && byID(decodeURIComponent(location.hash.slice(1)));
if (linked) linked.scrollIntoView(); // it was not there when the browser looked for it
unpack().catch((e) => {
  byID('notes').append(el('li', {}, 'The charts cannot be drawn in this browser (' + e.message + '); the tables have their data.'));
});

// A live page fetches newer data until the run is over. While evidence or a table is
// open, only the head changes.
async function follow() {
  try {
    const response = await fetch('data.json', { cache: 'no-store' });
    if (!response.ok) throw new Error(response.status);
    current = await response.json();
    const reading = !current.live ? false : choosing || byID('pictures').querySelector('details[open], .evidence:not([hidden])') || byID('pictures').contains(document.activeElement) && document.activeElement !== byID('pictures');
    if (reading) head(current);
    else show(current);
    byID('live').textContent = 'live';
  } catch (e) {
    byID('live').textContent = 'live, but kabench does not respond';
  }
  if (current.live) setTimeout(follow, 1000);
}
if (current.live) setTimeout(follow, 1000);
