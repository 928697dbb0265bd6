// Makes the page live: renews its content when the server says that something changed, and sends what a person asks
// for. Everything shown is rendered by the server.

import { ask, change, forgetProof, keepProof, Refused } from "./asking.js";
import { isConnected, isStale, keepListening, outOfDate, say, tick, upToDate } from "./connection.js";
import { morph } from "./morph.js";
import { fillIn } from "./plans.js";
import { arrange } from "./tables.js";
import { chooseZone, chosenZone, countDown, localise } from "./times.js";
import { dismiss, follow, lookAgain, tell } from "./toast.js";

const RENEW_PAUSE_MS = 250;
const RETRY_MS = 2000;
const RENEW_ANYWAY_MS = 60_000; // what no change tells: a process that fell silent, a message that stays undelivered
const CHANGED = "what it was about has changed meanwhile, so look at it again";
const EVENT = /[0-9a-f]{8}-[0-9a-f-]{27}/;

const byId = (id) => document.getElementById(id);
const signedIn = () => byId("key-form") === null;
const FOCUSABLE = "a, button, input, summary, [tabindex]";
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Content ----------------------------------------------------------------------------------------------------------

async function renew() {
  const answer = await ask(location.href, { Accept: "text/html" });
  if (answer.status === 403 && signedIn()) location.reload(); // the session has ended
  if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
  show(new DOMParser().parseFromString(await answer.text(), "text/html"));
}

function show(fresh) {
  const content = byId("content");
  for (const one of content.querySelectorAll("details[id]")) {
    const next = fresh.getElementById(one.id);
    if (next) next.open = one.open;
  }
  fillIn(fresh);
  localise(fresh);
  arrange(fresh);
  const focused = document.activeElement;
  const place = [...content.querySelectorAll(FOCUSABLE)].indexOf(focused);
  morph(content, fresh.getElementById("content"));
  if (document.activeElement !== focused) focusAgain(content, focused, place);
  document.title = fresh.title;
  renewedAt = Date.now();
  countChosen();
}

// The focus outlives what it was on: by id, else by its place among everything that can have it.
function focusAgain(content, focused, place) {
  const next = focused.isConnected ? focused : byId(focused.id) ?? content.querySelectorAll(FOCUSABLE)[place] ?? content;
  next.focus({ preventScroll: true });
}

let renewedAt = Date.now();
let renewing = false;
let wanted = false;

async function renewSoon() {
  wanted = true;
  if (renewing) return;
  renewing = true;
  while (wanted) {
    wanted = false;
    try {
      await renew();
      if (!wanted) upToDate();
      await pause(RENEW_PAUSE_MS);
    } catch (error) {
      outOfDate();
      say("lost", error.message);
      wanted = true;
      await pause(RETRY_MS);
    }
  }
  renewing = false;
}

function changed() {
  renewSoon();
  lookAgain().catch(sayUnknown);
}

const sayUnknown = (error) => tell(`How it fares is not known: ${error.message}`, { kind: "warn" });

// Actions ----------------------------------------------------------------------------------------------------------

function confirmed(button, { label, name = label, text, expected }) {
  const dialog = byId("confirm");
  const word = byId("confirm-word");
  const yes = byId("confirm-yes");
  byId("confirm-title").textContent = `${name}?`;
  byId("confirm-text").textContent = text;
  byId("confirm-expected").textContent = expected;
  byId("confirm-typing").hidden = expected === "";
  yes.textContent = label;
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
    dialog.onclose = () => {
      (button.isConnected ? button : byId(button.id))?.focus({ preventScroll: true });
      done(dialog.returnValue === "yes");
    };
  });
}

async function act(button) {
  const asked = button.dataset.dry ? dryRun(button.dataset.dry) : button.form ? entered(button) : button.dataset;
  if (asked === null) return;
  const { method, path, text, expected, body, about } = asked;
  const label = button.textContent.trim();
  const name = about ? `${label} ${about}` : label;
  if (text && !(await confirmed(button, { label, name, text, expected }))) return;
  if (!button.isConnected) throw new Refused(CHANGED);
  tell(`${name}: asked for`);
  const done = await change(method, path, body);
  const event = done.event_id ?? path.match(EVENT)?.[0];
  tell(done.event_id ? `${name}: queued` : done.message ?? `${name}: done`, { href: event ? `/events/${event}` : "" });
  if (event) await follow(event, name, done.event_id ? "" : done.message).catch(sayUnknown);
}

const dryRun = (account) => ({ method: "POST", path: `/rebalance/${account}/dry-run?wait_s=0`, about: account });

// What stands in the button's form is sent, and named in its words where these have {fields}.
function entered(button) {
  if (!button.form.reportValidity()) return null;
  const fields = Object.fromEntries(new FormData(button.form));
  const filled = (words) => words.replace(/\{(\w+)\}/g, (_, name) => fields[name]);
  const { method, path, text, expected, about } = button.dataset;
  return { method, path, text: filled(text), expected: filled(expected), about: filled(about), body: JSON.stringify(fields) };
}

// Plans can be decided on together; each is its own request, and each refusal is said.
const chosen = () => [...document.querySelectorAll("[data-plan]:checked")];

function countChosen() {
  const count = chosen().length;
  for (const button of document.querySelectorAll("button[data-decision]")) {
    button.hidden = count === 0;
    button.textContent = `${button.dataset.decision} ${count} selected`;
  }
}

async function decide(button) {
  const plans = chosen().map((box) => ({ box, ...box.dataset }));
  const decision = button.dataset.decision;
  const text = `${decision} the ${plans.length === 1 ? "plan" : "plans"} of ${plans.map((plan) => plan.account).join(", ")}.`;
  const live = document.documentElement.dataset.mode === "live" && decision === "Approve";
  const label = `${decision} ${plans.length}`;
  if (!(await confirmed(button, { label, text, expected: live ? label : "" }))) return;
  const problems = [];
  for (const [done, plan] of plans.entries()) {
    tell(`${decision}: ${done} of ${plans.length} done`);
    if (!plan.box.isConnected) {
      problems.push(`${plan.account}: ${CHANGED}`);
      continue;
    }
    const path = `/approvals/${plan.event}/${decision.toLowerCase()}?plan=${plan.plan}`;
    await change("POST", path).catch((error) => problems.push(`${plan.account}: ${error.message}`));
  }
  const good = plans.length - problems.length;
  tell(`${decision}: ${[`${good} of ${plans.length} done`, ...problems].join("; ")}`, { kind: problems.length ? "bad" : "good" });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-acts]");
  if (!button) return;
  event.preventDefault(); // no form goes anywhere by itself
  if (button.getAttribute("aria-busy") === "true") return;
  if (isStale()) {
    tell("Not sent: the server has been silent for long.", { kind: "bad" });
    return;
  }
  if (!signedIn()) {
    tell("Sign in first: changes need a key.", { kind: "bad" });
    byId("key").focus();
    return;
  }
  button.setAttribute("aria-busy", "true");
  const said = (error) => tell(`${error instanceof Refused ? "Refused" : "Failed"}: ${error.message}`, { kind: "bad" });
  (button.dataset.decision ? decide : act)(button)
    .catch(said)
    .finally(() => {
      button.removeAttribute("aria-busy");
      renewSoon();
    });
});

document.addEventListener("change", (event) => {
  if (event.target.matches("#every-plan")) {
    for (const box of document.querySelectorAll("[data-plan]")) box.checked = event.target.checked;
  }
  if (event.target.matches("#every-plan, [data-plan]")) countChosen();
});

byId("notice-close").addEventListener("click", dismiss);

// Session ----------------------------------------------------------------------------------------------------------

async function signIn(shown) {
  keepProof((await change("POST", "/session", JSON.stringify(shown))).proof);
}

function sayKeyRefused(error) {
  byId("key-error").textContent = error.message;
  byId("key-error").hidden = false;
  byId("key").setAttribute("aria-invalid", "true");
  byId("key").focus();
}

byId("key-form")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = byId("key").value.trim();
  byId("key").value = "";
  signIn({ key: given }).then(() => location.reload(), sayKeyRefused);
});

byId("sign-out")?.addEventListener("click", () => {
  const left = () => {
    forgetProof();
    location.reload();
  };
  change("DELETE", "/session").then(left, (error) => tell(`Still signed in: ${error.message}`, { kind: "bad" }));
});

// A one-time link: what opens stands behind the #, which browsers send to nobody.
function enter() {
  const link = location.hash.slice(1);
  history.replaceState(null, "", "/enter");
  const failed = (error) => {
    document.querySelector("[data-enter]").textContent = "Sign in above with a key, or with another link.";
    sayKeyRefused(error);
  };
  if (link) signIn({ link }).then(() => location.replace("/"), failed);
  else failed(new Error("This address is no link: `rebalancer open` prints one."));
}

// Choices of this browser --------------------------------------------------------------------------------------------

byId("zone").value = chosenZone();
byId("zone").addEventListener("change", (event) => {
  chooseZone(event.target.value);
  localise(document);
  tick();
});

byId("theme").value = document.documentElement.dataset.theme ?? "";
byId("theme").addEventListener("change", (event) => {
  const theme = event.target.value;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem("theme", theme);
});

localise(document);
arrange(document);
setInterval(() => {
  countDown(document);
  tick();
  if (isConnected() && !document.hidden && Date.now() - renewedAt > RENEW_ANYWAY_MS) renewSoon();
}, 1000);
if (document.querySelector("[data-enter]")) enter();
keepListening(changed);
