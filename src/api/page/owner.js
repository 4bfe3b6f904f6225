// Alerts, log and configuration: what its owner looks at now and then.
import { at, duration, put } from "/page/text.js";
import { ask, order } from "/page/ask.js";

const LINES_SHOWN = 200;
// Lines that are set against each other one by one; more would take too long in a phone.
const MOST_COMPARED = 2000;
let lastLine = 0;
let saved = null;

const when = (unix, uptime) => (unix === null ? `${duration(uptime)} after start` : new Date(unix * 1000).toLocaleString());

function item(text, kind) {
  const line = document.createElement("li");
  line.className = kind;
  line.textContent = text;
  return line;
}

export async function askForAlerts() {
  try {
    const answer = await ask("GET", "/api/v1/alerts");
    if (!answer.ok) return;
    const { active, past } = await answer.json();
    put(at("alert-count"), active.length ? `${active.length} now` : "none now");
    at("alerts").replaceChildren(
      ...active.map((a) => item(`since ${when(a.raised_unix_time, a.raised_uptime_s)}, ${a.severity}, ${a.source}: ${a.message}`, a.severity)),
      ...past.map((a) => item(`over since ${when(a.resolved_unix_time, a.resolved_uptime_s)}, ${a.source}: ${a.message}`, "past")));
  } catch {
    // The connection's own line tells that nothing comes.
  }
}

export async function askForLog() {
  if (!at("log-section").open) return;
  try {
    const level = at("log-level").value;
    const answer = await ask("GET", `/api/v1/logs?after=${lastLine}&level=${level}`);
    if (!answer.ok) return;
    const list = at("log");
    for (const line of await answer.json()) {
      lastLine = Math.max(lastLine, line.number);
      list.prepend(item(`${new Date(line.unix_time * 1000).toLocaleTimeString()} ${line.level} ${line.target}: ${line.text}`, line.level.toLowerCase()));
    }
    while (list.children.length > LINES_SHOWN) list.lastChild.remove();
  } catch {
    // The connection's own line tells that nothing comes.
  }
}

// Lines of both texts with "- ", "+ " or "  " in front, by their longest common part.
export function difference(before, after) {
  const [a, b] = [before.split("\n"), after.split("\n")];
  if (a.length > MOST_COMPARED || b.length > MOST_COMPARED) return ["! too long to be compared here"];
  const common = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const lines = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { lines.push(`  ${a[i]}`); i += 1; j += 1; }
    else if (i < a.length && (j === b.length || common[i + 1][j] >= common[i][j + 1])) { lines.push(`- ${a[i]}`); i += 1; }
    else { lines.push(`+ ${b[j]}`); j += 1; }
  }
  return lines;
}

function showDifference() {
  const lines = saved === null ? [] : difference(saved, at("config-text").value);
  const changed = lines.filter((line) => !line.startsWith("  "));
  put(at("config-outcome"), changed.length ? `${changed.length} lines differ from the file` : "the text is that of the file");
  at("config-diff").replaceChildren(...lines.map((line) => {
    const place = document.createElement("span");
    place.className = line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "";
    place.textContent = `${line}\n`;
    return place;
  }));
}

async function loadConfig() {
  try {
    const answer = await ask("GET", "/api/v1/config");
    const told = await answer.json();
    if (!answer.ok) {
      put(at("config-outcome"), `${told.error.message}; ${told.error.hint}`);
      return;
    }
    saved = told.text;
    at("config-text").value = told.text === null ? "" : told.text;
    at("config-diff").replaceChildren();
    put(at("config-outcome"), told.text === null ? "the file cannot be shown without its secrets" : `${told.file}, secrets left out`);
  } catch {
    put(at("config-outcome"), "no answer");
  }
}

async function checkConfig() {
  try {
    const answer = await ask("POST", "/api/v1/config/check", { text: at("config-text").value });
    const told = await answer.json();
    if (!answer.ok) put(at("config-outcome"), `${told.error.message}; ${told.error.hint}`);
    else if (told.valid) put(at("config-outcome"), "the text is a valid configuration");
    else put(at("config-outcome"), told.problems.map((p) => `${p.place}: ${p.path}: ${p.message}${p.hint ? ` (${p.hint})` : ""}`).join("; "));
  } catch {
    put(at("config-outcome"), "no answer");
  }
}

async function saveConfig() {
  const text = at("config-text").value;
  const done = await order("Save the configuration", "PUT", "/api/v1/config", { text });
  put(at("config-outcome"), at("outcome").textContent);
  if (done) await loadConfig();
}

export function beginOwner() {
  at("config-load").addEventListener("click", loadConfig);
  at("config-check").addEventListener("click", checkConfig);
  at("config-compare").addEventListener("click", showDifference);
  at("config-form").addEventListener("submit", (event) => {
    event.preventDefault();
    saveConfig();
  });
  at("log-section").addEventListener("toggle", askForLog);
  at("log-level").addEventListener("change", () => {
    lastLine = 0;
    at("log").replaceChildren();
    askForLog();
  });
}
