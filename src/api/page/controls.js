// Everything that changes the machine, pools and configuration aside.
import { at, known, put } from "/page/text.js";
import { confirmed, order } from "/page/ask.js";

let locating = false;
// Whether the fans' form holds what its owner has not asked for yet.
let fansDrafted = false;
// What is asked before an order that ends the machine's work.
const QUESTIONS = {
  stop: "All chips lose their power and find no more shares until somebody powers the machine on.",
  restart: "All chips lose their power and find no shares until they are brought up anew, which takes a minute or more.",
};

// Somebody else may have asked for it, or ended it.
export function showLocate(blinks) {
  locating = blinks === true;
  put(at("locate"), locating ? "Stop blinking" : "Locate");
}

export function beginControls(changed) {
  for (const button of document.querySelectorAll("[data-order]")) {
    const { textContent: name, dataset: { order: asked } } = button;
    button.addEventListener("click", async () => {
      const question = QUESTIONS[asked];
      if (!question || await confirmed(name, question)) order(name, "POST", `/api/v1/control/${asked}`);
    });
  }
  at("locate").addEventListener("click", async () => {
    if (await order(locating ? "Stop blinking" : "Locate", "PUT", "/api/v1/locate", { on: !locating })) showLocate(!locating);
  });
  at("token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = at("token").value.trim();
    if (token) sessionStorage.setItem("token", token); else sessionStorage.removeItem("token");
    at("token").value = "";
    put(at("outcome"), token ? "the token is used from now on" : "no token is used any more");
    changed();
  });
  at("fan-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const mode = at("fan-mode").value;
    order("Set fans", "PATCH", "/api/v1/fans", mode === "fixed" ? { mode, duty: at("fan-duty").valueAsNumber } : { mode });
  });
  at("fan-form").addEventListener("input", () => { fansDrafted = true; });
  at("supply-form").addEventListener("submit", (event) => {
    event.preventDefault();
    order("Set the voltage", "PATCH", "/api/v1/supply", { voltage: at("supply-voltage").valueAsNumber });
  });
}

// The form begins with what is wanted now, and is the owner's from then on.
export function offerVoltage(supply) {
  const field = at("supply-voltage");
  if (supply && !field.value && document.activeElement !== field) field.value = supply.wanted;
}

// The form shows what is in force, whoever asked for it, unless its owner is about to ask for something else.
export function followFans(mode) {
  put(at("fan-wanted"), `In force: ${known(mode, (m) => m.replace("auto", "automatic"))}`);
  const duty = mode?.match(/^fixed ([\d.]+)/)?.[1];
  if (!duty && mode !== "auto") return;
  const now = duty ? "fixed" : "automatic";
  const [kind, field] = [at("fan-mode"), at("fan-duty")];
  if (kind.value === now && (!duty || field.valueAsNumber === Number(duty))) fansDrafted = false;
  if (fansDrafted || document.activeElement === kind || document.activeElement === field) return;
  kind.value = now;
  if (duty) field.value = duty;
}
