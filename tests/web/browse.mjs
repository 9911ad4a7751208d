// Opens the built page in a headless Chromium and reports what happened: node browse.mjs PLAN.json
//
// The plan names the page's folder, files to try and texts as arrays of UTF-16 code units (JSON and the DevTools
// protocol would repair a lone surrogate). Every scenario has a browser context of its own, so that no service worker
// outlives it. One JSON object on stdout: scenario -> what it found, or { fault } where it broke. Exit code 3: there
// is no Chromium that runs here.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

import { fallback, webgpu } from './gpu.mjs';
import { PATIENCE, PLAIN, answerOf, drop, errorOf, explanationOf, facts, isReady, launch, open, settle } from './page.mjs';
import { kinds, processors, switching, typing } from './use.mjs';

const AXE = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SCREENS = [
  { name: 'desktop', width: 1280, height: 900, scheme: 'light', scale: 1 },
  { name: 'dark', width: 1280, height: 900, scheme: 'dark', scale: 1 },
  { name: 'phone', width: 390, height: 844, scheme: 'light', scale: 2 },
  { name: 'narrow', width: 320, height: 640, scheme: 'dark', scale: 2 },
];

const plan = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const scenarios = {
  answers,
  otherModel,
  explanations,
  explaining,
  refusals,
  failures,
  withoutIsolation,
  offline,
  update,
  looks,
  keyboard,
  weight,
  kinds: () => kinds(place),
  typing: () => typing(place),
  switching: () => switching(place),
  processors: () => processors(place),
  fallback: () => fallback(place),
  webgpu: () => webgpu(place),
};
const browser = await launch(PLAIN);
const shared = await serve();
const place = { plan, visit, address: shared.address }; // for the scenarios of other modules
const found = {};
for (const [name, scenario] of Object.entries(scenarios)) {
  try {
    found[name] = await scenario();
  } catch (error) {
    found[name] = { fault: String(error?.stack ?? error) };
  }
}
await browser.close();
shared.stop();
process.stdout.write(JSON.stringify(found));

/** Types every text of the table into the page that has the bundled model. */
async function answers() {
  return visit(async ({ page, log }) => {
    const rows = [];
    for (const text of plan.texts) rows.push(await answerOf(page, text));
    return { rows, log, facts: await facts(page), isIsolated: await page.evaluate('crossOriginIsolated') };
  });
}

/** Drops another model on the page, and types the table again. */
async function otherModel() {
  return visit(async ({ page, log }) => {
    await drop(page, [plan.other]);
    const rows = [];
    for (const text of plan.texts) rows.push(await answerOf(page, text));
    return { rows, log, facts: await facts(page), error: await errorOf(page) };
  });
}

/** Chooses files with more to tell (texts with no label, several labels), types the table and explains each answer. */
async function explanations() {
  return visit(async ({ page, log }) => {
    const found = {};
    for (const [name, file] of Object.entries(plan.own)) {
      await (await page.$('#file')).uploadFile(file);
      await settle(page);
      found[name] = { error: await errorOf(page), facts: await facts(page), rows: [] };
      for (const text of plan.texts) {
        found[name].rows.push({ ...(await answerOf(page, text)), explanation: await explanationOf(page) });
      }
    }
    return { ...found, log };
  });
}

/** What becomes of an explanation when the text changes: while it is worked out, and when it is shown. */
async function explaining() {
  return visit(async ({ page }) => {
    const isShown = () => page.$eval('#explanation', (shown) => !shown.hidden);
    await answerOf(page, plan.texts[0]);
    const first = await explanationOf(page);
    const shown = [await isShown()];
    await answerOf(page, plan.texts[1]);
    shown.push(await isShown());
    const runs = await page.evaluate(async () => {
      const { session } = await import('./app.js');
      const { classifier } = session;
      const classify = classifier.classify.bind(classifier);
      let count = 0;
      const field = document.querySelector('#text');
      const type = (value) => {
        field.value = value;
        field.dispatchEvent(new Event('input', { bubbles: true }));
      };
      type('on '.repeat(400));
      await session.settled();
      classifier.classify = (text) => {
        count += 1;
        if (count === 3) type('off'); // as a person who types meanwhile
        return classify(text);
      };
      document.querySelector('#explain').click();
      await session.settled();
      await session.settled(); // the answer to what was typed
      return count;
    });
    shown.push(await isShown());
    return { first, shown, runs };
  });
}

/** The page from a server that does not isolate it from other origins: no threads. */
async function withoutIsolation() {
  const server = await serve(plan.folder, ['-u', '-m', 'http.server', '0', '--bind', '127.0.0.1', '-d', plan.folder]);
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    await open(page, server.address);
    const isIsolated = await page.evaluate('crossOriginIsolated');
    return { isIsolated, row: await answerOf(page, plan.texts[0]), facts: await facts(page) };
  } finally {
    server.stop();
    await context.close();
  }
}

/** Chooses files that must be refused; the model before must still answer after each. */
async function refusals() {
  return visit(async ({ page }) => {
    const errors = {};
    for (const [name, file] of Object.entries(plan.refused)) {
      const input = await page.$('#file');
      await input.uploadFile(file);
      await settle(page);
      errors[name] = { error: await errorOf(page), after: await answerOf(page, plan.texts[0]) };
      errors[name].errorAfterwards = await errorOf(page);
    }
    await drop(page, [plan.other, plan.other]);
    return { errors, two: await errorOf(page), facts: await facts(page) };
  });
}

/** What the page says where a file of its own is missing, and what can still be done. */
async function failures() {
  const told = {};
  for (const [name, missing] of Object.entries({ model: /model\.tflite/, engine: /\.wasm$/ })) {
    const context = await browser.createBrowserContext();
    try {
      const page = await context.newPage();
      await page.setRequestInterception(true);
      page.on('request', (request) => (missing.test(request.url()) ? request.abort() : request.continue()));
      page.setDefaultTimeout(PATIENCE);
      await page.goto(shared.address);
      await page.waitForFunction("document.body.dataset.state === 'failed'");
      const error = await errorOf(page);
      const isFileOffered = await page.$eval('#file', (file) => !file.disabled);
      await drop(page, [plan.other]);
      told[name] = { error, isFileOffered, state: await page.evaluate('document.body.dataset.state') };
      told[name].errorAfterDrop = await errorOf(page);
    } finally {
      await context.close();
    }
  }
  return told;
}

/** Loads the page once, ends its server, and opens it anew. */
async function offline() {
  const server = await serve();
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    await open(page, server.address);
    await page.waitForFunction("document.querySelector('#offline').textContent.startsWith('Stored')");
    server.stop();
    await server.stopped;
    await page.setOfflineMode(true);
    await page.reload();
    await isReady(page);
    const first = await answerOf(page, plan.texts[0]);
    const other = await context.newPage(); // and in another tab, by the address alone
    await other.setOfflineMode(true);
    await open(other, server.address);
    return { first, second: await answerOf(other, plan.texts[0]) };
  } finally {
    server.stop();
    await context.close();
  }
}

/** Builds the page anew, with another model, under the eyes of a browser that has stored the old one. */
async function update() {
  const folder = `${plan.folder}_updated`;
  const build = (model) => execFileSync(process.execPath, [plan.build, '--model', model, '--out', folder]);
  build(plan.bundled);
  const server = await serve(folder);
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    await open(page, server.address);
    await page.waitForFunction("document.querySelector('#offline').textContent.startsWith('Stored')");
    const caches = await page.evaluate('caches.keys()');
    build(plan.other);
    await page.reload();
    await isReady(page);
    await page.waitForFunction(`caches.keys().then((names) => !names.includes('${caches[0]}'))`);
    server.stop();
    await server.stopped;
    await page.reload();
    await isReady(page);
    return { facts: await facts(page), caches: [caches.length, (await page.evaluate('caches.keys()')).length] };
  } finally {
    server.stop();
    await context.close();
  }
}

/** Measures every screen, lets axe-core look at it, and takes a picture if the plan has a folder for them. */
async function looks() {
  return visit(async ({ page, log }) => {
    const screens = {};
    await (await page.$('#file')).uploadFile(plan.own.unknown);
    await settle(page);
    await answerOf(page, plan.striking);
    await explanationOf(page);
    for (const { name, width, height, scheme, scale } of SCREENS) {
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      await page.setViewport({ width, height, deviceScaleFactor: scale });
      screens[name] = await look(page, name, width);
    }
    await (await page.$('#file')).uploadFile(plan.refused.foreign);
    await settle(page);
    screens.error = await look(page, 'error', SCREENS.at(-1).width);
    await (await page.$('#file')).uploadFile(plan.own.several);
    await settle(page);
    screens.several = await look(page, 'several', SCREENS.at(-1).width);
    return { screens, log };
  });
}

async function look(page, name, width) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate('axe.run(document, { resultTypes: ["violations"] })');
  if (plan.pictures) await page.screenshot({ path: path.join(plan.pictures, `${name}.png`), fullPage: true });
  return {
    overflow: (await page.evaluate('document.documentElement.scrollWidth')) - width,
    violations: violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`),
  };
}

/** What the Tab key reaches, in its order; what Enter does on an example; what becomes of a text that is too long. */
async function keyboard() {
  return visit(async ({ page }) => {
    const reached = [];
    for (;;) {
      await page.keyboard.press('Tab');
      const name = await page.evaluate('document.activeElement.id || document.activeElement.textContent');
      if (reached.includes(name) || reached.length > 20) break;
      reached.push(name);
    }
    await page.focus('#examples button');
    const example = await page.$eval('#examples button', (button) => button.textContent);
    await page.keyboard.press('Enter');
    await settle(page);
    const text = await page.$eval('#text', (field) => field.value);
    await page.focus('#text');
    await page.evaluate("document.execCommand('insertText', false, 'on '.repeat(33_334))");
    await settle(page);
    const length = await page.$eval('#text', (field) => field.value.length);
    return { reached, example, text, length, isCut: await page.$eval('#limit', (note) => !note.hidden) };
  });
}

/** Bytes over the wire of a first visit, by file, and milliseconds of runs in the page. */
async function weight() {
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    const files = {};
    const devtools = await page.createCDPSession();
    const names = new Map();
    await devtools.send('Network.enable');
    devtools.on('Network.responseReceived', ({ requestId, response }) => names.set(requestId, response.url));
    devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
      const name = new URL(names.get(requestId)).pathname;
      files[name] = (files[name] ?? 0) + encodedDataLength;
    });
    await open(page, shared.address);
    const milliseconds = await page.evaluate(async () => {
      const { session } = await import('./app.js');
      const runs = [];
      for (let run = 0; run < 100; run += 1) {
        runs.push((await session.classifier.classify('turn on the light in the living room')).milliseconds);
      }
      return runs;
    });
    return { files, milliseconds };
  } finally {
    await context.close();
  }
}

/** Opens the page for a scenario; `prepare` is called before. */
async function visit(scenario, prepare = async () => {}) {
  const context = await browser.createBrowserContext();
  try {
    const page = await context.newPage();
    const log = { errors: [], foreign: [] };
    const { origin } = new URL(shared.address);
    page.on('pageerror', (error) => log.errors.push(error.message));
    // Chromium reports what the content security policy stops in the console. LiteRT writes its log there too.
    page.on('console', (message) => /Content Security Policy/.test(message.text()) && log.errors.push(message.text()));
    page.on('request', (request) => request.url().startsWith(origin) || log.foreign.push(request.url()));
    await prepare(page);
    await open(page, shared.address);
    return await scenario({ page, log });
  } finally {
    await context.close();
  }
}

/** A server of our own for the page, as `make web-demo` starts it, or another one. */
async function serve(folder = plan.folder, command = [plan.server, folder, '--port', '0']) {
  const child = spawn(plan.python, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  const stopped = new Promise((resolve) => child.on('exit', resolve));
  process.on('exit', () => child.kill());
  const line = await new Promise((resolve) => child.stdout.once('data', (data) => resolve(String(data))));
  return { address: line.match(/http:[^ )]+/)[0], stop: () => child.kill(), stopped };
}
