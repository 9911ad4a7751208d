// The one place of a TFLite flatbuffer that this page changes: the shape that a signature's output declares.
//
// LiteRT.js allocates an output before a run, with the shape in the file. The output of `tokenize` grows with the text
// and is declared as [1, 1], so a run would fail. Format: TFLite's schema.fbs; the numbers are its fields.

const MODEL = { subgraphs: 2, signatures: 7 };
const SIGNATURE = { outputs: 1, key: 2, subgraph: 4 };
const SUBGRAPH = { tensors: 0 };
const TENSOR = { shape: 0 };
const TENSOR_MAP = { tensor: 1 };

/**
 * Declares the row that a signature gives as `length` long, in place.
 *
 * @param {Uint8Array} flatbuffer
 * @param {string} signature one with a single output [1, n]
 * @param {number} length
 * @returns {() => void} writes the old length back; does nothing if there is no such signature
 */
export function declareRowLength(flatbuffer, signature, length) {
  try {
    const view = new DataView(flatbuffer.buffer, flatbuffer.byteOffset, flatbuffer.byteLength);
    const place = placeOfRowLength(view, signature);
    if (place === null) return () => {};
    const before = view.getInt32(place, true);
    view.setInt32(place, length, true);
    return () => view.setInt32(place, before, true);
  } catch (error) {
    if (error instanceof RangeError) return () => {}; // an offset leads out of the file: LiteRT refuses it
    throw error;
  }
}

function placeOfRowLength(view, name) {
  const model = follow(view, 0);
  const found = elements(view, field(view, model, MODEL.signatures)).find(
    (signature) => text(view, field(view, signature, SIGNATURE.key)) === name,
  );
  if (found === undefined) return null;
  const [output, ...others] = elements(view, field(view, found, SIGNATURE.outputs));
  const subgraph = elements(view, field(view, model, MODEL.subgraphs))[number(view, found, SIGNATURE.subgraph)];
  if (output === undefined || others.length > 0 || subgraph === undefined) return null;
  const tensors = elements(view, field(view, subgraph, SUBGRAPH.tensors));
  const tensor = tensors[number(view, output, TENSOR_MAP.tensor)];
  const shape = tensor === undefined ? 0 : field(view, tensor, TENSOR.shape);
  if (shape === 0) return null;
  const start = follow(view, shape);
  return view.getUint32(start, true) === 2 ? start + 8 : null; // a count, then two int32
}

/** The place of a table's field; 0 where the table does not have it. */
function field(view, table, index) {
  const layout = table - view.getInt32(table, true);
  const slot = 4 + 2 * index;
  const offset = slot < view.getUint16(layout, true) ? view.getUint16(layout + slot, true) : 0;
  return offset === 0 ? 0 : table + offset;
}

function number(view, table, index) {
  const place = field(view, table, index);
  return place === 0 ? 0 : view.getUint32(place, true);
}

function follow(view, place) {
  return place + view.getUint32(place, true);
}

/** The tables of a vector of tables. */
function elements(view, place) {
  if (place === 0) return [];
  const start = follow(view, place);
  const count = view.getUint32(start, true);
  if (start + 4 * count > view.byteLength) throw new RangeError('The vector is longer than the file.');
  return Array.from({ length: count }, (_, index) => follow(view, start + 4 + 4 * index));
}

function text(view, place) {
  if (place === 0) return '';
  const start = follow(view, place);
  return String.fromCharCode(...new Uint8Array(view.buffer, view.byteOffset + start + 4, view.getUint32(start, true)));
}
