// Connection lifelines: a lane for each connection, and the evidence of its failures.

const laneHeight = 20;

// firstLanes is how many lanes the chart shows first, failures before others; a button
// shows all.
const firstLanes = 24;

// drawing makes an element of an SVG that kabench drew. Its texts are escaped, and the
// page's policy runs no script in it.
function drawing(svg) {
  const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;
  return el('figure', { class: 'race' }, document.importNode(parsed, true));
}

function lifelines(run, scale) {
  const l = run.lifelines;
  const panel = el('div', { class: 'panel' }, scale.many ? el('h3', {}, run.name) : null);
  if (!l.lanes.length) {
    panel.append(el('p', { class: 'empty' }, 'None: no connection was recorded.'));
    return { panel };
  }
  const state = { all: l.lanes.length <= firstLanes, selected: -1 };
  const lanes = () => (state.all ? l.lanes : l.lanes.slice(0, firstLanes));
  const title = (lane) => (lane.conn ? 'conn ' + lane.conn : 'no conn');
  const failures = l.lanes.flatMap((lane, y) => lane.exchanges.map((x) => ({ lane, x, y })).filter((f) => f.x.failed));
  const evidence = el('div', { class: 'evidence', hidden: true, role: 'region', 'aria-label': 'Evidence of a failure', tabindex: '-1', 'aria-live': 'polite' });
  const said = el('p', { class: 'unseen', role: 'status' }); // the selected failure, for screen readers
  const time = timeOf(run, scale), end = time.end();

  const chart = picture({
    time,
    label: 'Lifelines of ' + l.lanes.length + ' connections with ' + failures.length + ' failures. The left and right arrow keys move between failures, Enter opens the evidence.',
    option: () => option(),
    ready: (drawn) => {
      drawn.on('click', (e) => { if (e.data && e.data.failure != null) open(e.data.failure, false); });
    },
    table: () => ({
      head: ['connection', 'opened', 'last seen', 'exchanges shown', 'failures', 'how it ended'], wide: [5],
      rows: l.lanes.map((lane) => [title(lane), lane.opened < 0 ? 'not seen' : moment(lane.opened), moment(lane.ended), lane.exchanges.length, lane.exchanges.filter((x) => x.failed).length, lane.how]),
    }),
  });
  const box = chart.box;
  box.setAttribute('tabindex', '0');
  box.setAttribute('role', 'application');
  box.setAttribute('aria-roledescription', 'lifelines');
  const size = () => { box.style.height = lanes().length * laneHeight + 70 + 'px'; };
  size();
  box.addEventListener('keydown', (e) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    if (step && failures.length) {
      e.preventDefault();
      select((state.selected + step + failures.length) % failures.length);
    } else if (e.key === 'Enter' && failures.length) {
      e.preventDefault();
      open(Math.max(state.selected, 0), true);
    }
  });

  function select(i) {
    state.selected = i;
    said.textContent = 'Failure ' + (i + 1) + ' of ' + failures.length + ': request ' + failures[i].x.seq + ', ' + failures[i].x.outcome;
    if (failures[i].y >= lanes().length) showAll();
    else draw(chart);
  }

  function showAll() {
    state.all = true;
    size();
    if (chart.drawn) chart.drawn.resize();
    draw(chart);
    more.hidden = true;
  }

  // zoom shows the time from a connection's start to its end.
  function zoom(lane) {
    const from = lane.opened >= 0 ? Math.max(lane.opened, lane.exchanges[0].leased - 60) : lane.exchanges[0].leased;
    const margin = Math.max((lane.ended - from) * 0.1, 0.05);
    zoomTo(from - margin, lane.ended + margin, time.axis);
    box.scrollIntoView({ block: 'nearest' });
  }

  // open shows the evidence of a failure.
  function open(i, focus) {
    const { lane, x } = failures[i];
    select(i);
    const close = el('button', { type: 'button', click: () => { evidence.hidden = true; box.focus(); } }, 'Close');
    const near = el('button', { type: 'button', click: () => zoom(lane) }, 'Zoom to this connection');
    evidence.replaceChildren(
      el('header', {}, el('h3', {}, 'Request ' + x.seq + (lane.conn ? ' on connection ' + lane.conn + ', use ' + x.use : ', on no connection') + ': ' + x.outcome), el('div', { class: 'buttons' }, lane.conn ? near : null, close)),
      el('p', { class: 'how' }, (lane.conn ? 'The connection: ' : '') + lane.how + '.'),
      x.facts && x.facts.length ? el('ul', {}, ...x.facts.map((f) => el('li', {}, f))) : el('p', { class: 'how' }, 'The record has only its times: leased at ' + moment(x.leased) + ', done at ' + moment(x.done) + '.'),
      x.race ? drawing(x.race) : null,
      x.ladder && x.ladder.length ? el('h3', {}, x.packets ? 'Its packets, with kabench\u2019s stamps between them; times are the client\u2019s' : run.doc.packets ? 'Its stamps; packets are kept for some failures only' : 'Its stamps; packets are visible only in a private network') : null,
      x.ladder && x.ladder.length ? el('pre', { tabindex: '0' }, x.ladder.join('\n')) : null,
    );
    evidence.hidden = false;
    evidence.dataset.seq = x.seq;
    if (focus) evidence.focus();
    evidence.scrollIntoView({ block: 'nearest' });
  }
  evidence.addEventListener('keydown', (e) => { if (e.key === 'Escape') { evidence.hidden = true; box.focus(); } });

  function option() {
    const c = colours(), o = common(c, time), list = lanes();
    const exchanges = [], idle = [], left = [], timers = [], failed = [];
    let nth = 0;
    list.forEach((lane, y) => {
      const opened = lane.opened >= 0 ? lane.opened : lane.exchanges.length ? lane.exchanges[0].leased : 0;
      // Between consecutive exchanges the connection was idle. Where exchanges are left out, this is unknown.
      let since = opened, use = 0;
      lane.exchanges.forEach((x, k) => {
        if (lane.conn && x.leased > since) {
          const missing = Math.max(x.use - use - 1, 0);
          const known = missing ? Math.min(Math.max(x.leased - x.idle, since), x.leased) : since; // x.idle is its idle time
          if (known > since) left.push({ value: [since, known, y, missing] });
          if (x.leased > known) idle.push({ value: [known, x.leased, y] });
        }
        since = Math.max(since, x.done);
        use = x.use;
        const colour = x.failed ? phaseColour(phaseOf(x.outcome)) : c.blue;
        exchanges.push({ value: [Math.max(x.leased, 0), x.done, y, x.seq, x.use, x.idle, x.outcome || ''], failure: x.failed ? nth : undefined, itemStyle: { color: colour, opacity: x.failed ? 1 : 0.75 } });
        if (x.failed) {
          failed.push({ value: [x.done, y, x.seq, x.outcome], failure: nth, symbolSize: nth === state.selected ? 17 : 10, itemStyle: { color: colour, borderColor: nth === state.selected ? c.ink : c.paper, borderWidth: nth === state.selected ? 2.5 : 1 } });
          nth++;
        }
        const next = lane.exchanges[k + 1];
        const due = x.done + l.idle_timeout;
        // The timer restarts with each exchange: it is drawn where it ran out, or almost did.
        if (lane.conn && l.idle_timeout > 0 && !x.failed && (!next || next.use <= x.use + 1 && next.leased >= due - 0.1 * l.idle_timeout) && due <= end * 1.02) timers.push([due, y]);
      });
    });
    o.legend.data = ['exchange', 'idle', ...(left.length ? ['exchanges left out'] : []), ...(l.idle_timeout > 0 ? ['the server\u2019s timer'] : []), 'failure'];
    o.tooltip.trigger = 'item';
    o.tooltip.formatter = (i) => {
      if (i.seriesName === 'exchange') {
        const [from, to, , seq, use, age, how] = i.value;
        return 'request ' + seq + ', use ' + use + '\n' + moment(from) + ', took ' + duration(to - from) + (age > 0 ? '\nidle before: ' + duration(age) : '') + (how ? '\n' + how : '');
      }
      if (i.seriesName === 'failure') return 'request ' + i.value[2] + '\n' + i.value[3] + '\nclick for its evidence';
      if (i.seriesName === 'exchanges left out') return title(list[i.value[2]]) + '\n' + integer(i.value[3]) + (i.value[3] === 1 ? ' exchange is' : ' exchanges are') + ' not shown';
      if (i.seriesName === 'idle') return title(list[i.value[2]]) + '\n' + list[i.value[2]].how;
      return 'the server\u2019s timer: ' + tick(l.idle_timeout) + ' after the last exchange';
    };
    o.grid = { left: 78, right: 16, top: 34, bottom: 28 };
    o.xAxis = timeAxis(c, time, end, { interval: null, splitNumber: 6, splitLine: { show: true, lineStyle: { color: c.line } } });
    o.yAxis = { type: 'category', inverse: true, data: list.map(title), axisTick: { show: false }, axisLine: { show: false }, axisLabel: { color: c.soft, fontSize: 11, interval: 0 }, splitLine: { show: false } };
    const bar = (half, least) => (params, api) => {
      const a = api.coord([api.value(0), api.value(2)]), b = api.coord([api.value(1), api.value(2)]);
      const rect = echarts.graphic.clipRectByRect({ x: a[0], y: a[1] - half, width: Math.max(b[0] - a[0], least), height: 2 * half }, { x: params.coordSys.x, y: params.coordSys.y, width: params.coordSys.width, height: params.coordSys.height });
      return rect && { type: 'rect', shape: rect, style: { fill: api.visual('color'), opacity: api.style().opacity } };
    };
    o.series = [
      { name: 'exchanges left out', type: 'custom', renderItem: bar(3, 1), encode: { x: [0, 1], y: 2 }, data: left, itemStyle: { color: c.sky, opacity: 0.45 }, z: 1 },
      { name: 'idle', type: 'custom', renderItem: bar(1, 1), encode: { x: [0, 1], y: 2 }, data: idle, itemStyle: { color: c.grey, opacity: 0.55 }, z: 1 },
      { name: 'exchange', type: 'custom', renderItem: bar(5, 2), encode: { x: [0, 1], y: 2 }, data: exchanges, itemStyle: { color: c.blue }, z: 2 },
      { name: 'the server\u2019s timer', type: 'scatter', symbol: 'rect', symbolSize: [2, 13], data: timers, itemStyle: { color: c.ink, opacity: 0.8 }, z: 3 },
      { name: 'failure', type: 'scatter', symbol: 'diamond', symbolSize: 10, data: failed, itemStyle: { color: c.vermilion }, z: 4, cursor: 'pointer' },
    ];
    return o;
  }

  // listed returns some failures of each kind, failures with packets first.
  function listed() {
    const each = {};
    return failures.map((f, i) => ({ f, i })).sort((a, b) => (b.f.x.packets ? 1 : 0) - (a.f.x.packets ? 1 : 0))
      .filter(({ f }) => (each[f.x.outcome] = (each[f.x.outcome] || 0) + 1) <= 3).slice(0, 12);
  }

  const more = el('button', { type: 'button', hidden: state.all, click: showAll }, 'Show all ' + l.lanes.length + ' lanes');
  const list = el('ul', { class: 'failures', 'aria-label': 'Failures on these connections' },
    ...listed().map(({ f, i }) => el('li', {}, el('button', { type: 'button', 'data-failure': i, click: () => open(i, true) }, 'Request ' + f.x.seq + ': ' + f.x.outcome))));
  panel.append(chart.panel, more, failures.length ? list : '', said, evidence);
  chart.panel.classList.remove('panel');
  return { panel };
}
