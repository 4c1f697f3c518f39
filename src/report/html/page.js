
"use strict";
// Without a script the page is whole: it only cannot be sorted or filtered.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  if (body.rows.length < 2) continue;
  // Where the order of the page comes back to.
  [...body.rows].forEach((row, at) => { row.dataset.at = at; });
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", next);
      sort(body, column, next);
    });
  });
}

function sort(body, column, order) {
  const collator = new Intl.Collator("en", { numeric: true });
  const value = row => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const by = {
    none: (a, b) => a.dataset.at - b.dataset.at,
    ascending: (a, b) => collator.compare(value(a), value(b)),
    descending: (a, b) => collator.compare(value(b), value(a)),
  }[order];
  body.append(...[...body.rows].sort(by));
}

const form = document.getElementById("filter");
if (form) {
  const words = document.getElementById("words");
  const state = document.getElementById("state");
  const shown = document.getElementById("shown");
  const rows = [...document.querySelectorAll("tbody tr")];
  const findings = [...document.querySelectorAll("article[data-row]")];
  const text = new Map([...rows, ...findings].map(item => [item, item.textContent.toLowerCase()]));
  const filter = () => {
    const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = item => wanted.every(word => text.get(item).includes(word));
    let number = 0, of = 0;
    for (const row of rows) {
      const states = row.dataset.states?.split(" ");
      const keep = fits(row) && (!states || !state.value || states.includes(state.value));
      row.toggleAttribute("data-hidden", !keep);
      if (states) { of += 1; number += keep; }
    }
    for (const finding of findings) finding.toggleAttribute("data-hidden", !fits(finding));
    shown.value = `${number} of ${of} shown`;
  };
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("input", filter);
  form.hidden = false;
  filter();
}
// A link to a finding that the filter hides shows it again.
addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target?.hasAttribute("data-hidden")) {
    target.removeAttribute("data-hidden");
    target.scrollIntoView();
  }
});
