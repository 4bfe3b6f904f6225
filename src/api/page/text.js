// Texts and tables. Texts of the machine and of pools become text nodes, never markup.
const LONG = 30;

export const at = (id) => document.getElementById(id);

export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function known(value, write) {
  return value === null || value === undefined ? "unknown" : write(value);
}

export function rate(hashes) {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  let place = 0;
  while (hashes >= 999.5 && place < prefixes.length - 1) { hashes /= 1000; place += 1; }
  return `${hashes.toPrecision(3)} ${prefixes[place]}H/s`;
}

export function duration(seconds) {
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s / 3600) % 24} h`;
}

export const number = (value, digits) => known(value, (n) => n.toFixed(digits));
export const windowName = (s) => (s < 60 ? `${s} s` : s < 3600 ? `${s / 60} min` : `${s / 3600} h`);

// A measured value, or why it is not known; old ones say how old.
export function measured(m, digits) {
  if (m.value === null) return `unknown: ${m.reason}`;
  const old = m.age_ms > 10000 ? ` (${duration(m.age_ms / 1000)} old)` : "";
  return `${m.value.toFixed(digits)} ${m.unit}${old}`;
}

// Rows of a table: cells are changed in place, so that a reader's place in it stays.
export function fill(body, rows, classOf) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, index) => {
    const row = body.rows[index] || body.insertRow();
    row.className = classOf ? classOf(index) : "";
    cells.forEach((text, column) => {
      const cell = row.cells[column] || row.insertCell();
      put(cell, String(text));
      // A cell may be too narrow for a long reason.
      const title = cell.textContent.length > LONG ? cell.textContent : "";
      if (cell.title !== title) cell.title = title;
    });
  });
}

