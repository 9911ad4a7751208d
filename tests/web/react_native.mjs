// Answers of demos/react_native to texts: node react_native.mjs TextClassifier.js MODEL.tflite MODEL.json TEXTS.json
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [classifier, model, description, texts] = process.argv.slice(2);
const { TextClassifier } = await import(pathToFileURL(classifier));
const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
try {
  const opened = await TextClassifier.open({ url: pathToFileURL(model).href }, read(description));
  const answers = [];
  for (const text of read(texts)) answers.push(await opened.classify(text));
  console.log(JSON.stringify(answers));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(1);
}
