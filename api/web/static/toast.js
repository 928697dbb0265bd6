// What became of what a person asked for: said in view, and followed until it has an end.

import { ask, reading } from "./asking.js";

const ENDED = ["succeeded", "removed"];
const KINDS = { succeeded: "good", removed: "bad", retrying: "bad", held: "warn" };
const byId = (id) => document.getElementById(id);

let followed = null;

export function tell(text, { kind = "good", href = "" } = {}) {
  byId("toast").dataset.kind = kind;
  if (byId("notice-text").textContent !== text) byId("notice-text").textContent = text;
  const link = byId("notice-link");
  link.hidden = href === "";
  if (href) link.href = href;
  byId("toast").hidden = false;
}

export function dismiss() {
  followed = null;
  byId("toast").hidden = true;
}

// From now on the toast tells how this event fares, beginning with what is known.
export function follow(eventId, label, said = "") {
  followed = { eventId, label, said };
  return lookAgain();
}

// Asked whenever the server says that something changed.
export async function lookAgain() {
  const wanted = followed;
  if (!wanted) return;
  const { event, attempts } = await reading(await ask(`/queue/events/${wanted.eventId}`));
  if (wanted !== followed) return;
  const first = wanted.said;
  wanted.said = "";
  if (ENDED.includes(event.state)) followed = null;
  // What the server said of a removal that was done at once is not said again in other words.
  if (first && event.state === "removed") return;
  const text = `${wanted.label}: ${fate(event, attempts)}`;
  tell(text, { kind: KINDS[event.state], href: `/events/${event.event_id}` });
}

function fate(event, attempts) {
  if (event.remove_requested && event.state === "running") return "stopping at its next step";
  if (event.state === "succeeded") return `done, ${orders(attempts.at(-1))}`;
  if (event.state === "retrying") return `failed, and is tried again by itself: ${event.last_error}`;
  if (event.state === "held" || event.state === "removed") return `${event.state}: ${event.reason}`;
  return event.state;
}

function orders(attempt) {
  const sent = attempt?.orders.length ?? 0;
  if (sent) return `${sent} ${sent === 1 ? "order" : "orders"} sent`;
  const planned = attempt?.plan?.orders.length;
  if (planned === undefined) return "see what it found";
  return planned ? `${planned} ${planned === 1 ? "order" : "orders"} proposed, none sent` : "nothing to trade";
}
