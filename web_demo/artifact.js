// What is in a file that EdgeDistil wrote: a TFLite model, and behind it a ZIP archive that describes it.
//
//     [ flatbuffer ][ edgedistil.json | labels.txt | vocab.txt | encoder.tflite | ZIP directory | comment ]
//
// The contract is that of edgedistil_runtime/artifact.py. A browser needs the labels and the golden cases; the
// vocabulary is for people, as the tokenizer is in the model's own graph.

import { hasArchive, readArchive, sha256 } from './archive.js';
import { ArtifactError } from './errors.js';

export const SCHEMA_VERSION = 1;
export const MULTI_LABEL_SCHEMA_VERSION = 2; // of a file with thresholds, which may give a text several labels
export const LARGEST_FILE = 2 ** 30; // bytes: what a tab can hold twice, as bytes of the page and of WebAssembly
export const LONGEST_SEQUENCE = 2 ** 15; // tokens: more than any model reads
export const FILE_IDENTIFIER = 'TFL3'; // bytes 4 to 8 of every TFLite flatbuffer

const METADATA = 'edgedistil.json';
const LABELS = 'labels.txt';
const REQUIRED = [METADATA, LABELS, 'vocab.txt'];
const ENCODER = 'encoder.tflite';
const ALLOWED = [ENCODER, 'encoder_edgetpu.tflite', 'encoder.vmfb']; // for accelerators that a browser has not

// What cannot run here at all. LiteRT.js refuses a file with a signature that takes or gives int8.
const DEVICES = {
  npu: 'an NPU: it takes token ids and no text',
  edgetpu: 'an Edge TPU: it has int8 signatures, which LiteRT.js does not take',
  coralboard: 'a Coralboard: it has int8 signatures, which LiteRT.js does not take',
};

/**
 * @typedef {object} GoldenCase a text, with what the Keras classifier answered
 * @property {string} text
 * @property {string | null} textPair the second text, where the model takes two
 * @property {number[]} tokenIds with special tokens
 * @property {number[]} probabilities one a label
 *
 * @typedef {object} TokenizerSettings what tells where a text may be cut
 * @property {number} sequenceLength the most tokens that the model reads of a text
 * @property {boolean} split at whitespace and punctuation
 * @property {boolean} splitOnCjk before and after every ideograph
 * @property {string[]} tokensInTexts special and added tokens that a text may spell out
 *
 * @typedef {object} Artifact a file that was read and found intact
 * @property {string} name what the model is called
 * @property {string[]} labels in the order of the probabilities
 * @property {string} scheme of quantization, for instance `int8`
 * @property {TokenizerSettings} tokenizer
 * @property {number[] | null} thresholds smallest probability of each label that a text gets, of a model that gives
 *   several; null for one that gives every text its best label
 * @property {boolean} isCalibrated whether scores were fitted to be probabilities of being right
 * @property {{label: string, threshold: number} | null} unknownRule a text with a greater unknown_score has no label
 * @property {number} tolerance the largest difference of a probability that a replay may show
 * @property {GoldenCase[]} goldenCases
 * @property {Uint8Array} flatbuffer the TFLite model alone
 * @property {Uint8Array | null} encoder the part for a GPU, if it has one
 * @property {number} size bytes of the whole file
 */

/**
 * Reads a file and proves that it arrived whole.
 *
 * @param {Uint8Array} content
 * @returns {Promise<Artifact>}
 * @throws {ArtifactError} it is no TFLite model, EdgeDistil did not write it, it is cut off or damaged, or it is of a
 *   kind that a browser cannot run; the message says which
 */
export async function readArtifact(content) {
  checkSize(content.length);
  if (latin1(content.subarray(4, 8)) !== FILE_IDENTIFIER) {
    throw new ArtifactError('This is no TFLite model. Give a .tflite file that `edgedistil convert` wrote.');
  }
  if (!hasArchive(content)) {
    throw new ArtifactError(
      'EdgeDistil did not write this TFLite model, or it has not arrived whole: nothing at its end says what it is. ' +
        'Copy or download it again, or give a file that `edgedistil convert` wrote.',
    );
  }
  const archive = await readArchive(content, { required: REQUIRED, allowed: ALLOWED, wanted: [METADATA, LABELS, ENCODER] });
  const metadata = parseMetadata(archive.members.get(METADATA));
  const encoder = (metadata.target === 'gpu' && archive.members.get(ENCODER)) || null;
  const flatbuffer = content.subarray(0, archive.start);
  if (metadata.flatbuffer_size !== flatbuffer.length || metadata.flatbuffer_sha256 !== (await sha256(flatbuffer))) {
    throw new ArtifactError(`The model is not the one that ${METADATA} describes. It was exchanged; convert again.`);
  }
  const artifact = fromMetadata(metadata);
  if (utf8(archive.members.get(LABELS)) !== artifact.labels.map((label) => `${label}\n`).join('')) {
    throw new ArtifactError(`${LABELS} and ${METADATA} name different labels. Convert again.`);
  }
  return Object.freeze({ ...artifact, flatbuffer, encoder, size: content.length });
}

/** Refuses a file by its size, before it is read. @param {number} size @throws {ArtifactError} */
export function checkSize(size) {
  if (size > LARGEST_FILE) {
    throw new ArtifactError(
      `The file has ${(size / 1e6).toFixed(0)} MB; this page takes up to ${(LARGEST_FILE / 1e6).toFixed(0)} MB. ` +
        'Convert with `--quantize int8`.',
    );
  }
}

function parseMetadata(bytes) {
  let metadata;
  try {
    metadata = JSON.parse(utf8(bytes));
  } catch (error) {
    throw new ArtifactError(`${METADATA} is not sound JSON. The file is damaged; fetch it again.`, { cause: error });
  }
  const versions = [SCHEMA_VERSION, MULTI_LABEL_SCHEMA_VERSION];
  if (!versions.includes(metadata?.schema_version)) {
    throw new ArtifactError(
      `The file has schema version ${JSON.stringify(metadata?.schema_version)}; this page reads ` +
        `${versions.join(' and ')}. Get the page that belongs to the edgedistil which wrote it, or convert again.`,
    );
  }
  return metadata;
}

function fromMetadata(metadata) {
  const { labels, tokenizer, quantization, tolerance, golden_cases: cases } = metadata;
  check('labels', Array.isArray(labels) && labels.length > 0 && labels.every(isFilled));
  check('name', isFilled(metadata.name));
  check('tolerance', isFraction(tolerance));
  check('quantization', isFilled(quantization?.scheme));
  check('tokenizer', isFilled(tokenizer?.kind) && isLength(tokenizer.sequence_length));
  const thresholds = metadata.schema_version === MULTI_LABEL_SCHEMA_VERSION ? metadata.thresholds : null;
  check('thresholds', thresholds === null || areThresholds(thresholds, labels.length));
  if (Object.hasOwn(DEVICES, metadata.target)) {
    throw new ArtifactError(
      `The model was converted for ${DEVICES[metadata.target]}. Convert again without \`--target ${metadata.target}\`.`,
    );
  }
  if (tokenizer.kind !== 'builtin') {
    throw new ArtifactError(
      `The model's tokenizer is \`${tokenizer.kind}\`, which a browser cannot run. ` +
        'Convert again with `--tokenizer builtin`.',
    );
  }
  const rule = metadata.preparation?.unknown_texts ?? null;
  const isRule = rule === null || (isFilled(rule.label) && !labels.includes(rule.label) && Number.isFinite(rule.threshold));
  check('preparation.unknown_texts', isRule);
  check('golden_cases', Array.isArray(cases) && cases.every((item) => isGoldenCase(item, labels.length)));
  return {
    name: metadata.name,
    labels,
    scheme: quantization.scheme,
    tokenizer: tokenizerSettings(tokenizer),
    tolerance,
    thresholds,
    isCalibrated: metadata.preparation?.score_calibration !== undefined,
    unknownRule: rule && { label: rule.label, threshold: rule.threshold },
    goldenCases: cases.map(({ text, text_pair: textPair, token_ids: tokenIds, probabilities }) => ({
      text,
      textPair: textPair ?? null,
      tokenIds,
      probabilities,
    })),
  };
}

function tokenizerSettings(tokenizer) {
  const { special_tokens: special = [], added_tokens: added = [] } = tokenizer;
  check('tokenizer', Array.isArray(special) && Array.isArray(added));
  const tokensInTexts = [...special, ...added.map((token) => token?.content)];
  check('tokenizer', tokensInTexts.every(isFilled));
  return {
    sequenceLength: tokenizer.sequence_length,
    split: tokenizer.split === true,
    splitOnCjk: tokenizer.split_on_cjk === true,
    tokensInTexts,
  };
}

function check(key, isSound) {
  if (!isSound) throw new ArtifactError(`${METADATA}: ${key} is not what its schema says. Convert again.`);
}

function areThresholds(values, count) {
  const isThreshold = (value) => isFraction(value) && value > 0 && value < 1;
  return Array.isArray(values) && values.length === count && values.every(isThreshold);
}

function isGoldenCase(item, count) {
  const { text, text_pair: pair, token_ids: ids, probabilities } = item ?? {};
  const areTexts = typeof text === 'string' && (pair == null || typeof pair === 'string');
  const areIds = Array.isArray(ids) && ids.every(Number.isInteger);
  const areFractions = Array.isArray(probabilities) && probabilities.every(isFraction);
  return areTexts && areIds && areFractions && probabilities.length === count;
}

function isFilled(value) {
  return typeof value === 'string' && value !== '';
}

function isLength(value) {
  return Number.isInteger(value) && value > 0 && value <= LONGEST_SEQUENCE;
}

function isFraction(value) {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

function utf8(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new ArtifactError('The file holds text that is not UTF-8. Convert again.', { cause: error });
  }
}

function latin1(bytes) {
  return String.fromCharCode(...bytes);
}
