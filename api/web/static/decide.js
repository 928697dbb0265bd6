// One plan, shown and decided on with the link that a message brought. What opens stands behind the #, which browsers send
// to nobody: it leaves the address at once and goes to our own server in the body of a request.
"use strict";

const TIMEOUT_MS = 15000;
const byId = (id) => document.getElementById(id);
const link = location.hash.slice(1);
history.replaceState(null, "", location.pathname);

const money = new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" });
const usd = (amount) => money.format(amount).replace("-", "\u2212");
const percent = (weight) => (weight === null ? "\u2013" : `${(100 * Number(weight)).toFixed(1)} %`);
const moment = (text) => new Date(text).toLocaleString([], { weekday: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });

async function post(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "Content-Type": "application/json" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(typeof told.detail === "string" ? told.detail : `The server answered ${answer.status}.`);
  return told;
}

function say(text, kind = "") {
  byId("said").textContent = text;
  byId("said").className = kind;
}

function row(cells, head = "td") {
  const made = document.createElement("tr");
  cells.forEach(([text, small, name], place) => {
    const cell = document.createElement(place === 0 ? "th" : head);
    if (place === 0) cell.scope = "row";
    cell.className = place === 0 ? name ?? "" : "number";
    cell.textContent = text;
    if (small) cell.append(Object.assign(document.createElement("small"), { textContent: small }));
    made.append(cell);
  });
  return made;
}

function show(plan) {
  byId("title").textContent = `A plan for ${plan.account}`;
  const mode = byId("mode");
  mode.textContent = plan.live ? "LIVE real money" : "PAPER simulated money";
  document.documentElement.dataset.mode = plan.live ? "live" : "paper";
  mode.hidden = false;
  for (const reason of plan.reasons) byId("reasons").append(Object.assign(document.createElement("li"), { textContent: reason }));
  for (const order of plan.orders) {
    const [word, name] = order.side === "SELL" ? ["Sell", "sell"] : ["Buy", "buy"];
    byId("orders").append(row([
      [`${word} ${order.shares ?? ""} ${order.symbol}`.replace("  ", " "), order.price === null ? "" : `at about ${usd(order.price)}`, name],
      [usd(order.amount)],
      [`${percent(order.before)} \u2192 ${percent(order.after)}`],
    ]));
  }
  byId("totals").append(row([["Sold in all"], [usd(plan.sold)], [""]]), row([["Bought in all"], [usd(plan.bought)], [""]]), row([["Commissions, expected"], [plan.fees === null ? "\u2013" : usd(plan.fees)], [""]]));
  byId("until").textContent = plan.silent_at
    ? `It goes ahead ${moment(plan.silent_at)} unless you reject it.`
    : `It waits until ${moment(plan.expires_at)}; then it is made anew.`;
  const word = plan.account.replace("\u2026", "");
  byId("expected").textContent = word;
  byId("typing").hidden = !plan.live;
  byId("approve").disabled = plan.live;
  byId("word").oninput = () => { byId("approve").disabled = byId("word").value.trim() !== word; };
  byId("plan").hidden = false;
  say(plan.waits ? "Look at it, then decide." : "This plan waits no more: it was decided, replaced or removed.");
  byId("form").hidden = !plan.waits;
}

async function decide(decision) {
  for (const button of byId("form").querySelectorAll("button")) button.disabled = true;
  try {
    say((await post("/decisions", { link, decision })).message, "done");
  } catch (error) {
    say(`Not done: ${error.message}`, "error");
  }
  byId("form").hidden = true;
}

byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!byId("approve").disabled) decide("approve");
});
byId("reject").addEventListener("click", () => decide("reject"));
if (link) post("/decisions/look", { link }).then(show, (error) => say(error.message, "error"));
else say("This address is no link: it comes with a message about a plan.", "error");
