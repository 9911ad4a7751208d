import { loadTensorflowModel, type ModelSource, type TfliteModel } from 'react-native-fast-tflite';

/** The part of `edgedistil.json` that is read. */
export interface Description {
  labels: string[];
  thresholds?: number[];
  tolerance: number;
  golden_cases: { text: string; text_pair: string | null; probabilities: number[] }[];
  preparation: { unknown_texts?: { label: string; threshold: number } };
}

/** The model's answer for a text. */
export interface Answer {
  /**
   * The text's labels, the most probable first: one, or those that reach their thresholds in a model that gives
   * several; none if the text is unknown.
   */
  labels: string[];
  /** The probability of each label of the model, in the model's order. */
  scores: { label: string; probability: number }[];
  /** The model's name for texts with none of its labels, if this is one. */
  unknown: string | null;
  /** Whether the end of the text was not read, because its bytes do not fit into the model's row. */
  isCut: boolean;
}

/** A text classifier in a `.tflite` file that EdgeDistil wrote. */
export class TextClassifier {
  private constructor(
    private readonly model: TfliteModel,
    private readonly description: Description,
  ) {}

  /**
   * Opens a model and replays its golden cases.
   *
   * @param source the `.tflite` file, as `loadTensorflowModel` takes it
   * @param description the `edgedistil.json` that was taken out of it
   * @throws Error the model is another one, or this device computes something else than it was verified with
   */
  static async open(source: ModelSource, description: Description): Promise<TextClassifier> {
    const classifier = new TextClassifier(await loadTensorflowModel(source, []), description);
    for (const { text, text_pair: pair, probabilities } of description.golden_cases) {
      if (pair !== null || utf8Row(text, classifier.rowLength).isCut) continue;
      const received = (await classifier.run(text)).probabilities;
      const difference = Math.max(...probabilities.map((value, index) => Math.abs(value - (received[index] ?? NaN))));
      if (!(difference <= description.tolerance)) {
        throw new Error(
          `The model computes something else here: ${JSON.stringify(text)} differs by ${difference}. ` +
            'Use another scheme, such as fp32.',
        );
      }
    }
    return classifier;
  }

  /** Labels a text. */
  async classify(text: string): Promise<Answer> {
    const { probabilities, unknownScore, isCut } = await this.run(text);
    const { labels, thresholds, preparation } = this.description;
    const scores = labels.map((label, index) => ({ label, probability: probabilities[index] ?? NaN }));
    const order = scores.map((score, index) => ({ ...score, threshold: thresholds?.[index] ?? 0 }));
    order.sort((one, other) => other.probability - one.probability);
    const given = thresholds ? order.filter((row) => row.probability >= row.threshold) : order.slice(0, 1);
    const rule = preparation.unknown_texts;
    const unknown = rule && unknownScore !== null && unknownScore > rule.threshold ? rule.label : null;
    return { labels: unknown === null ? given.map(({ label }) => label) : [], scores, unknown, isCut };
  }

  private get rowLength(): number {
    const length = this.model.inputs[0]?.shape[0];
    if (length === undefined || this.model.inputs.length !== 1) {
      throw new Error('The model does not take one text. Convert it without --tokenizer.');
    }
    return length;
  }

  private async run(text: string): Promise<{ probabilities: number[]; unknownScore: number | null; isCut: boolean }> {
    const { row, isCut } = utf8Row(text, this.rowLength);
    const outputs = await this.model.run([row.buffer]);
    // The buffers are used again by the next run. Of several outputs, probabilities is the one of two dimensions.
    const values = outputs.map((output) => Array.from(new Float32Array(output)));
    const place = this.model.outputs.findIndex(({ shape }) => shape.length === 2);
    const probabilities = values[place] ?? [];
    if (probabilities.length !== this.description.labels.length) {
      throw new Error(
        `The model gives ${probabilities.length} probabilities for ${this.description.labels.length} labels. ` +
          'Take edgedistil.json out of this model.',
      );
    }
    return { probabilities, unknownScore: values[1 - place]?.[0] ?? null, isCut };
  }
}

/** All that is done to a text: its UTF-8 bytes, one int32 each, with zeros behind them. */
function utf8Row(text: string, length: number): { row: Int32Array<ArrayBuffer>; isCut: boolean } {
  const bytes = new Uint8Array(length);
  const { read } = new TextEncoder().encodeInto(text, bytes); // stops before a character that does not fit
  return { row: Int32Array.from(bytes), isCut: read < text.length };
}
