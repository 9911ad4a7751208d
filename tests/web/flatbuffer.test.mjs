// The declared length of an output, in flatbuffers written by hand.
import assert from 'node:assert/strict';
import test from 'node:test';

import { declareRowLength } from '../../web_demo/flatbuffer.js';

/** A flatbuffer with one signature `tokenize`, whose output's shape is [1, 1]; and the place of the second 1. */
function flatbuffer() {
  const words = new Int32Array(64);
  let next = 1;
  const take = (count) => {
    const start = next;
    next += count;
    return start;
  };
  const point = (from, to) => (words[from] = 4 * (to - from));
  /** A table with the fields of these numbers, as int32 or offsets. */
  const table = (numbers) => {
    const size = Math.max(...numbers) + 1;
    const layout = take(Math.ceil((4 + 2 * size) / 4));
    const start = take(1 + numbers.length);
    const shorts = new Uint16Array(words.buffer, 4 * layout, 2 + size);
    shorts[0] = 2 * shorts.length;
    numbers.forEach((number, index) => (shorts[2 + number] = 4 * (1 + index)));
    words[start] = 4 * (start - layout);
    return start;
  };
  const vector = (from, content) => {
    const start = take(1 + content.length);
    point(from, start);
    words[start] = content.length;
    return start + 1;
  };
  const model = table([2, 7]);
  point(0, model);
  const subgraphs = vector(model + 1, [0]);
  const signatures = vector(model + 2, [0]);
  const signature = table([1, 2]);
  point(signatures, signature);
  const outputs = vector(signature + 1, [0]);
  const key = vector(signature + 2, [0, 0, 0]);
  words[key - 1] = 8;
  new Uint8Array(words.buffer).set(Buffer.from('tokenize'), 4 * key);
  point(outputs, table([1]));
  const subgraph = table([0]);
  point(subgraphs, subgraph);
  const tensors = vector(subgraph + 1, [0]);
  const tensor = table([0]);
  point(tensors, tensor);
  const shape = vector(tensor + 1, [0, 0]);
  words[shape] = 1;
  words[shape + 1] = 1;
  return { words, place: shape + 1 };
}

test('the length is declared and written back, and nothing else changes', () => {
  const { words, place } = flatbuffer();
  const before = words.slice();
  const restore = declareRowLength(new Uint8Array(words.buffer), 'tokenize', 512);
  assert.equal(words[place], 512);
  words[place] = 1;
  assert.deepEqual(words, before);
  words[place] = 512;
  restore();
  assert.deepEqual(words, before);
});

test('a model without the signature is left as it is', () => {
  const { words } = flatbuffer();
  const before = words.slice();
  declareRowLength(new Uint8Array(words.buffer), 'classify_text', 512)();
  assert.deepEqual(words, before);
});

test('offsets that lead nowhere change nothing', () => {
  const { words, place } = flatbuffer();
  for (let index = 0; index < words.length; index += 1) {
    if (index === place) continue;
    const damaged = words.slice();
    damaged[index] = 0x7ffffff0;
    const before = damaged.slice();
    declareRowLength(new Uint8Array(damaged.buffer), 'tokenize', 512)();
    assert.deepEqual(damaged, before);
  }
  declareRowLength(new Uint8Array(3), 'tokenize', 512)();
});
