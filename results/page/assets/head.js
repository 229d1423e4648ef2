// The first screen of a page: the question, the answer, and the values behind it.

// fewWarnings is how many warnings are shown; more would push the charts off the
// screen, so they are folded.
const fewWarnings = 3;

function head(data) {
  const text = (id, value) => { const e = byID(id); if (e.textContent !== value) e.textContent = value; };
  text('question', data.question || data.title || 'A run');
  text('answer', data.headline.answer);
  document.body.classList.toggle('bad-answer', !data.headline.good);
  byID('live').hidden = !data.live;
  byID('figures').replaceChildren(...(data.headline.figures || []).map((f) => el('li', {}, el('span', { class: 'value' }, f.value), el('span', { class: 'label' }, f.label), el('span', { class: 'note' }, f.note || ''))));
  byID('more').replaceChildren(...(data.headline.more || []).map((text) => el('p', {}, text)));
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
