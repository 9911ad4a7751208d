// Which words matter for a label: the score with a word minus the score without it (edgedistil_runtime/explanation.py).

import { DemoError } from './errors.js';

export const MOST_WORDS = 500; // each is a run of the model

// Ideographs, kana and Thai are written without blanks, so each of their characters is a word; other words are letters
// and digits, with an apostrophe or hyphen between them. Any other visible character is one by itself.
const UNSPACED = '\\u0e00-\\u0e7f\\u3040-\\u30ff\\u3400-\\u4dbf\\u4e00-\\u9fff\\uf900-\\ufaff';
const BLANK = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000'; // as in Python
const LETTER = `(?![${UNSPACED}])[\\p{L}\\p{N}_]`;
const WORD = new RegExp(
  `[${UNSPACED}]|(?:${LETTER})+(?:['’\\-](?:${LETTER})+)*|(?![${BLANK}])[^\\p{L}\\p{N}_]`,
  'gu',
);

/**
 * @typedef {object} WordEffect
 * @property {string} word
 * @property {number} start of the word in the text, in UTF-16 code units
 * @property {number} effect score of the label with the word minus without it: above 0, the word speaks for the label
 * @property {string} labelWithout the most probable label of the text without the word
 *
 * @typedef {object} Explanation
 * @property {string} label that is explained: the most probable one
 * @property {number} score
 * @property {WordEffect[]} words in the order of the text
 */

/** The words of a text, with their places. @param {string} text @returns {{word: string, start: number}[]} */
export function findWords(text) {
  return Array.from(text.matchAll(WORD), ({ 0: word, index: start }) => ({ word, start }));
}

/**
 * Explains the most probable label of a text by leaving out each word in turn.
 *
 * @param {import('./classifier.js').TextClassifier} classifier
 * @param {string} text
 * @param {(done: number, count: number) => Promise<boolean>} goesOn asked before each word; false ends the explanation
 * @returns {Promise<Explanation | null>} null if `goesOn` ended it
 * @throws {DemoError} the text has more than 500 words
 */
export async function explain(classifier, text, goesOn = async () => true) {
  const places = findWords(text);
  if (places.length > MOST_WORDS) {
    throw new DemoError(
      `Only a text of at most ${MOST_WORDS} words is explained, because each word is a run of the model. ` +
        `This one has ${places.length.toLocaleString('en')}. Shorten it.`,
    );
  }
  const [{ label, probability: score }] = (await classifier.classify(text)).ranking;
  const words = [];
  for (const { word, start } of places) {
    if (!(await goesOn(words.length, places.length))) return null;
    const { ranking } = await classifier.classify(text.slice(0, start) + text.slice(start + word.length));
    const without = ranking.find((other) => other.label === label).probability;
    words.push({ word, start, effect: score - without, labelWithout: ranking[0].label });
  }
  return { label, score, words };
}
