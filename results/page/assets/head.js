// The first screen of a page: the verdict, the answer, the values behind it, the picture that
// shows it, and what was run. The page has all of it as markup; a live page changes it.

// fewWarnings is how many warnings are shown; more would push the charts off the
// screen, so they are folded.
const fewWarnings = 3;

function head(data) {
  const text = (id, value) => { const e = byID(id); if (e.textContent !== value) e.textContent = value; };
  const h = data.headline;
  text('question', data.question || data.title || 'A run');
  text('badge', h.outcome || '');
  byID('badge').className = 'badge ' + (h.tone || '');
  byID('badge').hidden = !h.outcome;
  text('answer', h.short || h.answer);
  text('do', h.do || '');
  byID('do').hidden = !h.do;
  document.body.classList.toggle('bad-answer', !h.good && (h.figures || []).some((f, i) => !i && f.value !== '0' && !f.value.startsWith('0.00')));
  document.body.classList.toggle('void', Boolean(h.do)); // the figures are no answer
  byID('live').hidden = !data.live;
  byID('figures').replaceChildren(...(h.figures || []).map((f) => el('li', {}, el('span', { class: 'value' }, f.value), el('span', { class: 'label' }, f.label), el('span', { class: 'note' }, f.note || ''))));
  show1(data);
  const full = fullAnswer(data);
  byID('full').hidden = !full.length;
  byID('more').replaceChildren(...full.map((text) => el('p', {}, text)));
  const warnings = data.runs.flatMap((r) => (r.doc.warnings || []).map((w) => (data.runs.length > 1 ? r.name + ': ' + w : w)));
  warnings.push(...((data.comparison && data.comparison.warnings) || []));
  const open = byID('notes').querySelector('details[open]') !== null; // on a live page somebody may be reading them
  const items = (data.notes || []).concat(warnings.length > fewWarnings ? [] : warnings).map((n) => el('li', {}, n));
  if (warnings.length > fewWarnings) items.push(el('li', { class: 'folded' }, el('details', { open }, el('summary', {}, warnings.length + ' warnings of the runs'), el('ul', {}, ...warnings.map((w) => el('li', {}, w))))));
  byID('notes').replaceChildren(...items);
  const doc = data.runs.length ? data.runs[0].doc : data.comparison || {};
  const host = doc.host || {};
  byID('made').textContent = ['kabench ' + (doc.version || ''), doc.start && doc.start > '0002' ? doc.start.replace('T', ' ').replace(/\.\d+/, '') : '', [host.os, host.arch, host.kernel].filter(Boolean).join(' '), host.cpus ? host.cpus + ' cores' : '', host.go]
    .filter((s) => s && s.trim()).join(' · ');
}

// fullAnswer is what the short answer leaves out, and what a comparison showed pair by pair.
function fullAnswer(data) {
  const h = data.headline;
  if (!h.short) return h.more || [];
  return [...(h.answer === h.short ? [] : [h.answer]), ...(h.more || []), ...(data.summary || []).filter((line) => !h.short.includes(line))];
}

// show1 shows the picture and what was run. kabench drew the picture, and escaped its texts.
function show1(data) {
  const place = byID('picture'), p = data.picture;
  place.hidden = !p;
  if (p && place.dataset.shown !== p.svg) {
    const drawn = el('div', { class: 'drawn' });
    drawn.innerHTML = p.svg;
    place.replaceChildren(el('figcaption', {}, p.title), drawn, el('p', { class: 'note' }, p.note || ''));
    place.dataset.shown = p.svg;
  }
  byID('asked').replaceChildren(...(data.asked || []).map((f) => el('div', { class: f.label }, el('dt', {}, f.label), el('dd', {}, f.value))));
}

// contents lists the sections of the page, and marks the one that is read.
function contents() {
  const sections = [...document.querySelectorAll('.content section')].filter((s) => !s.hidden && s.querySelector('h2'));
  const nav = byID('contents');
  if (nav.dataset.of === sections.map((s) => s.id).join()) return; // a live page is drawn again and again
  nav.dataset.of = sections.map((s) => s.id).join();
  nav.replaceChildren(el('h2', {}, 'Contents'), el('ol', {}, el('li', {}, el('a', { href: '#' }, 'Verdict')),
    ...sections.map((s) => el('li', {}, el('a', { href: '#' + s.id }, s.querySelector('h2').firstChild.textContent)))));
  const seen = new Set();
  if (contents.watch) contents.watch.disconnect();
  contents.watch = new IntersectionObserver((changes) => {
    for (const c of changes) seen[c.isIntersecting ? 'add' : 'delete'](c.target.id);
    const first = sections.find((s) => seen.has(s.id));
    for (const a of nav.querySelectorAll('a')) {
      if (first && a.hash === '#' + first.id) a.setAttribute('aria-current', 'location');
      else a.removeAttribute('aria-current');
    }
  }, { rootMargin: '-10% 0px -60% 0px' });
  sections.forEach((s) => contents.watch.observe(s));
}
