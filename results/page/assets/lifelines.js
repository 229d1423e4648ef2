// Connection lifelines: a lane for each connection, and the evidence of its failures.

const laneHeight = 20;

// firstLanes is how many lanes the chart shows first, failures before others; a button
// shows all.
const firstLanes = 24;

// drawing makes an element of an SVG that kabench drew. Its texts are escaped, and the
// page's policy runs no script in it.
function drawing(svg) {
  const parsed = new DOMParser().parseFromString(svg, 'image/svg+xml').documentElement;
  const figure = el('figure', { class: 'race', tabindex: '0' }, document.importNode(parsed, true));
  requestAnimationFrame(() => { figure.scrollLeft = figure.scrollWidth > figure.clientWidth ? 0.45 * figure.scrollWidth : 0; }); // on a phone: the space between client and server
  return figure;
}

// raceCaption says where the times of a drawn failure come from.
const raceCaption = (x) => (x.packets ? 'Drawn from its packets; a slanted line is a packet on its way.' : 'Drawn from the client\u2019s stamps. A dashed line is a packet whose moment at the server was not seen.')
  + ' Time runs down, to scale between the gaps marked with dots; the axis counts from the request.';

// The marks of the ends of connections, by the side that was first.
const endMarks = {
  us: { name: 'closed by us', symbol: 'path://M0,0 L3,0 L3,14 L0,14 Z', size: [3, 15], colour: (c) => c.green },
  peer: { name: 'closed by the server', symbol: 'path://M10,0 L10,12 L0,6 Z', size: [9, 12], colour: (c) => c.orange },
  reset: { name: 'reset by the server', symbol: 'path://M0,2 L2,0 L6,4 L10,0 L12,2 L8,6 L12,10 L10,12 L6,8 L2,12 L0,10 L4,6 Z', size: [11, 11], colour: (c) => c.wine },
  unknown: { name: 'closed, by whom is not known', symbol: 'emptyCircle', size: 8, colour: (c) => c.grey },
};

function lifelines(run, scale) {
  const l = run.lifelines;
  const panel = el('div', { class: 'panel' }, scale.many ? el('h3', {}, run.name) : null);
  if (!l.lanes.length) {
    panel.append(el('p', { class: 'empty' }, 'None: ' + without(run, 'no connection was recorded.')));
    return { panel };
  }
  const state = { all: l.lanes.length <= firstLanes, selected: -1, lane: -1 };
  // lanes are those shown: while the page is zoomed, only those with something in that time.
  const lanes = () => {
    const part = zoomOf(time.axis);
    const list = part ? l.lanes.filter((lane) => inside(lane, part)) : l.lanes;
    return state.all ? list : list.slice(0, firstLanes);
  };
  const since = (lane) => (lane.opened >= 0 ? lane.opened : lane.exchanges.length ? lane.exchanges[0].leased : 0);
  const inside = (lane, part) => since(lane) <= part[1] && lane.ended >= part[0];
  const title = (lane) => (lane.conn ? 'conn ' + lane.conn : 'no conn');
  const time = timeOf(run, scale), end = time.end();
  const failures = l.lanes.flatMap((lane, y) => lane.exchanges.map((x) => ({ lane, x, y })).filter((f) => f.x.failed));
  const nths = new Map(failures.map((f, i) => [f.x, i])); // a failure's number
  const evidence = el('div', { class: 'evidence', hidden: true, role: 'region', 'aria-label': 'Evidence of a failure', tabindex: '-1', 'aria-live': 'polite' });
  const said = el('p', { class: 'unseen', role: 'status' }); // the selected failure, for screen readers

  const chart = picture({
    time,
    label: 'Lifelines of ' + l.lanes.length + ' connections with ' + failures.length + ' failures. The left and right arrow keys move between failures, Enter opens the evidence; up and down move between lanes and say how each ended.',
    option: (drawn) => option(drawn),
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
  // size makes the chart as high as its lanes need.
  const size = (list, drawn) => {
    const height = Math.max(list.length, 1) * laneHeight + 70 + 'px';
    if (box.style.height === height) return;
    box.style.height = height;
    if (drawn) drawn.resize();
  };
  size(lanes());
  box.addEventListener('keydown', (e) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[e.key], row = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (step && failures.length) {
      e.preventDefault();
      select((Math.max(state.selected, step < 0 ? 0 : -1) + step + failures.length) % failures.length);
    } else if (row) {
      e.preventDefault();
      tell((Math.max(state.lane, row < 0 ? 0 : -1) + row + l.lanes.length) % l.lanes.length);
    } else if (e.key === 'Enter' && failures.length) {
      e.preventDefault();
      open(Math.max(state.selected, 0), true);
    }
  });

  // tell says how the connection of a lane ended.
  function tell(y) {
    state.lane = y;
    said.textContent = 'Lane ' + (y + 1) + ' of ' + l.lanes.length + ': ' + title(l.lanes[y]) + ', ' + l.lanes[y].how;
    show(y);
  }

  // show draws the chart again, with all of the time and all lanes if lane y is not there else.
  function show(y) {
    const part = zoomOf(time.axis);
    if (part && !inside(l.lanes[y], part)) resetZoom();
    if (lanes().includes(l.lanes[y])) draw(chart);
    else showAll();
  }

  function select(i) {
    state.selected = i;
    state.lane = failures[i].y;
    said.textContent = 'Failure ' + (i + 1) + ' of ' + failures.length + ': request ' + failures[i].x.seq + ', ' + failures[i].x.outcome;
    show(failures[i].y);
  }

  function showAll() {
    state.all = true;
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

  // zoomOnto shows the milliseconds around a failure, in all charts of time.
  function zoomOnto(x) {
    const length = Math.max(x.done - x.leased, 0.2e-3);
    zoomTo(x.leased - length, x.done + length, time.axis);
    box.scrollIntoView({ block: 'nearest' });
  }

  // open shows the evidence of a failure.
  function open(i, focus) {
    const { lane, x } = failures[i];
    select(i);
    const close = el('button', { type: 'button', click: () => { evidence.hidden = true; box.focus(); } }, 'Close');
    const near = el('button', { type: 'button', click: () => zoom(lane) }, 'Zoom to this connection');
    const closer = el('button', { type: 'button', click: () => zoomOnto(x) }, 'Zoom to this failure');
    evidence.replaceChildren(
      el('header', {}, el('h3', {}, 'Request ' + x.seq + (lane.conn ? ' on connection ' + lane.conn + ', use ' + x.use : ', on no connection') + ': ' + x.outcome), el('div', { class: 'buttons' }, closer, lane.conn ? near : null, close)),
      el('p', { class: 'how' }, (lane.conn ? 'The connection: ' : '') + lane.how + '.'),
      x.facts && x.facts.length ? el('ul', {}, ...x.facts.map((f) => el('li', {}, f))) : el('p', { class: 'how' }, 'The record has only its times: leased at ' + moment(x.leased) + ', done at ' + moment(x.done) + '.'),
      x.race ? drawing(x.race) : null,
      x.race ? el('p', { class: 'how' }, raceCaption(x)) : null,
      x.ladder && x.ladder.length ? el('h3', {}, x.packets ? 'Its packets, with kabench\u2019s stamps between them; times are the client\u2019s' : run.doc.packets ? 'Its stamps; packets are kept for some failures only' : 'Its stamps; packets are visible only in a private network') : null,
      x.ladder && x.ladder.length ? el('pre', { tabindex: '0' }, x.ladder.join('\n')) : null,
    );
    evidence.hidden = false;
    evidence.dataset.seq = x.seq;
    if (focus) evidence.focus();
    evidence.scrollIntoView({ block: 'nearest' });
  }
  evidence.addEventListener('keydown', (e) => { if (e.key === 'Escape') { evidence.hidden = true; box.focus(); } });

  function option(drawn) {
    const c = colours(), o = common(c, time), list = lanes(), part = zoomOf(time.axis), span = part ? part[1] - part[0] : end;
    const exchanges = [], idle = [], left = [], timers = [], failed = [], ends = { us: [], peer: [], reset: [], unknown: [] };
    size(list, drawn);
    list.forEach((lane, y) => {
      // Between consecutive exchanges the connection was idle. Where exchanges are left out, this is unknown.
      let last = since(lane), use = 0;
      lane.exchanges.forEach((x, k) => {
        if (lane.conn && x.leased > last) {
          const missing = Math.max(x.use - use - 1, 0);
          const known = missing ? Math.min(Math.max(x.leased - x.idle, last), x.leased) : last; // x.idle is its idle time
          if (known > last) left.push({ value: [last, known, y, missing] });
          if (x.leased > known) idle.push({ value: [known, x.leased, y] });
        }
        last = Math.max(last, x.done);
        use = x.use;
        const nth = x.failed ? nths.get(x) : undefined;
        const colour = x.failed ? phaseColour(phaseOf(x.outcome)) : c.blue;
        exchanges.push({ value: [Math.max(x.leased, 0), x.done, y, x.seq, x.use, x.idle, x.outcome || ''], failure: nth, itemStyle: { color: colour, opacity: x.failed ? 1 : 0.75 } });
        if (x.failed) {
          failed.push({ value: [x.done, y, x.seq, x.outcome], failure: nth, symbolSize: nth === state.selected ? 17 : 10, itemStyle: { color: colour, borderColor: nth === state.selected ? c.ink : c.paper, borderWidth: nth === state.selected ? 2.5 : 1 } });
        }
        const next = lane.exchanges[k + 1], due = x.done + l.idle_timeout;
        // The timer restarts with each exchange: it is drawn where it ran out, and where a request failed just before.
        const until = next ? next.leased : lane.end && lane.end.uses <= x.use ? lane.end.at : -1;
        if (lane.conn && l.idle_timeout > 0 && !x.failed && (!next || next.use <= x.use + 1) && until >= due - (next && next.failed ? 0.1 : 0.002) * l.idle_timeout && due <= end * 1.02) timers.push([due, y]);
      });
      if (!lane.end) return;
      const missing = lane.exchanges.length ? Math.max(lane.end.uses - use, 0) : 0;
      const known = missing ? Math.max(lane.end.at - Math.max(lane.end.idle, 0), last) : last;
      if (known > last) left.push({ value: [last, known, y, missing] });
      if (lane.end.at > known) idle.push({ value: [known, lane.end.at, y] });
      const over = lane.exchanges.some((x) => x.failed && Math.abs(x.done - lane.end.at) < 0.02 * span); // the failure's diamond is there
      ends[lane.end.by].push({ value: [lane.end.at, y], symbolOffset: over ? [9, 0] : undefined });
    });
    const marks = Object.entries(endMarks).filter(([by]) => ends[by].length);
    o.legend.data = ['exchange', 'idle', ...(left.length ? ['exchanges left out'] : []), ...(l.idle_timeout > 0 ? ['the server\u2019s timer'] : []), ...marks.map(([, m]) => m.name), ...(failures.length ? ['failure'] : [])].map((name) => {
      const mark = marks.find(([, m]) => m.name === name);
      return mark ? { name, icon: mark[1].symbol } : name;
    });
    o.legend.itemHeight = 9;
    o.tooltip.trigger = 'item';
    o.tooltip.formatter = (i) => {
      if (i.seriesName === 'exchange') {
        const [from, to, , seq, use, age, how] = i.value;
        return 'request ' + seq + ', use ' + use + '\n' + moment(from) + ', took ' + duration(to - from) + (age > 0 ? '\nidle before: ' + duration(age) : '') + (how ? '\n' + how : '');
      }
      if (i.seriesName === 'failure') return 'request ' + i.value[2] + '\n' + i.value[3] + '\nclick for its evidence';
      if (i.seriesName === 'exchanges left out') return title(list[i.value[2]]) + '\n' + integer(i.value[3]) + (i.value[3] === 1 ? ' exchange is' : ' exchanges are') + ' not shown';
      if (i.seriesName === 'idle') return title(list[i.value[2]]) + '\n' + list[i.value[2]].how;
      if (i.seriesName !== 'the server\u2019s timer') return title(list[i.value[1]]) + ': ' + list[i.value[1]].how + '\n' + exactly(i.value[0]);
      return 'the server\u2019s timer: ' + tick(l.idle_timeout) + ' after the last exchange';
    };
    o.grid = { left: 78, right: 16, top: 34, bottom: 28 };
    o.xAxis = timeAxis(c, time, end, { interval: null, splitNumber: 6, splitLine: { show: true, lineStyle: { color: c.line } } });
    o.yAxis = { type: 'category', inverse: true, data: list.map(title), axisTick: { show: false }, axisLine: { show: false }, axisLabel: { color: (v, y) => (list[y] === l.lanes[state.lane] ? c.ink : c.soft), fontSize: 11, interval: 0 }, splitLine: { show: false } };
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
      ...marks.map(([by, m]) => ({ name: m.name, type: 'scatter', symbol: m.symbol, symbolSize: m.size, data: ends[by], itemStyle: { color: m.colour(c) }, z: 3 })),
      { name: 'failure', type: 'scatter', symbol: 'diamond', symbolSize: 10, data: failed, itemStyle: { color: c.vermilion }, z: 4, cursor: 'pointer' },
    ];
    if (!list.length) o.graphic = none(c, 'middle');
    return o;
  }

  // listed returns some failures of each kind, failures with packets first.
  function listed() {
    const each = {};
    return failures.map((f, i) => ({ f, i })).sort((a, b) => (b.f.x.packets ? 1 : 0) - (a.f.x.packets ? 1 : 0))
      .filter(({ f }) => (each[f.x.outcome] = (each[f.x.outcome] || 0) + 1) <= 3).slice(0, 12);
  }

  // firstRace is the picture of the first failure that is drawn, so that it is seen without a click.
  function firstRace() {
    const first = listed().find(({ f }) => f.x.race);
    if (!first) return null;
    const { x, lane } = first.f;
    return el('div', { class: 'first-race' },
      el('header', {}, el('h3', {}, 'One failure, to scale: request ' + x.seq + ' on connection ' + lane.conn), el('div', { class: 'buttons' }, el('button', { type: 'button', click: () => zoomOnto(x) }, 'Zoom to this failure'))),
      drawing(x.race), el('p', { class: 'how' }, raceCaption(x)));
  }

  const more = el('button', { type: 'button', hidden: state.all, click: showAll }, 'Show all ' + l.lanes.length + ' lanes');
  const list = el('ul', { class: 'failures', 'aria-label': 'Failures on these connections' },
    ...listed().map(({ f, i }) => el('li', {}, el('button', { type: 'button', 'data-failure': i, click: () => open(i, true) }, 'Request ' + f.x.seq + ': ' + f.x.outcome))));
  panel.append(...[chart.panel, more, firstRace(), failures.length ? list : null, said, evidence].filter(Boolean));
  chart.panel.classList.remove('panel');
  return { panel };
}
