// Questions to the server: each has a time-out, and each failure is said in words.

const READ_MS = 15_000;
const CHANGE_MS = 30_000;
// Worth nothing without the session's cookie, which no script can read; see docs/security.md.
const PROOF = "session-proof";

export const keepProof = (proof) => localStorage.setItem(PROOF, proof);
export const forgetProof = () => localStorage.removeItem(PROOF);

export class Refused extends Error {}

export async function ask(path, headers = {}) {
  return sent(path, { headers, signal: AbortSignal.timeout(READ_MS) }, "the server has not answered");
}

export async function change(method, path, body) {
  const headers = { "X-Session-Proof": localStorage.getItem(PROOF) ?? "" };
  if (body) headers["Content-Type"] = "application/json";
  const signal = AbortSignal.timeout(CHANGE_MS);
  const doubt = "no answer yet: it may have been taken, so look at the queue before you ask again";
  return reading(await sent(path, { method, body, headers, signal }, doubt));
}

async function sent(path, options, late) {
  try {
    return await fetch(path, options);
  } catch (error) {
    throw new Error(error.name === "TimeoutError" ? late : "the server cannot be reached");
  }
}

export async function reading(answer) {
  if (answer.ok) return answer.json();
  const body = await answer.json().catch(() => ({}));
  throw new Refused(typeof body.detail === "string" ? body.detail : `the server answered ${answer.status}`);
}
