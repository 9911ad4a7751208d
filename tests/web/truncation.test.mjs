// Token ids and truncation, with a tokenizer whose ids are the character codes of words and marks.
import assert from 'node:assert/strict';
import test from 'node:test';

import { EngineError } from '../../web_demo/errors.js';
import { beforeNul, lastCut, mostTokenIds, TokenReader } from '../../web_demo/truncation.js';

const SETTINGS = { sequenceLength: 6, split: true, splitOnCjk: true, tokensInTexts: [] };

/** A model whose output, as LiteRT.js's, must not need more room than in the run before. */
function model({ unknown = [], signatures = ['tokenize'] } = {}) {
  let room = Infinity;
  const tokenize = async (row) => {
    const text = new TextDecoder().decode(Uint8Array.from(row.subarray(0, row.indexOf(0))));
    const words = text.match(/[a-z0-9]+|[^\sa-z0-9]/g) ?? [];
    const ids = words.flatMap((word) => [...word].map((mark) => (unknown.includes(mark) ? 1 : mark.charCodeAt(0))));
    const found = [2, ...ids.slice(0, SETTINGS.sequenceLength - 2), 3];
    assert.ok(found.length <= room, 'a row that is longer than the one before');
    room = found.length;
    return Int32Array.from(found);
  };
  return { signatures, tokenize };
}

test('the ids of a text, whatever it ends with', async () => {
  const reader = new TokenReader(model(), SETTINGS);
  for (const text of ['', 'a', 'b', 'b .', '. ,', 'b,a', 'abcd', 'bb b']) {
    assert.deepEqual(await reader.idsOf(text), Array.from(text.replaceAll(' ', ''), (mark) => mark.charCodeAt(0)), text);
  }
  assert.deepEqual(await reader.idsOf('abcdef'), [97, 98, 99, 100]);
  assert.deepEqual(await reader.idsOf('b\0c'), [98]);
});

test('a text that fills the row is not truncated, one more id is', async () => {
  const reader = new TokenReader(model(), SETTINGS);
  const due = { b: false, 'b b b b': false, 'b b b b b': true, 'bb bbb': true, 'bb bb': false, 'b bbbbbbb': true };
  for (const [text, isTruncated] of Object.entries(due)) assert.equal(await reader.isTruncated(text), isTruncated, text);
});

test('one part that fills the row and cannot be divided is unknown', async () => {
  assert.equal(await new TokenReader(model(), SETTINGS).isTruncated('bbbbbbb'), null);
});

test('fillers that the vocabulary lacks are not used', async () => {
  assert.deepEqual(await new TokenReader(model({ unknown: ['.', ','] }), SETTINGS).idsOf('b .'), [98, 1]);
  const without = new TokenReader(model({ unknown: [...'.,?!aeosf10-'] }), SETTINGS);
  assert.equal(await without.idsOf('b'), null);
  assert.equal(await without.isTruncated('b b b b b'), null);
});

test('without the signature, or words that end at blanks, only short texts are certain', async () => {
  for (const [made, settings] of [[model({ signatures: [] }), SETTINGS], [model(), { ...SETTINGS, split: false }]]) {
    const reader = new TokenReader(made, settings);
    assert.equal(await reader.isTruncated('bbbb'), false);
    assert.equal(await reader.isTruncated('bbbbb'), null);
  }
});

test('a tokenizer that cannot be run leaves ids unknown', async () => {
  const broken = { signatures: ['tokenize'], tokenize: () => Promise.reject(new EngineError('no')) };
  assert.equal(await new TokenReader(broken, SETTINGS).idsOf('b'), null);
});

test('cuts are before words and at punctuation, or only after blanks where tokens are spelled out', () => {
  assert.equal(lastCut('lights on, please', SETTINGS), 11);
  assert.equal(lastCut('lights', SETTINGS), 0);
  assert.equal(lastCut('a,b', SETTINGS), 2);
  assert.equal(lastCut('東京', SETTINGS), 1);
  assert.equal(lastCut('東京', { ...SETTINGS, splitOnCjk: false }), 0);
  assert.equal(lastCut('a \u3164', SETTINGS), 0); // folds to nothing
  assert.equal(lastCut('a,b c', { ...SETTINGS, tokensInTexts: ['[SEP]'] }), 4);
  assert.equal(lastCut('a b', { ...SETTINGS, tokensInTexts: ['a b'] }), 0);
  assert.equal(lastCut('a b', { ...SETTINGS, split: false }), 0);
});

test('an upper bound of ids', () => {
  assert.deepEqual(['light', 'größer', '東', '', 'a\0b'].map(mostTokenIds), [5, 10, 18, 0, 3]);
  assert.equal(beforeNul('a\0b'), 'a');
});
