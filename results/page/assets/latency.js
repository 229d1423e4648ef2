// Charts of response times: percentile curves, and a heat map.

function curves(run, scale) {
  return picture({
    name: scale.many ? run.name : null, empty: run.response.length ? null : 'No request succeeded, so there are no times.',
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

function heatMap(run, scale) {
  const h = run.heat;
  const columns = Math.max(Math.ceil(scale.end(run) / h.step), h.cells.reduce((n, cell) => Math.max(n, cell[0] + 1), 1));
  // All runs have the same rows, so that their maps can be compared.
  const rows = scale.rows, place = h.rows.map((edge) => rows.indexOf(edge));
  const name = (row) => 'up to ' + tick(h.rows[row]);
  const from = (row) => (row > 0 ? tick(rows[row - 1]) + ' to ' : 'up to ') + tick(rows[row]);
  const most = h.cells.reduce((n, cell) => Math.max(n, cell[2]), 1);
  return picture({
    name: scale.many ? run.name : null, empty: h.cells.length ? null : 'No response arrived.', height: '17rem',
    label: 'Heat map of response times over time' + (h.rows.length ? ', from ' + name(0) + ' to ' + name(h.rows.length - 1) : ''),
    option: () => {
      const c = colours(), o = common(c);
      delete o.legend;
      o.tooltip.trigger = 'item';
      o.tooltip.formatter = (i) => 'due at ' + moment(i.value[0] * h.step) + ' to ' + moment((i.value[0] + 1) * h.step) + '\ntook ' + from(i.value[1]) + '\n' + integer(i.value[3]) + (i.value[3] === 1 ? ' exchange' : ' exchanges');
      o.grid = { left: 58, right: 16, top: 30, bottom: 28 };
      // A column has a label when a round time falls into it.
      const every = timeStep(columns * h.step, 6), label = (i) => Number((Math.floor(((Number(i) + 1) * h.step - 1e-6) / every) * every).toFixed(3));
      o.xAxis = {
        type: 'category', data: Array.from({ length: columns }, (_, i) => i), axisTick: { show: false }, axisLine: { lineStyle: { color: c.line } }, splitLine: { show: false },
        axisLabel: { color: c.soft, fontSize: 11, hideOverlap: true, interval: (i) => i === 0 || label(i) !== label(i - 1), formatter: (i) => moment(label(i)) },
      };
      o.yAxis = { type: 'category', data: rows.map((_, i) => i), axisTick: { show: false }, axisLine: { show: false }, splitLine: { show: false }, axisLabel: { color: c.soft, fontSize: 11, hideOverlap: true, interval: (i) => round(rows[i]), formatter: (v) => tick(Number(rows[v].toPrecision(1))) } };
      o.visualMap = {
        type: 'continuous', min: 0, max: Math.max(Math.log10(most), 0.3), dimension: 2, seriesIndex: 0, calculable: false, orient: 'horizontal', right: 16, top: 2, itemHeight: 90, itemWidth: 8,
        text: [integer(most), '1 exchange'], textStyle: { color: c.soft, fontSize: 11 }, inRange: { color: c.ramp },
      };
      o.series = [{ type: 'heatmap', data: h.cells.map(([x, y, n]) => [x, place[y], Math.log10(n), n]), progressive: 0, emphasis: { disabled: true }, itemStyle: { borderWidth: 0 } }];
      return o;
    },
    table: () => ({
      head: ['due from', 'took', 'exchanges'],
      rows: h.cells.slice(0, mostCells).map(([x, y, n]) => [moment(x * h.step), from(place[y]), integer(n)])
        .concat(h.cells.length > mostCells ? [['and ' + integer(h.cells.length - mostCells) + ' more', '', '']] : []),
    }),
  });
}
