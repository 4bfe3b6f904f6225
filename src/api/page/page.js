// Shows what /api/v1/live tells, and asks for the rest now and then.
import { at, duration, put } from "/page/text.js";
import { askForHistory } from "/page/charts.js";
import { askForChips } from "/page/chips.js";
import { beginControls, followFans, offerVoltage, showLocate } from "/page/controls.js";
import { askForAlerts, askForLog, beginOwner } from "/page/owner.js";
import { askForFirmware, beginFirmware } from "/page/firmware.js";
import { beginPools, showPools } from "/page/pools.js";
import { showEvents, showStatus } from "/page/status.js";
import { showTuner } from "/page/tuner.js";

const STALE_AFTER = 5000;
const CHIPS_EVERY = 10000;
const HISTORY_EVERY = 60000;
const ALERTS_EVERY = 10000;
const LOG_EVERY = 3000;
const LISTEN_AGAIN = 2000;
// A connection that broke without a word would be listened to for ever.
const GIVE_UP_AFTER = 15000;
let lastHeard = 0;
let began = Date.now();
// Why the machine tells nothing, in its own words.
let refused = "";
let listening = new AbortController();

// Numbers that stand still must not look alive.
function watchConnection() {
  const lost = Date.now() - lastHeard > STALE_AFTER;
  document.body.classList.toggle("stale", lost && lastHeard > 0);
  at("connection").classList.toggle("lost", lost);
  const old = lastHeard ? `${refused ? "" : "no connection"} for ${duration((Date.now() - lastHeard) / 1000)}: these numbers are old` : "";
  put(at("connection"), lost ? `${refused}${old}` || "connecting" : "live");
  if (lost && Date.now() - Math.max(lastHeard, began) > GIVE_UP_AFTER) listening.abort();
}

function hear(block) {
  const field = (name) => {
    const line = block.split("\n").find((each) => each.startsWith(name));
    return line === undefined ? "" : line.slice(name.length);
  };
  const data = field("data: ");
  if (!data) return;
  if (field("event: ") === "status") {
    const status = JSON.parse(data);
    lastHeard = Date.now();
    showStatus(status);
    showTuner(status);
    showPools(status.pools);
    offerVoltage(status.supply);
    followFans(status.keeper.fan_mode);
    showLocate(status.keeper.locate);
  } else if (field("event: ") === "events") showEvents(JSON.parse(data));
}

// The stream is read by fetch, for an EventSource cannot send a token.
async function listen() {
  listening = new AbortController();
  began = Date.now();
  const token = sessionStorage.getItem("token");
  try {
    const answer = await fetch("/api/v1/live", {
      headers: token ? { Authorization: `Bearer ${token}` } : {}, signal: listening.signal });
    refused = "";
    if (!answer.ok) {
      const { error } = await answer.json();
      refused = `${error.message}; ${error.hint}`;
    } else {
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

beginControls(() => listening.abort());
beginPools();
beginOwner();
beginFirmware();
setInterval(watchConnection, 1000);
for (const [look, every] of [
  [askForChips, CHIPS_EVERY], [askForHistory, HISTORY_EVERY], [askForAlerts, ALERTS_EVERY], [askForLog, LOG_EVERY], [askForFirmware, LOG_EVERY]]) {
  look();
  setInterval(look, every);
}
listen();
