// The firmware image: what runs, and installing another one.
import { at, put } from "/page/text.js";
import { ask } from "/page/ask.js";

let sending = false;

function describe({ available, reason, image }) {
  if (!image) return reason || "nothing is known of the image";
  const slots = image.slots.map((slot) => `${slot.name}${slot.running ? " runs" : ""}${slot.good ? "" : ", not bootable"}`);
  const trial = image.trial ? `; version ${image.trial.version} is on trial` : "";
  const last = image.last ? `; last update: ${image.last.version} ${image.last.confirmed ? "confirmed" : "rolled back"} (${image.last.reason})` : "";
  return `${available ? "" : "no updates here; "}version ${image.version ?? "unknown"}; slots: ${slots.join(", ")}${trial}${last}`;
}

export async function askForFirmware() {
  if (!at("firmware-section").open) return;
  try {
    const answer = await ask("GET", "/api/v1/firmware");
    const told = await answer.json();
    if (!answer.ok) {
      put(at("firmware-image"), `${told.error.message}; ${told.error.hint}`);
      return;
    }
    put(at("firmware-image"), describe(told));
    if (told.job && !sending) {
      const part = told.job.per_cent === null ? "" : ` ${told.job.per_cent} %`;
      put(at("firmware-job"), `${told.job.state}${part}: ${told.job.line}`);
    }
  } catch {
    // The connection's own line tells that nothing comes.
  }
}

// A request of its own: fetch tells nothing of how much is sent.
function send(file, query) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/v1/firmware/install?${query}`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    const token = sessionStorage.getItem("token");
    if (token) request.setRequestHeader("Authorization", `Bearer ${token}`);
    request.upload.onprogress = (sent) => put(at("firmware-job"), `sent ${Math.floor(100 * sent.loaded / sent.total)} %`);
    request.onload = () => {
      try {
        const told = JSON.parse(request.responseText);
        resolve(request.status === 200 ? "sent; it is being verified" : `${told.error.message}; ${told.error.hint}`);
      } catch {
        resolve(`an answer that is not understood: ${request.status}`);
      }
    };
    request.onerror = () => resolve("no answer; nothing was installed");
    request.send(file);
  });
}

async function install() {
  const file = at("firmware-file").files[0];
  if (!file || sending) return;
  sending = true;
  const query = `reboot=${at("firmware-reboot").checked}&downgrade=${at("firmware-downgrade").checked}`;
  put(at("firmware-job"), await send(file, query));
  sending = false;
}

export function beginFirmware() {
  at("firmware-section").addEventListener("toggle", askForFirmware);
  at("firmware-form").addEventListener("submit", (event) => {
    event.preventDefault();
    install();
  });
}
