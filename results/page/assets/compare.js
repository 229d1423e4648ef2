// Several runs: a table of values, and the arms of a comparison as small multiples
// with intervals.

// counted is a number of connections, if they were counted: those of a real client may not be.
const counted = (of) => (r) => (r.driver && !r.driver.counted ? 'not seen' : integer(of(r)));

const rows = [
  ['valid', (r) => (r.valid ? 'yes' : { bad: 'NO' })],
  ['requests started', (r) => integer(r.counts.started)],
  ['failed', (r) => (r.counts.failed ? { bad: integer(r.counts.failed) } : '0')],
  ['failure rate', (r) => (r.counts.started ? percent(r.counts.failed / r.counts.started) : '-')],
  ['error responses, 4xx', (r) => (r.error_answers.client ? { bad: integer(r.error_answers.client) } : '0')],
  ['error responses, 5xx', (r) => (r.error_answers.server ? { bad: integer(r.error_answers.server) } : '0')],
  ['dropped', (r) => integer(r.counts.dropped)],
  ['response p50', (r) => latency(r, 'response', 'p50')],
  ['response p99', (r) => latency(r, 'response', 'p99')],
  ['response p99.9', (r) => latency(r, 'response', 'p999')],
  ['service p50', (r) => latency(r, 'service', 'p50')],
  ['service p99', (r) => latency(r, 'service', 'p99')],
  ['lag p99', (r) => latency(r, 'lag', 'p99')],
  ['connections opened', counted((r) => r.connections.opened)],
  ['closed first by us', counted((r) => r.connections.closed_by_us)],
  ['closed first by the peer', counted((r) => r.connections.closed_by_peer)],
  ['reset by the peer', counted((r) => r.connections.reset)],
  ['unknown who closed first', counted((r) => r.connections.closed_unknown || 0)],
  ['on fresh connections', counted((r) => r.reuse.fresh)],
  ['on reused connections', counted((r) => r.reuse.reused)],
  ['idle at lease, p50', (r) => idle(r.idle.at_lease, 'p50')],
  ['idle at lease, p99', (r) => idle(r.idle.at_lease, 'p99')],
  ['idle at lease, longest', (r) => idle(r.idle.at_lease, 'max')],
  ['closed by the peer while idle', (r) => (r.idle.at_peer_close ? integer(r.idle.at_peer_close.count) : 'not seen')],
  ['idle at the peer\u2019s close, p50', (r) => idle(r.idle.at_peer_close, 'p50')],
  ['pending, peak', (r) => (r.driver && !(r.driver.gauges || []).includes('pending') ? 'not told' : integer(r.pool.peak_pending))],
  ['TIME_WAIT peak, ours', (r) => (r.sockets.available ? integer(r.sockets.time_wait_peak) : 'not seen')],
  ['TIME_WAIT peak, the server\u2019s', (r) => (r.sockets.available && r.sockets.server_side ? integer(r.sockets.time_wait_server_peak) : 'not seen')],
  ['CPU per request', (r) => (r.instrument.cpu_seconds_per_exchange ? duration(r.instrument.cpu_seconds_per_exchange) : '-')],
];

const idle = (q, stat) => (q && q.count ? duration(q[stat]) : '-');

function latency(run, name, stat) {
  const q = run.latency && run.latency[name];
  return q && q.count ? duration(q[stat]) : '-';
}

// failureRows lists every way to fail that occurred in a run.
function failureRows(runs) {
  const found = new Map();
  for (const r of runs) {
    for (const o of r.doc.outcomes || []) {
      if (o.phase === 'done' || o.phase === 'schedule' || o.cause === 'aborted') continue;
      const name = o.phase + ' / ' + o.cause + (o.reused ? ', reused' : '');
      if (!found.has(name)) found.set(name, new Map());
      found.get(name).set(r, o.count);
    }
  }
  return [...found].map(([name, counts]) => ['\u00a0\u00a0' + name, ...runs.map((r) => integer(counts.get(r) || 0))]);
}

function figureTable(runs) {
  const table = rows.map(([name, cell]) => [name, ...runs.map((r) => cell(r.doc))]);
  table.splice(4, 0, ...failureRows(runs));
  return scroll(['', ...runs.map((r) => (r.full && r.full !== r.name ? el('span', { title: r.full }, r.name) : r.name))], table, [], true);
}

function expectations(runs) {
  const several = runs.length > 1;
  const verdict = (e) => (e.met ? 'met' : e.unknown ? el('b', {}, 'NOT JUDGED') : { bad: 'NOT MET' });
  const all = runs.flatMap((r) => (r.doc.expectations || []).map((e) => [...(several ? [r.name] : []), e.path, verdict(e), e.want, e.why || e.seen]));
  const head = [...(several ? ['run'] : []), 'value', 'verdict', 'expected', runs.every((r) => r.forecast) ? 'forecast' : 'measured'];
  return all.length ? scroll(head, all, several ? [1, 2, 3, 4] : [1, 2, 3], true) : null;
}

// The ends of an interval, if there is one.
function ends(of, unit) {
  return of.bounded ? [measured(of.low, unit), measured(of.high, unit)] : ['not known', 'not known'];
}

function interval(of, unit) {
  return of.bounded ? ends(of, unit).join(' to ') : 'no interval';
}

// findings returns what the tests against the first arm found of a measure, by the arm's
// name: "better" or "worse". For every measure, less is better.
function findings(comparison, name) {
  const found = {};
  for (const pair of comparison.pairs || []) {
    const t = pair.a === comparison.arms[0].name && (pair.tests || []).find((t) => t.measure === name && t.differs);
    if (t) found[pair.b] = t.difference < 0 || (t.difference === 0 && t.effect < 0) ? 'better' : 'worse';
  }
  return found;
}

// Small multiples: one for each measure, a row for each arm. names are the arms' short names.
function multiple(comparison, name, label, names) {
  const found = findings(comparison, name), differs = Object.keys(found).length > 0;
  const called = (a) => names[comparison.arms.indexOf(a)] || a.name;
  const arms = comparison.arms.filter((a) => a.measures[name]);
  const unit = arms[0].measures[name].unit;
  const known = arms.filter((a) => a.measures[name].known);
  const reasons = new Map(); // why -> the configurations with this reason
  for (const a of arms) if (a.measures[name].why) reasons.set(a.measures[name].why, [...(reasons.get(a.measures[name].why) || []), a.name]);
  const whys = [...reasons].map(([why, of]) => (of.length === arms.length ? '' : of.join(', ') + ': ') + why);
  const nothing = known.length === arms.length && highest(known.flatMap((a) => [a.measures[name].value, a.measures[name].high, ...(a.measures[name].per_run || [])])) === 0;
  const chart = picture({
    name: label, height: 54 + 30 * arms.length + 'px',
    empty: nothing ? '0 in every run.' : known.length ? null : whys.join('; ') || 'not measured',
    label: label + ': ' + known.map((a) => a.name + ' ' + measured(a.measures[name].value, unit) + ', ' + interval(a.measures[name], unit) + (found[a.name] ? ', ' + found[a.name] + ' than ' + comparison.arms[0].name : '')).join('; ') + '. Less is better.',
    option: () => {
      const c = colours(), o = common(c);
      delete o.legend;
      o.tooltip.trigger = 'item';
      o.tooltip.formatter = (i) => {
        const arm = arms[i.value[i.value.length - 1]], m = arm.measures[name];
        return arm.name + '\n' + measured(m.value, unit) + '\n' + interval(m, unit) + (found[arm.name] ? '\ndifference found: ' + found[arm.name] : arm === comparison.arms[0] ? '\nbaseline' : '\nno difference found');
      };
      o.grid = { left: 4, right: 18, top: 4, bottom: 4, containLabel: true };
      // An interval much wider than the measured values ends outside the chart.
      const points = highest(known.flatMap((a) => [a.measures[name].value, ...(a.measures[name].per_run || [])]));
      const wide = highest(known.map((a) => a.measures[name].high));
      const top = points > 0 ? Math.min(wide > 0 ? Math.max(wide, points) : points, 6 * points) : wide;
      o.xAxis = axis(c, { min: 0, max: top > 0 ? nice(top * 1.02) : 1, splitNumber: 3, axisLabel: { color: c.soft, fontSize: 11, hideOverlap: true, showMaxLabel: false, formatter: (v) => short(v, unit) } });
      o.yAxis = { type: 'category', inverse: true, data: arms.map((a) => called(a) + (found[a.name] ? (found[a.name] === 'better' ? ' \u25bc' : ' \u25b2') : '')), axisTick: { show: false }, axisLine: { show: false }, axisLabel: { color: (v) => (String(v).endsWith('\u25bc') ? c.green : String(v).endsWith('\u25b2') ? c.vermilion : c.ink), fontSize: 12 } };
      const colour = (a) => ({ better: c.green, worse: c.vermilion }[found[a.name]] || (a === comparison.arms[0] ? c.ink : c.grey));
      o.series = [
        {
          type: 'custom', data: known.filter((a) => a.measures[name].bounded).map((a) => { const m = a.measures[name], y = arms.indexOf(a); return [m.low, m.high, y]; }), encode: { x: [0, 1], y: 2 }, z: 1,
          renderItem: (params, api) => {
            const a = api.coord([api.value(0), api.value(2)]), b = api.coord([api.value(1), api.value(2)]);
            const style = { stroke: colour(arms[api.value(2)]), lineWidth: 2, opacity: 0.8 };
            const cut = (x) => ({ type: 'line', shape: { x1: x, y1: a[1] - 4, x2: x, y2: a[1] + 4 }, style });
            const right = params.coordSys.x + params.coordSys.width;
            return { type: 'group', children: [{ type: 'line', shape: { x1: a[0], y1: a[1], x2: Math.min(b[0], right), y2: b[1] }, style }, cut(a[0]), ...(b[0] <= right ? [cut(b[0])] : [])] };
          },
        },
        { type: 'scatter', symbolSize: 4, z: 2, data: known.flatMap((a) => (a.measures[name].per_run || []).map((v) => [v, arms.indexOf(a), arms.indexOf(a)])), itemStyle: { color: c.soft, opacity: 0.6 } },
        { type: 'scatter', symbolSize: 9, z: 3, data: known.map((a) => ({ value: [a.measures[name].value, arms.indexOf(a), arms.indexOf(a)], itemStyle: { color: colour(a) } })) },
      ];
      return o;
    },
    table: () => ({
      head: ['', 'value', 'from', 'to', 'runs', '', ''], wide: [6],
      rows: arms.map((a) => { const m = a.measures[name]; return [a.name, m.known ? measured(m.value, unit) : 'not known', ...ends(m, unit), (m.per_run || []).length, found[a.name] || '', m.why || '']; }),
    }),
  });
  const heading = chart.panel.querySelector('h3');
  if (known.length && !nothing) heading.append(el('span', { class: 'direction' }, '\u2190 less is better'));
  if (differs) {
    heading.append(el('span', { class: 'found' }, 'difference found'));
    chart.panel.classList.add('differs');
  }
  if (whys.length && known.length && !nothing) chart.panel.append(el('p', { class: 'how' }, whys.join('; ')));
  return chart;
}

function short(v, unit) {
  if (unit === 'seconds') return tick(v);
  if (unit === 'ratio') return Number((v * 100).toPrecision(3)) + ' %';
  return count(v);
}

function pairTable(pair, labels) {
  const tests = pair.tests || [];
  const title = el('h3', {}, pair.b + ' compared with ' + pair.a);
  if (tests.some((t) => t.differs)) title.append(el('span', { class: 'found' }, 'difference found'));
  const box = el('div', { class: 'panel' }, title, el('p', { class: 'verdict' }, pair.verdict));
  if (!tests.length) return box;
  box.append(tableOf('Tests', () => ({
    head: ['measure', 'difference', 'from', 'to', 'effect', 'p, adjusted', '', 'detectable', 'method'], wide: [8],
    rows: tests.map((t) => {
      const u = labels.units[t.measure];
      return [labels.names[t.measure] || t.measure, measured(t.difference, u), ...ends(t, u), t.effect_name ? t.effect_name + ' ' + three(t.effect) : '-',
        !t.method ? '-' : t.p_adjusted < 0.001 ? '< 0.001' : t.p_adjusted.toFixed(3), t.differs ? el('b', { class: 'found' }, 'difference found') : t.why || 'no significant difference', t.detectable ? measured(t.detectable, u) : 'not known', t.method || 'none'];
    }),
  })));
  return box;
}

function comparisonSections(c, labels, nicks) {
  const names = {}, units = {};
  for (const [name, label] of labels) names[name] = label;
  for (const arm of c.arms) for (const [name, m] of Object.entries(arm.measures)) units[name] = m.unit;
  const found = [];
  const differs = ([name]) => Object.keys(findings(c, name)).length > 0;
  const measuredOnes = labels.filter(([name]) => c.arms.some((a) => a.measures[name]));
  const chosen = [...measuredOnes.filter(differs), ...measuredOnes.filter((l) => !differs(l))];
  if (chosen.length) {
    found.push(section('measures', 'The configurations side by side',
      'Each chart shows one measure, each row one configuration. The large point is the estimate, the bar its ' + percent(c.confidence) + ' confidence interval, and the small points are single runs; a bar without an end continues beyond the chart. In every chart less is better. Measures in which a test found a difference from ' + c.arms[0].name + ' come first: \u25bc marks a configuration that is better, \u25b2 one that is worse; the others may differ by chance.',
      chosen.map(([name, label]) => multiple(c, name, label, nicks)), 'multiples'));
  }
  if (c.pairs && c.pairs.length) found.push(section('pairs', 'What differs, and what may be chance', 'Every pair with its verdict. Its tests are corrected for their number; “detectable” is the smallest difference that 80 % of such experiments find.', c.pairs.map((p) => pairTable(p, { names, units })), 'panels'));
  found.push(section('arms', 'Settings', null, [scroll(['configuration', 'in charts', 'set', 'valid runs', 'left out'], c.arms.map((a, i) => [a.name, nicks[i] || a.name, Object.entries(a.change || {}).map(([k, v]) => k + ' = ' + v).join(', ') || 'as in the profile', a.runs, a.excluded]), [1, 2], true)], 'panels'));
  return found;
}
