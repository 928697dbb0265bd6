// Sorts and filters tables that ask for it; done to what the server sends before it is shown, it outlives renewals.

const FILTERS = "input[data-filters]";
const orderOf = (table) => JSON.parse(localStorage.getItem(`order-${table.id}`) ?? "null");

// One key per row: numbers and times compare as such, what is unknown comes last.
function keyOf(cell, kind) {
  if (kind === "time") return cell.querySelector("time")?.dateTime || null;
  const text = cell.textContent.trim();
  if (kind !== "number") return text.toLowerCase() || null;
  const number = parseFloat(text.replaceAll("\u2212", "-").replace(/[^\d.-]/g, ""));
  return Number.isNaN(number) ? null : number;
}

function compare(a, b) {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return a < b ? -1 : 1;
}

function sort(table) {
  const order = orderOf(table);
  const headers = [...table.tHead.rows[0].cells];
  for (const header of headers) {
    if (header.hasAttribute("aria-sort")) header.setAttribute("aria-sort", "none");
  }
  const column = order ? headers.findIndex((header) => header.dataset.column === order.column) : -1;
  if (column < 0) return;
  headers[column].setAttribute("aria-sort", order.direction);
  const kind = headers[column].dataset.kind;
  const sign = order.direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const keyed = [...body.rows].map((row) => [keyOf(row.cells[column], kind), row]);
  keyed.sort(([a], [b]) => (a === null || b === null ? compare(a, b) : sign * compare(a, b)));
  if (keyed.some(([, row], place) => row !== body.rows[place])) body.append(...keyed.map(([, row]) => row));
}

// Words are looked for in the columns of text.
function filter(table, input) {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const texts = [...table.tHead.rows[0].cells].flatMap((header, place) => (header.dataset.kind === "text" ? [place] : []));
  let shown = 0;
  for (const row of table.tBodies[0].rows) {
    const text = words.length ? texts.map((place) => row.cells[place].textContent).join(" ").toLowerCase() : "";
    row.hidden = !words.every((word) => text.includes(word));
    if (!row.hidden) shown += 1;
  }
  return words.length ? `${shown} of ${table.tBodies[0].rows.length}` : "";
}

// Puts the tables below `root` into the chosen order, with the rows that the page's filters let through.
export function arrange(root) {
  for (const table of root.querySelectorAll("table[data-sortable]")) sort(table);
  for (const input of document.querySelectorAll(FILTERS)) {
    const table = root.querySelector(`#${input.dataset.filters}`);
    const count = root.querySelector(`#${input.dataset.filters}-count`);
    if (table) count.textContent = filter(table, input);
  }
}

document.addEventListener("click", (event) => {
  const header = event.target.closest("th[aria-sort]");
  if (!header || !event.target.closest("button")) return;
  const table = header.closest("table");
  const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  localStorage.setItem(`order-${table.id}`, JSON.stringify({ column: header.dataset.column, direction }));
  const focused = document.activeElement;
  sort(table);
  focused.focus();
});

document.addEventListener("input", (event) => {
  if (event.target.matches(FILTERS)) arrange(document);
});
