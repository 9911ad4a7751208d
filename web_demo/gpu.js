// A model in two parts: text to token ids and embeddings on WebAssembly, the encoder on WebGPU.
//
// LiteRT gives a whole model to an accelerator, and WebGPU takes no shapes that depend on the text. A file of
// `--target gpu --fixed-lengths ...` has a separate encoder, and for each of its lengths N these signatures:
//
//     text -> tokenize_BYTES_N -> token ids -> embed_N -> embeddings -> the encoder's classify_embeddings_N

import { CLASSIFY_TEXT, TextClassifier } from './classifier.js';
import { DemoError, EngineError, MismatchError } from './errors.js';

const TOKENIZE = /^tokenize_([1-9]\d*)_([1-9]\d*)$/;

/**
 * Opens a file on WebGPU if it has a part for it and the browser a device, and otherwise on WebAssembly, also where
 * WebGPU computes something else.
 *
 * @param {import('./artifact.js').Artifact} artifact
 * @param {import('./engine.js').Engine} engine
 * @param {(done: number, count: number) => Promise<void>} [onCase] called before each test case
 * @returns {Promise<TextClassifier>} with `processor`: `WebGPU` or `WebAssembly`, and `whyNotGpu` where the file has a
 *   part for WebGPU that is not used
 * @throws {DemoError} the file does not run on WebAssembly either
 */
export async function openVerified(artifact, engine, onCase) {
  let whyNotGpu = null;
  if (artifact.encoder) {
    try {
      if (!engine.hasGpu()) throw new EngineError('this browser has no WebGPU device');
      const classifier = await TextClassifier.verified(artifact, await engine.loadOnGpu(artifact), onCase);
      return Object.assign(classifier, { processor: 'WebGPU', whyNotGpu });
    } catch (error) {
      if (!(error instanceof DemoError)) throw error;
      console.warn('WebAssembly runs the model, because WebGPU does not:', error);
      whyNotGpu = error instanceof MismatchError ? 'its answers differ from those that were verified' : error.message;
    }
  }
  const classifier = await TextClassifier.verified(artifact, await engine.load(artifact.flatbuffer), onCase);
  return Object.assign(classifier, { processor: 'WebAssembly', whyNotGpu });
}

/**
 * Adds an encoder on WebGPU to a model on WebAssembly.
 *
 * @param {object} litert the module `@litertjs/core`
 * @param {import('./classifier.js').Model} host the whole model on WebAssembly; it is closed with what is returned
 * @param {Uint8Array} encoder
 * @returns {Promise<import('./classifier.js').Model>} whose `classify_text` ends on WebGPU
 * @throws {EngineError} the file has no fixed lengths, or WebGPU does not take all of the encoder
 */
export async function withEncoder(litert, host, encoder) {
  const shapes = shapesOf(host.signatures);
  let compiled;
  try {
    if (shapes.length === 0) throw new Error('convert with `--fixed-lengths`');
    // One thread: what WebGPU runs needs no more, and the workers are for models on WebAssembly (engine.js).
    compiled = await litert.loadAndCompile(encoder, { accelerator: 'webgpu', cpuOptions: { numThreads: 1 } });
    if (!compiled.isFullyAccelerated) throw new Error('a part of the encoder would run on WebAssembly');
  } catch (error) {
    compiled?.delete();
    host.close();
    throw new EngineError(`WebGPU does not run this model: ${error.message}.`, { cause: error });
  }
  return {
    ...host,
    run: (signature, inputs) =>
      signature === CLASSIFY_TEXT ? classify(litert, host, compiled, shapes, inputs) : host.run(signature, inputs),
    close: () => {
      compiled.delete();
      host.close();
    },
  };
}

function shapesOf(signatures) {
  const found = signatures.map((name) => TOKENIZE.exec(name)).filter(Boolean);
  const shapes = found.map(([name, bytes, length]) => ({ name, bytes: Number(bytes), length: Number(length) }));
  return shapes.sort((one, other) => one.length - other.length);
}

async function classify(litert, host, encoder, shapes, inputs) {
  const used = inputs.text.findIndex((byte) => byte === 0);
  const text = used < 0 ? inputs.text : inputs.text.subarray(0, used);
  const largest = shapes[shapes.length - 1];
  for (const { name, bytes, length } of shapes.filter((shape) => shape.bytes >= text.length)) {
    const row = new Int32Array(bytes);
    row.set(text);
    const { token_ids: ids, token_count: count } = await run(litert, host.compiled, name, { text: [row, [bytes]] });
    if (count[0] > length && length < largest.length) continue;
    const embedded = await run(litert, host.compiled, `embed_${length}`, { token_ids: [ids, [1, length]] });
    const width = embedded.embeddings.length / length;
    const { probabilities } = await run(litert, encoder, `classify_embeddings_${length}`, {
      embeddings: [embedded.embeddings, [1, length, width]],
      attention_bias: [embedded.attention_bias, [1, 1, 1, length]],
    });
    return { probabilities, unknownScore: null };
  }
  return host.run(CLASSIFY_TEXT, inputs); // more bytes than the largest length has room for
}

/** Runs a signature with arrays and their shapes; returns the arrays of its outputs. */
async function run(litert, compiled, signature, arrays) {
  const inputs = Object.entries(arrays).map(([name, [values, shape]]) => [name, new litert.Tensor(values, shape)]);
  let outputs = {};
  try {
    outputs = await compiled.run(signature, Object.fromEntries(inputs));
    const names = Object.keys(outputs);
    const values = await Promise.all(names.map((name) => outputs[name].data()));
    return Object.fromEntries(names.map((name, index) => [name, values[index].slice()]));
  } catch (error) {
    throw new EngineError(`${signature} could not be run.`, { cause: error });
  } finally {
    for (const tensor of [...inputs.map(([, input]) => input), ...Object.values(outputs)]) tensor.delete();
  }
}
