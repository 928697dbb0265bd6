// Makes the page live: renews its content when the server says that something changed, counts down to retries, and
// sends what a person asks for. Everything shown is rendered by the server.
"use strict";

// Worth nothing without the session's cookie, which no script can read; see docs/security.md.
const PROOF = "session-proof";
const RENEW_PAUSE_MS = 250;
const RECONNECT_MS = 2000;

const byId = (id) => document.getElementById(id);
const signedIn = () => byId("key-form") === null;
const proven = (more = {}) => ({ ...more, "X-Session-Proof": localStorage.getItem(PROOF) ?? "" });

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
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.status === 403 && signedIn()) location.reload(); // the session has ended
  if (!answer.ok) return;
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

// Changes, as server-sent events; read with fetch, since EventSource does not tell why it was refused --------------------

async function listen() {
  const answer = await fetch("/stream", { headers: { Accept: "text/event-stream" } });
  if (!answer.ok) {
    showConnection("lost", answer.status === 403 ? "not signed in" : "not live");
    return answer.status !== 403;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return true;
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
  while (await listen().catch(() => true)) {
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
  if (!signedIn()) {
    tell("Sign in first: changes need a key.", { bad: true });
    byId("key").focus();
    return;
  }
  if (text && !(await confirmed(text, expected))) return;
  const answer = await fetch(path, { method, body, headers: proven(body ? { "Content-Type": "application/json" } : {}) });
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

// Session ----------------------------------------------------------------------------------------------------------

async function signIn(shown) {
  const sent = { method: "POST", body: JSON.stringify(shown), headers: { "Content-Type": "application/json" } };
  const answer = await fetch("/session", sent);
  if (!answer.ok) throw new Error(await problemOf(answer));
  localStorage.setItem(PROOF, (await answer.json()).proof);
}

const sayRefused = (error) => tell(error.message, { bad: true });

byId("key-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("key").value.trim();
  byId("key").value = "";
  signIn({ key: given }).then(() => location.reload(), sayRefused);
});

byId("sign-out")?.addEventListener("click", () => {
  localStorage.removeItem(PROOF);
  fetch("/session", { method: "DELETE" }).then(() => location.reload(), sayRefused);
});

// A one-time link: what opens stands behind the #, which browsers send to nobody.
function enter() {
  const link = location.hash.slice(1);
  history.replaceState(null, "", "/enter");
  const failed = (error) => {
    document.querySelector("[data-enter]").textContent = "Sign in above with a key, or with another link.";
    sayRefused(error);
  };
  if (link) signIn({ link }).then(() => location.replace("/"), failed);
  else failed(new Error("This address is no link: `rebalancer open` prints one."));
}

countDown();
setInterval(countDown, 1000);
if (document.querySelector("[data-enter]")) enter();
keepListening();
