// Times as the reader wants them: the server writes UTC, and each `<time>` is rewritten in the chosen zone.

const ZONE = "zone";
const ZONES = { "new-york": "America/New_York", local: undefined, utc: "UTC" };
const NAMES = { "new-york": "New York", local: "local", utc: "UTC" };
const DAY_S = 86_400;

const forms = new Map();

function formatted(at, zone, fields) {
  const key = `${zone}${Object.keys(fields)}`;
  if (!forms.has(key)) {
    forms.set(key, new Intl.DateTimeFormat("en", { hourCycle: "h23", timeZone: ZONES[zone], ...fields }));
  }
  return forms.get(key).format(at);
}

export const chosenZone = () => (localStorage.getItem(ZONE) in ZONES ? localStorage.getItem(ZONE) : "new-york");
export const chooseZone = (zone) => localStorage.setItem(ZONE, zone);
export const clock = (at, zone = chosenZone()) => `${timeOfDay(at, zone)} ${NAMES[zone]}`;
export const timeOfDay = (at, zone) => formatted(at, zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const dayOf = (at, zone) => formatted(at, zone, { year: "numeric", month: "short", day: "numeric" });

function written(at, zone, today, exact) {
  const time = exact ? timeOfDay(at, zone) : formatted(at, zone, { hour: "2-digit", minute: "2-digit" });
  const day = dayOf(at, zone);
  if (day === today) return `today, ${time}`;
  const year = today.slice(-4);
  return `${day.endsWith(year) ? day.slice(0, -6) : day}, ${time}`;
}

// Rewrites the times below `root`; where seconds count (`data-exact`, a timeline) they are kept. The title has UTC.
export function localise(root) {
  const zone = chosenZone();
  const today = dayOf(Date.now(), zone);
  for (const shown of root.querySelectorAll("time[datetime]")) {
    if (!shown.title) shown.title = shown.textContent.replace(/^at /, "");
    const exact = shown.closest("[data-exact], .timeline") !== null;
    const text = written(Date.parse(shown.dateTime), zone, today, exact);
    shown.textContent = "due" in shown.dataset ? `at ${text}` : text;
  }
  countDown(root);
}

// What is due within a day is counted down to.
export function countDown(root) {
  for (const shown of root.querySelectorAll("time[data-due]")) {
    const left = Math.round((Date.parse(shown.dateTime) - Date.now()) / 1000);
    if (left > DAY_S) continue;
    const [hours, minutes] = [Math.floor(left / 3600), Math.floor((left % 3600) / 60)];
    const text = left <= 0 ? "now" : hours ? `in ${hours} h ${minutes} min` : minutes ? `in ${minutes} min ${left % 60} s` : `in ${left} s`;
    if (shown.textContent !== text) shown.textContent = text;
  }
}
