// What the page does with a file that has a part for WebGPU.
import fs from 'node:fs';

import { PLAIN, answerOf, countWorkers, drop, errorOf, facts, launch, open } from './page.mjs';

const SWIFTSHADER = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];

/** A file with a part for WebGPU, dropped where there is no WebGPU: WebAssembly answers. */
export async function fallback({ plan, visit }) {
  return visit(async ({ page }) => {
    await drop(page, [plan.gpu]);
    return { processor: await processorOf(page), row: await answerOf(page, plan.texts[0]), error: await errorOf(page) };
  });
}

/**
 * On a software adapter: the table, of a file with a part for WebGPU; the same where the part computes something else;
 * rows of token ids, of a file for NPUs; and what LiteRT.js says to classify_text.
 */
export async function webgpu({ plan, address }) {
  const browser = await launch([...PLAIN, ...SWIFTSHADER]);
  try {
    const page = await browser.newPage();
    await countWorkers(page);
    await open(page, address);
    if (!(await page.evaluate("import('./litert/core.js').then((litert) => Boolean(litert.getWebGpuDevice()))"))) {
      return { hasAdapter: false };
    }
    const told = { hasAdapter: true, rows: [] };
    await drop(page, [plan.gpu]);
    told.processor = await processorOf(page);
    told.facts = await facts(page);
    for (const text of plan.texts) told.rows.push(await answerOf(page, text));
    await drop(page, [plan.wrongGpu]);
    told.wrong = { processor: await processorOf(page), row: await answerOf(page, plan.texts[0]), facts: await facts(page) };
    told.workers = await page.evaluate('[workerCount, navigator.hardwareConcurrency]');
    told.fixed = await page.evaluate(runRows, fs.readFileSync(plan.npu).toString('base64'), plan.rows);
    await drop(page, [plan.bundled]);
    return { ...told, isRefused: await page.evaluate(isWholeRefused) };
  } finally {
    await browser.close();
  }
}

function processorOf(page) {
  return page.evaluate("import('./app.js').then(({ session }) => session.classifier.processor)");
}

/** In the page: whether WebGPU refuses the model with its tokenizer. */
async function isWholeRefused() {
  const { session } = await import('./app.js');
  const litert = await import('./litert/core.js');
  const options = { accelerator: 'webgpu', cpuOptions: { numThreads: 1 } };
  try {
    (await litert.loadAndCompile(session.classifier.artifact.flatbuffer, options)).delete();
    return false;
  } catch {
    return true;
  }
}

/** In the page: rows of token ids on WebGPU, in signatures of fixed shapes that take them. */
async function runRows(content, rows) {
  const litert = await import('./litert/core.js');
  const flatbuffer = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
  const model = await litert.loadAndCompile(flatbuffer, { accelerator: 'webgpu', cpuOptions: { numThreads: 1 } });
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
  const isWhole = model.isFullyAccelerated;
  model.delete();
  return { isWhole, lengths, rows: found };
}

