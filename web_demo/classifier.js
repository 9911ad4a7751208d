// Text in, label out: the one module that an application needs besides LiteRT.js.

import { agree, chosen } from './decision.js';
import { encodeText } from './encoding.js';
import { EngineError, MismatchError } from './errors.js';
import { TokenReader } from './truncation.js';

export { encodeText };

export const CLASSIFY_TEXT = 'classify_text';
export const CLASSIFY_TEXT_PAIR = 'classify_text_pair';

const LARGEST_PROBABILITY = 1.001; // softmax in float32 may round to a little more than 1

/**
 * Labels with their probabilities, the most probable first; equal ones in the model's order.
 *
 * @param {string[]} labels
 * @param {ArrayLike<number>} probabilities
 * @returns {{label: string, probability: number}[]}
 */
export function rank(labels, probabilities) {
  const pairs = labels.map((label, index) => ({ label, probability: probabilities[index] }));
  return pairs.sort((one, other) => other.probability - one.probability);
}

/**
 * @typedef {object} Outputs of a run
 * @property {Float32Array} probabilities one a label
 * @property {number | null} unknownScore the greater, the less the text is like those of any label; null without a rule
 *
 * @typedef {object} Answer to a text
 * @property {{label: string, probability: number}[]} ranking all labels, the most probable first
 * @property {string[] | null} labels those that reach their thresholds; null for a model that gives every text one
 * @property {string | null} unknown the name for texts with none of the labels, if this is one
 * @property {number | null} unknownScore the greater, the less the text is like those of any label; null without a rule
 * @property {number} milliseconds from text to ranking
 *
 * @typedef {object} Model what runs signatures; `engine.js` makes one of LiteRT.js
 * @property {string[]} signatures
 * @property {(signature: string, inputs: Record<string, Int32Array>) => Promise<Outputs>} run
 * @property {(text: Int32Array) => Promise<Int32Array>} [tokenize] token ids, where there is the signature `tokenize`
 * @property {() => void} close
 */

/** A model that was verified in this browser and is ready to label texts. */
export class TextClassifier {
  #model;
  #tokens;

  /** Not for callers: `TextClassifier.verified` makes one. */
  constructor(artifact, model) {
    this.artifact = artifact;
    this.#model = model;
    this.#tokens = new TokenReader(model, artifact.tokenizer);
    this.largestDifference = 0;
  }

  /**
   * Replays the file's golden cases before the first answer, and closes the model if one differs.
   *
   * @param {import('./artifact.js').Artifact} artifact
   * @param {Model} model
   * @param {(done: number, count: number) => Promise<void>} [onCase] called before each golden case
   * @returns {Promise<TextClassifier>}
   * @throws {EngineError} the model does not take text, or a run failed
   * @throws {MismatchError} this browser computes other probabilities than the model was verified with
   */
  static async verified(artifact, model, onCase = async () => {}) {
    const classifier = new TextClassifier(artifact, model);
    try {
      const cases = artifact.goldenCases;
      for (const [index, goldenCase] of cases.entries()) {
        await onCase(index, cases.length);
        await classifier.#replay(goldenCase);
      }
      await classifier.classify(''); // also where there are no golden cases: does it run at all?
    } catch (error) {
      model.close();
      throw error;
    }
    return classifier;
  }

  /**
   * Labels one text.
   *
   * @param {string} text any string, the empty one included; a NUL ends it
   * @returns {Promise<Answer>}
   * @throws {EngineError} the run failed
   */
  async classify(text) {
    const started = performance.now();
    const { probabilities, unknownScore } = await this.#run(CLASSIFY_TEXT, { text: encodeText(text) });
    const milliseconds = performance.now() - started;
    const { labels, thresholds, unknownRule: rule } = this.artifact;
    const unknown = rule && unknownScore > rule.threshold ? rule.label : null;
    const given = thresholds && chosen(probabilities, thresholds).map((index) => labels[index]);
    return { ranking: rank(labels, probabilities), labels: given, unknown, unknownScore, milliseconds };
  }

  /**
   * Whether the model does not read all of a text, because it is longer than the model's sequence length.
   *
   * @param {string} text
   * @returns {Promise<boolean | null>} null if unknown
   */
  async isTruncated(text) {
    return this.#tokens.isTruncated(text);
  }

  /** Releases the model's memory. */
  close() {
    this.#model.close();
  }

  async #replay({ text, textPair, tokenIds, probabilities: expected }) {
    if (textPair === null) await this.#replayTokens(text, tokenIds);
    const inputs = { text: encodeText(text) };
    if (textPair !== null) inputs.text_pair = encodeText(textPair);
    const { probabilities: received } = await this.#run(textPair === null ? CLASSIFY_TEXT : CLASSIFY_TEXT_PAIR, inputs);
    const difference = Math.max(...expected.map((value, index) => Math.abs(value - received[index])));
    this.largestDifference = Math.max(this.largestDifference, difference);
    const { tolerance, thresholds } = this.artifact;
    if (!(difference <= tolerance) || !agree(expected, received, thresholds, tolerance)) {
      throw new MismatchError(
        `This browser computes something else than the model was verified with: for the text ${JSON.stringify(text)} ` +
          `a probability differs by ${difference.toPrecision(2)}, and ${tolerance} is allowed. ` +
          'Its labels could not be trusted, so it is not used. Update the browser, or try another one.',
      );
    }
  }

  /** Compares the token ids, without [CLS] and [SEP], where this browser can tell them. */
  async #replayTokens(text, expected) {
    const received = await this.#tokens.idsOf(text);
    if (received === null || received.join() === expected.slice(1, -1).join()) return;
    throw new MismatchError(
      `This browser computes other token ids than the model was verified with, for the text ${JSON.stringify(text)}, ` +
        'so it is not used. Update the browser, or try another one.',
    );
  }

  async #run(signature, inputs) {
    if (!this.#model.signatures.includes(signature)) {
      throw new EngineError(`The model has no signature ${signature}, so it does not take text. Convert again.`);
    }
    const outputs = await this.#model.run(signature, inputs);
    const { probabilities } = outputs;
    const { length } = this.artifact.labels;
    if (probabilities.length !== length || !probabilities.every((value) => value >= 0 && value <= LARGEST_PROBABILITY)) {
      throw new EngineError(
        `The model must answer ${length} probabilities, one a label. ` +
          `Received: ${Array.from(probabilities.slice(0, 8)).join(', ')}. Reload the page, or try another browser.`,
      );
    }
    if (this.artifact.unknownRule && !Number.isFinite(outputs.unknownScore)) {
      throw new EngineError('The model has a rule for unknown texts and no finite unknown_score. Convert again.');
    }
    return outputs;
  }
}
