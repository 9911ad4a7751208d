// What the page shows of an explanation: the text with its words marked, and the words that matter most in a table.

import { element } from './view.js';

const MOST_EFFECTS = 6;
const LEAST_EFFECT = 0.0005; // less is +0.0 points

const find = (id) => document.getElementById(id);

/** Says how far an explanation is. */
export function showProgress(done, count) {
  find('progress').textContent = `${done} of ${count} words`;
}

/** Takes the explanation away: it was of another text or model. */
export function clearExplanation() {
  find('explanation').hidden = true;
  find('progress').textContent = '';
}

/**
 * Shows an explanation.
 *
 * @param {import('./explanation.js').Explanation} explanation
 * @param {string} text
 */
export function showExplanation({ label, words }, text) {
  const largest = Math.max(LEAST_EFFECT, ...words.map(({ effect }) => Math.abs(effect)));
  const parts = [];
  let end = 0;
  for (const { word, start, effect } of words) {
    parts.push(text.slice(end, start), markedWord(word, effect, Math.abs(effect) / largest));
    end = start + word.length;
  }
  find('words').replaceChildren(...parts, text.slice(end));
  const strongest = words
    .filter(({ effect }) => Math.abs(effect) >= LEAST_EFFECT)
    .sort((one, other) => Math.abs(other.effect) - Math.abs(one.effect))
    .slice(0, MOST_EFFECTS);
  find('effects').replaceChildren(...strongest.map((word) => effectRow(word, label)));
  find('effects').parentElement.hidden = strongest.length === 0;
  find('meaning').textContent = strongest.length
    ? `Solid underline: the word speaks for ${label}. Dashed: against it.`
    : `No word by itself changes the score of ${label}.`;
  find('explanation').hidden = false;
  find('progress').textContent = `${words.length} words left out in turn`;
}

function markedWord(word, effect, share) {
  const mark = element('span', word);
  mark.className = Math.abs(effect) < LEAST_EFFECT ? 'word' : effect > 0 ? 'word is-for' : 'word is-against';
  mark.dataset.effect = String(effect);
  mark.style.setProperty('--share', share);
  return mark;
}

function effectRow({ word, effect, labelWithout }, label) {
  const row = document.createElement('tr');
  const points = `${effect > 0 ? '+' : '−'}${(100 * Math.abs(effect)).toFixed(1)} points`;
  const head = element('th', word);
  head.scope = 'row';
  head.dir = 'auto';
  row.append(head, element('td', points), element('td', labelWithout === label ? 'the same' : labelWithout));
  return row;
}
