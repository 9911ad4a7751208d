// Words, and what leaving one out does to a score.
import assert from 'node:assert/strict';
import test from 'node:test';

import { agree, chosen } from '../../web_demo/decision.js';
import { DemoError } from '../../web_demo/errors.js';
import { explain, findWords } from '../../web_demo/explanation.js';

const words = (text) => findWords(text).map(({ word }) => word);

test('words between blanks, punctuation, characters of unspaced scripts', () => {
  assert.deepEqual(words("don't stop, 東京!"), ["don't", 'stop', ',', '東', '京', '!']);
  assert.deepEqual(words('well-known_1 – é'), ['well-known_1', '–', 'é']);
  assert.deepEqual(words('a-東 e\u0301'), ['a', '-', '東', 'e', '\u0301']);
  assert.deepEqual(words('\u3000\x1f\x85\ufeff'), ['\ufeff']); // Python's blanks, of which U+FEFF is none
  assert.deepEqual(words('💡 \ud83d'), ['💡', '\ud83d']);
  assert.deepEqual(findWords('💡 on')[1], { word: 'on', start: 3 });
});

/** A classifier of texts with "on": 0.9 with it, 0.4 without. */
const classifier = {
  async classify(text) {
    const probability = /\bon\b/.test(text) ? 0.9 : 0.4;
    const ranking = [{ label: 'on', probability }, { label: 'off', probability: 1 - probability }];
    return { ranking: ranking.sort((one, other) => other.probability - one.probability) };
  },
};

test('the effect of a word is the score with it minus the score without it', async () => {
  const { label, score, words: effects } = await explain(classifier, 'light on');
  assert.deepEqual([label, score], ['on', 0.9]);
  assert.deepEqual(effects, [
    { word: 'light', start: 0, effect: 0, labelWithout: 'on' },
    { word: 'on', start: 6, effect: 0.5, labelWithout: 'off' },
  ]);
});

test('a text of too many words is refused', async () => {
  await assert.rejects(explain(classifier, 'on '.repeat(501)), (error) => {
    assert.ok(error instanceof DemoError);
    assert.match(error.message, /at most 500 words.*501/);
    return true;
  });
});

test('the best label, or all that reach their thresholds', () => {
  assert.deepEqual(chosen([0.2, 0.7, 0.1], null), [1]);
  assert.deepEqual(chosen([0.6, 0.3, 0.9], [0.5, 0.6, 0.1]), [2, 0]);
  assert.deepEqual(chosen([0.4, 0.3], [0.5, 0.5]), []);
});

test('labels agree, or are too close to their thresholds', () => {
  assert.ok(agree([0.6, 0.9], [0.8, 0.7], [0.5, 0.5], 0));
  assert.ok(agree([0.52, 0.1], [0.48, 0.1], [0.5, 0.5], 0.1));
  assert.ok(!agree([0.9, 0.1], [0.4, 0.1], [0.5, 0.5], 0.1));
  assert.ok(agree([0.51, 0.49], [0.49, 0.51], null, 0.05));
  assert.ok(!agree([0.75, 0.25], [0.25, 0.75], null, 0.05));
});
