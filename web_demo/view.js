// What the page shows. Everything from a file or a person goes in as text, never as HTML.

const SHOWN_FIRST = 5;
const LONGEST_EXAMPLE = 40; // characters: what fits on a button
const MOST_EXAMPLES = 4;
const SPOKEN_AFTER = 700; // milliseconds without a change, so that a screen reader is not talked over while one types

const find = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });

let areAllShown = false;
let answer = null;
let model = null; // what the file says of it
let speaking;

find('more').addEventListener('click', () => {
  areAllShown = !areAllShown;
  showBars();
});

/** Shows the labels of an answer and what it cost. */
export function showAnswer(received, text) {
  answer = received;
  showBest();
  find('limit').hidden = text.length < find('text').maxLength;
  showBars();
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    find('spoken').textContent = [find('label'), find('truncated')]
      .filter(({ hidden }) => !hidden)
      .map(({ textContent }) => textContent)
      .concat(given().map((label) => percent.format(probabilityOf(label))))
      .join(', ');
  }, SPOKEN_AFTER);
}

/** Says whether the model read all of the text; null: that could not be found out. */
export function showTruncated(isTruncated) {
  const { sequenceLength } = model.tokenizer;
  find('truncated').textContent = isTruncated
    ? `Truncated: the model read the first ${sequenceLength} tokens. The rest of the text is not in the answer.`
    : 'The text may be longer than the model reads; with this text that could not be found out.';
  find('truncated').hidden = isTruncated === false;
}

/** Shows that a model is on its way. */
export function showLoading(name) {
  find('label').textContent = `Loading ${name}…`;
  find('cost').textContent = '';
  find('result').setAttribute('aria-busy', 'true');
}

/** Shows how far the replay of a model's test cases is. */
export function showChecking(done, count) {
  find('label').textContent = `Checking the model: ${done} of ${count} test cases…`;
}

/** Shows an error in plain words; an empty message takes it away. */
export function showError(message) {
  const box = find('error');
  const parts = message.split('`'); // every second one is code
  box.replaceChildren(...parts.map((part, index) => (index % 2 ? element('code', part) : part)));
  box.hidden = message === '';
  if (message) box.scrollIntoView({ block: 'nearest' }); // the button for files is at the other end of the page
}

/** Lets people type once there is a model, and choose a file once there is something to run it. */
export function showState({ isReady, hasEngine }) {
  document.body.dataset.state = isReady ? 'ready' : 'failed';
  find('text').disabled = !isReady;
  find('file').disabled = !hasEngine;
  find('explain').disabled = !isReady;
  find('result').setAttribute('aria-busy', 'false');
  if (answer) showBest(); // also after a file that was not used
  else find('label').textContent = isReady ? 'No answer' : 'No model';
}

/** Shows what is known about the model in use. */
export function setModel({ artifact, largestDifference, processor, whyNotGpu }, engine) {
  model = artifact;
  answer = null; // it was the other model's
  const cases = artifact.goldenCases.length;
  const rule = artifact.unknownRule;
  const facts = {
    Name: artifact.name,
    File: `${(artifact.size / 1e6).toFixed(2)} MB, ${artifact.scheme}`,
    Labels: `${artifact.labels.length}, ${artifact.thresholds ? 'several for a text' : 'one for a text'}`,
    Reads: `the first ${artifact.tokenizer.sequenceLength} tokens`,
    Scores: artifact.isCalibrated ? 'calibrated' : 'as trained, not calibrated',
    'Texts with no label': rule ? `named ${rule.label}, if the score is above ${rule.threshold.toPrecision(3)}` : 'no rule',
    Verified: `here, on ${cases} test cases; largest difference ${largestDifference.toPrecision(2)}`,
    'Runs on': `${processor === 'WebGPU' ? 'WebGPU; the tokenizer on ' : ''}WebAssembly, ${threadsOf(engine)}`,
    ...(whyNotGpu && { 'Part for WebGPU': `not used: ${whyNotGpu}` }),
  };
  const pairs = Object.entries(facts).map(([name, value]) => {
    const pair = document.createElement('div');
    pair.append(element('dt', name), element('dd', value));
    return pair;
  });
  find('facts').replaceChildren(...pairs);
}

/** Offers the texts that travel in the file as its test cases. */
export function setExamples(goldenCases, onChoice) {
  const texts = goldenCases
    .filter(({ text, textPair }) => textPair === null && text.trim() !== '' && text.length <= LONGEST_EXAMPLE)
    .slice(0, MOST_EXAMPLES)
    .map(({ text }) => text);
  const buttons = texts.map((text) => {
    const button = element('button', text);
    button.type = 'button';
    button.dir = 'auto';
    button.addEventListener('click', () => onChoice(text));
    return button;
  });
  find('examples').replaceChildren(...buttons);
  find('examples').hidden = buttons.length === 0;
}

/** Says whether the page is stored for use without a network. */
export function showOffline(isKept) {
  if (isKept) find('offline').textContent = 'Stored in this browser: works without a network.';
}

/** Whether threads are on, and why not. */
function threadsOf({ threads }) {
  if (threads > 1) return `threads on (${threads} of ${navigator.hardwareConcurrency} processors)`;
  const reason = globalThis.crossOriginIsolated ? 'one processor' : 'the server does not isolate the page';
  return `threads off: ${reason}`;
}

/** The labels of the answer. */
function given() {
  if (answer.unknown) return [];
  return answer.labels ?? [answer.ranking[0].label];
}

function probabilityOf(label) {
  return answer.ranking.find((row) => row.label === label).probability;
}

function showBest() {
  const [{ label }] = answer.ranking;
  find('label').textContent = answer.unknown ?? (given().join(', ') || 'None of the labels');
  find('unknown').hidden = !answer.unknown;
  if (answer.unknown) {
    const [score, threshold] = [answer.unknownScore, model.unknownRule.threshold].map((value) => value.toPrecision(3));
    find('unknown').textContent =
      `Unknown: the text is like those of none of the labels (score ${score}, above ${threshold}). Nearest: ${label}.`;
  }
  find('cost').textContent = `${answer.milliseconds.toFixed(2)} ms, text to label`;
}

function showBars() {
  const { ranking } = answer;
  const shown = areAllShown ? ranking : ranking.slice(0, SHOWN_FIRST);
  const list = find('bars');
  while (list.childElementCount < shown.length) list.append(newBar());
  while (list.childElementCount > shown.length) list.lastElementChild.remove();
  shown.forEach(({ label, probability }, index) => {
    const [name, value, track] = list.children[index].children;
    const threshold = model.thresholds?.[model.labels.indexOf(label)];
    list.children[index].classList.toggle('is-given', given().includes(label));
    name.textContent = label;
    value.value = String(probability);
    value.textContent = percent.format(probability) + (threshold ? ` of ${percent.format(threshold)} needed` : '');
    track.lastElementChild.hidden = !threshold;
    track.lastElementChild.style.setProperty('--share', threshold ?? 0);
    track.firstElementChild.style.setProperty('--share', probability);
  });
  const more = find('more');
  more.hidden = ranking.length <= SHOWN_FIRST;
  more.textContent = areAllShown ? 'Show fewer' : `Show all ${ranking.length} labels`;
  more.setAttribute('aria-expanded', String(areAllShown));
}

function newBar() {
  const bar = document.createElement('li');
  const track = element('span', '');
  track.className = 'track';
  track.setAttribute('aria-hidden', 'true');
  track.append(document.createElement('i'), document.createElement('b'));
  const name = element('span', '');
  name.dir = 'auto';
  bar.append(name, document.createElement('data'), track);
  return bar;
}

/** An element with a text in it. */
export function element(name, content) {
  const made = document.createElement(name);
  made.textContent = content;
  return made;
}
