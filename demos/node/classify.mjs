// Prints label and probability of each line of standard input; with --json, a line of JSON with all probabilities.

import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { openTextClassifier } from './edgedistil.mjs';

const { values, positionals } = parseArgs({ options: { json: { type: 'boolean' } }, allowPositionals: true });
if (positionals.length !== 1) {
  console.error('usage: node classify.mjs [--json] MODEL.tflite < texts.txt');
  process.exit(2);
}
try {
  const classifier = await openTextClassifier(positionals[0]);
  for await (const text of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const { ranking, labels, unknown } = await classifier.classify(text);
    const [best] = ranking;
    const given = unknown ?? labels?.join(', ') ?? best.label;
    const answer = async () => ({ text, ranking, labels, unknown, isTruncated: await classifier.isTruncated(text) });
    console.log(values.json ? JSON.stringify(await answer()) : `${given}\t${best.probability.toFixed(4)}`);
  }
  classifier.close();
} catch (error) {
  console.error(`error: ${positionals[0]}: ${error.message}`);
  process.exit(1);
}
