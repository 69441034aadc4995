"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const VERDICTS = ["reproduced", "above", "below", "not comparable", "unavailable", "to do"];
const SIGNS = { reproduced: "=", above: "↑", below: "↓", "not comparable": "×" };
const WORDS = { not_run: "not run", not_built: "not built", no_metric: "not measured" };
const byId = (id) => document.getElementById(id);
const shade = (verdict) => verdict.replace(" ", "-");

/* An element with attributes and children; text is never taken for markup. */
function make(tag, attributes = {}, ...children) {
  const one = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") one.className = value;
    else if (key.startsWith("on")) one.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) one.setAttribute(key, value);
  }
  one.append(...children.filter((child) => child !== null && child !== undefined));
  return one;
}

function number(value, digits) {
  if (value === null || value === undefined) return "–";
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/* ---- scoreboard ---- */
function scoreboard() {
  const totals = {};
  for (const paper of content.papers)
    for (const [key, count] of Object.entries(paper.counts)) totals[key] = (totals[key] || 0) + count;
  byId("lead").textContent = `${number(totals.measured || 0, 0)} of ${number(totals.published || 0, 0)} printed numbers are ` +
    `measured from ${number(content.runs, 0)} runs; ${number(totals.reproduced || 0, 0)} are reproduced. dynbench ${content.version}.`;
  for (const verdict of VERDICTS) byId("legend").append(make("li", { class: shade(verdict) }, verdict));
  for (const paper of content.papers) {
    const bar = make("div", { class: "bar", role: "img" });
    const told = [];
    for (const verdict of VERDICTS) {
      const count = paper.counts[verdict] || 0;
      if (!count) continue;
      told.push(`${verdict}: ${count}`);
      bar.append(make("span", { class: shade(verdict), style: `flex: ${count}`, title: `${verdict}: ${count}` }));
    }
    bar.setAttribute("aria-label", told.join(", "));
    const link = make("a", { href: "#tables", onclick: () => { byId("filter").value = paper.name.toLowerCase(); filter(); } }, paper.name);
    byId("papers").append(make("div", { class: "paper" }, link, bar,
      make("span", { class: "count" }, `${paper.counts.reproduced || 0} of ${paper.counts.published || 0}`)));
  }
}

/* ---- a table that sorts ---- */
function sortable(head, rows, options = {}) {
  const body = make("tbody");
  const cells = head.map((column, place) => {
    const cell = make("th", { scope: "col" });
    cell.append(make("button", { type: "button", onclick: () => sort(place, cell) }, column));
    return cell;
  });
  let order = rows;
  function fill() { body.replaceChildren(...order.map((row) => row.element)); }
  function sort(place, cell) {
    const down = cell.getAttribute("aria-sort") === "descending" || (!cell.hasAttribute("aria-sort") && options.lowFirst?.[place]);
    for (const other of cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", down ? "ascending" : "descending");
    const sign = down ? 1 : -1;
    order = [...rows].sort((a, b) => {
      const [x, y] = [a.keys[place], b.keys[place]];
      const [noX, noY] = [x === null || x === undefined, y === null || y === undefined];
      if (noX || noY) return noX - noY;
      return sign * (typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y)));
    });
    fill();
  }
  fill();
  return make("table", {}, make("thead", {}, make("tr", {}, ...cells)), body);
}

/* ---- tables of papers ---- */
function paperTable(table) {
  const cells = new Map(table.cells.map((cell) => [`${cell.row}|${cell.column}`, cell]));
  const best = new Map();
  for (const column of table.columns) {
    const means = table.rows.map((row) => cells.get(`${row.name}|${column.key}`)?.mean).filter((mean) => mean !== undefined);
    if (column.best !== "none" && means.length > 1) best.set(column.key, (column.best === "low" ? Math.min : Math.max)(...means));
  }
  const one = new Set(table.columns.map((column) => column.metric)).size === 1;
  const head = ["", ...table.columns.map((column) => one ? column.column : `${column.column} ${column.metric}`)];
  const rows = table.rows.map((row) => {
    const line = make("tr", {}, make("td", { title: row.note || null }, row.label));
    const keys = [row.label];
    for (const column of table.columns) {
      const cell = cells.get(`${row.name}|${column.key}`);
      keys.push(cell?.mean ?? null);
      line.append(cell ? paperCell(table, row, column, cell, best.get(column.key)) : make("td"));
    }
    return { element: line, keys };
  });
  return make("div", { class: "scroll" }, sortable(head, rows, { lowFirst: [true] }));
}

function paperCell(table, row, column, cell, best) {
  const measured = cell.mean !== undefined;
  const spread = cell.sd === undefined ? "" : ` ± ${number(cell.sd, cell.digits)}`;
  const value = measured ? `${number(cell.mean, cell.digits)}${spread}` : WORDS[cell.status] || cell.status;
  const printed = cell.published === undefined ? null : make("span", { class: "published" },
    `${cell.published}${cell.published_sd === undefined ? "" : ` ± ${cell.published_sd}`}`);
  const sign = cell.verdict ? make("span", { class: "sign", title: cell.verdict }, ` ${SIGNS[cell.verdict] || ""}`) : null;
  const button = make("button", { class: "cell", type: "button", onclick: () => about(table, row, column, cell) },
    make("span", { class: "value" }, value), sign);
  const kind = cell.verdict ? shade(cell.verdict) : "";
  return make("td", { class: `${kind} ${measured ? "" : "missing"} ${measured && cell.mean === best ? "best" : ""}` }, button, printed);
}

function about(table, row, column, cell) {
  const parts = [make("h3", {}, `${row.label}, ${column.column}, ${column.metric}`), make("p", { class: "soft" }, table.title)];
  const facts = [];
  if (cell.mean !== undefined) facts.push(`measured ${number(cell.mean, cell.digits)} (${cell.n} ${cell.n === 1 ? "run" : "runs"}, budget ${cell.budget})`);
  if (cell.published !== undefined) facts.push(`published ${cell.published}`);
  if (cell.verdict) facts.push(cell.verdict);
  parts.push(make("p", {}, facts.join(" · ")));
  for (const text of [cell.reason, cell.note, row.note]) if (text) parts.push(make("p", { class: "soft" }, text));
  if (cell.command) parts.push(make("pre", {}, `dynbench ${cell.command}`));
  if (cell.runs) {
    const rows = cell.runs.map(([name, value]) => ({
      element: make("tr", {}, make("td", {}, make("code", {}, name)), make("td", {}, number(value, cell.digits))), keys: [name, value],
    }));
    parts.push(make("div", { class: "scroll" }, sortable(["run", column.metric], rows)));
  }
  if (content.cards[cell.model]) parts.push(make("h3", {}, `The card of ${cell.model}`), make("pre", {}, content.cards[cell.model]));
  byId("about-body").replaceChildren(...parts);
  byId("about").showModal();
}

function tables() {
  for (const table of content.tables) {
    const inside = make("div", { class: "inside" });
    const counts = VERDICTS.filter((verdict) => table.counts[verdict]).map((verdict) => `${table.counts[verdict]} ${verdict}`);
    const box = make("details", { "data-table": table.name }, make("summary", {}, make("strong", {}, table.title),
      make("span", { class: "soft" }, counts.join(", "))), inside);
    box.addEventListener("toggle", () => {
      if (!box.open || inside.childElementCount) return;
      inside.append(paperTable(table), ...table.notes.map((note) => make("p", { class: "hint" }, note)));
      if (table.source) inside.append(make("p", { class: "hint" }, `Published: ${table.source}`));
    });
    box.words = [table.name, table.paper, table.title, ...table.rows.map((row) => row.label),
      ...table.columns.map((column) => column.column)].join(" ").toLowerCase();
    byId("table-list").append(box);
  }
  for (const verdict of VERDICTS) byId("verdict").append(make("option", {}, verdict));
  byId("filter").addEventListener("input", filter);
  byId("verdict").addEventListener("change", filter);
}

function filter() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const verdict = byId("verdict").value;
  const counts = new Map(content.tables.map((table) => [table.name, table.counts]));
  let shown = 0;
  for (const box of byId("table-list").children) {
    const fits = words.every((word) => box.words.includes(word)) && (!verdict || counts.get(box.dataset.table)[verdict]);
    box.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  byId("nothing").hidden = shown > 0;
}

/* ---- figures, datasets, speed ---- */
function figures() {
  const groups = Map.groupBy ? Map.groupBy(content.figures, (one) => one.group) : new Map();
  if (!Map.groupBy) for (const one of content.figures) groups.set(one.group, [...(groups.get(one.group) || []), one]);
  for (const [group, own] of groups) {
    const inside = make("div", { class: "inside pictures" });
    const box = make("details", {}, make("summary", {}, group, make("span", { class: "soft" }, `${own.length} pictures`)), inside);
    box.addEventListener("toggle", () => {
      if (box.open && !inside.childElementCount) for (const one of own)
        inside.append(make("figure", {}, make("img", { src: one.src, alt: one.name }), make("figcaption", {}, one.name)));
    });
    byId("figure-list").append(box);
  }
  if (!content.figures.length) byId("figure-list").append(make("p", { class: "hint" }, "No figure was drawn yet."));
}

function simple(place, columns, rows) {
  const lines = rows.map((row) => ({
    element: make("tr", {}, ...columns.map(([key, , show]) => make("td", {}, show ? show(row) : row[key] ?? ""))),
    keys: columns.map(([key]) => row[key] ?? null),
    words: Object.values(row).join(" ").toLowerCase(),
  }));
  const lowFirst = columns.map(([, , show]) => !show);
  const draw = (kept) => byId(place).replaceChildren(sortable(columns.map(([, label]) => label), kept, { lowFirst }));
  draw(lines);
  return (text) => draw(lines.filter((line) => text.toLowerCase().split(/\s+/).every((word) => line.words.includes(word))));
}

function datasets() {
  const count = (key) => (row) => row[key] === null ? "" : number(row[key], 0);
  const link = (row) => row.homepage ? make("a", { href: row.homepage, rel: "noopener" }, row.title) : row.title;
  simple("dataset-list", [["title", "dataset", link], ["name", "data="], ["nodes", "nodes", count("nodes")],
    ["events", "events", count("events")], ["steps", "snapshots", count("steps")], ["relations", "relations", count("relations")],
    ["runs", "runs", count("runs")], ["licence", "licence"], ["citation", "citation"]], content.datasets);
}

function speed() {
  const digits = (key, places) => (row) => row[key] === null ? "" : number(row[key], places);
  const draw = simple("speed-list", [["model", "model"], ["data", "dataset"], ["protocol", "protocol"], ["budget", "budget"],
    ["device", "device"], ["fit", "fit", digits("fit", 2)], ["evaluate", "evaluate", digits("evaluate", 2)],
    ["per_fit_step", "per step", digits("per_fit_step", 5)], ["memory", "memory", digits("memory", 0)],
    ["parameters", "parameters", digits("parameters", 0)], ["runs", "runs", digits("runs", 0)]], content.speed);
  byId("speed-filter").addEventListener("input", (event) => draw(event.target.value));
}

function theme() {
  const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  byId("theme").addEventListener("click", () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; });
  byId("about").addEventListener("click", (event) => { if (event.target === byId("about")) byId("about").close(); });
}

scoreboard(); tables(); figures(); datasets(); speed(); theme();
document.documentElement.dataset.ready = "yes";
