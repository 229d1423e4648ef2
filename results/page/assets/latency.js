// Charts of response times: percentile curves, and a heat map.

const noTimes = (run) => (run.doc.counts.ok ? without(run, 'no time of a response was recorded.') : 'no request succeeded, so there are no times.');

function curves(run, scale) {
  return picture({
    name: scale.many ? run.name : null, empty: run.response.length ? null : noTimes(run),
    label: 'Percentiles of response and service time' + (run.response.length ? '; the longest response took ' + duration(run.response[run.response.length - 1].s) : ''),
    option: () => {
      const c = colours(), o = common(c);
      const points = (list) => list.map((p) => [1 / (1 - Math.min(p.p, 99.999999) / 100), p.s, p.p]);
      o.grid.right = 34; // half of the last percentile
      const wide = scale.latencyHigh / Math.max(scale.latencyLow, 1e-6) > 30;
      o.tooltip.formatter = (items) => (items.length ? percentile(items[0].value[2]) + '\n' + items.map((i) => i.seriesName + '  ' + duration(i.value[1])).join('\n') : '');
      o.xAxis = axis(c, { type: 'log', logBase: 10, min: 1, max: scale.percentile, splitLine: { show: false }, axisLine: { show: true, lineStyle: { color: c.line } }, axisLabel: { color: c.soft, fontSize: 11, showMaxLabel: true, formatter: (v) => percentile(100 * (1 - 1 / v)) } });
      o.yAxis = axis(c, Object.assign({ axisLabel: { color: c.soft, fontSize: 11, formatter: tick } }, wide ? { type: 'log', logBase: 10, min: Math.pow(10, Math.floor(Math.log10(scale.latencyLow))), max: Math.pow(10, Math.ceil(Math.log10(scale.latencyHigh))) } : { min: 0, max: nice(scale.latencyHigh) }));
      o.series = [
        line('response: due to done', points(run.response), c.blue, { step: false, lineStyle: { color: c.blue, width: 2.5 } }),
        line('service: start to done', points(run.service), c.orange, { step: false, lineStyle: { color: c.orange, width: 2, type: [5, 4] } }),
      ];
      return o;
    },
    table: () => ({
      head: ['percentile', 'response', 'service'],
      rows: run.response.map((p, i) => [percentile(p.p), duration(p.s), run.service[i] ? duration(run.service[i].s) : '-']),
    }),
  });
}

const percentile = (p) => Number(p.toFixed(p >= 99.99 ? 5 : p >= 99 ? 3 : 1)) + ' %';

// nice is the next round number at or above v.
function nice(v) {
  const unit = Math.pow(10, Math.floor(Math.log10(v || 1)));
  return Number(([1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((m) => m * unit >= v) * unit).toPrecision(6));
}

// round reports whether an edge of a row is 1, 2 or 5 times a power of ten.
function round(edge) {
  const short = Number(edge.toPrecision(1));
  return Math.abs(edge / short - 1) < 0.01 && [1, 2, 5].includes(Number(short.toExponential().split('e')[0]));
}

const mostCells = 2000; // of the heat map's table

// percentileLines are the percentiles of each span of time.
function percentileLines(run, scale) {
  const h = run.heat, l = h.lines, time = timeOf(run, scale);
  const kinds = [['p50', 'blue', { width: 2.5 }], ['p90', 'green', {}], ['p99', 'orange', {}], ['max', 'grey', { type: [3, 3] }]];
  const title = (k) => (k === 'max' ? 'longest' : k);
  const at = (i) => Number((i * h.step).toFixed(3));
  const points = (list) => list.flatMap((v, i) => (v > 0 ? [[at(i), v], [at(i + 1), v]] : [[at(i), null]]));
  return picture({
    time, name: scale.many ? run.name + ': percentiles' : 'Percentiles', height: '17rem', empty: h.cells.length ? null : noTimes(run),
    label: 'Percentiles of response time over time: ' + kinds.map(([k]) => title(k) + ' at most ' + duration(highest(l[k]))).join(', '),
    option: () => {
      const c = colours(), o = common(c, time);
      o.tooltip.formatter = tip(time, duration);
      o.grid = { left: 58, right: 16, top: 34, bottom: 28 };
      o.xAxis = timeAxis(c, time, time.end());
      o.yAxis = axis(c, Object.assign({ axisLabel: { color: c.soft, fontSize: 11, formatter: tick } }, scale.lines));
      o.series = kinds.map(([k, colour, style], i) => line(title(k), points(l[k]), c[colour], { step: false, lineStyle: Object.assign({ color: c[colour], width: 1.5 }, style), z: 5 - i, markArea: i ? undefined : warmUp(c, run) }));
      return o;
    },
    table: () => ({
      head: ['due from', ...kinds.map(([k]) => title(k))],
      rows: l.p50.map((_, i) => [moment(i * h.step), ...kinds.map(([k]) => (l[k][i] > 0 ? duration(l[k][i]) : '-'))]),
    }),
  });
}

// linesAxis is the axis of times that the percentile lines of all runs share.
function linesAxis(runs) {
  const all = runs.flatMap((r) => [r.heat.lines.p50, r.heat.lines.max]).flat().filter((v) => v > 0);
  const low = all.reduce((a, b) => Math.min(a, b), Infinity), high = all.reduce((a, b) => Math.max(a, b), 1e-6);
  if (!(high / low > 30)) return { min: 0, max: nice(high) };
  return { type: 'log', logBase: 10, min: Math.pow(10, Math.floor(Math.log10(low))), max: Math.pow(10, Math.ceil(Math.log10(high))) };
}

// heatMap has a cell for each span of time and range of response times; failures are
// bars of their own colour in it.
function heatMap(run, scale) {
  const h = run.heat, time = timeOf(run, scale);
  // All runs have the same rows, so that their maps can be compared.
  const rows = scale.rows, place = h.rows.map((edge) => rows.indexOf(edge));
  const name = (row) => 'up to ' + tick(h.rows[row]);
  const from = (row) => (row > 0 ? tick(rows[row - 1]) + ' to ' : 'up to ') + tick(rows[row]);
  const top = (cells) => cells.reduce((n, cell) => Math.max(n, cell[2]), 1);
  const most = top(h.cells), failures = h.failed.reduce((n, cell) => n + cell[2], 0);
  const cells = (list) => list.map(([x, y, n]) => [Number((x * h.step).toFixed(3)), place[y], Math.log10(n), n]);
  // A failure's bar is lower than a cell, so that the cell behind it stays visible.
  const cell = (share, least) => (params, api) => {
    const a = api.coord([api.value(0), api.value(1)]), b = api.coord([api.value(0) + h.step, api.value(1)]), height = Math.max(api.size([0, 1])[1] * share, least);
    const rect = echarts.graphic.clipRectByRect({ x: a[0], y: a[1] - height / 2, width: Math.max(b[0] - a[0], least), height }, params.coordSys);
    return rect && { type: 'rect', shape: rect, style: { fill: api.visual('color'), opacity: api.style().opacity } };
  };
  return picture({
    time, name: scale.many ? run.name + ': every response' : 'Every response', empty: h.cells.length || h.failed.length ? null : run.doc.counts.ok || run.doc.counts.failed ? without(run, 'no response was recorded.') : 'no response arrived, and no request failed.', height: '17rem',
    label: 'Heat map of response times over time' + (h.rows.length ? ', from ' + name(0) + ' to ' + name(h.rows.length - 1) : '') + (failures ? '; ' + integer(failures) + ' failures' : '; no failures'),
    option: () => {
      const c = colours(), o = common(c, time);
      o.legend.data = h.failed.length ? ['failed'] : [];
      o.tooltip.trigger = 'item';
      o.tooltip.formatter = (i) => 'due at ' + instant(i.value[0], time.axis) + ' to ' + instant(Number((i.value[0] + h.step).toFixed(3)), time.axis) + '\ntook ' + from(i.value[1]) + '\n' + integer(i.value[3]) + (i.seriesName === 'failed' ? ' failed' : ' ok');
      o.grid = { left: 58, right: 16, top: 34, bottom: 28 };
      o.xAxis = timeAxis(c, time, time.end());
      o.yAxis = { type: 'category', data: rows.map((_, i) => i), axisTick: { show: false }, axisLine: { show: false }, splitLine: { show: false }, axisLabel: { color: c.soft, fontSize: 11, hideOverlap: true, interval: (i) => round(rows[i]), formatter: (v) => tick(Number(rows[v].toPrecision(1))) } };
      o.visualMap = {
        type: 'continuous', min: 0, max: Math.max(Math.log10(most), 0.3), dimension: 2, seriesIndex: 0, calculable: false, orient: 'horizontal', right: 16, top: 2, itemHeight: 90, itemWidth: 8,
        text: [integer(most), '1 ok'], textStyle: { color: c.soft, fontSize: 11 }, inRange: { color: c.ramp },
      };
      const series = (name, list, share, least, more) => Object.assign({ name, type: 'custom', renderItem: cell(share, least), encode: { x: 0, y: 1 }, data: cells(list), progressive: 0, emphasis: { disabled: true } }, more);
      o.series = [series('ok', h.cells, 1, 1), series('failed', h.failed, 0.7, 3, { itemStyle: { color: c.vermilion }, z: 3 })];
      return o;
    },
    table: () => {
      const all = [...h.cells.map((x) => [...x, 'ok']), ...h.failed.map((x) => [...x, 'failed'])].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
      return {
        head: ['due from', 'took', 'exchanges', ''],
        rows: all.slice(0, mostCells).map(([x, y, n, how]) => [moment(x * h.step), from(place[y]), integer(n), how])
          .concat(all.length > mostCells ? [['and ' + integer(all.length - mostCells) + ' more', '', '', '']] : []),
      };
    },
  });
}

// heatSection has the percentiles of each run over time beside all its responses.
function heatSection(runs, scale) {
  scale.lines = linesAxis(runs);
  return section('heat', 'Response times over time', 'The lines are percentiles of the responses that were due in each span of time; if few were due, p99 is close to the longest. A cell of the heat map is a span of time and a range of response times, and a stronger colour means more responses, on a logarithmic scale; failures have a colour of their own, at the time after which they failed. A band is one kind of response; a tall column is a stall.',
    runs.flatMap((r) => [percentileLines(r, scale), heatMap(r, scale)]));
}
