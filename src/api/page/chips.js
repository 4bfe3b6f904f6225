// The map of chips.
import { at, known, put } from "/page/text.js";
import { ask } from "/page/ask.js";

function describeChip(chain, chip) {
  const { health, counters } = chip;
  const found = health.percent === null
    ? `unknown: ${health.reason}`
    : `${health.percent.toFixed(0)} %, surely between ${health.lower.toFixed(0)} and ${health.upper.toFixed(0)} %`;
  return `Chain ${chain.chain}, chip ${chip.index}${chip.domain === null ? "" : `, domain ${chip.domain}`}: ${found}; `
    + `${health.nonces} nonces of ${known(health.expected, (n) => n.toFixed(0))} expected, ${counters.mismatches} errors`;
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
    field.className = `chip ${chip.health.verdict}`;
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

export async function askForChips() {
  try {
    const answer = await ask("GET", "/api/v1/chips");
    if (answer.ok) showChips(await answer.json());
  } catch {
    // The connection's own line tells that nothing comes.
  }
}

