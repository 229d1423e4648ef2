// Charts over time: traffic, pool, sockets.

// extent is the length of a run, in seconds.
function extent(run) {
  const flow = run.flow.due.length * run.flow.step;
  const last = (t) => (t.length ? t[t.length - 1] : 0);
  return Math.max(flow, last(run.pool.t), last(run.sockets.t), 0.1);
}

// timeOf is what makes a chart one of time.
const timeOf = (run, scale) => ({ axis: scale.axis(run), end: () => Math.max(scale.end(run), 0.1) });

const warmUp = (c, run) => (run.warm_up > 0 ? {
  silent: true, itemStyle: { color: c.faint }, label: { color: c.soft, fontSize: 11, position: 'insideTopLeft' }, data: [[{ xAxis: 0, name: 'warm-up' }, { xAxis: run.warm_up }]],
} : undefined);

function line(name, data, colour, more) {
  return Object.assign({
    name, type: 'line', data, showSymbol: false, step: 'end', lineStyle: { color: colour, width: 1.5 }, itemStyle: { color: colour }, emphasis: { disabled: true }, sampling: undefined,
  }, more);
}

function tip(time, unit) {
  return (items) => {
    if (!items.length) return '';
    const lines = items.filter((i) => i.value[1] != null).map((i) => i.seriesName + '  ' + unit(i.value[1], i));
    return instant(items[0].value[0], time.axis) + '\n' + lines.join('\n');
  };
}

function traffic(run, scale) {
  const f = run.flow, kinds = outcomes(f.failed);
  const at = (i) => Number((i * f.step).toFixed(3));
  // The end of the run cuts the last span. If requests were due until the end, its rates
  // use its real length; if the run only waited, a rate over so short a time is useless.
  const whole = (Date.parse(run.doc.end) - Date.parse(run.doc.start)) / 1000, n = f.due.length;
  const rest = whole > 0 ? Math.min(Math.max(whole - (n - 1) * f.step, 0), f.step) : f.step;
  const cut = rest > 0.2 * f.step && f.due[n - 1] > 0 ? rest : f.step;
  const rate = (list) => {
    const points = list.map((v, i) => [at(i), v / (i === n - 1 ? cut : f.step)]);
    return points.concat(n ? [[Number(((n - 1) * f.step + (rest || f.step)).toFixed(3)), points[n - 1][1]]] : []);
  };
  const sum = (list) => list.reduce((n, k) => n + f.failed[k].reduce((a, b) => a + b, 0), 0);
  const time = timeOf(run, scale);
  const failing = kinds.filter((k) => phaseOf(k) !== 'schedule'), dropped = sum(kinds) - sum(failing); // dropped requests were not started
  return picture({
    time, name: scale.many ? run.name : null, height: scale.anyFailed ? '25rem' : '18rem',
    empty: f.due.length ? null : without(run, 'no exchange was recorded.'),
    label: 'Requests due, started and ok per second over time' + (failing.length ? '; ' + sum(failing) + ' failures in ' + failing.join(', ') : '; no failures') + (dropped ? '; ' + dropped + ' dropped' : ''),
    option: () => {
      const c = colours(), o = common(c, time), end = time.end();
      const split = scale.anyFailed; // or if other runs failed: side by side all have the same shape
      o.tooltip.formatter = tip(time, (v, i) => (i.seriesType === 'custom' ? integer(v - i.value[2]) : three(v) + '/s'));
      o.axisPointer = { link: [{ xAxisIndex: 'all' }] };
      const top = printing && kinds.length > 1 ? 44 + 14 * Math.ceil(kinds.length / 2) : 44; // on paper the legend has lines
      o.grid = split ? [{ left: 52, right: 16, top, height: '42%' }, { left: 52, right: 16, bottom: 28, height: '24%' }] : [{ left: 52, right: 16, top: 44, bottom: 28 }];
      o.xAxis = [timeAxis(c, time, end, split ? { axisLabel: { show: false } } : {})];
      o.yAxis = [axis(c, { name: 'requests per second', max: scale.rate, axisLabel: { color: c.soft, fontSize: 11, formatter: count } })];
      o.series = [
        line('due', rate(f.due), c.grey, { lineStyle: { color: c.grey, width: 3, opacity: 0.55 }, markArea: warmUp(c, run) }),
        line('started', rate(f.started), c.ink, { lineStyle: { color: c.ink, width: 1.25, type: [4, 3] } }),
        line('ok', rate(f.ok), c.blue, { areaStyle: { color: c.blue, opacity: 0.12 } }),
      ];
      if (split) {
        o.xAxis.push(timeAxis(c, time, end, { gridIndex: 1 }));
        o.yAxis.push(axis(c, { gridIndex: 1, name: 'failures in ' + tick(f.step), max: scale.failed, minInterval: 1, splitNumber: 2, axisLabel: { color: c.soft, fontSize: 11, formatter: count } }));
        const nth = {}, below = f.due.map(() => 0);
        for (const kind of kinds) {
          const phase = phaseOf(kind), k = (nth[phase] = (nth[phase] || 0) + 1);
          o.series.push({
            name: kind, type: 'custom', renderItem: block(f.step), xAxisIndex: 1, yAxisIndex: 1, clip: true, emphasis: { disabled: true }, encode: { x: 0, y: [1, 2] },
            data: f.failed[kind].map((n, i) => [at(i), n ? (below[i] += n) : null, n ? below[i] - n : null]),
            itemStyle: { color: phaseColour(phase), opacity: Math.max(1 - 0.3 * (k - 1), 0.35) },
          });
        }
        if (!kinds.length) o.graphic = none(c, '76%');
      }
      return o;
    },
    table: () => ({
      head: ['from', 'due', 'started', 'ok', ...kinds],
      rows: f.due.map((n, i) => [moment(at(i)), integer(n), integer(f.started[i]), integer(f.ok[i]), ...kinds.map((k) => integer(f.failed[k][i]))]),
    }),
  });
}

// block draws a span of time from one height to another, at least two pixels wide.
const block = (length) => (params, api) => {
  if (!(api.value(1) > 0)) return null;
  const a = api.coord([api.value(0), api.value(1)]), b = api.coord([api.value(0) + length, api.value(2)]);
  const rect = echarts.graphic.clipRectByRect({ x: a[0], y: a[1], width: Math.max(b[0] - a[0] - 1, 2), height: b[1] - a[1] }, params.coordSys);
  return rect && { type: 'rect', shape: rect, style: { fill: api.visual('color'), opacity: api.style().opacity } };
};

// none stands where a chart has nothing to draw.
const none = (c, top) => ({ type: 'text', left: 'center', top, silent: true, style: { text: 'none', fill: c.soft, fontSize: 12 } });

const paired = (t, list) => t.map((x, i) => [x, list[i]]);

function poolPicture(run, scale) {
  const p = run.pool, bounds = [], time = timeOf(run, scale);
  const top = highest(p.leased, p.idle, p.dialing, p.pending);
  if (p.limit) bounds.push(['limit', highest(p.limit)]);
  const lines = bounds.length;
  if (p.max_conns > 0) bounds.push(['max_conns ' + p.max_conns, p.max_conns]);
  if (p.pending_max >= 0) bounds.push(['pending_max ' + p.pending_max, p.pending_max]);
  return picture({
    time, name: scale.many ? run.name : null, empty: p.t.length ? null : without(run, 'the pool was not sampled.'),
    label: 'The pool over time: at most ' + highest(p.leased) + ' leased, ' + highest(p.idle) + ' idle, ' + highest(p.dialing) + ' dialing, ' + highest(p.pending) + ' pending',
    option: () => {
      const c = colours(), o = common(c, time);
      o.tooltip.formatter = tip(time, integer);
      o.xAxis = timeAxis(c, time, scale.end(run));
      const most = Math.max(scale.pool, ...bounds.filter((b) => b[1] <= 3 * Math.max(top, 1)).map((b) => b[1] * 1.08));
      o.yAxis = axis(c, { max: Math.ceil(most) || 1, minInterval: 1, axisLabel: { color: c.soft, fontSize: 11, showMaxLabel: false, formatter: count } });
      o.series = [
        line('leased', paired(p.t, p.leased), c.blue, { areaStyle: { color: c.blue, opacity: 0.12 }, markArea: warmUp(c, run) }),
        line('idle', paired(p.t, p.idle), c.green),
        line('dialing', paired(p.t, p.dialing), c.purple),
        line('pending', paired(p.t, p.pending), c.vermilion, { lineStyle: { color: c.vermilion, width: 2 } }),
      ];
      if (p.limit) o.series.push(line('limit', paired(p.t, p.limit), c.ink, { lineStyle: { color: c.ink, width: 1.25, type: [4, 3] } }));
      const inside = bounds.slice(lines).filter((b) => b[1] <= most);
      if (inside.length) o.series[3].markLine = limitLine(c, inside.map(([name, y]) => ({ yAxis: y, name, label: { formatter: name } })));
      return o;
    },
    table: () => ({
      head: ['at', 'leased', 'idle', 'dialing', 'pending', 'in flight', ...(p.limit ? ['limit'] : [])],
      rows: p.t.map((t, i) => [moment(t), p.leased[i], p.idle[i], p.dialing[i], p.pending[i], p.in_flight[i], ...(p.limit ? [p.limit[i]] : [])]),
    }),
  });
}

function socketPicture(run, scale) {
  const s = run.sockets;
  const used = highest(s.ports_used);
  const why = run.doc.sockets && run.doc.sockets.why;
  const predicted = s.predicted > 0 && s.predicted <= 4 * scale.end(run);
  const time = { axis: scale.axis(run), end: () => (predicted ? Math.max(scale.end(run), s.predicted * 1.05) : scale.end(run)) };
  return picture({
    time, name: scale.many ? run.name : null, empty: s.t.length ? null : without(run, 'sockets were not seen' + (why ? ': ' + why : '.')),
    label: 'Sockets over time: at most ' + highest(s.established) + ' ESTABLISHED, ' + highest(s.time_wait) + ' in TIME_WAIT on our side'
      + (s.time_wait_server.length ? ', ' + highest(s.time_wait_server) + ' on the server\u2019s' : '') + ', ' + used + ' ports used' + (s.ports_available ? ' of ' + s.ports_available : ''),
    option: () => {
      const c = colours(), o = common(c, time);
      o.tooltip.formatter = tip(time, integer);
      o.xAxis = timeAxis(c, time, time.end());
      const near = s.ports_available > 0 && used > 0.3 * s.ports_available;
      o.yAxis = axis(c, { max: Math.ceil(Math.max(scale.sockets, near ? s.ports_available * 1.08 : 0)) || 1, minInterval: 1, axisLabel: { color: c.soft, fontSize: 11, showMaxLabel: false, formatter: count } });
      o.series = [
        line('ports used', paired(s.t, s.ports_used), c.grey, { lineStyle: { color: c.grey, width: 3, opacity: 0.55 }, markArea: warmUp(c, run) }),
        line('ESTABLISHED', paired(s.t, s.established), c.blue),
        line('TIME_WAIT, ours', paired(s.t, s.time_wait), c.vermilion),
      ];
      if (s.time_wait_server.length) o.series.push(line('TIME_WAIT, the server\u2019s', paired(s.t, s.time_wait_server), c.pink, { lineStyle: { color: c.pink, width: 1.5, type: [6, 3] } }));
      const marks = [];
      if (near) marks.push({ yAxis: s.ports_available, label: { formatter: integer(s.ports_available) + ' ports in the range' } });
      if (predicted) marks.push({ xAxis: s.predicted, label: { formatter: 'predicted: no port left, ' + moment(s.predicted), position: 'insideEndBottom', rotate: 90 } });
      if (marks.length) o.series[0].markLine = limitLine(c, marks);
      return o;
    },
    table: () => ({
      head: ['at', 'ESTABLISHED', 'TIME_WAIT, ours', ...(s.time_wait_server.length ? ['TIME_WAIT, the server\u2019s'] : []), 'ports used'],
      rows: s.t.map((t, i) => [moment(t), s.established[i], s.time_wait[i], ...(s.time_wait_server.length ? [s.time_wait_server[i]] : []), s.ports_used[i]]),
    }),
  });
}
