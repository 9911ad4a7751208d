// A text classifier under Node.js: `web_demo`'s modules, and LiteRT.js, which was made for browsers.

import { readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import vm from 'node:vm';

import { readArtifact } from '../../web_demo/artifact.js';
import { TextClassifier } from '../../web_demo/classifier.js';
import { startEngine } from '../../web_demo/engine.js';

let engine; // one for all models: LiteRT.js refuses a second start

/**
 * Opens a file and replays its golden cases.
 *
 * @param {string} file path of a .tflite file that EdgeDistil wrote
 * @returns {Promise<TextClassifier>} which one text at a time may use
 * @throws {import('../../web_demo/errors.js').DemoError} the file is not one, or its answers here are not as verified
 */
export async function openTextClassifier(file) {
  const artifact = await readArtifact(new Uint8Array(await readFile(file)));
  engine ??= startLiteRt();
  return TextClassifier.verified(artifact, await (await engine).load(artifact.flatbuffer));
}

/** Starts LiteRT.js, once for the process. @returns {Promise<import('../../web_demo/engine.js').Engine>} */
export async function startLiteRt() {
  const core = fileURLToPath(import.meta.resolve('@litertjs/core'));
  globalThis.self ??= globalThis; // as in a browser's worker, from which LiteRT.js takes `importScripts`
  globalThis.importScripts = loadScript;
  return startEngine(await import('@litertjs/core'), path.join(path.dirname(core), '..', 'wasm'), 1);
}

/** Runs Emscripten's script, which defines `ModuleFactory` and asks for `require` when it finds Node.js. */
function loadScript(file) {
  const script = `${readFileSync(file, 'utf8')}\nreturn ModuleFactory;`;
  const run = vm.compileFunction(script, ['require', '__filename', '__dirname'], { filename: file });
  globalThis.ModuleFactory = run(createRequire(file), file, path.dirname(file));
}
