// What the live stream tells of the machine.
import { at, duration, fill, known, measured, number, put, rate, windowName } from "/page/text.js";

const EVENTS_SHOWN = 50;

export function showStatus(status) {
  const { machine, keeper, hash_rate: hashRate, shares, chains, supply } = status;
  put(at("title"), known(machine.host, (host) => `${machine.board} at ${host}`));
  at("emulated").hidden = !machine.emulated;
  put(at("state"), `${machine.state.replaceAll("_", " ")}: ${machine.reason}`);
  showLatch(keeper.latched);
  const minute = hashRate.windows[1];
  put(at("rate"), known(minute, (w) => rate(w.rate)));
  put(at("rate-band"), minute ? `${rate(minute.lower)} to ${known(minute.upper, rate)}${minute.settling ? ", settling" : ""}, 1 min` : "no work yet");
  put(at("nominal"), known(hashRate.nominal, rate));
  put(at("nominal-note"), aboutNominal(hashRate.nominal, machine.emulated, chains));
  const temperatures = chains.map((chain) => chain.temperature.value).filter((t) => t !== null);
  put(at("hottest"), temperatures.length ? `${Math.max(...temperatures).toFixed(1)} C` : known(chains[0], (c) => `unknown: ${c.temperature.reason}`));
  put(at("tier"), known(keeper.tier, (tier) => `tier ${tier}, fans ${keeper.fan_mode}`));
  const tellsPower = supply && supply.power.value !== null;
  put(at("power"), tellsPower ? measured(supply.power, 0) : "unknown");
  put(at("efficiency"), tellsPower || !supply ? measured(status.efficiency, 1) : supply.power.reason);
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
    c.counters.nonces, c.counters.mismatches, c.enabled ? c.reason || "" : "switched off by its owner"]));
  put(at("supply"), supply
    ? `${supply.part}: ${supply.wanted_on ? "on" : "off"}, ${measured(supply.voltage, 0)}, ${measured(supply.power, 0)}${supply.fault ? `, ${supply.fault}` : ""}`
    : "unknown");
  fill(at("fans"), status.fans.map((f) => [f.name, known(f.duty, (d) => `${d.toFixed(0)} %`), measured(f.speed, 0), f.condition]));
  fill(at("temperatures"), status.temperatures.map((t) => [
    t.name, measured(t.reading, 1), known(t.acted_on, (c) => `${c.toFixed(1)} C`), t.fault || ""]));
  showBringUp(chains);
}

function aboutNominal(nominal, emulated, chains) {
  if (nominal === null && chains.every((chain) => chain.frequency === null)) return "all chips are in reset";
  if (nominal === null) return "the chips are emulated, and nobody says yet what they are to do";
  return emulated ? "what the emulator has its chips do" : "computed from the frequency";
}

// A machine that stays off says why, since when, and what ends it.
function showLatch(latched) {
  at("latched").hidden = at("clear-latch").hidden = !latched;
  if (!latched) return;
  const since = latched.unix_time === null ? "" : ` since ${new Date(latched.unix_time * 1000).toLocaleString()}`;
  put(at("latched"), `The machine stays off${since}${latched.kept ? ", over a restart" : ""}: ${latched.cause}. Once the cause is seen to and the machine is cool, `
    + "an admin's token clears it here (once an hour), or \"cgminer-rs latch clear\" on the machine. It begins with a self-check then.");
}

// A bar for each chain that is on its way up: chips that answered, then the way to its frequency.
function showBringUp(chains) {
  const place = at("bringup");
  const coming = chains.filter((chain) => chain.phase === "bring_up");
  place.hidden = coming.length === 0;
  while (place.children.length > coming.length) place.lastChild.remove();
  coming.forEach((chain, index) => {
    let label = place.children[index];
    if (!label) {
      label = document.createElement("label");
      label.append(document.createElement("span"), document.createElement("progress"));
      place.append(label);
    }
    const mhz = chain.frequency === null ? 0 : chain.frequency;
    const [words, bar] = label.children;
    put(words, `Chain ${chain.index}: ${known(chain.chips_found, (n) => `${n} of ${chain.chips_expected} chips`)}, ${mhz.toFixed(0)} of ${chain.frequency_target.toFixed(0)} MHz `);
    bar.max = chain.frequency_target;
    bar.value = mhz;
  });
}

export function showEvents(events) {
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

