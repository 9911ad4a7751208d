// What a person does with the page who does not wait: typing on, changing the model meanwhile, on any computer.
import { answerOf, countWorkers, drop, errorOf, facts } from './page.mjs';

const PROCESSORS = 8; // more than the computers of tests have

/** Types texts, one after the other, without waiting for an answer. */
export async function typing({ plan, visit }) {
  return visit(async ({ page }) => {
    const due = await answerOf(page, plan.texts[1]);
    const told = await page.evaluate(async (codes) => {
      const { session } = await import('./app.js');
      const { classifier } = session;
      const classify = classifier.classify.bind(classifier);
      const field = document.querySelector('#text');
      const seen = [];
      const last = String.fromCharCode(...codes);
      const type = (value) => {
        field.value = value;
        field.dispatchEvent(new Event('input', { bubbles: true }));
      };
      classifier.classify = async (text) => {
        seen.push(text);
        const answer = await classify(text);
        if (text !== last) for (let end = 1; end <= last.length; end += 1) type(last.slice(0, end)); // during the run
        return answer;
      };
      for (let count = 1; count <= 200; count += 1) type('on '.repeat(count));
      for (let before = null; before !== session.settled(); ) {
        before = session.settled();
        await before;
      }
      classifier.classify = classify;
      return { seen: [seen.length, seen.at(0), seen.at(-1)], label: document.querySelector('#label').textContent };
    }, plan.texts[1]);
    return { ...told, due, error: await errorOf(page) };
  });
}

/** Drops a model while a text waits for its answer, and types on. */
export async function switching({ plan, visit }) {
  return visit(async ({ page }) => {
    const type = (codes) =>
      page.evaluate((given) => {
        const field = document.querySelector('#text');
        field.value = String.fromCharCode(...given);
        field.dispatchEvent(new Event('input', { bubbles: true }));
      }, codes);
    await type(plan.texts[2]);
    const dropped = drop(page, [plan.other]);
    await type(plan.texts[1]);
    await dropped;
    const row = await answerOf(page, plan.texts[0]);
    return { row, facts: await facts(page), error: await errorOf(page) };
  });
}

/** Drops an int4 file and one with a part for GPUs: WebAssembly runs both. */
export async function kinds({ plan, visit }) {
  return visit(async ({ page }) => {
    const told = {};
    for (const [name, file] of Object.entries(plan.kinds)) {
      await drop(page, [file]);
      told[name] = { error: await errorOf(page), facts: await facts(page), rows: [] };
      for (const text of plan.texts) told[name].rows.push(await answerOf(page, text));
    }
    return told;
  });
}

/** Drops files on a page that has many processors: some are refused right after they were loaded. */
export async function processors({ plan, visit }) {
  const prepare = async (page) => {
    const devtools = await page.createCDPSession();
    await devtools.send('Emulation.setHardwareConcurrencyOverride', { hardwareConcurrency: PROCESSORS });
    await countWorkers(page);
  };
  return visit(async ({ page }) => {
    const errors = [];
    for (const file of [plan.refused.disagreeing, plan.other, plan.refused.disagreeing, plan.bundled]) {
      await drop(page, [file]);
      errors.push(await errorOf(page));
    }
    const workers = await page.evaluate('[workerCount, navigator.hardwareConcurrency]');
    return { workers, errors, row: await answerOf(page, plan.texts[0]), facts: await facts(page) };
  }, prepare);
}
