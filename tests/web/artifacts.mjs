// Small files of EdgeDistil's format for the unit tests: whole, and wrong in one place.
import { createHash } from 'node:crypto';
import { deflateRawSync } from 'node:zlib';

export const COMMENT_PREFIX = 'edgedistil sha256:';
export const FLATBUFFER = Buffer.from('\x1c\0\0\0TFL3 a model of four-and-thirty bytes', 'latin1');

/** The metadata of a model with two labels, changed by `changes`. */
export function metadata(changes = {}) {
  return {
    name: 'tiny',
    labels: ['ham', 'spam'],
    tokenizer: { kind: 'builtin', sequence_length: 16, split: true },
    quantization: { scheme: 'int8' },
    tolerance: 0.05,
    golden_cases: [{ text: 'hi', token_ids: [2, 5, 3], probabilities: [0.75, 0.25], text_pair: null }],
    flatbuffer_size: FLATBUFFER.length,
    flatbuffer_sha256: sha256(FLATBUFFER),
    schema_version: 1,
    ...changes,
  };
}

/** The members of such a file, in their order. */
export function members(changes = {}) {
  return {
    'edgedistil.json': JSON.stringify(metadata(changes)),
    'labels.txt': 'ham\nspam\n',
    'vocab.txt': '[PAD]\n',
  };
}

/**
 * A flatbuffer with a ZIP archive behind it.
 *
 * @param {Record<string, string>} content by name
 * @param {(entry: {name: string, method: number, flags: number, size: number}) => object} change of a directory entry
 * @param {number} method 8: deflated, 0: stored
 */
export function artifact(content = members(), change = (entry) => entry, method = 8) {
  const parts = [FLATBUFFER];
  const directory = [];
  let offset = FLATBUFFER.length;
  for (const [name, text] of Object.entries(content)) {
    const packed = method === 8 ? deflateRawSync(Buffer.from(text)) : Buffer.from(text);
    const given = { name, method, flags: 0, size: Buffer.byteLength(text), packedSize: packed.length, offset };
    const entry = change(given);
    parts.push(localHeader(entry), packed);
    directory.push(directoryEntry(entry));
    offset += 30 + Buffer.byteLength(entry.name) + packed.length;
  }
  const size = directory.reduce((sum, entry) => sum + entry.length, 0);
  return signed(Buffer.concat([...parts, ...directory, endRecord(directory.length, size, offset)]));
}

/** Bytes with the comment that fits them. */
export function signed(body) {
  return new Uint8Array(Buffer.concat([body, Buffer.from(COMMENT_PREFIX + sha256(body))]));
}

export function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

function localHeader({ name, method, flags, size, packedSize }) {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(flags, 6);
  header.writeUInt16LE(method, 8);
  header.writeUInt32LE(packedSize, 18);
  header.writeUInt32LE(size, 22);
  header.writeUInt16LE(Buffer.byteLength(name), 26);
  return Buffer.concat([header, Buffer.from(name)]);
}

function directoryEntry({ name, method, flags, size, packedSize, offset, comment = '' }) {
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(flags, 8);
  entry.writeUInt16LE(method, 10);
  entry.writeUInt32LE(packedSize, 20);
  entry.writeUInt32LE(size, 24);
  entry.writeUInt16LE(Buffer.byteLength(name), 28);
  entry.writeUInt16LE(Buffer.byteLength(comment), 32);
  entry.writeUInt32LE(offset, 42);
  return Buffer.concat([entry, Buffer.from(name), Buffer.from(comment)]);
}

function endRecord(count, size, offset) {
  const record = Buffer.alloc(22);
  record.writeUInt32LE(0x06054b50, 0);
  record.writeUInt16LE(count, 8);
  record.writeUInt16LE(count, 10);
  record.writeUInt32LE(size, 12);
  record.writeUInt32LE(offset, 16);
  record.writeUInt16LE(COMMENT_PREFIX.length + 64, 20);
  return record;
}
