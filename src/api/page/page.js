// Shows what /api/v1/live tells. Texts of the machine and of pools become text nodes, never markup.
"use strict";

const at = (id) => document.getElementById(id);
const STALE_AFTER = 5000;
const CHIPS_EVERY = 10000;
const EVENTS_SHOWN = 50;
const HISTORY_EVERY = 60000;
const LISTEN_AGAIN = 2000;
let lastHeard = 0;
let poolsShown = [];
let needsToken = false;
let listening = new AbortController();

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function known(value, write) {
  return value === null || value === undefined ? "unknown" : write(value);
}

function rate(hashes) {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  let place = 0;
  while (hashes >= 999.5 && place < prefixes.length - 1) { hashes /= 1000; place += 1; }
  return `${hashes.toPrecision(3)} ${prefixes[place]}H/s`;
}

function duration(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

const number = (value, digits) => known(value, (n) => n.toFixed(digits));
const windowName = (s) => (s < 60 ? `${s} s` : s < 3600 ? `${s / 60} min` : `${s / 3600} h`);

// A measured value, or why it is not known; old ones say how old.
function measured(m, digits) {
  if (m.value === null) return `unknown: ${m.reason}`;
  const old = m.age_ms > 10000 ? ` (${duration(m.age_ms / 1000)} old)` : "";
  return `${m.value.toFixed(digits)} ${m.unit}${old}`;
}

// Rows of a table: cells are changed in place, so that a reader's place in it stays.
function fill(body, rows, classOf) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row = body.rows[index] || body.insertRow();
    row.className = classOf ? classOf(index) : "";
    cells.forEach((text, column) => put(row.cells[column] || row.insertCell(), String(text)));
  });
}

function showStatus(status) {
  lastHeard = Date.now();
  const { machine, keeper, hash_rate: hashRate, shares, chains, supply, pools } = status;
  put(at("title"), known(machine.host, (host) => `${machine.board} at ${host}`));
  at("emulated").hidden = !machine.emulated;
  put(at("state"), `${machine.state.replaceAll("_", " ")}: ${machine.reason}`);
  const minute = hashRate.windows[1];
  put(at("rate"), known(minute, (w) => rate(w.rate)));
  put(at("rate-band"), minute ? `${rate(minute.lower)} to ${known(minute.upper, rate)}${minute.settling ? ", settling" : ""}, 1 min` : "no work yet");
  put(at("nominal"), known(hashRate.nominal, rate));
  const temperatures = chains.map((chain) => chain.temperature.value).filter((t) => t !== null);
  put(at("hottest"), temperatures.length ? `${Math.max(...temperatures).toFixed(1)} C` : "unknown");
  put(at("tier"), known(keeper.tier, (tier) => `tier ${tier}, fans ${keeper.fan_mode}`));
  put(at("power"), supply ? measured(supply.power, 0) : "unknown");
  put(at("efficiency"), measured(status.efficiency, 1));
  put(at("accepted"), String(shares.accepted));
  put(at("rejected"), `${shares.rejected.total} rejected (${number(shares.rejected_percent, 2)} %), ${shares.stale} stale`);
  put(at("uptime"), duration(machine.uptime_s));
  put(at("version"), `version ${status.versions.daemon}`);
  fill(at("windows"), hashRate.windows.map((w) => [
    windowName(w.window_s) + (w.settling ? " (settling)" : ""), rate(w.rate), rate(w.lower), known(w.upper, rate), w.shares]));
  fill(at("chains"), chains.map((c) => [
    c.index, c.phase, `${known(c.chips_found, String)}/${c.chips_expected}`, number(c.frequency, 1),
    known(c.hash_rate[1], (w) => rate(w.rate)), known(c.nominal, rate),
    measured(c.temperature, 1),
    c.counters.nonces, c.counters.mismatches, c.reason || ""]));
  put(at("supply"), supply
    ? `${supply.part}: ${supply.wanted_on ? "on" : "off"}, ${measured(supply.voltage, 0)}, ${measured(supply.power, 0)}${supply.fault ? `, ${supply.fault}` : ""}`
    : "unknown");
  fill(at("fans"), status.fans.map((f) => [f.name, known(f.duty, (d) => `${d.toFixed(0)} %`), measured(f.speed, 0), f.condition]));
  fill(at("temperatures"), status.temperatures.map((t) => [
    t.name, measured(t.reading, 1), known(t.acted_on, (c) => `${c.toFixed(1)} C`), t.fault || ""]));
  put(at("strategy"), `${pools.strategy}: ${pools.reason}`);
  showPools(pools.list);
  fill(at("pools"), pools.list.map((p) => [
    p.index + (p.active ? " (active)" : ""), p.url, p.user, p.phase, known(p.difficulty, String), p.shares.accepted,
    p.shares.rejected.total, known(p.last_accepted_age_s, (s) => `${duration(s)} ago`), p.last_error || ""]),
  (index) => (pools.list[index].active ? "active" : ""));
}

function showEvents(events) {
  const list = at("events");
  for (const event of events) {
    const when = event.unix_time === null ? `${duration(event.uptime_s)} after start` : new Date(event.unix_time * 1000).toLocaleString();
    const item = document.createElement("li");
    item.className = event.severity;
    item.textContent = `${when}, ${event.severity}, ${event.source}: ${event.message}`;
    list.prepend(item);
  }
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove();
}

function chipClass(percent) {
  if (percent === null) return "chip none";
  return percent >= 80 ? "chip good" : percent >= 50 ? "chip fair" : "chip poor";
}

function describeChip(chain, chip) {
  const { health, counters } = chip;
  return `Chain ${chain.chain}, chip ${chip.index}${chip.domain === null ? "" : `, domain ${chip.domain}`}: ${known(health.percent, (p) => `${p.toFixed(0)} %`)}, `
    + `${health.nonces} nonces of ${health.expected.toFixed(0)} expected, ${counters.mismatches} errors`;
}

// The map is built once and coloured again, so that the focus stays.
function showChips(chains) {
  const place = at("chips");
  const shape = chains.map((chain) => `${chain.chain}:${chain.chips.length}`).join();
  if (place.dataset.shape !== shape) {
    place.dataset.shape = shape;
    place.replaceChildren(...chains.map(buildMap));
  }
  const fields = place.querySelectorAll("button");
  chains.flatMap((chain) => chain.chips.map((chip) => [chain, chip])).forEach(([chain, chip], index) => {
    const field = fields[index];
    const text = describeChip(chain, chip);
    field.className = chipClass(chip.health.percent);
    field.title = text;
    field.setAttribute("aria-label", text);
  });
}

function buildMap(chain) {
  const map = document.createElement("div");
  map.className = "map";
  const heading = document.createElement("h3");
  heading.textContent = `Chain ${chain.chain}, ${chain.model}`;
  const grid = document.createElement("div");
  grid.className = "grid";
  map.append(heading, grid);
  let column = null;
  let domain = null;
  for (const chip of chain.chips) {
    if (column === null || chip.domain !== domain) {
      column = document.createElement("div");
      column.className = "domain";
      domain = chip.domain;
      grid.append(column);
    }
    const field = document.createElement("button");
    field.type = "button";
    field.addEventListener("click", () => put(at("chip"), field.title));
    column.append(field);
  }
  return map;
}

async function askForChips() {
  try {
    const answer = await ask("GET", "/api/v1/chips");
    if (answer.ok) showChips(await answer.json());
  } catch {
    // The connection's own line tells that nothing comes.
  }
}

// Numbers that stand still must not look alive.
function watchConnection() {
  const lost = Date.now() - lastHeard > STALE_AFTER;
  document.body.classList.toggle("stale", lost && lastHeard > 0);
  at("connection").classList.toggle("lost", lost);
  put(at("connection"), lost
    ? (needsToken ? "a token is needed to read" : lastHeard ? `no connection for ${duration((Date.now() - lastHeard) / 1000)}: these numbers are old` : "connecting")
    : "live");
}

// Every request, with the token when there is one.
function ask(method, path, body) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  return fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
}

// Asks for a change and tells how it went.
async function order(what, method, path, body) {
  put(at("outcome"), `${what} ...`);
  try {
    const answer = await ask(method, path, body);
    const told = await answer.json();
    const waiting = (told.restart_needed || []).join(", ");
    put(at("outcome"), answer.ok
      ? `${what}: done${waiting ? `; at the next start: ${waiting}` : ""}`
      : `${what}: ${told.error.message}; ${told.error.hint}`);
    return answer.ok;
  } catch {
    put(at("outcome"), `${what}: no answer`);
    return false;
  }
}

// Buttons beside each pool are made once for a number of pools, so that the focus stays.
function showPools(list) {
  poolsShown = list;
  const choice = at("pool-index");
  if (choice.options.length !== list.length + 1) {
    while (choice.options.length > 1) choice.remove(1);
    list.forEach((pool) => choice.add(new Option(`pool ${pool.index}`, pool.index)));
  }
}

function showPoolActions() {
  const rows = at("pools").rows;
  for (const [index, row] of [...rows].entries()) {
    const cell = row.cells[9] || row.insertCell();
    if (cell.children.length) continue;
    for (const [name, method, path] of [
      ["Switch to", "POST", "/switch"], ["Enable", "POST", "/enable"], ["Disable", "POST", "/disable"], ["Remove", "DELETE", ""]]) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.setAttribute("aria-label", `${name} pool ${index}`);
      button.addEventListener("click", () => order(`${name} pool ${index}`, method, `/api/v1/pools/${index}${path}`));
      cell.append(button);
    }
  }
}

// Points that are not known leave a gap in the line.
function draw(place, caption, name, moments, value, write) {
  const known = moments.map(value).filter((v) => v !== null);
  const svg = at(place);
  if (!known.length) {
    svg.replaceChildren();
    put(at(caption), `${name}: not known yet`);
    return;
  }
  const [low, high] = [Math.min(...known), Math.max(...known)];
  put(at(caption), `${name}: ${write(known[known.length - 1])}, from ${write(low)} to ${write(high)}`);
  const span = high - low || 1;
  let path = "";
  let pen = "M";
  moments.forEach((moment, index) => {
    const v = value(moment);
    if (v === null) { pen = "M"; return; }
    const x = moments.length > 1 ? (600 * index) / (moments.length - 1) : 300;
    path += `${pen}${x.toFixed(1)} ${(112 - (104 * (v - low)) / span).toFixed(1)}`;
    pen = "L";
  });
  const line = document.createElementNS(svg.namespaceURI, "path");
  line.setAttribute("d", path);
  line.setAttribute("class", "line");
  svg.replaceChildren(line);
}

async function askForHistory() {
  try {
    const answer = await ask("GET", "/api/v1/history");
    if (!answer.ok) return;
    const { moments } = await answer.json();
    draw("rate-chart", "rate-chart-caption", "Hashrate credited", moments, (m) => m.hash_rate, rate);
    draw("temperature-chart", "temperature-chart-caption", "Hottest chain", moments, (m) => m.temperature, (t) => `${t.toFixed(1)} C`);
    draw("power-chart", "power-chart-caption", "Power", moments, (m) => m.power, (w) => `${w.toFixed(0)} W`);
  } catch {
    // The connection's own line tells that nothing comes.
  }
}

function hear(block) {
  const field = (name) => {
    const line = block.split("\n").find((each) => each.startsWith(name));
    return line === undefined ? "" : line.slice(name.length);
  };
  const data = field("data: ");
  if (!data) return;
  if (field("event: ") === "status") { showStatus(JSON.parse(data)); showPoolActions(); }
  else showEvents(JSON.parse(data));
}

// The stream is read by fetch, for an EventSource cannot send a token.
async function listen() {
  listening = new AbortController();
  const token = sessionStorage.getItem("token");
  try {
    const answer = await fetch("/api/v1/live", {
      headers: token ? { Authorization: `Bearer ${token}` } : {}, signal: listening.signal });
    needsToken = answer.status === 401;
    if (answer.ok) {
      // A new stream tells all events anew.
      at("events").replaceChildren();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        const blocks = (rest + value).split("\n\n");
        rest = blocks.pop();
        blocks.forEach(hear);
      }
    }
  } catch {
    // Asked again below; the connection's own line tells that nothing comes.
  }
  setTimeout(listen, LISTEN_AGAIN);
}

for (const button of document.querySelectorAll("[data-order]")) {
  button.addEventListener("click", () => order(button.textContent, "POST", `/api/v1/control/${button.dataset.order}`));
}
let locating = false;
at("locate").addEventListener("click", async () => {
  if (await order(locating ? "Stop blinking" : "Locate", "PUT", "/api/v1/locate", { on: !locating })) locating = !locating;
});
at("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = at("token").value.trim();
  if (token) sessionStorage.setItem("token", token); else sessionStorage.removeItem("token");
  at("token").value = "";
  put(at("outcome"), token ? "the token is used from now on" : "no token is used any more");
  listening.abort();
});
at("fan-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const mode = at("fan-mode").value;
  order("Set fans", "PATCH", "/api/v1/fans", mode === "fixed" ? { mode, duty: at("fan-duty").valueAsNumber } : { mode });
});
at("pool-index").addEventListener("change", () => {
  const pool = poolsShown[at("pool-index").value];
  at("pool-url").value = pool ? pool.url : "";
  at("pool-user").value = pool ? pool.user : "";
  at("pool-password").value = "";
});
at("pool-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const index = at("pool-index").value;
  const body = { url: at("pool-url").value, user: at("pool-user").value };
  if (at("pool-password").value) body.password = at("pool-password").value;
  if (index === "") order("Add a pool", "POST", "/api/v1/pools", body);
  else order(`Change pool ${index}`, "PATCH", `/api/v1/pools/${index}`, body);
});
setInterval(watchConnection, 1000);
setInterval(askForChips, CHIPS_EVERY);
setInterval(askForHistory, HISTORY_EVERY);
listen();
askForChips();
askForHistory();
