// Draws a table of days as a line with uPlot. The table is the data, and what is read instead of the picture.
"use strict";

const HEIGHT = 260;

// A canvas takes no variable, and none that is one colour by day and another by night.
function colour(name) {
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}
const dollars = (value) => value === null || value === undefined ? "–" : value.toLocaleString("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 0 });

function columns(table) {
  const rows = [...table.querySelectorAll("tr[data-day]")];
  const equity = rows.map((row) => Number(row.dataset.equity));
  return [
    rows.map((row) => Date.parse(row.dataset.day) / 1000),
    equity,
    rows.map((row, at) => ("rebalanced" in row.dataset ? equity[at] : null)),
    rows.map((row, at) => ("flow" in row.dataset ? equity[at] : null)),
  ];
}

// Days as 05-31, and as 2026-05 where the ticks are months apart.
const day = (seconds, apart) => new Date(seconds * 1000).toISOString().slice(...(apart >= 28 * 86400 ? [0, 7] : [5, 10]));

function draw(place) {
  const axis = { stroke: colour("--faint"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  const marks = (label, size, stroke, fill) => ({ label, stroke, paths: () => null, points: { show: true, size, stroke, fill }, value: (_, value) => (value === null ? "–" : "yes") });
  const shown = new uPlot({
    width: place.clientWidth,
    height: HEIGHT,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    axes: [{ ...axis, values: (_, ticks, __, ___, apart) => ticks.map((at) => day(at, apart)) }, { ...axis, size: 84, values: (_, ticks) => ticks.map(dollars) }],
    series: [
      { label: "Day", value: "{YYYY}-{MM}-{DD}" },
      { label: "Equity", stroke: colour("--bar"), width: 2, points: { show: false }, value: (_, value) => dollars(value) },
      marks("Rebalanced", 5, colour("--bar"), colour("--bar")),
      marks("Came or went", 10, colour("--warn"), colour("--ground")),
    ],
  }, columns(document.getElementById(place.dataset.chart)), place);
  place.drawn = shown;
}

function drawAll(again = false) {
  for (const place of document.querySelectorAll("[data-chart]")) {
    if (!again && place.drawn && place.firstElementChild) continue;
    place.drawn?.destroy();
    place.replaceChildren();
    draw(place);
  }
}

drawAll();
new MutationObserver(() => drawAll()).observe(document.getElementById("content"), { childList: true, subtree: true });
new MutationObserver(() => drawAll(true)).observe(document.documentElement, { attributes: true });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(true));
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => drawAll(true), 200);
});
