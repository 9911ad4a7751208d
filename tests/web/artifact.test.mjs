// Reading the file's format: what is whole is read, what is wrong is refused with the reason.
import assert from 'node:assert/strict';
import test from 'node:test';

import { checkSize, LARGEST_FILE, readArtifact } from '../../web_demo/artifact.js';
import { ArtifactError } from '../../web_demo/errors.js';
import { artifact, COMMENT_PREFIX, FLATBUFFER, members, signed } from './artifacts.mjs';

const COMMENT_SIZE = COMMENT_PREFIX.length + 64;

function refuses(content, reason) {
  return assert.rejects(readArtifact(content), (error) => {
    assert.ok(error instanceof ArtifactError, String(error.stack));
    assert.match(error.message, reason);
    return true;
  });
}

function withEntry(target, changes) {
  return artifact(members(), (entry) => (entry.name === target ? { ...entry, ...changes } : entry));
}

test('a whole file is read', async () => {
  const content = artifact();
  const read = await readArtifact(content);
  assert.deepEqual(read.labels, ['ham', 'spam']);
  assert.deepEqual(read.goldenCases, [{ text: 'hi', textPair: null, tokenIds: [2, 5, 3], probabilities: [0.75, 0.25] }]);
  assert.deepEqual(Buffer.from(read.flatbuffer), FLATBUFFER);
  const { name, scheme, tokenizer, thresholds, isCalibrated, tolerance, size } = read;
  assert.deepEqual({ name, scheme, tokenizer, thresholds, isCalibrated, tolerance, size }, {
    name: 'tiny',
    scheme: 'int8',
    tokenizer: { sequenceLength: 16, split: true, splitOnCjk: false, tokensInTexts: [] },
    thresholds: null,
    isCalibrated: false,
    tolerance: 0.05,
    size: content.length,
  });
});

test('a rule for unknown texts is read, and a damaged one refused', async () => {
  const withRule = (rule) => artifact(members({ preparation: { unknown_texts: rule } }));
  const rule = { label: 'other', threshold: -2.5 };
  assert.deepEqual((await readArtifact(withRule({ ...rule, texts: 300 }))).unknownRule, rule);
  assert.equal((await readArtifact(artifact())).unknownRule, null);
  for (const damaged of [{ ...rule, label: 'ham' }, { ...rule, threshold: '1' }, {}]) {
    await refuses(withRule(damaged), /unknown_texts/);
  }
});

test('thresholds of several labels are read, and damaged ones refused', async () => {
  const withThresholds = (thresholds) => artifact(members({ schema_version: 2, thresholds }));
  assert.deepEqual((await readArtifact(withThresholds([0.5, 0.25]))).thresholds, [0.5, 0.25]);
  for (const damaged of [undefined, [], [0.5], [0.5, 1], [0.5, '0.5']]) {
    await refuses(withThresholds(damaged), /thresholds is not/);
  }
  // A reader of version 1 would give each text one label.
  assert.equal((await readArtifact(artifact(members({ thresholds: [0.5, 0.25] })))).thresholds, null);
});

test('calibrated scores are told', async () => {
  const calibrated = artifact(members({ preparation: { score_calibration: { temperature: 1.5 } } }));
  assert.equal((await readArtifact(calibrated)).isCalibrated, true);
});

test('a file for a device that no browser has is refused with the option that made it so', async () => {
  for (const [target, kind] of [['npu', 'none'], ['edgetpu', 'builtin'], ['coralboard', 'builtin']]) {
    const content = artifact(members({ target, tokenizer: { kind, sequence_length: 16 } }));
    await assert.rejects(readArtifact(content), new RegExp(`Convert again without \`--target ${target}\``));
  }
  await readArtifact(artifact(members({ target: 'toString' }))); // one that this page does not know
});

test('tokens that a text may spell out are read', async () => {
  const added = [{ content: '<b>' }];
  const settings = { kind: 'builtin', sequence_length: 16, special_tokens: ['[SEP]'], added_tokens: added };
  const { tokenizer } = await readArtifact(artifact(members({ tokenizer: settings })));
  assert.deepEqual(tokenizer.tokensInTexts, ['[SEP]', '<b>']);
});

test('a file that is a view into a larger buffer is read', async () => {
  const content = artifact();
  const larger = new Uint8Array(content.length + 7);
  larger.set(content, 7);
  assert.deepEqual((await readArtifact(larger.subarray(7))).labels, ['ham', 'spam']);
});

test('the parts for accelerators are allowed', async () => {
  const content = artifact({ ...members(), 'encoder.tflite': 'x', 'encoder_edgetpu.tflite': 'x', 'encoder.vmfb': 'x' });
  assert.equal((await readArtifact(content)).name, 'tiny');
});

test('a signed file is read as one without a signature', async () => {
  const line = `edgedistil ed25519 ${'0'.repeat(64)} ${'0'.repeat(128)}`;
  const sign = (entry) => (entry.name === 'edgedistil.json' ? { ...entry, comment: line } : entry);
  assert.deepEqual((await readArtifact(artifact(members(), sign))).labels, ['ham', 'spam']);
});

test('an archive that is not compressed is read', async () => {
  const content = artifact(members(), (entry) => entry, 0);
  assert.deepEqual((await readArtifact(content)).labels, ['ham', 'spam']);
});

test('any flipped bit is found', async () => {
  const content = artifact();
  for (let position = 0; position < content.length; position += 7) {
    const damaged = content.slice();
    damaged[position] ^= 1;
    await refuses(damaged, /damaged|no TFLite model|EdgeDistil did not write/);
  }
});

test('any cut is found', async () => {
  const content = artifact();
  for (let length = 0; length < content.length; length += 5) {
    await refuses(content.subarray(0, length), /no TFLite model|has not arrived whole/);
  }
});

const wrong = {
  'a flatbuffer alone': [new Uint8Array(FLATBUFFER), /EdgeDistil did not write/],
  'no archive before the comment': [signed(FLATBUFFER), /no end record|cut off/],
  'a member too many': [artifact({ ...members(), 'evil.sh': 'x' }), /its members must be/],
  'a member too few': [artifact({ 'edgedistil.json': '{}', 'labels.txt': '' }), /end record/],
  'a member twice': [
    artifact(members(), (entry) => ({ ...entry, name: entry.name === 'vocab.txt' ? 'labels.txt' : entry.name })),
    /twice/,
  ],
  'a bomb that says so': [withEntry('edgedistil.json', { size: 2 ** 31 }), /the limit is/],
  'a bomb that lies': [withEntry('edgedistil.json', { size: 10 }), /larger than it says/],
  'a member that is too short': [withEntry('labels.txt', { size: 100 }), /9 bytes, and not the 100/],
  encryption: [withEntry('labels.txt', { flags: 1 }), /encrypted/],
  'another method': [withEntry('labels.txt', { method: 12 }), /not compressed by deflate/],
  'a member behind the file': [withEntry('labels.txt', { packedSize: 2 ** 31 }), /ends behind the file/],
  'an offset behind the file': [withEntry('labels.txt', { offset: 2 ** 31 }), /no header of its own/],
  'no JSON': [artifact({ ...members(), 'edgedistil.json': '{' }), /not sound JSON/],
  'JSON that is null': [artifact({ ...members(), 'edgedistil.json': 'null' }), /schema version/],
  'another schema': [artifact(members({ schema_version: 3 })), /schema version 3/],
  'no labels': [artifact(members({ labels: [] })), /labels is not/],
  'other labels': [artifact(members({ labels: ['ham', 'eggs'] })), /different labels/],
  'no tolerance': [artifact(members({ tolerance: undefined })), /tolerance is not/],
  'a tokenizer that is elsewhere': [
    artifact(members({ tokenizer: { kind: 'tftext', sequence_length: 16 } })),
    /tokenizer is `tftext`/,
  ],
  'a golden case with a probability missing': [
    artifact(members({ golden_cases: [{ text: 'hi', probabilities: [1] }] })),
    /golden_cases is not/,
  ],
  'a golden case without token ids': [
    artifact(members({ golden_cases: [{ text: 'hi', probabilities: [0.75, 0.25] }] })),
    /golden_cases is not/,
  ],
  'a row of a million tokens': [artifact(members({ tokenizer: { kind: 'builtin', sequence_length: 1e6 } })), /tokenizer/],
  'special tokens that are none': [
    artifact(members({ tokenizer: { kind: 'builtin', sequence_length: 16, added_tokens: [null] } })),
    /tokenizer is not/,
  ],
  'another size of the model': [artifact(members({ flatbuffer_size: 8 })), /not the one/],
  'another model': [artifact(members({ flatbuffer_sha256: '0'.repeat(64) })), /not the one/],
};

for (const [name, [content, reason]] of Object.entries(wrong)) {
  test(`refused: ${name}`, () => refuses(content, reason));
}

test('a directory that says it has many members is not read', async () => {
  const content = Buffer.from(artifact());
  const end = content.length - COMMENT_SIZE - 22;
  content.writeUInt16LE(0xffff, end + 8);
  content.writeUInt16LE(0xffff, end + 10);
  await refuses(signed(content.subarray(0, -COMMENT_SIZE)), /end record/);
});

test('a file larger than a tab can hold is refused before it is read', () => {
  assert.throws(() => checkSize(LARGEST_FILE + 1), ArtifactError);
  checkSize(LARGEST_FILE);
});
