// Token ids of a text, and whether a text is longer than the model reads. What edgedistil_runtime/long_texts.py and
// cuts.py do, for an interpreter that allocates an output before the run.
//
// LiteRT.js gives an output the length that it had in the run before and fails if a row needs more. So every row is
// made full: a filler follows the text, as often as the row is long. Two fillers give two rows, which are equal as far
// as the text goes.

import { encodeText } from './encoding.js';
import { EngineError } from './errors.js';

export const TOKENIZE = 'tokenize';

// Words and marks that most vocabularies have; two of them must have ids that differ.
const FILLERS = ['.', ',', '?', '!', 'a', 'e', '1', '0', '-', 'the', 'on', 'is', 'of', 'in'];
const SPECIAL_TOKENS = 2; // [CLS] and [SEP]
const MOST_FOLDED = 18; // characters that NFKC makes of one: U+FDFA
const MOST_FOLDED_LATIN = 3; // the same below U+0300: U+00BD
const SPACE = ' \\t\\n\\r';
const PUNCTUATION = '!-\\/:-@\\[-`{-~';
const IDEOGRAPH = '\\u4e00-\\u9fff';
const WORD = '[\\p{L}\\p{N}_]';
const HANGUL_FILLERS = '\u115f\u1160\u3164'; // letters that fold to nothing
const HAS_AN_ID = /^[\p{Lu}\p{Ll}\p{Lo}\p{Nd}]$/u; // not Lm: some fold to a mark, which a tokenizer may remove

/** Token ids of texts, by a model that has the signature `tokenize`. */
export class TokenReader {
  #model;
  #settings;
  #fillers = null;

  /**
   * @param {import('./classifier.js').Model} model
   * @param {import('./artifact.js').TokenizerSettings} settings
   */
  constructor(model, settings) {
    this.#model = model;
    this.#settings = settings;
  }

  /**
   * @param {string} text
   * @returns {Promise<number[] | null>} its ids without special tokens, as many as the model reads; null if unknown
   */
  async idsOf(text) {
    const fillers = await this.#chooseFillers();
    if (fillers === null) return null;
    const rows = [];
    for (const filler of fillers) rows.push(await this.#row(beforeNul(text), filler));
    const room = this.#room;
    let count = 0;
    while (count < room && rows[0][count] === rows[1][count]) count += 1;
    return rows[0].slice(0, count);
  }

  /**
   * Whether a text has more token ids than the model reads. No model runs for a text with too few characters.
   *
   * @param {string} text
   * @returns {Promise<boolean | null>} null if unknown
   */
  async isTruncated(text) {
    const read = beforeNul(text);
    if (mostTokenIds(read) <= this.#room) return false;
    const ids = await this.idsOf(read);
    if (ids === null) return null;
    if (ids.length < this.#room) return false;
    const cut = lastCut(read, this.#settings);
    if (cut === 0) return null; // one part that cannot be divided fills the row
    const before = (await this.idsOf(read.slice(0, cut))).length;
    const last = (await this.idsOf(read.slice(cut))).length;
    return last === this.#room && before === 0 ? null : before + last > this.#room;
  }

  get #room() {
    return this.#settings.sequenceLength - SPECIAL_TOKENS;
  }

  /** The ids of a text that a filler follows until the row is full. */
  async #row(text, filler) {
    const row = await this.#model.tokenize(encodeText(text + ` ${filler}`.repeat(this.#settings.sequenceLength)));
    return Array.from(row.slice(1, 1 + this.#room));
  }

  /** Two fillers with one id each, which differ; null for a tokenizer that has none or cannot be run here. */
  async #chooseFillers() {
    if (this.#fillers === null) this.#fillers = await this.#findFillers();
    return this.#fillers.length === 2 ? this.#fillers : null;
  }

  async #findFillers() {
    const known = new Map(); // id -> filler
    if (this.#room < 1 || !this.#settings.split || !this.#model.signatures.includes(TOKENIZE)) return [];
    try {
      for (const filler of FILLERS) {
        const [id, ...others] = await this.#row('', filler);
        if (others.every((other) => other === id) && !known.has(id)) known.set(id, filler);
        if (known.size === 2) break;
      }
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      console.warn('Token ids are not compared, and truncation is unknown:', error); // the probabilities are replayed
      return [];
    }
    return [...known.values()];
  }
}

/** The part of a text that is read: a NUL ends it. @param {string} text */
export function beforeNul(text) {
  return text.split('\0', 1)[0];
}

/** An upper bound of a text's ids without special tokens: one per character after folding. @param {string} text */
export function mostTokenIds(text) {
  let sum = 0;
  for (const mark of text) sum += mark < '\x80' ? 1 : mark < '\u0300' ? MOST_FOLDED_LATIN : MOST_FOLDED;
  return /^[\0-\x7f]*$/.test(text) ? text.length : sum;
}

/**
 * The last position where a text may be cut: the ids of the two parts, one after the other, are those of the text.
 *
 * @param {string} text
 * @param {import('./artifact.js').TokenizerSettings} settings
 * @returns {number} 0 if there is none
 */
export function lastCut(text, settings) {
  const pattern = cutPattern(settings);
  let last = 0;
  if (pattern !== null) {
    for (const { index } of text.matchAll(pattern)) if (index > 0 && hasAnId(text[index])) last = index;
  }
  return last;
}

function cutPattern({ split, splitOnCjk, tokensInTexts }) {
  if (!split) return null;
  if (tokensInTexts.length > 0) {
    return tokensInTexts.some((token) => /\s/.test(token)) ? null : new RegExp(`(?<=[${SPACE}])(?=${WORD})`, 'gu');
  }
  const places = [`(?<=[${SPACE}${PUNCTUATION}])(?=${WORD})`, `(?=[${PUNCTUATION}])`];
  if (splitOnCjk) places.push(`(?=[${IDEOGRAPH}])`);
  return new RegExp(places.join('|'), 'gu');
}

/** Whether a word with this first character has an id at least: folding does not remove all of it. */
function hasAnId(mark) {
  return mark < '\x80' || (mark < '\ud800' && !HANGUL_FILLERS.includes(mark) && HAS_AN_ID.test(mark));
}
