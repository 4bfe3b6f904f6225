// Pools: what they are, what can be done with them, and a try of one that need not be configured.
import { at, duration, fill, known, put } from "/page/text.js";
import { ask, confirmed, order } from "/page/ask.js";

const ACTIONS = 13;
let shown = [];
// What the form's pool was when it was chosen: others may move pools meanwhile.
let chosen = null;

export function showPools(pools) {
  shown = pools.list;
  put(at("strategy"), `${pools.strategy}: ${pools.reason}`);
  fill(at("pools"), shown.map((p) => [
    p.index + (p.active ? " (active)" : ""), p.name, p.url, p.user, p.enabled ? "yes" : "no", p.quota, p.phase, known(p.difficulty, String),
    p.shares.accepted, p.shares.rejected.total, known(p.last_accepted_age_s, (s) => `${duration(s)} ago`), p.last_error || "", p.message || ""]),
  (index) => (shown[index].active ? "active" : ""));
  showActions();
  showChoices();
}

// Buttons beside each pool are made once for a number of pools, so that the focus stays.
function showActions() {
  for (const [index, row] of [...at("pools").rows].entries()) {
    const cell = row.cells[ACTIONS] || row.insertCell();
    if (cell.children.length) continue;
    for (const [name, method, path] of [
      ["Switch to", "POST", "/switch"], ["Enable", "POST", "/enable"], ["Disable", "POST", "/disable"], ["Remove", "DELETE", ""]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.setAttribute("aria-label", `${name} pool ${index}`);
      button.addEventListener("click", async () => {
        const what = `${name} pool ${index}`;
        if (method !== "DELETE" || await wantsToRemove(index, what)) order(what, method, `/api/v1/pools/${index}${path}`);
      });
      cell.append(button);
    }
    if (index > 0) cell.append(moveUp(index));
  }
}

// Others may move pools while it is asked.
async function wantsToRemove(index, what) {
  const { url, user } = shown[index];
  if (!await confirmed(what, `${url}, user ${user}: it leaves the configuration file with its password.`)) return false;
  const still = shown[index]?.url === url && shown[index].user === user;
  if (!still) put(at("outcome"), `${what}: the pools have changed meanwhile; look again`);
  return still;
}

function moveUp(index) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Move up";
  button.setAttribute("aria-label", `Move up pool ${index}`);
  button.addEventListener("click", () => {
    const places = shown.map((_, place) => place);
    [places[index - 1], places[index]] = [index, index - 1];
    order(`Move up pool ${index}`, "PUT", "/api/v1/pools/order", { order: places });
  });
  return button;
}

function showChoices() {
  const choice = at("pool-index");
  if (choice.options.length === shown.length + 1) return;
  while (choice.options.length > 1) choice.remove(1);
  shown.forEach((pool) => choice.add(new Option(`pool ${pool.index}`, pool.index)));
}

// The fields of the form; what is empty is left as it is, or built in.
function fields() {
  const body = { url: at("pool-url").value, user: at("pool-user").value };
  if (at("pool-password").value) body.password = at("pool-password").value;
  if (at("pool-quota").value) body.quota = at("pool-quota").valueAsNumber;
  return body;
}

function tell(trial) {
  const parts = [trial.works ? "it works" : `it does not work: ${trial.error}`];
  if (trial.connected) parts.push(`connected to ${trial.connected.peer} in ${trial.connected.ms.toFixed(0)} ms`);
  parts.push(trial.tls ? `${trial.tls.protocol}, ${trial.tls.cipher}` : "not encrypted");
  if (trial.authorized_ms !== null) parts.push(`authorized after ${trial.authorized_ms.toFixed(0)} ms`);
  if (trial.job) parts.push(`first job after ${trial.job.ms.toFixed(0)} ms, difficulty ${trial.job.difficulty}`);
  if (trial.message) parts.push(`it says: ${trial.message}`);
  return parts.join("; ");
}

// The pool that the form is about; undefined for a new one, null when it is not where it was.
function target() {
  const index = at("pool-index").value;
  if (index === "") return undefined;
  const pool = shown[index];
  return pool && chosen && pool.url === chosen.url && pool.user === chosen.user ? pool : null;
}

function moved() {
  put(at("pool-outcome"), "the pools have changed since this one was chosen; choose it again");
}

async function test() {
  const { url, user, password } = fields();
  const pool = target();
  if (pool === null) { moved(); return; }
  // The page does not know the password of a pool that is there already; the machine does.
  const asIs = pool && !password && pool.url === url && pool.user === user;
  put(at("pool-outcome"), `trying ${url}, for 12 seconds at most ...`);
  try {
    const answer = asIs
      ? await ask("POST", `/api/v1/pools/${pool.index}/test`)
      : await ask("POST", "/api/v1/pools/test", password ? { url, user, password } : { url, user });
    const told = await answer.json();
    put(at("pool-outcome"), answer.ok ? `${url}: ${tell(told)}` : `${url}: ${told.error.message}; ${told.error.hint}`);
  } catch {
    put(at("pool-outcome"), `${url}: no answer`);
  }
}

export function beginPools() {
  at("pool-index").addEventListener("change", () => {
    const pool = shown[at("pool-index").value];
    chosen = pool ? { url: pool.url, user: pool.user } : null;
    at("pool-url").value = pool ? pool.url : "";
    at("pool-user").value = pool ? pool.user : "";
    at("pool-quota").value = pool ? pool.quota : "";
    at("pool-password").value = "";
  });
  at("pool-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const pool = target();
    if (pool === null) { moved(); return; }
    put(at("pool-outcome"), "");
    const wanted = fields();
    if (!pool) await order("Add a pool", "POST", "/api/v1/pools", wanted);
    else if (await order(`Change pool ${pool.index}`, "PATCH", `/api/v1/pools/${pool.index}`, wanted)) chosen = wanted;
  });
  at("pool-test").addEventListener("click", () => {
    if (at("pool-form").reportValidity()) test();
  });
}
