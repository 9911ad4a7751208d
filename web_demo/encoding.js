// A text as the model takes it.

const SHORTEST_ROW = 128; // bytes: most commands and queries fit, and files have tensors of this length for them anyway

/**
 * A text's UTF-8 bytes, one int32 each, zeros behind them up to a power of two.
 *
 * This is all that is done to a text before the model. TextEncoder writes U+FFFD for a lone surrogate; the model stops
 * at the first zero; rows of few lengths spare the interpreter new allocations.
 *
 * @param {string} text
 * @returns {Int32Array}
 */
export function encodeText(text) {
  const bytes = new TextEncoder().encode(text);
  const row = new Int32Array(Math.max(SHORTEST_ROW, 2 ** Math.ceil(Math.log2(bytes.length || 1))));
  row.set(bytes);
  return row;
}
