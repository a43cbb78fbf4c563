"use strict";

// Tables sort by a click on a column's name: by the number that a cell begins with, or else by its words.
const NUMBER = /^[^\d+−–-]*([+−-]?[\d,]*\.?\d+(?:e[+−-]?\d+)?)/;

function key(cell) {
  const text = cell.textContent.trim();
  const found = text === "–" ? null : NUMBER.exec(text);
  const value = found ? Number(found[1].replaceAll(",", "").replaceAll("−", "-")) : NaN;
  return { text, value };
}

function compare(a, b) {
  const numbers = !Number.isNaN(a.value) && !Number.isNaN(b.value);
  return numbers ? a.value - b.value : a.text.localeCompare(b.text);
}

function sortBy(table, column, header) {
  const ascending = header.getAttribute("aria-sort") === "descending" ||
    (!header.hasAttribute("aria-sort") && header.dataset.words === "true");
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row) => ({ row, key: key(row.cells[column]) }));
  const absent = (item) => item.key.text === "–" || item.key.text === "";
  rows.sort((a, b) => absent(a) - absent(b) || (ascending ? 1 : -1) * compare(a.key, b.key));
  body.append(...rows.map((item) => item.row));
  table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

for (const table of document.querySelectorAll("table")) {
  if (!table.tBodies.length || table.tBodies[0].rows.length < 2) continue;
  table.querySelectorAll("thead th").forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.dataset.words = String(Number.isNaN(key(table.tBodies[0].rows[0].cells[column]).value));
    button.addEventListener("click", () => sortBy(table, column, header));
  });
}

// A number leads to the MLflow runs behind it, on this machine or where the address says: ?mlflow=http://host:port
const told = new URLSearchParams(location.search).get("mlflow") || "";
const mlflow = /^https?:/.test(told) ? told : "http://127.0.0.1:5000";
const published = /\/reports\/([^/]+)\/[^/]*$/.exec(location.pathname);
const panel = document.getElementById("origin");

function lead(origins) {
  const address = new URL("trace", mlflow);
  origins.forEach((words) => address.searchParams.append("of", words));
  if (published) address.searchParams.set("report", published[1]);
  const option = published ? ` --report ${published[1]}` : "";
  panel.querySelector("a").href = address.href;
  panel.querySelector("pre code").textContent =
    origins.map((words) => `python -m flows trace${option} ${words}`).join("\n");
  panel.showModal();
}

for (const cell of document.querySelectorAll("td[data-origins]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...cell.childNodes);
  cell.append(button);
  button.addEventListener("click", () => lead(cell.dataset.origins.split("; ")));
}

panel.querySelector("form button").addEventListener("click", () => {
  navigator.clipboard.writeText(panel.querySelector("pre code").textContent);
});

// Figures take the page's colours, and change with them.
const dark = matchMedia("(prefers-color-scheme: dark)");
const charts = JSON.parse(document.getElementById("charts").textContent);

function coloured(layout) {
  const style = getComputedStyle(document.documentElement);
  const [ink, line] = ["--ink", "--line"].map((name) => style.getPropertyValue(name).trim());
  const clear = "rgba(0,0,0,0)";
  const themed = { ...layout, paper_bgcolor: clear, plot_bgcolor: clear, font: { color: ink, size: 12 } };
  for (const name of ["xaxis", "yaxis"]) {
    themed[name] = { ...layout[name], gridcolor: line, zerolinecolor: line, linecolor: line };
  }
  themed.shapes = (layout.shapes || []).map((shape) => ({ ...shape, line: { ...shape.line, color: ink } }));
  return themed;
}

function draw() {
  for (const [id, chart] of Object.entries(charts)) {
    const place = document.getElementById(id);
    if (!place) continue;
    Plotly.react(place, chart.data, coloured(chart.layout), { responsive: true, displaylogo: false });
  }
}

function choose(place, view, buttons, chosen) {
  buttons.forEach((button) => button.setAttribute("aria-pressed", String(button === chosen)));
  const { label, ...data } = view;
  Plotly.update(place, data, view.x ? { "xaxis.title.text": label, "xaxis.autorange": true } : {});
}

for (const [id, chart] of Object.entries(charts)) {
  const place = document.getElementById(id);
  if (!place || !chart.views) continue;
  const bar = document.createElement("div");
  bar.className = "views";
  const buttons = chart.views.map((view, number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = view.label;
    button.setAttribute("aria-pressed", String(number === 0));
    button.addEventListener("click", () => choose(place, view, buttons, button));
    return button;
  });
  bar.append(...buttons);
  place.before(bar);
}

draw();
dark.addEventListener("change", draw);
addEventListener("beforeprint", draw);
