// What the page shows. Everything from a file or a person goes in as text, never as HTML.

const SHOWN_FIRST = 5;
const LONGEST_EXAMPLE = 40; // characters: what fits on a button
const MOST_EXAMPLES = 4;
const SPOKEN_AFTER = 700; // milliseconds without a change, so that a screen reader is not talked over while one types

const find = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat('en', { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 });

let areAllShown = false;
let answer = null;
let speaking;

find('more').addEventListener('click', () => {
  areAllShown = !areAllShown;
  showBars();
});

/** Shows the labels of an answer and what it cost. */
export function showAnswer(received, text) {
  answer = received;
  const [best] = answer.ranking;
  showBest();
  find('limit').hidden = text.length < find('text').maxLength;
  showBars();
  clearTimeout(speaking);
  speaking = setTimeout(() => {
    const unknown = answer.unknown ? `${answer.unknown}, nearest ` : '';
    find('spoken').textContent = `${unknown}${best.label}, ${percent.format(best.probability)}`;
  }, SPOKEN_AFTER);
}

/** Shows that a model is on its way. */
export function showLoading(name) {
  find('label').textContent = `Loading ${name}…`;
  find('cost').textContent = '';
  find('result').setAttribute('aria-busy', 'true');
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
  find('result').setAttribute('aria-busy', 'false');
  if (isReady) showBest(); // also after a file that was not used
  else find('label').textContent = 'No model';
}

/** Shows what is known about the model in use. */
export function setFacts({ artifact, largestDifference }, { isThreaded }) {
  const cases = artifact.goldenCases.length;
  const facts = {
    Name: artifact.name,
    File: `${(artifact.size / 1e6).toFixed(2)} MB, ${artifact.scheme}`,
    Labels: String(artifact.labels.length),
    Reads: `the first ${artifact.tokenizer.sequenceLength} tokens`,
    Verified: `here, on ${cases} test cases; largest difference ${largestDifference.toPrecision(2)}`,
    'Runs on': `WebAssembly, ${isThreaded ? 'several threads' : 'one thread'}`,
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

function showBest() {
  const [{ label }] = answer.ranking;
  find('label').textContent = answer.unknown ? `${answer.unknown} (nearest: ${label})` : label;
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
    name.textContent = label;
    value.value = String(probability);
    value.textContent = percent.format(probability);
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
  track.append(document.createElement('i'));
  const name = element('span', '');
  name.dir = 'auto';
  bar.append(name, document.createElement('data'), track);
  return bar;
}

function element(name, content) {
  const made = document.createElement(name);
  made.textContent = content;
  return made;
}
