// LiteRT.js as this page uses it: models in, signatures that run on WebAssembly out.

import { LONGEST_SEQUENCE } from './artifact.js';
import { EngineError } from './errors.js';
import { declareRowLength } from './flatbuffer.js';
import { withEncoder } from './gpu.js';

const TOKENIZE = 'tokenize';
const MOST_MODELS = 2; // at once: the one in use, and the one that may replace it

/**
 * Loads LiteRT.js and its WebAssembly.
 *
 * @param {string} folder where the build put it
 * @returns {Promise<Engine>}
 * @throws {EngineError} the browser is too old, or a file could not be fetched
 *
 * @typedef {object} Engine
 * @property {number} threads of a model on WebAssembly; 1 without cross-origin isolation
 * @property {(flatbuffer: Uint8Array) => Promise<import('./classifier.js').Model>} load
 * @property {() => boolean} hasGpu whether the browser has a WebGPU device
 * @property {(artifact: import('./artifact.js').Artifact) => Promise<import('./classifier.js').Model>} loadOnGpu
 */
export async function loadEngine(folder) {
  const processors = globalThis.crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  try {
    return await startEngine(await import(`${folder}/core.js`), `${folder}/wasm/`, processors);
  } catch (error) {
    throw new EngineError(
      'LiteRT, which runs the model, could not be started. Check the connection and reload the page; ' +
        'if that does not help, update the browser.',
      { cause: error },
    );
  }
}

/**
 * Starts LiteRT.js, whatever loaded it.
 *
 * @param {object} litert the module `@litertjs/core`
 * @param {string} wasm folder of its WebAssembly
 * @param {number} processors that it may use
 * @returns {Promise<Engine>}
 */
export async function startEngine(litert, wasm, processors) {
  const { liteRtWasm } = await litert.loadLiteRt(wasm, { threads: processors > 1 });
  const threads = threadsOfModel(processors);
  // LiteRT.js 2.5 compares an input with the shape in the file, in which a length that is open is -1, and so refuses
  // every row. The interpreter behind it does resize its inputs. `load` below checks what there is to check.
  liteRtWasm.checkTensorBufferCompatible = () => {};
  const load = (flatbuffer) => loadModel(litert, flatbuffer, threads);
  const hasGpu = () => Boolean(litert.getWebGpuDevice());
  const loadOnGpu = async ({ flatbuffer, encoder }) => withEncoder(litert, await load(flatbuffer), encoder);
  return { threads, load, hasGpu, loadOnGpu };
}

/**
 * How many threads a model gets: `MOST_MODELS` must fit into the workers that LiteRT.js starts with, one a processor.
 *
 * A model has a worker for each of its threads but the first. LiteRT.js 2.5 can block the page for ever if models have
 * more threads than that.
 *
 * @param {number} processors
 */
export function threadsOfModel(processors) {
  return processors > 1 ? 1 + Math.floor(processors / MOST_MODELS) : 1;
}

async function loadModel(litert, flatbuffer, numThreads) {
  let compiled;
  const restoreLength = declareRowLength(flatbuffer, TOKENIZE, LONGEST_SEQUENCE);
  try {
    compiled = await litert.loadAndCompile(flatbuffer, { accelerator: 'wasm', cpuOptions: { numThreads } });
  } catch (error) {
    throw new EngineError(
      'LiteRT.js cannot load this model: it may need more memory than a tab has, or ops that the browser lacks. ' +
        'Reload the page, and convert with `--quantize int8`.',
      { cause: error },
    );
  } finally {
    restoreLength();
  }
  return {
    compiled,
    signatures: Object.keys(compiled.signatures),
    run: (signature, inputs) => run(litert, compiled, signature, inputs),
    tokenize: (text) => tokenize(litert, compiled, text),
    close: () => compiled.delete(),
  };
}

async function run(litert, compiled, signature, inputs) {
  return withOutputs(litert, compiled, signature, inputs, async (outputs) => {
    const probabilities = await outputs.probabilities.data();
    const score = outputs.unknown_score ? await outputs.unknown_score.data() : null;
    return { probabilities, unknownScore: score ? score[0] : null };
  });
}

/** The row of token ids; values of no meaning follow after the first run. The row must never be shorter than before. */
async function tokenize(litert, compiled, row) {
  // Never the length in the file, with which LiteRT.js cannot read the output of the first run.
  const text = new Int32Array(row.length + 1);
  text.set(row);
  return withOutputs(litert, compiled, TOKENIZE, { text }, (outputs) => outputs.token_ids.data());
}

/** Runs a signature and gives its outputs to `read`; all tensors are released after that. */
async function withOutputs(litert, compiled, signature, inputs, read) {
  const { inputDetails } = compiled.signatures[signature];
  if (!inputDetails.every(({ name, dtype, shape }) => inputs[name] && dtype === 'int32' && shape.length === 1)) {
    throw new EngineError(`The signature ${signature} does not take rows of bytes. Convert again.`);
  }
  const tensors = Object.entries(inputs).map(([name, row]) => [name, new litert.Tensor(row, [row.length])]);
  let outputs = {};
  try {
    outputs = await compiled.run(signature, Object.fromEntries(tensors));
    return await read(outputs);
  } catch (error) {
    throw new EngineError('The model could not be run. Reload the page; if it happens again, update the browser.', {
      cause: error,
    });
  } finally {
    for (const tensor of [...tensors.map(([, input]) => input), ...Object.values(outputs)]) tensor.delete();
  }
}
