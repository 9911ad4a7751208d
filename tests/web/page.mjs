// A headless Chromium, what the tests do on a page, and what they read of it.
import fs from 'node:fs';
import path from 'node:path';

import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

export const PATIENCE = 300_000; // milliseconds: a page that does not answer for so long is reported, and the next one opened
// Not chromium.args: those switch off web security, site isolation and the sandboxing of origins, which are tested here.
export const PLAIN = ['--no-sandbox', '--no-zygote', '--disable-dev-shm-usage', '--font-render-hinting=none'];

export async function open(page, address) {
  page.setDefaultTimeout(PATIENCE);
  await page.goto(address);
  await isReady(page);
}

export async function isReady(page) {
  await page.waitForFunction("document.body.dataset.state !== 'loading'");
  const state = await page.evaluate('document.body.dataset.state');
  if (state !== 'ready') throw new Error(`the page is ${state}: ${await errorOf(page)}`);
}

export async function answerOf(page, units) {
  return page.evaluate(async (codes) => {
    const { session } = await import('./app.js');
    const more = document.querySelector('#more');
    if (!more.hidden && more.getAttribute('aria-expanded') === 'false') more.click();
    const text = document.querySelector('#text');
    text.value = String.fromCharCode(...codes);
    text.dispatchEvent(new Event('input', { bubbles: true }));
    await session.settled();
    const bars = [...document.querySelectorAll('#bars li')];
    return {
      label: document.querySelector('#label').textContent,
      probabilities: Object.fromEntries(
        bars.map((bar) => [bar.firstElementChild.textContent, Number(bar.querySelector('data').value)]),
      ),
      isCut: !document.querySelector('#limit').hidden,
      truncated: (({ hidden, textContent }) => (hidden ? false : textContent.startsWith('Truncated') ? true : null))(
        document.querySelector('#truncated'),
      ),
      unknown: (({ hidden, textContent }) => (hidden ? null : textContent))(document.querySelector('#unknown')),
      given: [...document.querySelectorAll('#bars .is-given > :first-child')].map(({ textContent }) => textContent),
    };
  }, units);
}

/** What the button shows: words with their effects, or the error. */
export async function explanationOf(page) {
  await page.click('#explain');
  await settle(page);
  return page.evaluate(() => ({
    isShown: !document.querySelector('#explanation').hidden,
    error: document.querySelector('#error').textContent,
    text: document.querySelector('#words').textContent,
    words: [...document.querySelectorAll('#words .word')].map(({ textContent, dataset }) => [
      textContent,
      Number(dataset.effect),
    ]),
    table: [...document.querySelectorAll('#effects tr')].map((row) => [...row.children].map((cell) => cell.textContent)),
  }));
}

/** Drops files as a person does: the page sees a drag, then a drop. */
export async function drop(page, files) {
  const contents = files.map((file) => [path.basename(file), fs.readFileSync(file).toString('base64')]);
  await page.evaluate(async (given) => {
    const dataTransfer = new DataTransfer();
    for (const [name, content] of given) {
      dataTransfer.items.add(new File([Uint8Array.from(atob(content), (char) => char.charCodeAt(0))], name));
    }
    for (const type of ['dragover', 'drop']) {
      document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
  }, contents);
  await settle(page);
}

export function settle(page) {
  return page.evaluate("import('./app.js').then(({ session }) => session.settled())");
}

export function facts(page) {
  return page.$eval('#facts', (list) => list.innerText);
}

export function errorOf(page) {
  return page.$eval('#error', (box) => (box.hidden ? '' : box.textContent));
}

/** Starts the browser. Exit code 3: there is none that runs here. */
export async function launch(args) {
  try {
    return await puppeteer.launch({
      args,
      executablePath: await chromium.executablePath(),
      headless: 'shell',
      timeout: PATIENCE,
      protocolTimeout: PATIENCE,
    });
  } catch (error) {
    console.error(String(error).slice(0, 600));
    process.exit(3);
  }
}

/** Counts the workers that a page starts, before it is opened. */
export async function countWorkers(page) {
  await page.evaluateOnNewDocument(() => {
    const Native = Worker;
    globalThis.workerCount = 0;
    globalThis.Worker = class extends Native {
      constructor(...given) {
        super(...given);
        globalThis.workerCount += 1;
      }
    };
  });
}
