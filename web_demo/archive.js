// The ZIP archive behind a model, with the SHA-256 of the whole file in its comment.
//
// What edgedistil_runtime/trailing_archive.py reads, read in a browser: no library, nothing but DataView,
// DecompressionStream and SubtleCrypto. The file may come from a stranger: every offset is checked, members are
// bounded in size, and none but those asked for are inflated. Format: PKWARE's APPNOTE.TXT, sections 4.3.7 (local
// header), 4.3.12 (directory) and 4.3.16 (end of directory).

import { ArtifactError } from './errors.js';

export const COMMENT_PREFIX = 'edgedistil sha256:';
export const COMMENT_SIZE = COMMENT_PREFIX.length + 64;
export const LARGEST_MEMBER = 4 * 2 ** 20; // bytes: labels and golden cases are kilobytes; more is a ZIP bomb

const END_SIZE = 22; // the end-of-directory record without its comment
const END_SIGNATURE = 0x06054b50; // PK 05 06
const ENTRY_SIGNATURE = 0x02014b50; // PK 01 02
const ENTRY_SIZE = 46;
const MEMBER_SIGNATURE = 0x04034b50; // PK 03 04
const HEADER_SIZE = 30;
const ENCRYPTED = 0x1;
const STORED = 0;
const DEFLATED = 8;

/** Whether the file ends in a comment as EdgeDistil writes it. @param {Uint8Array} content */
export function hasArchive(content) {
  return ascii(content.subarray(-COMMENT_SIZE)).startsWith(COMMENT_PREFIX);
}

/**
 * Checks the digest of a file that `hasArchive`, then reads members of the archive at its end.
 *
 * @param {Uint8Array} content the whole file
 * @param {{required: string[], allowed: string[], wanted: string[]}} names members that it must have, members that it
 *   may have besides, and those to inflate
 * @returns {Promise<{start: number, members: Map<string, Uint8Array>}>} bytes before the archive; content by name
 * @throws {ArtifactError} the bytes are not those that were written, or the archive is not such an archive
 */
export async function readArchive(content, { required, allowed, wanted }) {
  const written = ascii(content.subarray(-64));
  if ((await sha256(content.subarray(0, -COMMENT_SIZE))) !== written) {
    throw new ArtifactError(
      'The file is damaged: its SHA-256 is not the one written at its end. Copy or download it again.',
    );
  }
  const entries = readDirectory(content, required.length, required.length + allowed.length);
  const known = new Set([...required, ...allowed]);
  if (!required.every((name) => entries.has(name)) || ![...entries.keys()].every((name) => known.has(name))) {
    throw malformed(`its members must be ${required.join(', ')}, and may be ${allowed.join(', ')}`);
  }
  const start = Math.min(...[...entries.values()].map((entry) => entry.offset));
  const members = new Map();
  for (const name of wanted.filter((name) => entries.has(name))) members.set(name, await readMember(content, name, entries.get(name)));
  return { start, members };
}

/** The SHA-256 of bytes, in hexadecimal. @param {Uint8Array} bytes @returns {Promise<string>} */
export async function sha256(bytes) {
  if (!globalThis.crypto?.subtle) {
    throw new ArtifactError(
      'The file cannot be checked, because browsers offer SHA-256 to secure pages alone. ' +
        'Open this page over https, or on the machine that serves it as http://localhost.',
    );
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function readDirectory(content, least, most) {
  const end = content.length - COMMENT_SIZE - END_SIZE;
  const view = viewOf(content);
  if (end < 0 || view.getUint32(end, true) !== END_SIGNATURE) throw malformed('it has no end record');
  const here = view.getUint16(end + 8, true);
  const total = view.getUint16(end + 10, true);
  const size = view.getUint32(end + 12, true);
  const offset = view.getUint32(end + 16, true);
  const isSound = here === total && total >= least && total <= most && view.getUint16(end + 20, true) === COMMENT_SIZE;
  if (!isSound || offset + size !== end) throw malformed('its end record does not describe it');
  const entries = new Map();
  let position = offset;
  for (let number = 0; number < total; number += 1) {
    if (position + ENTRY_SIZE > end || view.getUint32(position, true) !== ENTRY_SIGNATURE) {
      throw malformed('its directory is cut off');
    }
    const nameSize = view.getUint16(position + 28, true);
    const name = ascii(content.subarray(position + ENTRY_SIZE, position + ENTRY_SIZE + nameSize));
    if (entries.has(name)) throw malformed(`it has ${name} twice`);
    entries.set(name, readEntry(view, position));
    position += ENTRY_SIZE + nameSize + view.getUint16(position + 30, true) + view.getUint16(position + 32, true);
  }
  if (position !== end) throw malformed('its directory is longer than its members');
  return entries;
}

function readEntry(view, position) {
  return {
    flags: view.getUint16(position + 8, true),
    method: view.getUint16(position + 10, true),
    packedSize: view.getUint32(position + 20, true),
    size: view.getUint32(position + 24, true),
    offset: view.getUint32(position + 42, true),
  };
}

async function readMember(content, name, { flags, method, packedSize, size, offset }) {
  if (size > LARGEST_MEMBER) throw malformed(`${name} has ${size} bytes; the limit is ${LARGEST_MEMBER}`);
  if (flags & ENCRYPTED || (method !== STORED && method !== DEFLATED)) {
    throw malformed(`${name} is encrypted or not compressed by deflate`);
  }
  const view = viewOf(content);
  if (offset + HEADER_SIZE > content.length || view.getUint32(offset, true) !== MEMBER_SIGNATURE) {
    throw malformed(`${name} has no header of its own`);
  }
  const begin = offset + HEADER_SIZE + view.getUint16(offset + 26, true) + view.getUint16(offset + 28, true);
  if (begin + packedSize > content.length) throw malformed(`${name} ends behind the file`);
  const packed = content.subarray(begin, begin + packedSize);
  const member = method === STORED ? packed : await inflated(packed, name, size);
  if (member.length !== size) throw malformed(`${name} has ${member.length} bytes, and not the ${size} it should have`);
  return member;
}

/** Stops as soon as there is more than `size` bytes, whatever the stream holds. */
async function inflated(packed, name, size) {
  const result = new Uint8Array(size);
  let filled = 0;
  try {
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      if (filled + value.length > size) {
        await reader.cancel();
        throw malformed(`${name} is larger than it says`);
      }
      result.set(value, filled);
      filled += value.length;
    }
  } catch (error) {
    throw error instanceof ArtifactError ? error : malformed(`${name} cannot be inflated`, error);
  }
  return result.subarray(0, filled);
}

function malformed(reason, cause) {
  return new ArtifactError(`The archive at the end of the file is malformed: ${reason}. Convert again.`, { cause });
}

function viewOf(content) {
  return new DataView(content.buffer, content.byteOffset, content.byteLength);
}

function ascii(bytes) {
  return String.fromCharCode(...bytes.subarray(0, 2 ** 10));
}
