'use strict';
(() => {
  const form = document.getElementById('filters'), table = document.querySelector('table.reports');
  if (!table) return;
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  const texts = new Map(rows.map((r) => [r, r.textContent.toLowerCase()]));

  const filter = () => {
    const words = form.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !(['name', 'kind', 'verdict'].every((key) => !form.elements[key].value || row.dataset[key] === form.elements[key].value)
        && words.every((w) => texts.get(row).includes(w)));
      if (!row.hidden) shown++;
    }
    document.getElementById('shown').textContent = `${shown} of ${rows.length} shown`;
  };

  const key = (row, column) => {
    const cell = row.cells[column], text = cell.dataset.sort ?? cell.textContent.trim();
    const number = Number(text);
    return text === '' || Number.isNaN(number) ? text : number;
  };
  const compare = (a, b, up) => {
    if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1; // figures that are not known come last
    return (up ? 1 : -1) * (typeof a === 'number' ? a - b : a.localeCompare(b));
  };
  const sort = (column) => {
    const up = heads[column].getAttribute('aria-sort') !== 'ascending';
    for (const h of heads) h.removeAttribute('aria-sort');
    heads[column].setAttribute('aria-sort', up ? 'ascending' : 'descending');
    const sorted = rows.map((row) => [key(row, column), row]).sort(([a], [b]) => compare(a, b, up));
    body.append(...sorted.map(([, row]) => row));
  };

  heads.forEach((head, column) => {
    if (column === heads.length - 1) return; // links
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = head.textContent;
    button.addEventListener('click', () => sort(column));
    head.replaceChildren(button);
  });
  form.addEventListener('input', filter);
  form.addEventListener('submit', (event) => event.preventDefault());
  form.hidden = false;
  filter(); // a browser may have kept what was entered before
})();
