// Puts the page into a folder that any static web server can serve: node build.mjs --model MODEL --out FOLDER
//
// Copies the page, LiteRT.js with its WebAssembly and the model, writes what the service worker must know, and packs
// files by gzip beside themselves, for servers that look for FILE.gz (serve.py, nginx's gzip_static).
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';

const HERE = import.meta.dirname;
const PACKAGES = path.join(HERE, 'node_modules', '@litertjs');
const PAGE = [
  'index.html',
  'style.css',
  'icon.svg',
  'manifest.webmanifest',
  'app.js',
  'archive.js',
  'artifact.js',
  'classifier.js',
  'decision.js',
  'encoding.js',
  'engine.js',
  'errors.js',
  'explanation.js',
  'flatbuffer.js',
  'gpu.js',
  'offline.js',
  'truncation.js',
  'view.js',
  'view_explanation.js',
];
// For browsers with relaxed SIMD, the same with threads, and for the others. LiteRT.js chooses.
const WASM = ['litert_wasm_internal', 'litert_wasm_threaded_internal', 'litert_wasm_compat_internal'];
const WASM_UTILS = '"@litertjs/wasm-utils"'; // as core.js imports it

const { values: options } = parseArgs({ options: { model: { type: 'string' }, out: { type: 'string' } } });
if (!options.model || !options.out) fail('usage: node build.mjs --model MODEL.tflite --out FOLDER');
if (!fs.existsSync(PACKAGES)) fail('LiteRT.js is not installed. Run `npm ci` in web_demo first.');
build(options.model, options.out);

function build(model, out) {
  fs.rmSync(out, { recursive: true, force: true });
  fs.mkdirSync(path.join(out, 'litert', 'wasm'), { recursive: true });
  for (const name of [...PAGE, 'sw.js']) fs.copyFileSync(path.join(HERE, name), path.join(out, name));
  fs.copyFileSync(model, path.join(out, 'model.tflite'));
  fs.writeFileSync(path.join(out, 'litert', 'core.js'), coreModule());
  fs.writeFileSync(path.join(out, 'litert', 'wasm_utils.js'), source('wasm-utils', 'dist', 'index.js'));
  for (const name of WASM.flatMap((stem) => [`${stem}.js`, `${stem}.wasm`])) {
    fs.copyFileSync(path.join(PACKAGES, 'core', 'wasm', name), path.join(out, 'litert', 'wasm', name));
  }
  const files = ['./', ...PAGE, 'litert/core.js', 'litert/wasm_utils.js'];
  const description = JSON.stringify({ version: version(out), files }, null, 2);
  fs.writeFileSync(path.join(out, 'build.js'), `self.BUILD = ${description};\n`);
  for (const file of filesIn(out)) pack(file);
}

/** LiteRT.js without a bundler: browsers resolve no package names, so its one import gets a path. */
function coreModule() {
  const parts = source('core', 'dist', 'index.js').split(WASM_UTILS);
  if (parts.length !== 2) fail('@litertjs/core is not as this script knows it: one import of wasm-utils was expected.');
  return parts.join('"./wasm_utils.js"');
}

/** A module without the comment that names its source map, which is not served. */
function source(...names) {
  return fs.readFileSync(path.join(PACKAGES, ...names), 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
}

function version(folder) {
  const digest = createHash('sha256');
  for (const file of filesIn(folder)) digest.update(path.relative(folder, file)).update(fs.readFileSync(file));
  return digest.digest('hex').slice(0, 16);
}

function filesIn(folder) {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function pack(file) {
  const content = fs.readFileSync(file);
  const packed = gzipSync(content, { level: 9 });
  if (packed.length < 0.9 * content.length) fs.writeFileSync(`${file}.gz`, packed);
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
