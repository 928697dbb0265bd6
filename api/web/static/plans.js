// A plan's line opens to its orders. Where there are too many to send with the page, they come from the event's own
// page when they are asked for, and stay: a plan never changes, a new one has another number.

import { ask } from "./asking.js";
import { tell } from "./toast.js";

const PLACE = "[data-orders-of]";
const known = new Map();

// Puts the orders that came before where they belong, and forgets those whose plan waits no more.
export function fillIn(root) {
  const places = new Map([...root.querySelectorAll(PLACE)].map((place) => [place.dataset.ordersOf, place]));
  for (const [plan, table] of known) {
    if (places.has(plan)) places.get(plan).replaceChildren(table.cloneNode(true));
    else known.delete(plan);
  }
}

async function look(place) {
  const plan = place.dataset.ordersOf;
  const answer = await ask(place.querySelector("a").href, { Accept: "text/html" });
  const table = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(`#plan-${plan} .orders`);
  if (!table) return; // it was decided on meanwhile: the link tells
  known.set(plan, table);
  fillIn(document);
}

document.addEventListener("toggle", ({ target }) => {
  const place = target.open ? target.querySelector(PLACE) : null;
  if (place && !known.has(place.dataset.ordersOf)) {
    look(place).catch((error) => tell(`Its orders are not shown: ${error.message}`, { kind: "bad" }));
  }
}, true);
