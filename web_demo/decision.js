// From probabilities to labels: the best one, or all that reach their thresholds (edgedistil_runtime/decision.py).

/**
 * The numbers of a text's labels, the most probable first.
 *
 * @param {ArrayLike<number>} probabilities
 * @param {number[] | null} thresholds one a label, of a model that gives several labels; null: the best label
 * @returns {number[]}
 */
export function chosen(probabilities, thresholds) {
  const order = Array.from(probabilities, (_, index) => index);
  order.sort((one, other) => probabilities[other] - probabilities[one]);
  return thresholds === null ? order.slice(0, 1) : order.filter((index) => probabilities[index] >= thresholds[index]);
}

/**
 * Whether two rows give the same labels, or differences of `tolerance` explain that they do not.
 *
 * @param {number[]} expected
 * @param {ArrayLike<number>} received
 * @param {number[] | null} thresholds
 * @param {number} tolerance
 */
export function agree(expected, received, thresholds, tolerance) {
  const [before, after] = [chosen(expected, thresholds), chosen(received, thresholds)];
  const changed = [...before, ...after].filter((index) => !(before.includes(index) && after.includes(index)));
  if (changed.length === 0) return true;
  if (thresholds !== null) return changed.every((index) => Math.abs(expected[index] - thresholds[index]) <= tolerance);
  const [best, second] = [...expected].sort((one, other) => other - one);
  return best - second < tolerance;
}
