// The server's word that it is there: what changed and "still here", and what its silence means.

import { chosenZone, clock, timeOfDay } from "./times.js";

const RECONNECT_MS = 2000;
const QUIET_MS = 20_000; // the server says every 15 s that it is still here
const STALE_MS = 40_000;
const ANSWER_MS = 10_000;

const byId = (id) => document.getElementById(id);

let heardAt = Date.now();
let current = true; // nothing newer is known than what is shown
let stream = null;

export const isConnected = () => byId("connection").dataset.state === "on";
export const isStale = () => document.body.classList.contains("stale");

export function say(state, text) {
  const shown = byId("connection");
  shown.dataset.state = state;
  if (shown.textContent !== text) shown.textContent = text;
}

// What is shown is what the server has now.
export function upToDate() {
  current = true;
  heardAt = Date.now();
  say("on", "connected");
  tick();
}

export function outOfDate() {
  current = false;
}

// Once a second: the time while what is shown is true, and when it was so last.
export function tick() {
  const silent_ms = Date.now() - heardAt;
  const stale = silent_ms > STALE_MS;
  const on = isConnected() && silent_ms < QUIET_MS;
  byId("clock").textContent = on ? clocks(Date.now()) : heardAt < Infinity ? `true at ${clock(heardAt)}` : "";
  if (stale === isStale()) return;
  document.body.classList.toggle("stale", stale);
  for (const button of document.querySelectorAll("main button[data-acts]")) {
    if (stale) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
  }
  byId("stale").hidden = !stale;
  if (!stale) return;
  byId("stale").textContent = `The server has been silent since ${clock(heardAt)}. This is how it was then; buttons wait until it answers.`;
  say("lost", "no answer");
  stream?.abort();
}

const clocks = (at) => clock(at) + (chosenZone() === "local" ? "" : ` (local ${timeOfDay(at, "local")})`);

// Server-sent events, read with fetch, since EventSource does not tell why it was refused.
async function listen(changed) {
  const mine = new AbortController();
  stream = mine;
  const late = setTimeout(() => mine.abort(), ANSWER_MS);
  const answer = await fetch("/stream", { headers: { Accept: "text/event-stream" }, signal: mine.signal });
  clearTimeout(late);
  if (!answer.ok) {
    say("lost", answer.status === 403 ? "not signed in" : "not connected");
    return answer.status !== 403;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) hear(block, changed);
  }
}

// A tab that nobody sees listens to nothing: a browser has six connections to a server, for all of its tabs.
const untilShown = () =>
  new Promise((done) => document.addEventListener("visibilitychange", () => document.hidden || done(), { once: true }));

function hear(block, changed) {
  if (block.startsWith("event: change")) {
    outOfDate();
    changed();
  } else if (block.startsWith("event: away")) {
    outOfDate();
    say("lost", "ledger away");
  } else if (current) {
    upToDate();
  }
}

export async function keepListening(changed) {
  document.addEventListener("visibilitychange", () => document.hidden && stream?.abort());
  while (await listen(changed).catch(() => true)) {
    if (isConnected()) say("lost", "connection lost");
    await (document.hidden ? untilShown() : new Promise((done) => setTimeout(done, RECONNECT_MS)));
  }
  heardAt = Infinity; // signed out: nothing is shown that could become old
}
