// Tables of counts: targets, statuses, errors. A click on a heading sorts a table by it.

const sorts = new Map(); // id of a table -> [column, 1 or -1], so that a live page keeps it

// sortable makes a table whose headings are buttons. A column is [name, cell(row), value(row)
// or null for text]; it is sorted by its value, or by its text, and numbers are on the right.
// On a phone each row is a list of named values (charts.css): the roles keep it a table.
function sortable(id, caption, columns, list, first) {
  if (!sorts.has(id)) sorts.set(id, first);
  const table = el('table', { class: 'sortable', id, role: 'table' }), body = el('tbody', { role: 'rowgroup' });
  const heads = columns.map(([name, , value], i) => el('th', { scope: 'col', role: 'columnheader', class: value ? null : 'text' }, el('button', { type: 'button', click: (e) => sort(i, e) }, name)));
  const key = (column) => column[2] || ((row) => String(column[1](row)));
  function fill() {
    const [at, way] = sorts.get(id), of = key(columns[at]);
    heads.forEach((th, i) => { if (i === at) th.setAttribute('aria-sort', way > 0 ? 'ascending' : 'descending'); else th.removeAttribute('aria-sort'); });
    const rows = list.slice().sort((a, b) => { const x = of(a), y = of(b); return way * (typeof x === 'number' ? x - y : x < y ? -1 : x > y ? 1 : 0); });
    body.replaceChildren(...rows.map((row) => el('tr', { role: 'row' }, ...columns.map(([name, cell, value], i) => el(i ? 'td' : 'th', { scope: i ? null : 'row', role: i ? 'cell' : 'rowheader', class: value ? null : 'text', 'data-name': name }, cell(row))))));
  }
  function sort(i, e) {
    const [at, way] = sorts.get(id);
    sorts.set(id, [i, i === at ? -way : columns[i][2] ? -1 : 1]); // numbers: the largest first
    fill();
    if (e.detail > 0) e.currentTarget.blur(); // a click: a live page waits for what has the focus
  }
  table.append(el('caption', { class: 'unseen' }, caption + '. The headings sort it.'), el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, ...heads)), body);
  fill();
  return el('div', { class: 'scroll all', tabindex: '0', role: 'region', 'aria-label': caption }, table);
}

const share = (n, of) => (of ? percent(n / of) : '-');

// countTable is a sortable table of the rows that rows(run) returns, with a column for the
// run if there are several. first is the column it is sorted by, and how.
function countTable(id, caption, runs, rows, columns, first) {
  const list = runs.flatMap((run) => rows(run).map((row) => Object.assign({ run }, row)));
  if (!list.length) return null;
  const several = runs.length > 1;
  return sortable(id, caption, several ? [['run', (r) => r.run.name, null], ...columns] : columns, list, [first[0] + (several ? 1 : 0), first[1]]);
}

const number = (name, value) => [name, (r) => integer(value(r)), value];

// lasting is a column of a percentile of the response times. Of one among those that no
// histogram holds, above 60 s, only the bound is known.
function lasting(name, key, share) {
  const value = (r) => (r.response.count ? r.response[key] : -1);
  const text = ({ response: q }) => {
    if (!q.count) return '-';
    const rank = Math.min(Math.max(Math.floor(share * q.count + 0.5), 1), q.count);
    return q.overflow && rank > q.count - q.overflow ? '> ' + duration(60) : duration(q[key]);
  };
  return [name, text, value];
}

function targetTable(runs) {
  return countTable('target-table', 'Requests by target', runs, (run) => run.doc.targets || [], [
    ['target', (r) => r.target, null], number('started', (r) => r.started), number('ok', (r) => r.ok), number('failed', (r) => r.failed), number('error responses', (r) => r.error_answers),
    lasting('response p50', 'p50', 0.5), lasting('p99', 'p99', 0.99),
  ], [1, -1]);
}

const reasons = {
  1: 'informational', 2: 'success', 3: 'redirection', 4: 'client error', 5: 'server error',
};

function statusTable(runs) {
  const rows = (run) => {
    const whole = run.doc.statuses || {}, cut = run.doc.statuses_failed || {};
    return [...new Set([...Object.keys(whole), ...Object.keys(cut)])].map((status) => ({ status, whole: whole[status] || 0, cut: cut[status] || 0 }));
  };
  return countTable('status-table', 'Responses by status', runs, rows, [
    ['status', (r) => r.status, (r) => Number(r.status)], ['class', (r) => reasons[r.status[0]] || 'not defined', null],
    number('complete', (r) => r.whole), number('failed after the head', (r) => r.cut), ['share of started', (r) => share(r.whole + r.cut, r.run.doc.counts.started), (r) => r.whole + r.cut],
  ], [0, 1]);
}

function errorTable(runs) {
  const at = (name, of) => [name, (r) => (of(r) >= 0 ? moment(of(r)) : 'not recorded'), of];
  return countTable('error-table', 'Failures by phase, cause and text', runs, (run) => run.errors.rows, [
    ['phase', (r) => r.phase, null], ['cause', (r) => r.cause, null], ['text of the error', (r) => r.text || (r.rest ? '(' + r.rest + ')' : '-'), null],
    number('count', (r) => r.count), ['share of started', (r) => share(r.count, r.run.doc.counts.started), (r) => r.count / (r.run.doc.counts.started || 1)],
    number('fresh', (r) => r.fresh), number('reused', (r) => r.reused), at('first seen', (r) => r.first), at('last seen', (r) => r.last),
  ], [3, -1]);
}

const nothing = (why) => el('p', { class: 'empty' }, 'None: ' + why);

// countSections has the tables of targets (if there are several), statuses and errors.
function countSections(runs) {
  const found = [], targets = targetTable(runs);
  if (targets) found.push(section('targets', 'Targets', 'Requests by target, and the response times of those that are ok.', [targets], 'panels'));
  found.push(section('statuses', 'Statuses', 'Responses by HTTP status. A response of 400 or above still counts as complete; “failed after the head” had a status and then did not arrive completely.', [statusTable(runs) || nothing('no response arrived.')], 'panels'));
  const warmUp = runs.reduce((n, r) => n + (r.errors.warm_up || 0), 0), bounded = Math.max(...runs.map((r) => r.errors.texts || 0));
  found.push(section('errors', 'Errors', 'Failed requests by phase, cause and the text of the error, without the warm-up; times are when the first and the last of them failed. “*” stands for the client\u2019s port.'
    + (bounded ? ' The first ' + bounded + ' texts have a row each; the other texts are counted together.' : '') + (warmUp ? ' ' + integer(warmUp) + (warmUp === 1 ? ' more request' : ' more requests') + ' failed in the warm-up.' : ''),
    [errorTable(runs) || nothing('no request failed.')], 'panels'));
  return found;
}
