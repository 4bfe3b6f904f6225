// What chains and rail run at, and who says so.
import { at, fill, measured, number, put } from "/page/text.js";

const UNLIKE = 0.05;

// Where a setting comes from, as far as it can be told from its value.
function origin(value, ofBoard, unit) {
  if (value === null) return "unknown";
  if (ofBoard === null) return "unknown: nobody knows this board";
  return Math.abs(value - ofBoard) < UNLIKE
    ? "the board file"
    : `its owner, by configuration or order; the board file says ${ofBoard} ${unit}`;
}

export function showTuner({ tuner, chains, supply, analog, keeper }) {
  put(at("tuner"), tuner.state ?? tuner.reason ?? "unknown");
  const board = tuner.board_file;
  const held = keeper.throttle_percent !== null && keeper.throttle_percent < 100;
  const clocks = chains.map((c) => [
    `Clock of chain ${c.index}`, `${number(c.frequency_target, 1)} MHz`,
    c.frequency === null ? `unknown: the chips are in reset${c.reason ? ` (${c.reason})` : ""}` : `${number(c.frequency, 1)} MHz written`,
    held ? `the keeper, which lets it have ${keeper.throttle_percent} % of what is set` : origin(c.frequency_target, board && board.frequency, "MHz")]);
  const rail = supply
    ? ["Rail of all chains", `${supply.wanted} mV`, measured(supply.voltage, 0), origin(supply.wanted, board && board.voltage, "mV")]
    : ["Rail of all chains", "unknown", "unknown: the keeper has not reported yet", "unknown"];
  const inputs = analog.filter((input) => input.chain !== null && input.reading.unit === "mV")
    .map((input) => [`Chain ${input.chain}, ${input.name}`, "", measured(input.reading, 0), "measured only"]);
  fill(at("operating"), [...clocks, rail, ...inputs]);
}
