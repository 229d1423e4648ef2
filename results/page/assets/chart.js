// A picture is a heading, a caption that says how to read it, the chart, and its data
// as a table for readers who cannot see it.

const charts = []; // all pictures of the page

// picture makes a panel. option() is called whenever the chart is drawn, for example
// in the colours of a printed page; table() when a reader opens the table. A chart of
// time has `time`, the name and the end of its axis.
function picture({ name, label, height, option, table, ready, empty, time }) {
  const box = el('div', { class: 'chart', role: 'img', 'aria-label': label });
  const panel = el('div', { class: 'panel' }, name ? el('h3', {}, name) : null);
  if (empty) {
    panel.append(el('p', { class: 'empty' }, 'None: ' + empty));
    return { panel, box: null };
  }
  if (height) box.style.height = height;
  const chart = { panel, box, option, ready, time, drawn: null };
  panel.append(time ? overlay(chart) : box);
  if (table) panel.append(tableOf('Data of this chart as a table', table));
  charts.push(chart);
  return chart;
}

// tableOf makes a table that is filled when it is opened.
function tableOf(summary, table) {
  const details = el('details', {}, el('summary', {}, summary));
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) {
      const { head, rows, wide } = table();
      details.append(scroll(head, rows, wide));
    }
  });
  return details;
}

// scroll makes a table of texts; a cell may be an element.
function scroll(head, rows, textColumns, all) {
  const text = (i) => ((textColumns || []).includes(i) ? 'text' : null);
  const cell = (tag) => (c, i) => el(tag, { class: (c && c.bad ? 'bad' : text(i)) || null, scope: tag === 'th' ? 'col' : null }, c && c.bad ? c.bad : c);
  return el('div', { class: all ? 'scroll all' : 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Table' },
    el('table', {}, el('thead', {}, el('tr', {}, ...head.map(cell('th')))),
      el('tbody', {}, ...rows.map((r) => el('tr', {}, el('th', { scope: 'row' }, r[0]), ...r.slice(1).map((c, i) => cell('td')(c, i + 1)))))));
}

let library = false; // whether the chart library is loaded

function draw(chart) {
  if (!library) return;
  if (!chart.drawn) {
    chart.drawn = echarts.init(chart.box, null, { renderer: 'canvas', devicePixelRatio: Math.max(2, window.devicePixelRatio || 1) });
    if (chart.ready) chart.ready(chart.drawn);
  }
  chart.drawn.setOption(chart.option(chart.drawn), { notMerge: true, lazyUpdate: false });
  chart.box.dataset.drawn = 'yes';
  placeCursor(chart);
}

// drawAll draws the charts one by one, so that the page stays responsive.
function drawAll() {
  const next = charts.find((chart) => !chart.drawn);
  if (!next || !library) return;
  draw(next);
  setTimeout(drawAll, 0);
}

function forget(chart) {
  const i = charts.indexOf(chart);
  if (i >= 0) charts.splice(i, 1);
  if (chart.drawn) chart.drawn.dispose();
}

// fit draws every chart again in the width that it has now.
function fit() {
  for (const chart of charts) {
    if (!chart.drawn) continue;
    chart.drawn.resize({ width: 'auto', animation: { duration: 0 } });
    draw(chart);
    chart.drawn.getZr().flush();
  }
}

let pending = 0;
window.addEventListener('resize', () => {
  cancelAnimationFrame(pending);
  pending = requestAnimationFrame(() => { if (!printing) fit(); });
});
wantsDark.addEventListener('change', fit);

// On paper all charts are drawn, in the light colours, in the width of the paper.
const paperWidth = 680; // CSS pixels between the margins of A4
window.addEventListener('beforeprint', () => {
  printing = true;
  for (const shut of document.querySelectorAll('.notes details:not([open])')) { // nobody can open them on paper
    shut.open = true;
    shut.dataset.printed = 'yes';
  }
  for (const chart of charts) {
    const columns = chart.box.closest('.panels.many') ? 2 : chart.box.closest('.multiples') ? 2 : 1;
    draw(chart);
    if (!chart.drawn) continue;
    chart.drawn.resize({ width: (paperWidth - 24 * (columns - 1)) / columns, animation: { duration: 0 } });
    chart.drawn.getZr().flush();
  }
});
window.addEventListener('afterprint', () => {
  printing = false;
  for (const shut of document.querySelectorAll('details[data-printed]')) {
    shut.open = false;
    delete shut.dataset.printed;
  }
  fit();
});

// common is what all charts have. The cursor of a chart of time is drawn by its overlay.
function common(c, time) {
  return {
    animation: false,
    backgroundColor: 'transparent',
    textStyle: { fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif', color: c.soft },
    grid: { left: 8, right: 16, top: 40, bottom: 8, containLabel: true },
    // Tooltips are drawn on the canvas: a text in them is never markup.
    tooltip: { trigger: 'axis', renderMode: 'richText', confine: true, backgroundColor: c.card, borderColor: c.line, borderWidth: 1, padding: [8, 10], textStyle: { color: c.ink, fontSize: 12 }, axisPointer: time ? { type: 'none' } : { lineStyle: { color: c.soft, width: 1 } } },
    legend: { type: printing ? 'plain' : 'scroll', left: 0, top: 0, icon: 'roundRect', itemWidth: 14, itemHeight: 4, itemGap: printing ? 8 : 16, textStyle: { color: c.ink, fontSize: printing ? 10 : 12 }, pageIconSize: 10, pageTextStyle: { color: c.soft }, pageIconColor: c.soft, pageIconInactiveColor: c.line },
  };
}

function axis(c, more) {
  return Object.assign({
    type: 'value', axisLine: { show: false }, axisTick: { show: false }, nameTextStyle: { color: c.soft, fontSize: 11, align: 'left' },
    axisLabel: { color: c.soft, fontSize: 11, hideOverlap: true }, splitLine: { lineStyle: { color: c.line, width: 1 } }, minorSplitLine: { show: false },
  }, more);
}

// timeStep is a round time that fits at most most times into end seconds.
function timeStep(end, most) {
  const minutes = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
  if (end / most > 30) return minutes.find((s) => s * most >= end) || Math.ceil(end / most / 86400) * 86400;
  const unit = Math.pow(10, Math.floor(Math.log10(end / most)));
  return Number(([1, 2, 5, 10].concat(unit === 10 ? [1.5, 3, 6] : []).sort((a, b) => a - b).find((m) => m * unit >= end / most) * unit).toPrecision(3));
}

// timeAxis is the axis of a chart of time, which shows the part that all of them show.
// end is where it ends if that is all of the time.
function timeAxis(c, time, end, more) {
  const part = zoomPart(time.axis, 6), at = part.ticks;
  const o = Object.assign({
    min: 0, max: end, interval: timeStep(end, 6), splitLine: { show: false }, axisLine: { show: true, lineStyle: { color: c.line } },
    axisLabel: { color: c.soft, fontSize: 11, hideOverlap: true, showMaxLabel: false, formatter: (v) => moment(v) },
  }, more);
  if (at) {
    Object.assign(o, { min: part.min, max: part.max, interval: null, axisTick: { show: false, customValues: at } });
    o.splitLine = Object.assign({}, o.splitLine, { customValues: at });
    o.axisLabel = Object.assign({}, o.axisLabel, { customValues: at, formatter: part.label, showMaxLabel: null });
  }
  return axis(c, o);
}

// limitLine is a labelled line across a chart.
function limitLine(c, list) {
  return {
    silent: true, symbol: 'none', animation: false,
    lineStyle: { color: c.soft, type: [5, 4], width: 1 },
    label: { color: c.soft, fontSize: 11, position: 'insideEndTop', distance: 4 },
    data: list,
  };
}
