// Uses the page as its owner does. ADDRESS of a mining demo, its admin TOKEN, the CONTROL socket of its emulated machine, and where
// to put PICTURES come by environment.
"use strict";

const assert = require("node:assert/strict");
const { mkdtempSync, readFileSync, rmSync } = require("node:fs");
const { createConnection, createServer } = require("node:net");
const { tmpdir } = require("node:os");
const { join } = require("node:path");
const { createInterface } = require("node:readline");
const { chromium } = require("playwright-core");

const { ADDRESS, CONTROL, TOKEN, PICTURES } = process.env;
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const PATIENCE = 60000;
// For what the machine or the page looks at now and then only.
const MOMENTS = 180000;
const MINUTES = 300000;
const HOSTILE = "<img src=x onerror=\"window.hit=1\"><script>window.hit=1</script>";

async function main() {
  const profile = mkdtempSync(join(tmpdir(), "page-test-"));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: "/usr/bin/chromium",
    headless: true,
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
    viewport: { width: 1200, height: 850 },
  });
  try {
    const page = browser.pages()[0] || (await browser.newPage());
    page.setDefaultTimeout(PATIENCE);
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("dialog", (dialog) => { faults.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    page.on("request", (request) => {
      if (!request.url().startsWith(`http://${ADDRESS}/`)) faults.push(`asks ${request.url()}`);
    });
    for (const [name, step] of STEPS) {
      await step(page);
      console.log(`page: ${name}: ok`);
    }
    assert.deepEqual(faults, []);
    console.log(`${STEPS.length} passed, 0 failed`);
  } finally {
    await browser.close();
    rmSync(profile, { recursive: true, force: true });
  }
}

const text = (page, selector) => page.locator(selector).innerText();

// Waits until an element's text is as wanted.
async function until(page, selector, pattern, timeout = PATIENCE) {
  try {
    await page.waitForFunction(([where, wanted]) => new RegExp(wanted).test(document.querySelector(where)?.innerText ?? ""),
      [selector, pattern.source], { timeout });
  } catch {
    assert.fail(`${selector}: "${await text(page, selector)}" does not become ${pattern}`);
  }
}

async function loads(page) {
  await page.goto(`http://${ADDRESS}/`);
  await until(page, "#connection", /^live$/);
  await until(page, "#state", /^mining/);
  assert.match(await text(page, "#emulated"), /no real chips/);
  assert.equal(await page.locator("#chains tr").count(), 3);
  await page.waitForFunction(() => document.querySelectorAll("#chips button").length === 378);
}

// The best of several: the machine that tests may be busy with other things.
async function updatesWithinTwoSeconds(page) {
  const gaps = await page.evaluate(async () => {
    const gaps = [];
    for (let round = 0; round < 30 && !gaps.some((gap) => gap < 2000); round += 1) {
      const began = performance.now();
      await new Promise((resolve) => {
        const watch = new MutationObserver(() => { watch.disconnect(); resolve(); });
        watch.observe(document.querySelector("main"), { subtree: true, childList: true, characterData: true });
      });
      gaps.push(performance.now() - began);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    return gaps;
  });
  assert.ok(Math.min(...gaps) < 2000, `updates after ${gaps.map(Math.round)} ms`);
}

async function useToken(page, token) {
  await page.fill("#token", token);
  await page.click("#token-form button");
}

async function refusesAWrongToken(page) {
  await useToken(page, "this-is-no-token");
  await page.click("[data-order=pause]");
  await until(page, "#outcome", /^Pause: .*token/);
  assert.match(await text(page, "#state"), /^mining/);
  await useToken(page, TOKEN);
  await until(page, "#connection", /^live$/);
}

async function changesPools(page) {
  await page.fill("#pool-url", "stratum+tcp://127.0.0.1:9");
  await page.fill("#pool-user", "second");
  await page.click("#pool-form button[type=submit]");
  await until(page, "#outcome", /^Add a pool: done/);
  await until(page, "#pools", /second/);
  await page.selectOption("#pool-index", "1");
  await page.fill("#pool-user", "changed");
  await page.fill("#pool-quota", "3");
  await page.click("#pool-form button[type=submit]");
  await until(page, "#outcome", /^Change pool 1: done/);
  await until(page, "#pools", /changed\s+yes\s+3/);
  await page.click("[aria-label='Disable pool 1']");
  await until(page, "#pools", /changed\s+no\s+3/);
  for (const there of [/^0\b.*\s+changed/, /^0\b.*\s+demo/]) {
    await page.click("[aria-label='Move up pool 1']");
    await until(page, "#outcome", /^Move up pool 1: done/);
    await until(page, "#pools tr:first-child", there);
  }
  await until(page, "#state", /^mining/);
}

async function testsAPool(page) {
  const document = await (await page.request.get(`http://${ADDRESS}/api/v1/openapi.json`)).json();
  if (!document.paths["/api/v1/pools/test"]) return;
  await page.selectOption("#pool-index", "0");
  await page.click("#pool-test");
  await until(page, "#pool-outcome", /it works; connected to .* first job/);
}

async function setsFans(page) {
  await until(page, "#fan-wanted", /^In force: automatic$/);
  await page.selectOption("#fan-mode", "fixed");
  await page.fill("#fan-duty", "60");
  await page.click("#fan-form button");
  await until(page, "#outcome", /^Set fans: done/);
  await until(page, "#fans", /60 %/);
  await until(page, "#fan-wanted", /^In force: fixed 60 %$/);
  await formFollowsFans(page);
  await page.selectOption("#fan-mode", "automatic");
  await page.click("#fan-form button");
  await until(page, "#outcome", /^Set fans: done/);
  await page.waitForFunction(() => !/60 %/.test(document.querySelector("#fans").innerText));
}

// Somebody else sets the fans: a form that nobody has touched follows, one that its owner is filling in stays as it is.
async function formFollowsFans(page) {
  const elsewhere = async (body) => {
    const answer = await page.request.patch(`http://${ADDRESS}/api/v1/fans`, { headers: { Authorization: `Bearer ${TOKEN}` }, data: body });
    assert.equal(answer.status(), 200, await answer.text());
  };
  const form = (kind, duty) => page.waitForFunction(([kind, duty]) =>
    document.querySelector("#fan-mode").value === kind && document.querySelector("#fan-duty").value === duty, [kind, duty]);
  await elsewhere({ mode: "fixed", duty: 70 });
  await form("fixed", "70");
  await elsewhere({ mode: "automatic" });
  await form("automatic", "70");
  await page.selectOption("#fan-mode", "fixed");
  await page.fill("#fan-duty", "55");
  await page.locator("#fan-duty").blur();
  await elsewhere({ mode: "fixed", duty: 65 });
  await until(page, "#fan-wanted", /^In force: fixed 65 %$/);
  await form("fixed", "55");
  await page.click("#fan-form button");
  await until(page, "#fan-wanted", /^In force: fixed 55 %$/);
  await elsewhere({ mode: "fixed", duty: 60 });
  await form("fixed", "60");
}

async function setsVoltage(page) {
  const voltage = await page.inputValue("#supply-voltage");
  assert.match(voltage, /^1\d{4}$/);
  await page.fill("#supply-voltage", "24999");
  await page.click("#supply-form button");
  await until(page, "#outcome", /^Set the voltage: (?!done)/);
  await page.fill("#supply-voltage", voltage);
  await page.click("#supply-form button");
  await until(page, "#outcome", /^Set the voltage: done/);
}

// Every chain's clock and the rail, and that nobody tunes them.
async function showsTheOperatingPoints(page) {
  await until(page, "#tuner", /there is no tuner/);
  assert.equal(await page.locator("#operating tr").count(), 4);
  await until(page, "#operating tr:first-child", /^Clock of chain 0\s+(\d+\.\d) MHz\s+\1 MHz written\s+the board file$/);
  await until(page, "#operating tr:last-child", /^Rail of all chains\s+1\d{4} mV\s+1\d{4} mV/);
}

async function pausesAndResumes(page) {
  await page.click("[data-order=pause]");
  await until(page, "#state", /paused/);
  await page.click("[data-order=resume]");
  await until(page, "#state", /^mining/);
}

// Asked by keyboard: what ends the machine's work is done when its owner says so twice, and not by one slip.
async function asksBeforeItTakesThePower(page) {
  const asked = [];
  const watch = (request) => { if (request.method() === "POST") asked.push(request.url()); };
  page.on("request", watch);
  for (const [order, name, refuse] of [["stop", "Power off", "Escape"], ["restart", "Restart", "Enter"]]) {
    const button = page.locator(`[data-order=${order}]`);
    await button.focus();
    await page.keyboard.press("Enter");
    await until(page, "#confirm-title", new RegExp(`^${name}\\?$`));
    await until(page, "#confirm-text", /lose their power/);
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "Cancel");
    for (const colorScheme of ["light", "dark"]) await hasNoSeriousFault(page, colorScheme);
    await page.keyboard.press(refuse);
    await page.waitForFunction(() => !document.querySelector("#confirm").open);
    assert.ok(await button.evaluate((it) => it === document.activeElement), "the focus is back");
  }
  assert.deepEqual(asked, []);
  assert.match(await text(page, "#state"), /^mining/);
  page.off("request", watch);
}

// Somebody shorts the supply's enable line: the keeper lets it go twice a second, and it is held again at once.
function shortTheEnableLine() {
  const line = createConnection(CONTROL).on("error", () => {}).resume();
  const again = setInterval(() => line.write("enable on\n"), 50);
  return () => { clearInterval(again); line.end(); };
}

// Presses a button until the machine does what it says; until then it says why not.
async function pressUntilDone(page, button, name, refusal) {
  const end = Date.now() + MINUTES;
  for (;;) {
    await page.click(button);
    await until(page, "#outcome", new RegExp(`^${name}: (done|.*; )`));
    const told = await text(page, "#outcome");
    if (told.startsWith(`${name}: done`)) return;
    assert.match(told, refusal);
    assert.ok(Date.now() < end, told);
    await page.waitForTimeout(1000);
  }
}

// Off means off until somebody wants power again. A rail that comes up all the same is a cause to stay off, whatever
// anybody wants, until somebody has seen to it and says so.
async function staysOffAndSaysWhy(page) {
  await page.click("[data-order=stop]");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await until(page, "#outcome", /^Power off: done/);
  await until(page, "#state", /^held/, MOMENTS);
  assert.ok(await page.locator("#latched, #clear-latch").evaluateAll((all) => all.every((each) => each.hidden)));
  const mend = shortTheEnableLine();
  try {
    await until(page, "#state", /^latched/, MINUTES);
    await until(page, "#latched", /stays off since .*: the supply is still on though switched off.* latch clear/);
    await page.click("#clear-latch");
    await until(page, "#outcome", /^Clear the latch: .*; /);
    assert.doesNotMatch(await text(page, "#outcome"), /done/);
  } finally {
    mend();
  }
  await pressUntilDone(page, "#clear-latch", "Clear the latch", /rail|supply|not ready/);
  await page.waitForFunction(() => document.querySelector("#latched").hidden && document.querySelector("#clear-latch").hidden);
  await page.click("[data-order=start]");
  await until(page, "#outcome", /^Power on: done/);
  await until(page, "#state", /^mining/, MINUTES);
}

// What was said of an earlier one would be taken for the answer, which then came over what was written meanwhile.
async function loadConfiguration(page) {
  await page.evaluate(() => { document.querySelector("#config-outcome").textContent = ""; });
  await page.click("#config-load");
  await until(page, "#config-outcome", /secrets left out/);
}

async function editsTheConfiguration(page) {
  await loadConfiguration(page);
  const before = await page.inputValue("#config-text");
  assert.match(before, /\[\[pool\]\]/);
  await page.fill("#config-text", `${before}\n[pools]\nstrategie = "failover"\n`);
  await page.click("#config-check");
  await until(page, "#config-outcome", /strategie.*did you mean/);
  await page.fill("#config-text", `# by hand\n${before}`);
  await page.click("#config-compare");
  assert.deepEqual(await page.locator("#config-diff .added").allInnerTexts(), ["+ # by hand\n"]);
  await page.click("#config-form button[type=submit]");
  await until(page, "#config-outcome", /secrets left out/);
  assert.match(await page.inputValue("#config-text"), /^# by hand/);
}

async function saveConfiguration(page, text) {
  await page.fill("#config-text", text);
  await page.click("#config-form button[type=submit]");
  await until(page, "#outcome", /^Save the configuration: done/);
  await until(page, "#config-outcome", /secrets left out/);
}

// The machine is as warm as it is; what its owner takes for too warm is changed, and changed back.
async function tellsOfAnAlert(page) {
  await loadConfiguration(page);
  const before = await page.inputValue("#config-text");
  await saveConfiguration(page, `${before}\n[alerts]\nhold = 1\ntemperature = 40\n`);
  await until(page, "#alerts", /since .*chain \d: \d+\.\d C, the limit is 40/, MOMENTS);
  assert.match(await text(page, "#alert-count"), /^[1-9]\d* now$/);
  await saveConfiguration(page, `${before}\n[alerts]\nhold = 1\ntemperature = 120\n`);
  await until(page, "#alerts", /over since .*chain \d: \d+\.\d C, the limit is 40/, MOMENTS);
  await page.waitForFunction(() => !/(^|\n)since .*the limit is 40/.test(document.querySelector("#alerts").innerText), null, { timeout: MOMENTS });
  await saveConfiguration(page, before);
}

// This machine is no image with two slots, so it takes no file at all, and a text is no bundle: the page says what the machine does.
async function installsNoFileThatIsNoBundle(page) {
  await page.click("#firmware-section summary");
  await until(page, "#firmware-image", /\S/);
  await page.setInputFiles("#firmware-file", { name: "holiday.raucb", mimeType: "application/octet-stream", buffer: Buffer.from("no bundle at all") });
  await page.click("#firmware-form button");
  await until(page, "#firmware-job", /no firmware image with two slots.*nothing was installed/);
  await until(page, "#state", /^mining/);
}

// Chance is slow: until enough nonces are expected of them, chips are neither good nor ill, and say so.
async function findsNoIllChips(page) {
  const counts = () => page.evaluate(() => Object.fromEntries(["good", "fair", "poor", "unknown"]
    .map((verdict) => [verdict, document.querySelectorAll(`#chips button.${verdict}`).length])));
  await page.waitForFunction(() => document.querySelectorAll("#chips button.good").length > 0, null, { timeout: MINUTES }).catch(() => {});
  const told = await counts();
  console.log(`page: chips: ${JSON.stringify(told)}`);
  assert.equal(told.poor, 0, await page.evaluate(() => document.querySelector("#chips button.poor")?.title));
  assert.equal(told.good + told.fair + told.unknown, 378);
  assert.ok(told.fair < 20, "no more than chance makes");
  if (told.unknown > 0) assert.match(await page.locator("#chips button.unknown").first().getAttribute("title"), /unknown: too few nonces/);
}

async function showsLogAndEvents(page) {
  assert.ok(await page.locator("#events li").count() > 3);
  await page.click("#log-section summary");
  await page.waitForFunction(() => document.querySelectorAll("#log li").length > 3);
}

// A pool that takes every worker, has no work, and says what it likes.
async function talkativePool(words) {
  const pool = createServer((stream) => {
    const say = (message) => stream.write(`${JSON.stringify(message)}\n`);
    say({ id: null, method: "client.show_message", params: [words] });
    createInterface({ input: stream }).on("line", (line) => {
      const { id, method } = JSON.parse(line);
      const results = { "mining.subscribe": [[], "c0ffee00", 8], "mining.authorize": true };
      say({ id, result: results[method] ?? null, error: method in results ? null : [20, "unknown", null] });
    });
    stream.on("error", () => {});
    stream.unref();
  });
  await new Promise((resolve) => pool.listen(0, "127.0.0.1", resolve));
  pool.unref();
  return pool.address().port;
}

async function leavesHostileWordsInert(page) {
  const words = `welcome ${HOSTILE}`;
  const port = await talkativePool(words);
  const added = await page.request.post(`http://${ADDRESS}/api/v1/pools`, {
    headers: { Authorization: `Bearer ${TOKEN}` },
    data: { url: `stratum+tcp://127.0.0.1:${port}`, user: HOSTILE, name: HOSTILE },
  });
  assert.equal(added.status(), 200, await added.text());
  await until(page, "#pools tr:last-child td:nth-child(13)", /^welcome/, MOMENTS);
  const [name, said] = await page.evaluate(() => [2, 13].map((column) =>
    document.querySelector(`#pools tr:last-child td:nth-child(${column})`).textContent));
  assert.deepEqual([name, said], [HOSTILE, words]);
  assert.equal(await page.locator("#pools img, #pools script, main script").count(), 0);
  await page.click("[aria-label='Remove pool 2']");
  await until(page, "#confirm-text", /^stratum.*<img src=x.*it leaves the configuration file/);
  await page.click("#confirm button >> text=Cancel");
  await page.waitForFunction(() => !document.querySelector("#confirm").open);
  assert.equal(await page.locator("#pools tr").count(), 3);
  await page.click("[aria-label='Remove pool 2']");
  await page.click("#confirm-yes");
  await until(page, "#outcome", /^Remove pool 2: done/);
  await page.waitForFunction(() => document.querySelectorAll("#pools tr").length === 2);
  assert.equal(await page.locator("#confirm img, #confirm script").count(), 0);
  assert.equal(await page.evaluate(() => window.hit), undefined);
}

// Numbers of a machine that has fallen silent must not look alive.
async function tellsThatItsNumbersAreOld(page) {
  await page.route("**/api/v1/live", (route) => route.abort());
  // Another token is another stream, which does not come.
  await useToken(page, TOKEN);
  await until(page, "#connection", /^no connection for \d+ s: these numbers are old$/, MOMENTS);
  assert.ok(await page.evaluate(() => document.body.classList.contains("stale")));
  await page.unroute("**/api/v1/live");
  await until(page, "#connection", /^live$/, MOMENTS);
  assert.ok(!(await page.evaluate(() => document.body.classList.contains("stale"))));
}

async function fitsAPhone(page) {
  await page.setViewportSize({ width: 360, height: 740 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 360, `the page is ${width} wide`);
  await page.screenshot({ path: join(PICTURES, "phone.png") });
  await page.setViewportSize({ width: 1200, height: 850 });
}

async function goesByKeyboard(page) {
  await page.goto(`http://${ADDRESS}/`);
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.locator("#fan-duty").focus();
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(outline, "none");
}

// How many of axe's rules the page passes as it stands.
async function hasNoSeriousFault(page, colorScheme) {
  await page.emulateMedia({ colorScheme });
  // Evaluated over the debugger: the page's own policy lets no such script in.
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(() => window.axe.run(document));
  const bad = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const told = bad.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ")}`);
  assert.deepEqual(told, [], colorScheme);
  return passes.length;
}

async function isAccessible(page) {
  await until(page, "#state", /^mining/);
  for (const colorScheme of ["light", "dark"]) {
    const passes = await hasNoSeriousFault(page, colorScheme);
    assert.ok(passes > 20, "axe looked at something");
    await page.evaluate(() => { document.activeElement.blur(); window.scrollTo(0, 0); });
    await page.screenshot({ path: join(PICTURES, `${colorScheme}.png`) });
  }
}

const STEPS = [
  ["loads and is live", loads],
  ["updates within two seconds", updatesWithinTwoSeconds],
  ["refuses a wrong token", refusesAWrongToken],
  ["changes pools", changesPools],
  ["tries a pool", testsAPool],
  ["sets fans to 60 % and back", setsFans],
  ["sets the voltage within limits", setsVoltage],
  ["shows what chains and rail run at", showsTheOperatingPoints],
  ["pauses and resumes", pausesAndResumes],
  ["asks before it takes the power", asksBeforeItTakesThePower],
  ["stays off, says why, and runs again", staysOffAndSaysWhy],
  ["checks, compares and saves the configuration", editsTheConfiguration],
  ["tells of an alert and of its end", tellsOfAnAlert],
  ["installs no file that is no bundle", installsNoFileThatIsNoBundle],
  ["shows log and events", showsLogAndEvents],
  ["leaves hostile names and words inert, and removes their pool", leavesHostileWordsInert],
  ["tells that its numbers are old", tellsThatItsNumbersAreOld],
  ["fits a phone", fitsAPhone],
  ["goes by keyboard", goesByKeyboard],
  ["finds no ill chips in a healthy machine", findsNoIllChips],
  ["has no serious fault in light and dark", isAccessible],
];

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
