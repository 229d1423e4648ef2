// Helpers of all parts: elements, numbers, colours.

// el makes an element. Text is set as text and never as markup, because it may come
// from a server.
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === 'function') e.addEventListener(name, value);
    else if (value === true) e.setAttribute(name, '');
    else if (value !== false && value != null) e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c != null).map((c) => (c instanceof Node ? c : String(c))));
  return e;
}

const byID = (id) => document.getElementById(id);

// three prints v with three significant digits, or with all digits before the point.
function three(v) {
  const a = Math.abs(v);
  return v.toFixed(a >= 99.95 ? 0 : a >= 9.995 ? 1 : 2);
}

// duration prints seconds as kabench prints them elsewhere.
function duration(s) {
  const a = Math.abs(s);
  if (a === 0) return '0';
  if (a < 999.5e-6) return three(s * 1e6) + ' µs';
  if (a < 999.5e-3) return three(s * 1e3) + ' ms';
  return three(s) + ' s';
}

// tick prints a duration on an axis: "5 ms", "2.5 s".
function tick(s) {
  const short = (v) => String(Number(v.toPrecision(3)));
  const a = Math.abs(s);
  if (a === 0) return '0';
  if (a < 999.5e-6) return short(s * 1e6) + ' µs';
  if (a < 999.5e-3) return short(s * 1e3) + ' ms';
  return short(s) + ' s';
}

// moment prints a time since the start of the run: "12.3 s", "4:05".
function moment(s) {
  if (Math.abs(s) < 120) return Number(s.toFixed(3)) + ' s';
  const whole = Math.round(s);
  const pad = (n) => String(n).padStart(2, '0');
  const h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60, sec = whole % 60;
  return h > 0 ? h + ':' + pad(m) + ':' + pad(sec) : m + ':' + pad(sec);
}

const integer = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, '\u202f');

function count(n) {
  if (Math.abs(n) >= 1e6) return Number((n / 1e6).toPrecision(3)) + ' M';
  if (Math.abs(n) >= 1e4) return Number((n / 1e3).toPrecision(3)) + ' k';
  return String(Number(n.toPrecision(4)));
}

const percent = (ratio) => {
  const p = ratio * 100;
  return (p !== 0 && Math.abs(p) < 0.01 ? p.toPrecision(2) : three(p)) + ' %';
};

// measured prints a value in the unit of a measure.
function measured(v, unit) {
  switch (unit) {
    case 'seconds': return duration(v);
    case 'ratio': return percent(v);
    case 'per_second': return three(v) + '/s';
    default: return three(v);
  }
}

// Colours that people with most kinds of colour blindness can distinguish (Okabe and
// Ito), lighter for a dark page.
const light = {
  ink: '#1d2126', soft: '#5b636d', line: '#e3e4e1', faint: '#f0f0ed', paper: '#fcfcfa', card: '#ffffff',
  blue: '#0072b2', sky: '#56a5d6', green: '#009e73', orange: '#c27a00', vermilion: '#d55e00', pink: '#c0709c', purple: '#6a4c93', grey: '#8b9299', wine: '#8f2d56',
  ramp: ['#eaf1f6', '#b5d0e4', '#6aa6cd', '#25719f', '#123f63', '#071d33'],
};
const dark = {
  ink: '#e8e9ea', soft: '#a0a8b1', line: '#2d3339', faint: '#20252a', paper: '#14171a', card: '#1a1e22',
  blue: '#5aaee8', sky: '#8cc9ef', green: '#35c59a', orange: '#f0b040', vermilion: '#ff8a4a', pink: '#e39cc4', purple: '#b394e0', grey: '#8b949d', wine: '#e0709a',
  ramp: ['#1b2a36', '#21506f', '#2f7fae', '#62b0da', '#b5dcf0', '#f2fafd'],
};
const wantsDark = window.matchMedia('(prefers-color-scheme: dark)');
let printing = false;
const colours = () => (wantsDark.matches && !printing ? dark : light);

// The colour of each phase, the same in all charts.
function phaseColour(phase) {
  const c = colours();
  return {
    schedule: c.grey, acquire: c.orange, resolve: c.purple, connect: c.purple, tls: c.purple,
    write_headers: c.green, write_body: c.green, before_response: c.vermilion, response_headers: c.pink, during_response: c.wine,
  }[phase] || c.ink;
}
const phases = ['schedule', 'acquire', 'resolve', 'connect', 'tls', 'write_headers', 'write_body', 'before_response', 'response_headers', 'during_response'];
const phaseOf = (outcome) => outcome.split(' / ')[0];

// outcomes lists the outcomes of failed exchanges, in the order of phases.
function outcomes(failed) {
  return Object.keys(failed).sort((a, b) => phases.indexOf(phaseOf(a)) - phases.indexOf(phaseOf(b)) || (a < b ? -1 : 1));
}

const highest = (...lists) => lists.reduce((top, list) => list.reduce((t, v) => (v > t ? v : t), top), 0);

// without says why a chart is empty. A forecast has counts, and no record to draw.
const without = (run, why) => (run.forecast ? 'a forecast has no record, because no request was sent.' : why);
