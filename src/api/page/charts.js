// The past day.
import { at, put, rate } from "/page/text.js";
import { ask } from "/page/ask.js";

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

export async function askForHistory() {
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

