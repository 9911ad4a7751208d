// The page: what is typed, dropped and shown. What a model is and how it runs is in the modules imported here.

import { checkSize, readArtifact } from './artifact.js';
import { loadEngine } from './engine.js';
import { DemoError } from './errors.js';
import { explain } from './explanation.js';
import { openVerified } from './gpu.js';
import { keepForOffline } from './offline.js';
import {
  setExamples,
  setModel,
  showAnswer,
  showChecking,
  showError,
  showLoading,
  showState,
  showTruncated,
} from './view.js';
import { clearExplanation, showExplanation, showProgress } from './view_explanation.js';

const BUNDLED = './model.tflite';
const ENGINE = './litert';
const RESPONSIVE = 50; // milliseconds of work after which the page looks for what a person did

/** What the page uses, for tests and for the console: `(await import('./app.js')).session.classifier`. */
export const session = { classifier: null, engine: null, settled: () => work };

const text = document.querySelector('#text');
const file = document.querySelector('#file');
let work = Promise.resolve(); // what uses the model waits for what used it before
let isAnswerDue = false;

start();

async function start() {
  text.addEventListener('input', answer);
  file.addEventListener('change', () => {
    take([...file.files]);
    file.value = ''; // so that the same file can be chosen again
  });
  document.querySelector('#explain').addEventListener('click', explainText);
  listenForDrops();
  enqueue(async () => {
    session.engine = await loadEngine(ENGINE);
    await use(await fetched(BUNDLED));
  });
  await work;
  keepForOffline();
}

/** Answers the text as it stands; of many calls during a run, one is carried out. */
function answer() {
  clearExplanation();
  if (isAnswerDue) return;
  isAnswerDue = true;
  enqueue(async () => {
    isAnswerDue = false;
    if (session.classifier) await classify(text.value);
  });
}

async function classify(content) {
  showAnswer(await session.classifier.classify(content), content);
  await turn();
  if (isAnswerDue) return showTruncated(false); // the text has changed: a note would be of another text
  showTruncated(await session.classifier.isTruncated(content));
}

/** Explains the answer to the text as it stands; stops when the text changes. */
function explainText() {
  const content = text.value;
  const step = stepsWith(showProgress);
  const goesOn = async (done, count) => {
    if (text.value !== content) return false;
    await step(done, count);
    return text.value === content;
  };
  enqueue(async () => {
    const explanation = await explain(session.classifier, content, goesOn);
    if (explanation) showExplanation(explanation, content);
  });
}

/** Uses a file that was chosen or dropped; if it cannot be used, the model before stays. */
function take(files) {
  if (files.length === 0) return;
  enqueue(async () => {
    if (files.length > 1) throw new DemoError('Drop one file at a time.');
    checkSize(files[0].size);
    showLoading(files[0].name);
    await use(await contentOf(files[0]));
  }, `${files[0].name} was not used.`);
}

async function use(content) {
  if (!session.engine) throw new DemoError('LiteRT, which runs the model, is not there. Reload the page.');
  const artifact = await readArtifact(content);
  const classifier = await openVerified(artifact, session.engine, stepsWith(showChecking));
  session.classifier?.close();
  session.classifier = classifier;
  clearExplanation();
  setModel(classifier, session.engine);
  setExamples(artifact.goldenCases, (example) => {
    text.value = example;
    answer();
  });
  await classify(text.value);
}

/** What to call before each part of a long task: it shows how far that is, and lets the page be used meanwhile. */
function stepsWith(show) {
  let rested = performance.now();
  return async (done, count) => {
    if (performance.now() - rested <= RESPONSIVE) return;
    show(done, count);
    await turn();
    rested = performance.now();
  };
}

/** Lets the browser paint and pass on what a person did. */
function turn() {
  return new Promise((resolve) => setTimeout(resolve));
}

function enqueue(task, context = '') {
  work = work.then(async () => {
    try {
      showError('');
      await task();
    } catch (error) {
      console.error(error);
      const message = error instanceof DemoError ? error.message : `Something unexpected went wrong: ${error}`;
      showError(`${context} ${message}`.trim());
    }
    showState({ isReady: session.classifier !== null, hasEngine: session.engine !== null });
  });
}

async function fetched(url) {
  try {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new DemoError('The bundled model could not be fetched. Check the connection and reload the page.', {
      cause: error,
    });
  }
}

async function contentOf(chosen) {
  try {
    return new Uint8Array(await chosen.arrayBuffer());
  } catch (error) {
    const message = 'It cannot be read: it is a folder, or it was moved or changed meanwhile. Choose a file again.';
    throw new DemoError(message, { cause: error });
  }
}

function listenForDrops() {
  const root = document.documentElement;
  const holdsFiles = (event) => event.dataTransfer?.types.includes('Files');
  addEventListener('dragover', (event) => {
    if (!holdsFiles(event)) return; // text may be dragged into the text field as ever
    event.preventDefault();
    root.classList.add('is-dropping');
  });
  addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) root.classList.remove('is-dropping');
  });
  addEventListener('drop', (event) => {
    root.classList.remove('is-dropping');
    if (!holdsFiles(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
}
