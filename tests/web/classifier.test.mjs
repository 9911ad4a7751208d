// What is done to a text before the model, and what must be true before the first answer.
import assert from 'node:assert/strict';
import test from 'node:test';

import { rank, TextClassifier } from '../../web_demo/classifier.js';
import { encodeText } from '../../web_demo/encoding.js';
import { threadsOfModel } from '../../web_demo/engine.js';
import { EngineError, MismatchError } from '../../web_demo/errors.js';

const bytesOf = (text) => Array.from(encodeText(text)).slice(0, Buffer.byteLength(text));

test('a text is its UTF-8 bytes and zeros behind them', () => {
  assert.ok(encodeText('hé') instanceof Int32Array);
  assert.deepEqual(Array.from(encodeText('hé')).slice(0, 4), [104, 195, 169, 0]);
  assert.deepEqual(bytesOf('💡'), [0xf0, 0x9f, 0x92, 0xa1]);
});

test('a lone surrogate is U+FFFD, a pair is the character it stands for', () => {
  assert.deepEqual(bytesOf('\ud83d'), [0xef, 0xbf, 0xbd]);
  assert.deepEqual(bytesOf('\udca1\ud83d'), [0xef, 0xbf, 0xbd, 0xef, 0xbf, 0xbd]);
  assert.deepEqual(encodeText('\ud83d\udca1'), encodeText('💡'));
});

test('a NUL stays: the model stops there', () => {
  assert.deepEqual(bytesOf('a\0b'), [97, 0, 98]);
});

test('rows have few lengths: powers of two, at least 128', () => {
  const lengths = [0, 1, 127, 128, 129, 8192].map((count) => encodeText('x'.repeat(count)).length);
  assert.deepEqual(lengths, [128, 128, 128, 128, 256, 8192]);
});

test('labels come best first, equal ones in their order', () => {
  const ranking = rank(['a', 'b', 'c', 'd'], Float32Array.of(0.25, 0.5, 0.125, 0.125));
  assert.deepEqual(ranking.map(({ label }) => label), ['b', 'a', 'c', 'd']);
  assert.equal(ranking[0].probability, 0.5);
});

const ARTIFACT = {
  labels: ['ham', 'spam'],
  tokenizer: { sequenceLength: 6, split: true, splitOnCjk: true, tokensInTexts: [] },
  thresholds: null,
  tolerance: 0.05,
  goldenCases: [{ text: 'hi', textPair: null, tokenIds: [2, 9, 3], probabilities: [0.75, 0.25] }],
};

function model(answer, signatures = ['classify_text'], unknownScore = null) {
  const made = { signatures, isClosed: false, calls: [] };
  made.run = async (signature, inputs) => {
    made.calls.push([signature, ...Object.keys(inputs)]);
    return { probabilities: Float32Array.from(answer), unknownScore };
  };
  made.close = () => {
    made.isClosed = true;
  };
  return made;
}

test('a model that agrees is used', async () => {
  const classifier = await TextClassifier.verified(ARTIFACT, model([0.74, 0.26]));
  assert.ok(Math.abs(classifier.largestDifference - 0.01) < 1e-6);
  const { ranking, milliseconds } = await classifier.classify('anything');
  assert.equal(ranking[0].label, 'ham');
  assert.ok(milliseconds >= 0);
});

test('each test case is announced before it is replayed', async () => {
  const used = model([0.75, 0.25]);
  const told = [];
  const twice = { ...ARTIFACT, goldenCases: [...ARTIFACT.goldenCases, ...ARTIFACT.goldenCases] };
  await TextClassifier.verified(twice, used, async (...given) => told.push([...given, used.calls.length]));
  assert.deepEqual(told, [[0, 2, 0], [1, 2, 1]]);
});

test('two models at once have no more workers than there are processors', () => {
  for (let processors = 1; processors <= 64; processors += 1) {
    const threads = threadsOfModel(processors);
    assert.ok(threads >= Math.min(2, processors) && 2 * (threads - 1) <= processors, `${processors}`);
  }
});

test('a score above the threshold is unknown, and the ranking stays', async () => {
  const ruled = { ...ARTIFACT, unknownRule: { label: 'other', threshold: -2 } };
  for (const [score, expected] of [[-1.9, 'other'], [-2, null]]) {
    const classifier = await TextClassifier.verified(ruled, model([0.75, 0.25], ['classify_text'], score));
    const { ranking, unknown } = await classifier.classify('anything');
    assert.deepEqual([ranking[0].label, unknown], ['ham', expected]);
  }
  await assert.rejects(TextClassifier.verified(ruled, model([0.75, 0.25])), /no finite unknown_score/);
});

test('a file without the rule has no unknown texts', async () => {
  const classifier = await TextClassifier.verified(ARTIFACT, model([0.75, 0.25]));
  assert.equal((await classifier.classify('anything')).unknown, null);
});

for (const [name, answer] of Object.entries({
  'a probability that differs': [0.69, 0.31],
  'another label': [0.25, 0.75],
  'nothing but zeros': [0, 0],
})) {
  test(`refused and closed: ${name}`, async () => {
    const refused = model(answer);
    await assert.rejects(TextClassifier.verified(ARTIFACT, refused), MismatchError);
    assert.ok(refused.isClosed);
  });
}

for (const [name, answer] of Object.entries({
  'no number': [Number.NaN, 0.25],
  'what is no probability': [-3e38, 5],
  'a label too few': [1],
})) {
  test(`refused and closed: ${name}`, async () => {
    const refused = model(answer);
    await assert.rejects(TextClassifier.verified({ ...ARTIFACT, goldenCases: [] }, refused), EngineError);
    assert.ok(refused.isClosed);
  });
}

test('another label is no mismatch where the two best are closer than the tolerance', async () => {
  const close = { ...ARTIFACT, goldenCases: [{ ...ARTIFACT.goldenCases[0], probabilities: [0.51, 0.49] }] };
  await TextClassifier.verified(close, model([0.49, 0.51]));
});

test('a pair of texts is replayed with the signature for pairs', async () => {
  const pair = { ...ARTIFACT, goldenCases: [{ ...ARTIFACT.goldenCases[0], textPair: 'b' }] };
  const used = model([0.75, 0.25], ['classify_text', 'classify_text_pair']);
  await TextClassifier.verified(pair, used);
  assert.deepEqual(used.calls[0], ['classify_text_pair', 'text', 'text_pair']);
});

test('several labels, one or none reach their thresholds', async () => {
  const several = { ...ARTIFACT, thresholds: [0.5, 0.2], goldenCases: [] };
  for (const [answer, expected] of [[[0.75, 0.25], ['ham', 'spam']], [[0.1, 0.2], ['spam']], [[0.4, 0.1], []]]) {
    const classifier = await TextClassifier.verified(several, model(answer.map(Math.fround)));
    assert.deepEqual((await classifier.classify('anything')).labels, expected);
  }
  assert.equal((await (await TextClassifier.verified(ARTIFACT, model([0.75, 0.25]))).classify('a')).labels, null);
});

test('token ids are replayed, and others refused', async () => {
  const told = (ids) => {
    const made = model([0.75, 0.25], ['classify_text', 'tokenize']);
    made.tokenize = async (row) => {
      const words = String.fromCharCode(...row.subarray(0, row.indexOf(0))).split(' ').filter(Boolean);
      const pieces = words.map((word) => ids[word] ?? word.charCodeAt(0));
      return Int32Array.from([2, ...pieces.slice(0, 4), 3]);
    };
    return made;
  };
  await TextClassifier.verified(ARTIFACT, told({ hi: 9 }));
  const refused = told({ hi: 8 });
  await assert.rejects(TextClassifier.verified(ARTIFACT, refused), /other token ids/);
  assert.ok(refused.isClosed);
});

test('a model that takes token ids is refused', async () => {
  const refused = model([0.75, 0.25], ['classify_tokens']);
  await assert.rejects(TextClassifier.verified(ARTIFACT, refused), /no signature classify_text/);
});
