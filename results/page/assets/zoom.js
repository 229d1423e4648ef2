// All charts of time share one part of the time (the zoom) and one instant (the cursor).
// Runs of about the same length share both; a run much shorter or longer has its own.
//
// An axis of time is named by scale.axis(run). A chart of time passes `time: { axis, end }`
// to picture() and takes its axis from timeAxis().

const leastZoom = 10e-6; // seconds; the stamps of a record have microseconds

const zooms = new Map(); // name of an axis -> [from, to] in seconds; none: the whole run
const cursor = { axis: null, at: 0, over: -1 };
let choosing = null; // the chart in which a part is being chosen: a live page is not drawn again meanwhile

const wholeOf = (axis) => charts.reduce((end, chart) => (chart.time && chart.time.axis === axis ? Math.max(end, chart.time.end()) : end), 0);

// zoomOf is the part of the time that the charts of an axis show, or null if they show all of it.
const zoomOf = (axis) => zooms.get(axis || '') || null;

// zoomTo makes all charts of an axis show the time between two moments, in seconds since
// the start of the run.
function zoomTo(from, to, axis) {
  axis = axis || '';
  const end = wholeOf(axis), length = Math.min(Math.max(to - from, leastZoom), end);
  if (!(length > 0)) return;
  const begin = Math.min(Math.max((from + to - length) / 2, 0), end - length);
  if (length >= end * 0.999) zooms.delete(axis);
  else zooms.set(axis, [begin, begin + length]);
  zoomed(axis);
}

// resetZoom shows all of the time again, in every chart.
function resetZoom() {
  const before = [...zooms.keys()];
  zooms.clear();
  before.forEach(zoomed);
}

// zoomBy makes the part shown longer by a factor, around a moment, and moves it by a
// part of its length.
function zoomBy(axis, factor, around, move) {
  const [from, to] = zoomOf(axis) || [0, wholeOf(axis)];
  const at = around == null ? (from + to) / 2 : around, by = (move || 0) * (to - from);
  const a = at + (from - at) * factor + by, b = at + (to - at) * factor + by;
  const inside = Math.max(0, -a) + Math.min(0, wholeOf(axis) - b); // as long as before, if it can be
  zoomTo(factor > 1 ? Math.max(a, 0) : a + inside, factor > 1 ? Math.min(b, wholeOf(axis)) : b + inside, axis);
}

const redraws = new Set();
function zoomed(axis) {
  showZoom();
  if (!redraws.size) {
    requestAnimationFrame(() => {
      for (const chart of charts) if (chart.time && redraws.has(chart.time.axis) && chart.drawn) draw(chart);
      redraws.clear();
    });
  }
  redraws.add(axis);
}

// ticks are round moments between from and to, at most `most`.
function ticks(from, to, most) {
  const step = timeStep(to - from, most), list = [];
  for (let i = Math.ceil(from / step - 1e-9); i * step <= to + step * 1e-9; i++) list.push(Number((i * step).toFixed(9)));
  return list;
}

// timeLabel is the label of a tick. Where seconds are too coarse, the first tick is a
// moment, and the others say how much later they are.
function timeLabel(list) {
  const step = list.length > 1 ? list[1] - list[0] : 1;
  if (step >= 0.1) return (v) => moment(v);
  return (v) => (v === list[0] || list.length < 2 ? exactly(v) : '+' + tick(v - list[0]));
}

// exactly prints a moment with microseconds where it has them.
const exactly = (v) => (v < 120 ? Number(v.toFixed(6)) + ' s' : moment(Math.floor(v)) + ' + ' + tick(v - Math.floor(v)));

// instant prints a moment as exactly as the zoom of its axis needs it.
function instant(v, axis) {
  const zoom = zoomOf(axis);
  return zoom && zoom[1] - zoom[0] < 2 ? exactly(v) : moment(v);
}

// zoomPart is what an axis of time needs to show the zoom; {} if all is shown.
function zoomPart(axis, most) {
  const zoom = zoomOf(axis);
  if (!zoom) return {};
  const list = ticks(zoom[0], zoom[1], most), label = timeLabel(list);
  return { min: zoom[0], max: zoom[1], ticks: list, label };
}

// overlay is what lies over a chart of time: the cursor, and the part that is being chosen.
function overlay(chart) {
  const line = el('div', { class: 'cursor', hidden: true }, el('span', {}));
  const part = el('div', { class: 'choosing', hidden: true });
  const box = el('div', { class: 'time' }, chart.box, line, part);
  const axis = chart.time.axis;
  chart.cursor = line;
  const place = (e) => { const r = chart.box.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
  const inside = (e) => chart.drawn && chart.drawn.containPixel('grid', place(e));
  const momentAt = (e) => {
    const [from, to] = zoomOf(axis) || [0, chart.time.end()];
    return Math.min(Math.max(chart.drawn.convertFromPixel({ xAxisIndex: 0 }, place(e)[0]), from), to);
  };
  let down = null; // where a choice began
  const stop = () => {
    part.hidden = true;
    down = choosing = null;
  };
  box.addEventListener('pointerdown', (e) => {
    if (e.button === 0 && e.isPrimary && inside(e)) down = { x: e.clientX, at: momentAt(e), moved: false, id: e.pointerId };
  });
  box.addEventListener('pointermove', (e) => {
    if (down && !e.buttons) stop(); // it ended outside the page
    if (down && !down.moved && Math.abs(e.clientX - down.x) > 6) {
      down.moved = true;
      choosing = box;
      box.setPointerCapture(down.id);
    }
    if (down && down.moved) {
      const at = momentAt(e), [a, b] = [down.at, at].map((t) => chart.drawn.convertToPixel({ xAxisIndex: 0 }, t)).sort((p, q) => p - q);
      part.hidden = false;
      part.style.left = a + 'px';
      part.style.width = b - a + 'px';
      down.to = at;
    }
    if (chart.drawn && (down && down.moved || inside(e))) moveCursor(axis, momentAt(e), chart);
    else moveCursor(null);
    e.stopPropagation();
  });
  box.addEventListener('pointerup', () => {
    const chosen = down && down.moved ? [down.at, down.to] : null;
    if (chosen && box.contains(document.activeElement)) document.activeElement.blur(); // a live page waits for what has the focus
    stop();
    if (chosen && chosen[0] !== chosen[1]) zoomTo(Math.min(...chosen), Math.max(...chosen), axis);
  });
  box.addEventListener('pointercancel', stop);
  box.addEventListener('dblclick', (e) => { if (inside(e)) resetZoom(); });
  box.addEventListener('wheel', (e) => {
    if (!e.ctrlKey || !inside(e)) return;
    e.preventDefault();
    zoomBy(axis, Math.exp(Math.max(-1, Math.min(1, e.deltaY / 200))), momentAt(e));
  }, { passive: false });
  return box;
}

document.addEventListener('pointermove', () => moveCursor(null)); // the pointer is over no chart of time

// moveCursor shows an instant in all charts of an axis. The chart that the pointer is
// over says it in its tooltip, the others at the foot of the line.
function moveCursor(axis, at, chart) {
  if (axis === null && cursor.axis === null) return;
  Object.assign(cursor, { axis, at, over: charts.indexOf(chart) }); // by number: a live page makes its charts again
  charts.forEach(placeCursor);
}

function placeCursor(chart) {
  if (!chart.cursor) return;
  const [from, to] = zoomOf(chart.time.axis) || [0, chart.time.end()];
  const shown = chart.drawn && cursor.axis === chart.time.axis && cursor.at >= from && cursor.at <= to;
  chart.cursor.hidden = !shown;
  if (!shown) return;
  const x = chart.drawn.convertToPixel({ xAxisIndex: 0 }, cursor.at);
  chart.cursor.style.left = x + 'px';
  chart.cursor.classList.toggle('left', x > chart.box.clientWidth * 0.7);
  chart.cursor.firstChild.textContent = cursor.over === charts.indexOf(chart) ? '' : instant(cursor.at, chart.time.axis);
}

// The bar says what part is shown. It is visible while the page is zoomed, or while it
// has the keyboard's focus.
const bar = (() => {
  const act = (label, name, f) => el('button', { type: 'button', 'aria-label': name, title: name, click: f }, label);
  const each = (f) => () => { for (const axis of zooms.size ? [...zooms.keys()] : [...new Set(charts.filter((c) => c.time).map((c) => c.time.axis))].slice(0, 1)) f(axis); };
  const said = el('output', { 'aria-live': 'polite' });
  const part = el('i', {});
  const e = el('div', { class: 'zoom', role: 'toolbar', 'aria-label': 'Zoom of all charts of time' },
    said, el('span', { class: 'track', 'aria-hidden': 'true' }, part),
    act('\u2190', 'Earlier', each((axis) => zoomBy(axis, 1, null, -0.5))), act('\u2192', 'Later', each((axis) => zoomBy(axis, 1, null, 0.5))),
    act('+', 'Zoom in', each((axis) => zoomBy(axis, 0.5))), act('\u2212', 'Zoom out', each((axis) => zoomBy(axis, 2))),
    act('Reset zoom', 'Reset zoom: show all of the time', resetZoom));
  e.addEventListener('keydown', (event) => { if (event.key === 'Escape') resetZoom(); });
  return { e, said, part };
})();

function showZoom() {
  bar.e.classList.toggle('on', zooms.size > 0);
  const [first] = zooms;
  if (!first) {
    bar.said.textContent = 'All of the time is shown';
    bar.part.style.left = '0';
    bar.part.style.width = '100%';
    return;
  }
  const [axis, [from, to]] = first, end = wholeOf(axis);
  const digits = to - from < 2e-3 ? 6 : 3;
  bar.said.textContent = to - from < 2 ? exactly(Number(from.toFixed(digits))) + ' + ' + tick(to - from) : moment(from) + ' to ' + moment(to);
  bar.part.style.left = from / end * 100 + '%';
  bar.part.style.width = Math.max((to - from) / end * 100, 1) + '%';
}
byID('pictures').before(bar.e);
showZoom();
