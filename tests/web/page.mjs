// A headless Chromium, what the tests do on a page, and what they read of it.
import fs from 'node:fs';
import path from 'node:path';

import chromium from '@sparticuz/chromium';
import puppeteer from 'puppeteer-core';

export const PATIENCE = 1_800_000; // milliseconds; as HANG in tests/conftest.py: a busy machine is no fault

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

/** In the page: rows of token ids on WebGPU, in signatures of fixed shapes that take them. */
export async function runRows(content, rows) {
  const litert = await import('./litert/core.js');
  const flatbuffer = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  const model = await litert.loadAndCompile(flatbuffer, { accelerator: 'webgpu' });
  const lengths = Object.keys(model.signatures).map((name) => Number(name.split('_').at(-1)));
  const found = [];
  for (const ids of rows) {
    const length = Math.min(...lengths.filter((each) => each >= ids.length));
    const row = new Int32Array(length);
    row.set(ids);
    const tensor = new litert.Tensor(row, [1, length]);
    const { probabilities } = await model.run(`classify_tokens_${length}`, { token_ids: tensor });
    found.push(Array.from(await probabilities.data()));
    tensor.delete();
  }
  return { isWhole: model.isFullyAccelerated, lengths, rows: found };
}

/** Starts the browser. Exit code 3: there is none that runs here. */
export async function launch(args) {
  try {
    return await puppeteer.launch({
      args,
      executablePath: await chromium.executablePath(),
      headless: 'shell',
      protocolTimeout: PATIENCE,
    });
  } catch (error) {
    console.error(String(error).slice(0, 600));
    process.exit(3);
  }
}
