// The errors whose message is meant for the person in front of the page: what is wrong, and what to do next.

/** What went wrong, in plain words. */
export class DemoError extends Error {
  /** @param {string} message @param {{cause?: unknown}} [options] */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** The file is missing, foreign, damaged, or of a kind that a browser cannot run. */
export class ArtifactError extends DemoError {}

/** This browser cannot run the model, or the run failed. */
export class EngineError extends DemoError {}

/** This browser computes something else than the model was verified with. */
export class MismatchError extends DemoError {}
