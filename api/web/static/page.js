// Makes the page live: renews its content when the server says that something changed, counts down to retries, and
// sends what a person asks for. Everything shown is rendered by the server.
"use strict";

const KEY = "management-key";
const RENEW_PAUSE_MS = 250;
const RECONNECT_MS = 2000;

const byId = (id) => document.getElementById(id);
const key = () => sessionStorage.getItem(KEY) ?? "";
const headers = (more = {}) => (key() ? { ...more, Authorization: `Bearer ${key()}` } : more);

function tell(text, { bad = false, href = "" } = {}) {
  const notice = byId("notice");
  notice.textContent = text;
  notice.dataset.kind = bad ? "bad" : "good";
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = "show it";
    notice.append(" ", link);
  }
  notice.hidden = false;
}

function showConnection(state, text) {
  const shown = byId("connection");
  shown.dataset.state = state;
  if (shown.textContent !== text) shown.textContent = text;
}

function showKey() {
  byId("key-form").hidden = key() !== "";
  byId("key-set").hidden = key() === "";
}

async function problemOf(answer) {
  const body = await answer.json().catch(() => ({}));
  return typeof body.detail === "string" ? body.detail : `the server answered ${answer.status}`;
}

// Content ----------------------------------------------------------------------------------------------------------

const FOCUSABLE = "a, button, input, summary, [tabindex]";

// The focus outlives a renewal: by id, else by its place among everything that can have it.
function focusIn(content) {
  const focused = document.activeElement;
  if (!content.contains(focused)) return () => undefined;
  const place = [...content.querySelectorAll(FOCUSABLE)].indexOf(focused);
  return () => {
    const next = byId(focused.id) ?? content.querySelectorAll(FOCUSABLE)[place] ?? content;
    next.focus({ preventScroll: true });
  };
}

async function renew() {
  const answer = await fetch(location.href, { headers: headers({ Accept: "text/html" }) });
  if (!answer.ok) {
    if (answer.status === 401) tell("The management key is wrong.", { bad: true });
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const content = byId("content");
  const focusAgain = focusIn(content);
  const opened = new Map([...content.querySelectorAll("details[id]")].map((one) => [one.id, one.open]));
  content.replaceChildren(...fresh.getElementById("content").childNodes);
  for (const [id, open] of opened) if (byId(id)) byId(id).open = open;
  focusAgain();
  document.title = fresh.title;
  countDown();
}

let renewing = false;
let wanted = false;

async function renewSoon() {
  wanted = true;
  if (renewing) return;
  renewing = true;
  while (wanted) {
    wanted = false;
    await renew().catch(() => showConnection("lost", "connection lost"));
    await new Promise((done) => setTimeout(done, RENEW_PAUSE_MS));
  }
  renewing = false;
}

function countDown() {
  for (const shown of document.querySelectorAll("time[data-due]")) {
    const left = Math.round((Date.parse(shown.dateTime) - Date.now()) / 1000);
    if (left > 86400) continue;
    const [hours, minutes] = [Math.floor(left / 3600), Math.floor((left % 3600) / 60)];
    const text = left <= 0 ? "now" : hours ? `in ${hours} h ${minutes} min` : minutes ? `in ${minutes} min ${left % 60} s` : `in ${left} s`;
    if (shown.textContent !== text) shown.textContent = text;
  }
}

// Changes, as server-sent events; read with fetch, since EventSource cannot carry the key ------------------------------

async function listen() {
  const answer = await fetch("/stream", { headers: headers({ Accept: "text/event-stream" }) });
  if (!answer.ok) {
    showConnection("lost", answer.status === 403 ? "key needed" : "not live");
    return;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      if (block.startsWith("event: change")) {
        showConnection("live", "live");
        renewSoon();
      } else if (block.startsWith("event: away")) {
        showConnection("lost", "ledger away");
      }
    }
  }
}

async function keepListening() {
  for (;;) {
    await listen().catch(() => undefined);
    if (byId("connection").dataset.state === "live") showConnection("lost", "connection lost");
    await new Promise((done) => setTimeout(done, RECONNECT_MS));
  }
}

// Actions ----------------------------------------------------------------------------------------------------------

function confirmed(text, expected) {
  const dialog = byId("confirm");
  const word = byId("confirm-word");
  const yes = byId("confirm-yes");
  byId("confirm-text").textContent = text;
  byId("confirm-expected").textContent = expected;
  byId("confirm-typing").hidden = expected === "";
  word.value = "";
  yes.disabled = expected !== "";
  word.oninput = () => { yes.disabled = word.value.trim() !== expected; };
  dialog.returnValue = "";
  dialog.showModal();
  (expected ? word : yes).focus();
  return new Promise((done) => {
    byId("confirm-no").onclick = () => dialog.close("no");
    byId("confirm-form").onsubmit = (event) => {
      event.preventDefault();
      if (!yes.disabled) dialog.close("yes");
    };
    dialog.onclose = () => done(dialog.returnValue === "yes");
  });
}

async function act(button) {
  const { method, path, text, expected, body } = button.dataset;
  byId("notice").hidden = true;
  if (!key()) {
    tell("Enter the management key first: changes need it.", { bad: true });
    byId("key").focus();
    return;
  }
  if (text && !(await confirmed(text, expected))) return;
  const answer = await fetch(path, { method, body, headers: headers(body ? { "Content-Type": "application/json" } : {}) });
  if (!answer.ok) {
    tell(`Refused: ${await problemOf(answer)}`, { bad: true });
    return;
  }
  const done = await answer.json();
  const asked = done.event_id ? `Asked for; it is event ${done.event_id}` : done.message;
  tell(asked, { href: done.event_id ? `/events/${done.event_id}` : "" });
  renewSoon();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-path]");
  if (!button || button.disabled) return;
  button.disabled = true;
  act(button)
    .catch((error) => tell(`The server cannot be reached: ${error.message}`, { bad: true }))
    .finally(() => { button.disabled = false; });
});

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("key").value.trim();
  if (!given) return;
  sessionStorage.setItem(KEY, given);
  byId("key").value = "";
  byId("notice").hidden = true;
  showKey();
  renewSoon();
});

byId("key-forget").addEventListener("click", () => {
  sessionStorage.removeItem(KEY);
  showKey();
  byId("key").focus();
});

showKey();
countDown();
setInterval(countDown, 1000);
if (document.querySelector("[data-locked]") && key()) renewSoon();
keepListening();
